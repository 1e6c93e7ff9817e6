//! The command `probe`: connects, binds, measures, unbinds. Sends no message, unless it is told to whom.

use super::connection::ConnectionArgs;
use super::receiver::ReceiverArgs;
use super::record::RecordArgs;
use super::sessions::{CountArgs, PaceArgs};
use super::trial::{self, TrialArgs};
use super::{CliError, exit};
use crate::client;
use crate::client::link::{ConnectError, LookupError, TlsFacts};
use crate::client::{Account, BindError, BindMode, Bound, Dialogue, SessionEnd, TakesTlvs};
use crate::record::Recorder;
use crate::wire::{BindKind, CommandStatus, Foreign, FrameError, Header, decode_header, encode_enquire_link};
use clap::Args;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked whether the program is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// So long a session may count after it was unbound, and so often that is tried.
const FREED: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Round trips that are measured.
const ROUND_TRIPS: u32 = 5;
/// The bind is refused whatever its mode.
const ALREADY_BOUND: CommandStatus = CommandStatus(0x05);
const INVALID_SYSTEM_TYPE: CommandStatus = CommandStatus(0x53);

/// `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub trial: TrialArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    receiver: ReceiverArgs,
    #[command(flatten)]
    pub count: CountArgs,
    #[command(flatten)]
    pub pace: PaceArgs,
    #[command(flatten)]
    pub record: RecordArgs,
}

/// Probes. Exit code 0: a session could be bound.
pub fn run(args: &ProbeArgs, profile: Option<&str>, out: &mut dyn Write) -> Result<u8, CliError> {
    args.trial.check(&args.connection)?;
    args.count.connections(args.connection.bind_mode())?;
    args.receiver.refuse_idle(args.connection.bind_mode())?;
    let account = args.receiver.complete(args.connection.resolve()?, &args.connection, true)?;
    let account = Account { window: args.pace.window(), ..account };
    let account = Account { recorder: recorder(args)?, ..account };
    account.warn_of_danger();
    // Only now: before, a signal is to end the question for the password.
    let interrupts = crate::platform::signals::interrupts()?;
    let stop = || !interrupts.is_empty();
    let found = find_mode(&account, &stop, out)?;
    let code = match found {
        _ if stop() => exit::INTERRUPTED,
        None => return Ok(exit::ERROR),
        Some(bind) => trial::run(args, &Account { bind, ..account }, profile, &stop, out)?,
    };
    if stop() {
        let words = if found.is_some() { "that is what was found so far" } else { "no session was bound until now" };
        writeln!(out, "interrupted: {words}")?;
        return Ok(exit::INTERRUPTED);
    }
    Ok(code)
}

/// The record: of test messages always, else where it is asked for.
fn recorder(args: &ProbeArgs) -> Result<Option<Recorder>, CliError> {
    if !args.trial.sends() && !args.record.is_asked_for() {
        return args.record.start();
    }
    Recorder::start(&args.record.certain(Path::new(trial::RECORD)))
        .map(Some)
        .map_err(|error| CliError::Words(error.into()))
}

/// Binds after an unbind. Some SMSCs count a session for a moment after its end: what they refuse for that is tried again.
pub fn bind_again(account: &Account, kind: BindKind, stop: &dyn Fn() -> bool) -> Result<Bound, BindError> {
    let until = Instant::now() + FREED;
    loop {
        match client::bind(account, kind, stop, &drop) {
            Err(BindError::Refused(_, ALREADY_BOUND | CommandStatus::BIND_FAILED)) if Instant::now() < until => {
                let next = Instant::now() + TRY_AGAIN;
                while Instant::now() < next && !stop() {
                    std::thread::sleep(LOOK);
                }
            }
            bound => return bound,
        }
    }
}

