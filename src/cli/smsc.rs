//! The command `smppost smsc`.
use crate::words::format::path_argument;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::{after, bounded, never, select};

use crate::cli::record::RecordArgs;
use crate::client::link::tls_proxy::{Door, Identity};
use crate::smsc::settings::parse_duration;
use crate::smsc::{DelayRange, Faults, IdForm, Outcomes, Password, Quirks, ReceiptIdForm, Settings, Smsc, SmscError};

/// The environment variable that holds the password of the simulated account.
const PASSWORD_VARIABLE: &str = "SMPPOST_SMSC_PASSWORD";

/// Messages that are kept for query_sm, cancel_sm and replace_sm.
const KEEP_MESSAGES: usize = 10_000;

/// Run an SMSC simulator that behaves like the reference provider.
#[derive(Args, Clone, Debug)]
pub struct SmscArgs {
    /// Port to listen on; 0 takes any free one and says which
    #[arg(long, default_value_t = 2777)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    listen: IpAddr,
    /// Allow an address that others can reach, where anybody could bind
    #[arg(long)]
    expose_to_network: bool,
    /// Stop after this time, such as 30s or 5m
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    run_for: Option<Duration>,

    /// Take TLS too, on a port of its own
    #[arg(long)]
    tls: bool,
    /// Port for TLS; 0 takes any free one and says which
    #[arg(long, default_value_t = 2778, value_name = "PORT")]
    tls_port: u16,
    /// The certificate (PEM) and those between it and its CA [default: a self-signed one, made at every start]
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM); only you may be able to read it
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_cert"])]
    tls_key: Option<PathBuf>,

    /// Bound connections an account may have
    #[arg(long, default_value_t = 2, value_name = "N")]
    max_connections: usize,
    /// Messages an account may submit in any second, or "unlimited"
    #[arg(long, default_value = "30", value_parser = parse_rate, value_name = "N")]
    rate: Rate,
    /// How far above the rate is tolerated, in percent; if not 0, at least 2 messages
    #[arg(long, default_value_t = 5, value_name = "PERCENT")]
    rate_tolerance: u32,
    /// The only system_id that may bind; its password comes from SMPPOST_SMSC_PASSWORD or --password-file
    #[arg(long)]
    system_id: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Leave sc_interface_version out of bind answers, as an SMSC without TLVs does
    #[arg(long)]
    no_sc_interface_version: bool,
    /// How long a connection may stay without a bind
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    bind_timeout: Duration,
    /// Send enquire_link that often; never by default
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    enquire_link_interval: Option<Duration>,
    /// Wait that long for an answer; then a receipt is sent again, or a session without enquire_link_resp closed
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    response_timeout: Duration,

    /// Time from the answer to the receipt: 100ms, or a range such as 50ms..2s
    #[arg(long, default_value = "100ms", value_name = "DELAY")]
    receipt_delay: DelayRange,
    /// Shares of the outcomes, as weights: delivered=95,undelivered=3,expired=1,rejected=1
    #[arg(long, default_value = "delivered=1", value_name = "SHARES")]
    outcomes: Outcomes,
    /// Receipts sent and not yet answered, per session
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    deliver_window: usize,
    /// Wait that long after a temporary error before a receipt is sent again
    #[arg(long, default_value = "1s", value_parser = parse_duration, value_name = "DURATION")]
    redelivery_delay: Duration,
    /// Deviate: early, duplicate, late, tlv-only, text-only, data-sm, last-part-only, first-part-only, intermediate,
    /// provider-codes; with =N only about every N-th. Repeatable
    #[arg(long = "receipt", value_name = "QUIRK[=N]")]
    receipts: Vec<String>,
    /// Form of ids in answers: hex, dec, padded, uuid, random-hex
    #[arg(long, default_value_t = IdForm::Hex, value_name = "FORM")]
    message_id: IdForm,
    /// Form of ids in receipts, if another: hex, dec, upper, padded, uuid, random-hex
    #[arg(long, value_name = "FORM")]
    receipt_id: Option<ReceiptIdForm>,
    /// Number of the first message; from the clock by default, so that a restart hardly repeats any
    #[arg(long, value_name = "N")]
    first_message_id: Option<u64>,
    /// Messages that query_sm, cancel_sm and replace_sm still know
    #[arg(long, default_value_t = KEEP_MESSAGES, value_name = "N")]
    keep_messages: usize,

    /// Append a JSON line to this file for every message, before it is answered, and for receipts and binds
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgs,
    /// Where all random decisions start
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Make something go wrong; repeatable
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    faults: Vec<String>,
    /// List the faults and exit
    #[arg(long)]
    list_faults: bool,
}

