//! The command `probe`: connects, binds, measures, unbinds. Sends no message, unless it is told to whom.

use super::connection::ConnectionArgs;
use super::sessions::{CountArgs, PaceArgs};
use super::trial::{self, TrialArgs};
use super::{CliError, exit};
use crate::link::{ConnectError, TlsFacts};
use crate::session::{self, Account, BindError, Bound, Dialogue};
use crate::wire::{
    BindKind, CommandId, CommandStatus, Foreign, FrameError, Header, decode_header, encode_enquire_link,
    encode_header_only,
};
use clap::Args;
use std::io::Write;
use std::time::{Duration, Instant};

/// Round trips that are measured.
const ROUND_TRIPS: u32 = 5;

/// `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub trial: TrialArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub count: CountArgs,
    #[command(flatten)]
    pub pace: PaceArgs,
}

/// Probes. Exit code 0: a session could be bound.
pub fn run(args: &ProbeArgs, profile: Option<&str>, out: &mut dyn Write) -> Result<u8, CliError> {
    args.trial.check(&args.connection)?;
    args.count.connections(args.connection.bind_mode())?;
    let account = Account { window: args.pace.window(), ..args.connection.resolve()? };
    let wanted = account.bind.kind(0);
    let kinds = [BindKind::Transceiver, BindKind::Transmitter, BindKind::Receiver];
    let others = kinds.into_iter().filter(|kind| *kind != wanted && account.version.allows(*kind));
    for kind in std::iter::once(wanted).chain(others) {
        match session::bind(&account, kind) {
            Ok(bound) => {
                report(&account, kind, bound, out)?;
                return trial::run(args, &account, profile, out);
            }
            Err(error) => {
                writeln!(out, "bind as {}: {error}", mode(kind))?;
                // Another mode helps only where it is the mode that was refused.
                let may_be_the_mode = matches!(error, BindError::Refused(_, status)
                    if !matches!(status, CommandStatus::INVALID_PASSWORD | CommandStatus::INVALID_SYSTEM_ID));
                if !may_be_the_mode {
                    advise(&account, &error, out)?;
                    return Ok(exit::ERROR);
                }
            }
        }
    }
    writeln!(
        out,
        "no bind mode was accepted: ask the provider which modes the account has, and whether another session \
                   of it is bound already"
    )?;
    Ok(exit::ERROR)
}

fn mode(kind: BindKind) -> &'static str {
    match kind {
        BindKind::Transceiver => "trx (both ways)",
        BindKind::Transmitter => "tx (out only)",
        BindKind::Receiver => "rx (in only)",
    }
}

/// What a session shows.
fn report(account: &Account, kind: BindKind, bound: Bound, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "connected to {}", bound.peer)?;
    match &bound.tls {
        None => writeln!(out, "TLS: none; password and messages travel in the clear")?,
        Some(facts) => show_tls(facts, out)?,
    }
    let name = if bound.smsc.is_empty() { "(no name)" } else { &bound.smsc };
    writeln!(out, "bound as {}, SMPP {}; the SMSC calls itself {name}", mode(kind), account.version.name())?;
    match bound.sc_interface_version {
        Some(version) => {
            writeln!(out, "it announces SMPP {}.{}, and so takes optional parameters", version >> 4, version & 0xF)?;
        }
        None => writeln!(out, "it announces no version: as a rule it takes no optional parameters then")?,
    }
    let mut dialogue = Dialogue::new(bound);
    match measure(&mut dialogue, account.timers.response) {
        Ok(times) => {
            let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
            let least = times.iter().min().copied().unwrap_or_default();
            let most = times.iter().max().copied().unwrap_or_default();
            let (least_ms, most_ms) = (milliseconds(least), milliseconds(most));
            writeln!(out, "enquire_link: {least_ms:.1} to {most_ms:.1} ms over {} round trips", times.len())?;
            if least > Duration::ZERO {
                let rate = 1.0 / least.as_secs_f64();
                writeln!(
                    out,
                    "so a window of 1 carries at most about {rate:.0}/s on a connection, one of {} {:.0}/s",
                    account.window,
                    rate * account.window as f64
                )?;
            }
        }
        Err(words) => writeln!(out, "enquire_link: {words}")?,
    }
    let (number, mut unbind) = (dialogue.number(), Vec::new());
    encode_header_only(CommandId::UNBIND, CommandStatus::OK, number, &mut unbind);
    let _ = dialogue.write(&unbind);
    let answered = await_answer(&mut dialogue, number, Duration::from_secs(2)).is_ok();
    dialogue.close();
    writeln!(out, "unbound{}", if answered { "" } else { " (the SMSC did not answer that)" })?;
    Ok(())
}