/// Binds as is wanted and, where that is refused, in the other ways. Returns the first that works, or both ways out of a
/// transmitter and a receiver.
fn find_mode(account: &Account, stop: &dyn Fn() -> bool, out: &mut dyn Write) -> Result<Option<BindMode>, CliError> {
    use BindKind::{Receiver, Transceiver, Transmitter};
    let order = match account.bind {
        BindMode::Transceiver => [Transceiver, Transmitter, Receiver],
        BindMode::Transmitter => [Transmitter, Transceiver, Receiver],
        BindMode::Receiver => [Receiver, Transceiver, Transmitter],
        BindMode::Pairs => [Transmitter, Receiver, Transceiver],
    };
    let mut bound: Vec<BindKind> = Vec::new();
    let mut refused = None;
    for kind in order.into_iter().filter(|kind| account.version.allows(*kind)) {
        let session =
            if bound.is_empty() { client::bind(account, kind, stop, &drop) } else { bind_again(account, kind, stop) };
        match session {
            Ok(session) if bound.is_empty() => {
                report(account, kind, session, stop, out)?;
                bound.push(kind);
            }
            Ok(session) => {
                Dialogue::new(session).unbind();
                writeln!(out, "bound as {}, too", mode(kind))?;
                bound.push(kind);
            }
            Err(BindError::Stopped) => return Ok(mode_of(&bound)),
            Err(error) => {
                writeln!(out, "bind as {}: {error}", mode(kind))?;
                let goes_on = may_be_the_mode(&error);
                refused.get_or_insert((kind, error));
                if !goes_on {
                    break;
                }
            }
        }
        if is_enough(account.bind, &bound) || stop() {
            break;
        }
    }
    let found = mode_of(&bound);
    match (found, &refused) {
        (None, Some((kind, error))) => advise(&account.for_kind(*kind), error, out)?,
        (Some(mode), _) if mode != account.bind => writeln!(out, "{}", cure(mode))?,
        _ => {}
    }
    Ok(found)
}

/// Whether no other way to bind needs to be tried. A transmitter where a transceiver was wanted may have a receiver beside
/// it.
fn is_enough(wanted: BindMode, bound: &[BindKind]) -> bool {
    let has = |kind| bound.contains(&kind);
    match wanted {
        _ if has(BindKind::Transceiver) => true,
        BindMode::Transmitter if has(BindKind::Transmitter) => true,
        BindMode::Receiver if has(BindKind::Receiver) => true,
        _ => has(BindKind::Transmitter) && has(BindKind::Receiver),
    }
}

/// What can be done with these kinds.
fn mode_of(bound: &[BindKind]) -> Option<BindMode> {
    let has = |kind| bound.contains(&kind);
    match (has(BindKind::Transceiver), has(BindKind::Transmitter), has(BindKind::Receiver)) {
        (true, ..) => Some(BindMode::Transceiver),
        (_, true, true) => Some(BindMode::Pairs),
        (_, true, false) => Some(BindMode::Transmitter),
        (_, false, true) => Some(BindMode::Receiver),
        (_, false, false) => None,
    }
}

fn cure(mode: BindMode) -> &'static str {
    match mode {
        BindMode::Transceiver => "so use --bind trx: one session sends and receives",
        BindMode::Transmitter => "so use --bind tx: messages can be sent, and receipts cannot come",
        BindMode::Receiver => "so only --bind rx works: receipts can come, and nothing can be sent",
        BindMode::Pairs => "so use --bind tx+rx: one session sends and another receives",
    }
}

/// Whether another mode may help: only where it may be the mode that was refused.
fn may_be_the_mode(error: &BindError) -> bool {
    const NEVER: [CommandStatus; 4] =
        [CommandStatus::INVALID_PASSWORD, CommandStatus::INVALID_SYSTEM_ID, INVALID_SYSTEM_TYPE, ALREADY_BOUND];
    error.refusal().is_some_and(|status| !NEVER.contains(&status))
}

fn mode(kind: BindKind) -> &'static str {
    match kind {
        BindKind::Transceiver => "trx (both ways)",
        BindKind::Transmitter => "tx (out only)",
        BindKind::Receiver => "rx (in only)",
    }
}