impl SmscArgs {
    /// The port for TLS in front of the plain one, and the digest of its key.
    fn open_door(&self, behind: SocketAddr) -> Result<(Door, String), SmscError> {
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Identity::read(certificate, key),
            _ => Identity::self_made(&["localhost".to_owned(), self.listen.to_string()]),
        };
        let identity = identity.map_err(|reason| SmscError::Option { option: "--tls", reason })?;
        let pin = identity.pin();
        let listen = SocketAddr::new(self.listen, self.tls_port);
        let door = Door::open(listen, behind, identity).map_err(|source| SmscError::Listen { listen, source })?;
        Ok((door, pin))
    }
}

/// A rate or none. A type of its own, because clap reads `Option` as "may be left out".
#[derive(Clone, Copy, Debug)]
struct Rate(Option<u32>);

/// Runs the command until SIGINT, SIGTERM or the end of `--for`.
///
/// stdout gets one line, `listening on ADDRESS:PORT`, as soon as connections are taken; stderr gets the counts at the
/// end.
///
/// # Errors
/// What [`Smsc::start`] refuses, a wrong `--fault` or `--receipt`, an unusable password file.
pub fn run(args: &SmscArgs) -> Result<(), SmscError> {
    if args.list_faults {
        return list_faults();
    }
    let settings = settings(args)?;
    let interrupted = crate::platform::signals::interrupts().map_err(SmscError::Signals)?;
    let smsc = Smsc::start(settings)?;
    let door = args.tls.then(|| args.open_door(smsc.local_addr())).transpose()?;
    let mut addresses = format!("listening on {}\n", smsc.local_addr());
    if let Some((door, pin)) = &door {
        addresses += &format!("listening on {} (TLS, --tls-pin-sha256 {pin})\n", door.local_addr());
    }
    // By a thread of its own: where nobody reads that, signals and `--for` have their effect all the same.
    let (told, output) = bounded(1);
    thread::Builder::new()
        .name("smsc-says".to_owned())
        .spawn(move || {
            let mut out = io::stdout().lock();
            let _ = told.send(out.write_all(addresses.as_bytes()).and_then(|()| out.flush()));
        })
        .map_err(SmscError::Thread)?;
    let expired = args.run_for.map_or_else(never, after);
    let mut failed = None;
    let mut output = output;
    loop {
        select! {
            recv(interrupted) -> _ => break,
            recv(expired) -> _ => break,
            recv(output) -> written => {
                output = never();
                // Whoever waits for the address would wait for ever.
                if let Ok(Err(error)) = written {
                    failed = Some(SmscError::Output(error));
                    break;
                }
            }
        }
    }
    drop(door);
    let stats = smsc.stop();
    crate::platform::screen::say(&stats.to_string());
    failed.map_or(Ok(()), Err)
}

