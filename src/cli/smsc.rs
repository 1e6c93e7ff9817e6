//! The command `smppost smsc`.
mod ready;

use crate::words::format::path_argument;
use crate::words::{BadValue, bad};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgGroup, Args, ValueEnum};
use crossbeam_channel::{after, bounded, never, select};

use crate::cli::CliError;
use crate::cli::record::RecordArgs;
use crate::client::link::tls_proxy::{Door, Identity};
use crate::smsc::limits::KINDS;
use crate::smsc::settings::parse_duration;
use crate::smsc::{
    Delay, Faults, IdForm, InboundFile, Limit, Outcomes, Password, Quirks, ReceiptIdForm, Rule, Settings, Smsc,
    SmscError, Version,
};
use ready::Ready;

/// The environment variable that holds the password of the simulated account.
const PASSWORD_VARIABLE: &str = "SMPPOST_SMSC_PASSWORD";

/// Messages that are kept for query_sm, cancel_sm and replace_sm.
const KEEP_MESSAGES: usize = 10_000;

/// Run an SMSC simulator that behaves like the reference provider.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("handsets").args(["inbound", "scenario"]).multiple(true)))]
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

    /// How it is to behave, from this file (TOML); what is typed besides beats it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Bound connections an account may have [default: 2]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Messages an account may submit in any second, or "unlimited" [default: 30; unlimited where there is a --limit]
    #[arg(long, value_parser = parse_rate, value_name = "N")]
    rate: Option<Rate>,
    /// How far above the rate is tolerated, in percent; if not 0, at least 2 messages [default: 5]
    #[arg(long, value_name = "PERCENT")]
    rate_tolerance: Option<u32>,
    /// A limiter, such as token:100:5@0x14; repeatable, the first that refuses decides
    #[arg(long = "limit", value_name = "LIMITER")]
    limits: Vec<Limit>,
    /// List the limiters and exit
    #[arg(long)]
    list_limits: bool,
    /// The only system_id that may bind; its password comes from SMPPOST_SMSC_PASSWORD or --password-file
    #[arg(long)]
    system_id: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Leave sc_interface_version out of bind answers, as an SMSC without TLVs does
    #[arg(long, conflicts_with = "smpp_version")]
    no_sc_interface_version: bool,
    /// The highest version that it has: 3.4, or 5.0, in whose sessions answers carry congestion_state [default: 3.4]
    #[arg(long, value_name = "VERSION")]
    smpp_version: Option<Version>,
    /// The congestion_state of answers, 0 to 100, in sessions of version 5.0 [default: as far as the rate is used up]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    congestion: Option<u8>,
    /// How long a connection may stay without a bind [default: 60s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    bind_timeout: Option<Duration>,
    /// Send enquire_link that often; never by default
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    enquire_link_interval: Option<Duration>,
    /// Wait that long for an answer; then a receipt is sent again, or a session without enquire_link_resp closed [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    response_timeout: Option<Duration>,

    /// Time from a message to its answer: as --receipt-delay [default: none]
    #[arg(long, value_name = "DELAY")]
    answer_delay: Option<Delay>,
    /// Time from the answer to the receipt: 100ms; a range such as 50ms..2s, or 100ms+-20ms; lognormal:80ms:400ms (median and
    /// 95th percentile); p50=20ms,p90=100ms,p99=1s (percentiles) [default: 100ms]
    #[arg(long, value_name = "DELAY")]
    receipt_delay: Option<Delay>,
    /// Shares of the outcomes, as weights: delivered=95,undelivered=3,expired=1,rejected=1 [default: delivered=1]
    #[arg(long, value_name = "SHARES")]
    outcomes: Option<Outcomes>,
    /// What becomes of certain messages: 'to=*001: status=0x0B', 'to=*002: state=UNDELIV err=5 delay=2s', 'text=/STOP/: …';
    /// repeatable, the first that fits decides
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<Rule>,
    /// Receipts sent and not yet answered, per session [default: 1000]
    #[arg(long, value_name = "N")]
    deliver_window: Option<usize>,
    /// Wait that long after a temporary error before a receipt is sent again [default: 1s]
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    redelivery_delay: Option<Duration>,
    /// Deviate: early, duplicate, late, tlv-only, text-only, data-sm, last-part-only, first-part-only, intermediate,
    /// provider-codes; with =N only about every N-th. Repeatable
    #[arg(long = "receipt", value_name = "QUIRK[=N]")]
    receipts: Vec<String>,
    /// Form of ids in answers: hex, dec, padded, uuid, random-hex [default: hex]
    #[arg(long, value_name = "FORM")]
    message_id: Option<IdForm>,
    /// Form of ids in receipts, if another: hex, dec, upper, padded, uuid, random-hex
    #[arg(long, value_name = "FORM")]
    receipt_id: Option<ReceiptIdForm>,
    /// Number of the first message; from the clock by default, so that a restart hardly repeats any
    #[arg(long, value_name = "N")]
    first_message_id: Option<u64>,
    /// Messages that query_sm, cancel_sm and replace_sm still know, and with --control those that can be asked for
    #[arg(long, default_value_t = KEEP_MESSAGES, value_name = "N")]
    keep_messages: usize,

    /// Messages from handsets, delivered once a session receives: CSV with the columns from, to and text (and others), or JSON
    /// lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    inbound: Option<PathBuf>,
    /// So many of them a second, or "unlimited" [default: 10]
    #[arg(long, value_parser = parse_rate, value_name = "N", requires = "handsets")]
    inbound_rate: Option<Rate>,
    /// Be controlled over HTTP at this address, such as 127.0.0.1:2780, or this port of loopback; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", value_parser = parse_control)]
    control: Option<SocketAddr>,
    /// A name of this machine under which the control may be asked, besides localhost and addresses; repeatable
    #[arg(long = "control-host", value_name = "NAME", requires = "control")]
    control_hosts: Vec<String>,
    /// Write SMPP_PORT=…, TLS_PORT=… and CONTROL_PORT=… to this file once connections are taken
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,

    /// Append a JSON line to this file for every message, before it is answered, and for receipts and binds; - is stdout
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// For whom the ledger is [default: people where it goes to a terminal, else programs (JSON)]
    #[arg(long, value_name = "FORM", requires = "ledger")]
    ledger_format: Option<LedgerFormat>,
    #[command(flatten)]
    record: RecordArgs,
    /// Where all random decisions start [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Make something go wrong; repeatable
    #[arg(long = "fault", value_name = "NAME[=VALUE]")]
    faults: Vec<String>,
    /// List the faults and exit
    #[arg(long)]
    list_faults: bool,
}