/// What a session shows.
fn report(
    account: &Account,
    kind: BindKind,
    bound: Bound,
    stop: &dyn Fn() -> bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    writeln!(out, "connected to {}", bound.peer)?;
    match &bound.tls {
        None => writeln!(out, "TLS: none; password and messages travel in the clear")?,
        Some(facts) => show_tls(facts, account.for_kind(kind).danger().is_none(), out)?,
    }
    let name = if bound.smsc.is_empty() { "(no name)" } else { &bound.smsc };
    writeln!(out, "bound as {}, SMPP {}; the SMSC calls itself {name}", mode(kind), account.version.name())?;
    match bound.sc_interface_version {
        Some(version) => {
            // As a session that sends takes it.
            let words = match TakesTlvs::AsAnnounced.with(Some(version)) {
                true => ", and so takes optional parameters",
                false => ", which has no optional parameters: none are sent without --tlvs yes",
            };
            writeln!(out, "it announces SMPP {}.{}{words}", version >> 4, version & 0xF)?;
        }
        None => writeln!(out, "it announces no version: as a rule it takes no optional parameters then")?,
    }
    let mut dialogue = Dialogue::new(bound);
    let mut times = Vec::new();
    let outcome = measure(&mut dialogue, account.timers.response, stop, &mut times);
    if let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) {
        let (least_ms, most_ms) = (least.as_secs_f64() * 1e3, most.as_secs_f64() * 1e3);
        // On this machine they are a part of a millisecond.
        let digits = if least_ms < 1.0 { 3 } else { 1 };
        writeln!(out, "enquire_link: {least_ms:.digits$} to {most_ms:.digits$} ms over {} round trips", times.len())?;
        if *least > Duration::ZERO {
            let rate = 1.0 / least.as_secs_f64();
            writeln!(
                out,
                "so a window of 1 carries at most about {rate:.0}/s on a connection, one of {} {:.0}/s",
                account.window,
                rate * account.window as f64
            )?;
        }
    }
    if let Err(words) = outcome {
        writeln!(out, "enquire_link: {words}")?;
    }
    let answered = dialogue.unbind();
    writeln!(out, "unbound{}", if answered { "" } else { " (the SMSC did not answer that)" })?;
    Ok(())
}

fn show_tls(facts: &TlsFacts, is_checked: bool, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "TLS: {} with {}", facts.version, facts.cipher)?;
    for (n, certificate) in facts.certificates.iter().enumerate() {
        let whose = if n == 0 { "certificate" } else { "  issued by" };
        writeln!(out, "{whose}: {}, from {}, until {}", certificate.subject, certificate.issuer, certificate.ends())?;
    }
    if let Some(own) = facts.certificates.first() {
        writeln!(out, "  for: {}", own.names.join(", "))?;
        let pin = own.pin();
        match is_checked {
            true => writeln!(out, "  to pin its key: --tls-pin-sha256 {pin}")?,
            false => {
                writeln!(out, "  NOT checked: this may be the certificate of whoever sits between")?;
                writeln!(
                    out,
                    "  its key: {pin}; pin it (--tls-pin-sha256) only if the provider says that it is theirs"
                )?;
            }
        }
    }
    Ok(())
}

/// Why an enquire_link has no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("interrupted before its answer came")]
    Interrupted,
    #[error("no answer within the response timeout ({0:?})")]
    Late(Duration),
    #[error("{0}")]
    Session(#[from] SessionEnd),
}

/// Adds the times of some enquire_links.
fn measure(
    dialogue: &mut Dialogue,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
    times: &mut Vec<Duration>,
) -> Result<(), NoAnswer> {
    for _ in 0..ROUND_TRIPS {
        let number = dialogue.number();
        let mut request = Vec::new();
        encode_enquire_link(number, &mut request);
        let started = Instant::now();
        dialogue.write(&request)?;
        await_answer(dialogue, number, timeout, stop)?;
        times.push(started.elapsed());
    }
    Ok(())
}

/// Waits for the answer to a request. What else comes is left unanswered, so that the SMSC keeps it.
fn await_answer(
    dialogue: &mut Dialogue,
    number: u32,
    timeout: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), NoAnswer> {
    let deadline = Instant::now() + timeout;
    let is_it = |header: &Header| header.command_id.is_response() && header.sequence_number == number;
    while Instant::now() < deadline {
        if stop() {
            return Err(NoAnswer::Interrupted);
        }
        let frame = dialogue.receive(deadline.min(Instant::now() + LOOK))?;
        if frame.as_deref().and_then(decode_header).as_ref().is_some_and(is_it) {
            return Ok(());
        }
    }
    Err(NoAnswer::Late(timeout))
}