fn show_tls(facts: &TlsFacts, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "TLS: {} with {}", facts.version, facts.cipher)?;
    for (n, certificate) in facts.certificates.iter().enumerate() {
        let whose = if n == 0 { "certificate" } else { "  issued by" };
        writeln!(out, "{whose}: {}, from {}, until {}", certificate.subject, certificate.issuer, certificate.ends())?;
    }
    if let Some(own) = facts.certificates.first() {
        writeln!(out, "  for: {}", own.names.join(", "))?;
        writeln!(out, "  to pin its key: --tls-pin-sha256 {}", own.pin())?;
    }
    Ok(())
}

/// The times of some enquire_links.
fn measure(dialogue: &mut Dialogue, timeout: Duration) -> Result<Vec<Duration>, String> {
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let number = dialogue.number();
        let mut request = Vec::new();
        encode_enquire_link(number, &mut request);
        let started = Instant::now();
        dialogue.write(&request)?;
        await_answer(dialogue, number, timeout)?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Waits for the answer to a request. What else comes is left unanswered, so that the SMSC keeps it.
fn await_answer(dialogue: &mut Dialogue, number: u32, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    loop {
        let Some(frame) = dialogue.receive(deadline)? else {
            return Err(format!("no answer within the response timeout ({timeout:?})"));
        };
        let is_it = |header: &Header| header.command_id.is_response() && header.sequence_number == number;
        if decode_header(&frame).as_ref().is_some_and(is_it) {
            return Ok(());
        }
    }
}

/// What to check, in the order in which it is worth it.
fn advise(account: &Account, error: &BindError, out: &mut dyn Write) -> Result<(), CliError> {
    let hosts = account.hosts.join(", ");
    let other_port = if account.tls.is_some() { "2778 with TLS" } else { "2777 without TLS, 2778 with" };
    let mut steps = vec![];
    match error {
        BindError::Connect(ConnectError::Resolve(..)) => steps.push(format!("--host: is {hosts} spelt right?")),
        BindError::Connect(ConnectError::Tls(..)) => {
            steps.push(format!("--port: as a rule {other_port}; it is {}", account.port));
            steps.push(
                "the certificate: ask the provider which CA or which key it has (--tls-ca, --tls-pin-sha256)".into(),
            );
        }
        // Something answers: neither a whitelist nor a firewall is in the way.
        BindError::Frame(FrameError::LengthTooLarge { hint: Some(Foreign::Tls), .. }) => {
            steps.push(format!("--tls: this port speaks TLS; as a rule {other_port}, and it is {}", account.port));
        }
        BindError::Frame(FrameError::LengthTooLarge { hint: Some(_), .. }) => {
            steps.push(format!("--port: as a rule {other_port}; it is {}", account.port));
            steps.push(format!("--host: is {hosts} spelt right?"));
        }
        BindError::Refused(..) => {
            steps.push("--system-id and the password: typed as the provider gave them, no space around them?".into());
            steps.push("the password's length: over 8 characters, the provider may have to give a shorter one".into());
            steps.push("whitelisting: does the provider expect the address that this machine has outside?".into());
        }
        _ => {
            steps.push(format!("--host and --port: {hosts} and {}; as a rule {other_port}", account.port));
            steps.push("whitelisting: does the provider expect the address that this machine has outside?".into());
            steps.push("a firewall on the way: does it let this port out?".into());
            steps.push("the number of connections: is another session of this account bound already?".into());
        }
    }
    writeln!(out, "check, in this order:")?;
    for (n, step) in steps.iter().enumerate() {
        writeln!(out, "  {}. {step}", n + 1)?;
    }
    Ok(())
}