/// For whom the lines of the ledger are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LedgerFormat {
    /// A short line each.
    People,
    /// JSON.
    Json,
}

/// What of the whole program's options means nothing to a simulator: it is refused where it is typed. In the environment it
/// may stand, for other commands.
pub fn refuse_idle(typed: &clap::ArgMatches) -> Result<(), CliError> {
    for (id, why) in [
        ("journal", "it has no journal; what it receives is recorded with --ledger FILE"),
        ("config", "it has no profile; how it behaves can stand in a file of its own: --scenario FILE"),
        ("profile", "it has no profile; how it behaves can stand in a file of its own: --scenario FILE"),
        ("account", "it has no account; the one that may bind is named with --system-id, several in a --scenario"),
    ] {
        if typed.value_source(id) == Some(ValueSource::CommandLine) {
            return Err(CliError::Usage(format!("--{id} means nothing to the simulator: {why}")));
        }
    }
    Ok(())
}

impl SmscArgs {
    /// The port for TLS in front of the plain one, and the digest of its key.
    fn open_door(&self, behind: SocketAddr) -> Result<(Door, String), SmscError> {
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Identity::read(certificate, key),
            _ => Identity::self_made(&["localhost".to_owned(), self.listen.to_string()]),
        };
        let identity = identity.map_err(|error| SmscError::Option { option: "--tls", reason: error.into() })?;
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
/// stdout gets a line `listening on ADDRESS:PORT` as soon as connections are taken (JSON, where the ledger goes there as JSON);
/// stderr gets the counts at the end.
///
/// # Errors
/// What [`Smsc::start`] refuses, a wrong `--fault` or `--receipt`, an unusable file.
pub fn run(args: &SmscArgs) -> Result<(), SmscError> {
    if args.list_faults {
        return list(&Faults::NAMES);
    }
    if args.list_limits {
        return list(&KINDS);
    }
    let settings = settings(args)?;
    let as_json = settings.ledger.as_deref() == Some(Path::new("-")) && !settings.ledger_for_people;
    let interrupted = crate::platform::signals::interrupts().map_err(SmscError::Signals)?;
    let smsc = Smsc::start(settings)?;
    let door = args.tls.then(|| args.open_door(smsc.local_addr())).transpose()?;
    let ready = Ready {
        smpp: smsc.local_addr(),
        tls: door.as_ref().map(|(door, pin)| (door.local_addr(), pin.clone())),
        control: smsc.control_addr(),
    };
    let said = if as_json { ready.json() } else { ready.words() };
    if let Some(path) = &args.port_file {
        ready.write(path)?;
    }
    ready::notify();
    // By a thread of its own: where nobody reads that, signals and `--for` have their effect all the same.
    let (told, output) = bounded(1);
    thread::Builder::new()
        .name("smsc-says".to_owned())
        .spawn(move || {
            let mut out = io::stdout().lock();
            let _ = told.send(out.write_all(said.as_bytes()).and_then(|()| out.flush()));
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
    let mut settings = Settings::default();
    if let Some(path) = &args.scenario {
        settings = settings.with_scenario(path).map_err(|error| SmscError::Scenario(error.to_string()))?;
    }
    let mut quirks = Quirks::default();
    for quirk in &args.receipts {
        quirks.set(quirk).map_err(|error| SmscError::Option { option: "--receipt", reason: error.into() })?;
    }
    let mut faults = Faults::default();
    for fault in &args.faults {
        faults.set(fault).map_err(|error| SmscError::Option { option: "--fault", reason: error.into() })?;
    }
    for (option, is_zero) in [
        ("--max-connections", args.max_connections == Some(0)),
        ("--rate", args.rate.is_some_and(|rate| rate.0 == Some(0))),
        ("--inbound-rate", args.inbound_rate.is_some_and(|rate| rate.0 == Some(0))),
        ("--deliver-window", args.deliver_window == Some(0)),
    ] {
        if is_zero {
            return Err(SmscError::Option { option, reason: "must be at least 1".to_owned() });
        }
    }
    fn set<T>(place: &mut T, typed: Option<T>) {
        if let Some(typed) = typed {
            *place = typed;
        }
    }
    fn given<T: Clone>(list: &[T]) -> Option<Vec<T>> {
        (!list.is_empty()).then(|| list.to_vec())
    }
    settings.listen = SocketAddr::new(args.listen, args.port);
    settings.expose_to_network = args.expose_to_network;
    set(&mut settings.max_connections, args.max_connections);
    // A limiter beside the default rate would hardly be seen.
    let rate = args.rate.map(|rate| rate.0).or((!args.limits.is_empty()).then_some(None));
    set(&mut settings.rate, rate);
    set(&mut settings.rate_tolerance_percent, args.rate_tolerance);
    set(&mut settings.limits, given(&args.limits));
    set(&mut settings.rules, given(&args.rules));
    set(&mut settings.system_id, args.system_id.clone().map(Some));
    set(&mut settings.password, password(args.password_file.as_deref())?.map(Some));
    set(&mut settings.sc_interface_version, args.smpp_version.map(|version| Some(version.0)));
    set(&mut settings.sc_interface_version, args.no_sc_interface_version.then_some(None));
    set(&mut settings.congestion, args.congestion.map(Some));
    set(&mut settings.bind_timeout, args.bind_timeout);
    set(&mut settings.enquire_link_interval, args.enquire_link_interval.map(Some));
    set(&mut settings.response_timeout, args.response_timeout);
    set(&mut settings.answer_delay, args.answer_delay.clone());
    set(&mut settings.receipt_delay, args.receipt_delay.clone());
    set(&mut settings.outcomes, args.outcomes);
    set(&mut settings.deliver_window, args.deliver_window);
    set(&mut settings.redelivery_delay, args.redelivery_delay);
    set(&mut settings.message_id, args.message_id);
    set(&mut settings.receipt_id, args.receipt_id.map(Some));
    set(&mut settings.first_message_id, args.first_message_id.map(Some));
    set(&mut settings.quirks, (!args.receipts.is_empty()).then_some(quirks));
    set(&mut settings.faults, (!args.faults.is_empty()).then_some(faults));
    set(&mut settings.seed, args.seed);
    settings.keep_messages = args.keep_messages;
    if args.control.is_some() {
        settings.remember = args.keep_messages.max(1);
    }
    settings.control = args.control;
    settings.control_hosts = args.control_hosts.clone();
    if let Some(path) = &args.inbound {
        // What a scenario says of the rate holds, and its messages do not: a list that is typed stands for the whole.
        let rate = settings.inbound.as_ref().map_or(InboundFile::RATE, |inbound| inbound.rate);
        settings.inbound = Some(InboundFile::read(path, rate).map_err(SmscError::Inbound)?);
    }
    if let Some(Rate(rate)) = args.inbound_rate {
        let inbound = settings.inbound.as_mut().filter(|inbound| !inbound.messages.is_empty());
        let reason = "there are no messages from handsets: name them with --inbound, or in a --scenario".to_owned();
        inbound.ok_or(SmscError::Option { option: "--inbound-rate", reason })?.rate = rate.map(f64::from);
    }
    settings.ledger = args.ledger.clone();
    let to_terminal = args.ledger.as_deref() == Some(Path::new("-")) && io::stdout().is_terminal();
    settings.ledger_for_people = args.ledger_format.map_or(to_terminal, |format| format == LedgerFormat::People);
    settings.record = args.record.options().map_err(|error| SmscError::Record(error.to_string()))?;
    Ok(settings)
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

fn parse_rate(text: &str) -> Result<Rate, BadValue> {
    match text {
        "unlimited" => Ok(Rate(None)),
        _ => text.parse().map(|rate| Rate(Some(rate))).map_err(|_| "neither a whole number nor unlimited".into()),
    }
}

/// An address, or a port of loopback alone.
fn parse_control(text: &str) -> Result<SocketAddr, BadValue> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().map(loopback).map_err(|_| bad!("{port:?} is no port"));
    }
    port.map(loopback)
        .or_else(|_| text.parse())
        .map_err(|_| "an address with a port such as 127.0.0.1:2780, or a port alone".into())
}

fn list(names: &[(&str, &str)]) -> Result<(), SmscError> {
    let mut out = io::stdout().lock();
    names
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