/// What to check, in the order in which it is worth it.
fn advise(account: &Account, error: &BindError, out: &mut dyn Write) -> Result<(), CliError> {
    let hosts = account.hosts.join(", ");
    let other_port = if account.tls.is_some() { "2778 with TLS" } else { "2777 without TLS, 2778 with" };
    let mut steps = vec![];
    let mut step = |words: &str| steps.push(words.to_owned());
    let whitelisting = "whitelisting: does the provider expect the address that this machine has outside?";
    let port = format!("--port: as a rule {other_port}; it is {}", account.port);
    let host = format!("--host: is {hosts} spelt right?");
    match (error.likeliest(), error.refusal()) {
        (_, Some(status)) => refused_steps(account, status).iter().for_each(|words| step(words)),
        (BindError::Connect(ConnectError::Resolve(_, LookupError::Unknown | LookupError::NoAddress)), _) => step(&host),
        (BindError::Connect(ConnectError::Resolve(..)), _) => {
            step("this machine's resolver: does it answer for other names (its network, /etc/resolv.conf)?");
            step(&host);
        }
        (BindError::Connect(ConnectError::Tls(..)), _) => {
            step(&port);
            step("the certificate: ask the provider which CA or which key it has (--tls-ca, --tls-pin-sha256)");
        }
        // Something answers: neither a whitelist nor a firewall is in the way.
        (BindError::Frame(_, FrameError::LengthTooLarge { hint: Some(Foreign::Tls), .. }), _) => {
            step(&format!("--tls: this port speaks TLS; as a rule {other_port}, and it is {}", account.port));
        }
        (BindError::Frame(_, FrameError::LengthTooLarge { hint: Some(_), .. }), _) => {
            step(&port);
            step(&host);
        }
        _ => {
            step(&format!("--host and --port: {hosts} and {}; as a rule {other_port}", account.port));
            step(whitelisting);
            step("a firewall on the way: does it let this port out?");
            step("the number of connections: is another session of this account bound already?");
        }
    }
    writeln!(out, "check, in this order:")?;
    for (n, step) in steps.iter().enumerate() {
        writeln!(out, "  {}. {step}", n + 1)?;
    }
    Ok(())
}

/// What to check where the SMSC refused the bind: what the status names first, and then the rest of what SMSCs hide behind it.
fn refused_steps(account: &Account, status: CommandStatus) -> Vec<String> {
    let place =
        format!("--host and --port: is {} port {} the one for this account?", account.hosts.join(", "), account.port);
    let whitelisting = "whitelisting: does the provider expect the address that this machine has outside?";
    let tls = match account.tls {
        Some(_) => "TLS: is this account to use it?",
        None => "TLS: does the provider ask for it (--tls)?",
    };
    let credentials = "--system-id and the password: typed as the provider gave them, no space around them?";
    let length = "the password's length: over 8 characters, the provider may have to give a shorter one";
    let system_type = "--system-type: empty, unless the provider gave one; then exactly that";
    let limit =
        "the number of connections: is another session of this account bound already, or more than it may have?";
    let modes = "--bind: which modes has the account? none of them was accepted";
    let rest = [place.as_str(), whitelisting, tls, credentials, length, limit];
    let (named, rest): (Vec<&str>, &[&str]) = match status {
        CommandStatus::INVALID_PASSWORD | CommandStatus::INVALID_SYSTEM_ID => {
            (vec![credentials, length, whitelisting], &[])
        }
        INVALID_SYSTEM_TYPE => (vec![system_type], &rest),
        ALREADY_BOUND => (vec![limit], &rest),
        _ => (rest.to_vec(), &[modes]),
    };
    let others = rest.iter().filter(|words| !named.contains(words));
    named.iter().chain(others).map(|words| (*words).to_owned()).collect()
}