fn settings(args: &SmscArgs) -> Result<Settings, SmscError> {
    let mut quirks = Quirks::default();
    for quirk in &args.receipts {
        quirks.set(quirk).map_err(|reason| SmscError::Option { option: "--receipt", reason })?;
    }
    let mut faults = Faults::default();
    for fault in &args.faults {
        faults.set(fault).map_err(|reason| SmscError::Option { option: "--fault", reason })?;
    }
    for (option, is_zero) in [
        ("--max-connections", args.max_connections == 0),
        ("--rate", args.rate.0 == Some(0)),
        ("--deliver-window", args.deliver_window == 0),
    ] {
        if is_zero {
            return Err(SmscError::Option { option, reason: "must be at least 1".to_owned() });
        }
    }
    let defaults = Settings::default();
    Ok(Settings {
        listen: SocketAddr::new(args.listen, args.port),
        expose_to_network: args.expose_to_network,
        max_connections: args.max_connections,
        rate: args.rate.0,
        rate_tolerance_percent: args.rate_tolerance,
        system_id: args.system_id.clone(),
        password: password(args.password_file.as_deref())?,
        sc_interface_version: defaults.sc_interface_version.filter(|_| !args.no_sc_interface_version),
        bind_timeout: args.bind_timeout,
        enquire_link_interval: args.enquire_link_interval,
        response_timeout: args.response_timeout,
        receipt_delay: args.receipt_delay,
        outcomes: args.outcomes,
        deliver_window: args.deliver_window,
        redelivery_delay: args.redelivery_delay,
        message_id: args.message_id,
        receipt_id: args.receipt_id,
        first_message_id: args.first_message_id,
        quirks,
        keep_messages: args.keep_messages,
        ledger: args.ledger.clone(),
        record: args.record.options().map_err(|error| SmscError::Record(error.to_string()))?,
        seed: args.seed,
        faults,
        ..defaults
    })
}

/// The password from the file, else from the environment, else none: then any password will do.
fn password(file: Option<&Path>) -> Result<Option<Password>, SmscError> {
    let Some(path) = file else {
        return Ok(std::env::var(PASSWORD_VARIABLE).ok().map(Password::new));
    };
    let fail = |reason: String| SmscError::PasswordFile { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|e| fail(crate::words::trouble::words(&e)))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(|e| fail(crate::words::trouble::words(&e)))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fail(format!("others can read it; run: chmod 600 {}", path_argument(path))));
        }
    }
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Some(Password::new(line))),
        _ => Err(fail("its first line is empty".to_owned())),
    }
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    match text {
        "unlimited" => Ok(Rate(None)),
        _ => text.parse().map(|rate| Rate(Some(rate))).map_err(|_| "neither a whole number nor unlimited".to_owned()),
    }
}

fn list_faults() -> Result<(), SmscError> {
    let mut out = io::stdout().lock();
    Faults::NAMES
        .iter()
        .try_for_each(|(name, what)| writeln!(out, "{name:<24} {what}"))
        .and_then(|()| out.flush())
        .map_err(SmscError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SmscArgs,
    }

    fn parse(words: &[&str]) -> Result<Settings, String> {
        let command = Command::try_parse_from([&["smsc"], words].concat()).map_err(|e| e.to_string())?;
        settings(&command.args).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_settings() {
        let parsed = parse(&[]).unwrap();
        // A library's simulator keeps messages only when asked: it is what benchmarks are measured against.
        let defaults = Settings { keep_messages: KEEP_MESSAGES, ..Settings::default() };
        assert_eq!(format!("{parsed:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn options_reach_the_settings() {
        let parsed = parse(&[
            "--port=0",
            "--rate=unlimited",
            "--receipt=late=3",
            "--receipt=duplicate",
            "--fault=silence=100",
            "--receipt-id=dec",
            "--receipt-delay=50ms..2s",
            "--no-sc-interface-version",
        ])
        .unwrap();
        assert_eq!((parsed.listen.port(), parsed.rate, parsed.sc_interface_version), (0, None, None));
        assert_eq!((parsed.quirks.late.0, parsed.quirks.duplicate.0, parsed.faults.silence.0), (3, 1, 100));
    }

    #[test]
    fn wrong_ones_are_named() {
        for (words, named) in [
            (["--rate=0"], "--rate"),
            (["--rate=fast"], "--rate"),
            (["--deliver-window=0"], "--deliver-window"),
            (["--fault=meteor"], "--fault"),
            (["--receipt=pigeon"], "--receipt"),
            (["--outcomes=lost=1"], "--outcomes"),
        ] {
            let error = parse(&words).unwrap_err();
            assert!(error.contains(named), "{words:?}: {error}");
        }
    }

    #[test]
    fn f14_a_password_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret\n").unwrap();
        for (mode, accepted) in [(0o600, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(password(Some(&path)).is_ok(), accepted, "{mode:o}");
        }
    }
}
