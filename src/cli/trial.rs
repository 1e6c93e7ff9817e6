//! `probe --send-to`: test messages to a handset of the operator's, what came of them, and a profile that fits.

use super::connection::{ConnectionArgs, duration};
use super::probe::{ProbeArgs, bind_again};
use super::{CliError, ask, exit, suggest};
use crate::client::{Account, BindError, BindMode, Dialogue};
use crate::message::address::dialled;
use crate::message::address::{Destination, SENDER_LENGTH_MAX, Sender};
use crate::message::text::{DefaultAlphabet, Encoder, Encoding, Reference, decode};
use crate::report::progress::Display;
use crate::run::probe;
use crate::run::probe::{Findings, IdRule, Parts, Receipted, Sent, Trial};
use crate::wire::ReceiptKind;
use crate::words::escape::escape_terminal;
use crate::words::trouble;
use crate::words::trouble::shown;
use clap::Args;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Test messages before those that measure: one in GSM 03.38, one in UCS2, a long one in two parts.
const TESTS: usize = 4;
/// Where test messages are recorded, where nothing is said.
pub const RECORD: &str = "smppost-probe.log";
/// How long to wait for receipts, where nothing is said.
const WAIT_RECEIPTS: Duration = Duration::from_secs(60);

/// What to send where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Test messages")]
pub struct TrialArgs {
    /// Send test messages to this handset of yours: characters that tell alphabets apart, UCS2, a long text. They are no
    /// campaign and in no journal; each is sent at most once
    #[arg(long, value_name = "NUMBER")]
    send_to: Option<String>,
    /// Their sender [default: the SMSC's default sender]
    #[arg(long, value_name = "SENDER")]
    pub from: Option<String>,
    /// So many more short messages at most, to see what rate and window the SMSC takes, within --rate and --window. Twenty show
    /// a small window; a rate is shown by three seconds of it, a limit by some twenty times what it allows in a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    measure: u32,
    /// How long to wait for receipts, counted from the last answer or receipt [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait_receipts: Option<Duration>,
    /// Write the suggested profile to this file instead of to stdout
    #[arg(long, value_name = "FILE", requires = "send_to")]
    write: Option<PathBuf>,
}

impl TrialArgs {
    /// Whether test messages are sent.
    pub fn sends(&self) -> bool {
        self.send_to.is_some()
    }

    /// Checks what can be checked before anything is sent. A file that is there is not overwritten without asking.
    pub fn check(&self, connection: &ConnectionArgs) -> Result<(), CliError> {
        let Some(number) = &self.send_to else { return Ok(()) };
        let usage = |option: &str, error: &dyn std::fmt::Display| CliError::Usage(format!("{option}: {error}"));
        dialled::read(number, None).map_err(|error| usage("--send-to", &error))?;
        Sender::parse_up_to(self.from.as_deref().unwrap_or_default(), SENDER_LENGTH_MAX)
            .map_err(|error| usage("--from", &error))?;
        if !connection.can_submit() {
            return Err(usage("--bind rx", &"receives only: to send, use trx, tx or tx+rx"));
        }
        match &self.write {
            Some(path) if path.exists() && !may_overwrite(path) => {
                Err(usage("--write", &format!("{} is there already: name another file", shown(path))))
            }
            _ => Ok(()),
        }
    }
}

fn may_overwrite(path: &Path) -> bool {
    ask::on_terminal() && ask::yes(&format!("{} is there already: overwrite it?", shown(path)), false)
}

/// Sends the messages, if any are asked for, and says what came of them.
pub fn run(
    probe: &ProbeArgs,
    account: &Account,
    profile: Option<&str>,
    stop: &dyn Fn() -> bool,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let (args, rate) = (&probe.trial, probe.pace.rate());
    let Some(number) = &args.send_to else { return Ok(exit::OK) };
    if !account.bind.can_submit() {
        writeln!(out, "no test message was sent: the SMSC takes only sessions that receive (--bind rx)")?;
        return Ok(exit::ERROR);
    }
    let usage = |error: &dyn std::fmt::Display| CliError::Usage(error.to_string());
    let read = dialled::read(number, None).map_err(|error| usage(&error))?;
    let mut trial = Trial {
        destination: Destination::parse(&read.digits).map_err(|error| usage(&error))?,
        source: Sender::parse_up_to(args.from.as_deref().unwrap_or_default(), SENDER_LENGTH_MAX)
            .map_err(|error| usage(&error))?,
        measured: args.measure as usize,
        rate,
        window: account.window,
        response_timeout: account.timers.response,
        wait_receipts: args.wait_receipts.unwrap_or(WAIT_RECEIPTS),
        receives: account.bind.can_receive(),
    };
    let display = Display::new();
    display.say(&format!(
        "sending {} test messages to {number}: {TESTS} to see alphabets, ids and receipts, one a second, and at most {} to \
         measure (--measure), at most {} and {} outstanding; in no journal, recorded in {}",
        TESTS + trial.measured,
        trial.measured,
        rate,
        account.window,
        shown(probe.record.path(Path::new(RECORD)))
    ));
    let at = |path: &Path, error: io::Error| CliError::Words(format!("{}: {}", shown(path), trouble::words(&error)));
    let bind = |slot| bind_again(account, account.bind.kind(slot), stop).map(Dialogue::new);
    let mut outward = match bind(0) {
        Err(BindError::Stopped) => return Ok(exit::INTERRUPTED),
        bound => bound.map_err(|error| CliError::Words(error.to_string()))?,
    };
    let mut inward = None;
    let mut account = Cow::Borrowed(account);
    if account.bind == BindMode::Pairs {
        match bind(1) {
            Ok(dialogue) => inward = Some(dialogue),
            // Each alone was bound: the account may have no more than one session.
            Err(error) => {
                display.say(&format!("no second session, and so no receipts: {error}"));
                account.to_mut().bind = BindMode::Transmitter;
                trial.receives = false;
            }
        }
    }
    let references = account.tlvs.with(outward.bound().sc_interface_version);
    let say = |words: &str| display.say(words);
    let findings = probe::run(&trial, &mut outward, inward.as_mut(), references, stop, &say);
    outward.unbind();
    if let Some(inward) = inward {
        inward.unbind();
    }
    writeln!(out)?;
    report(&findings, &trial, references, out)?;
    let suggested = suggest::suggest(&findings, probe, &account, profile.unwrap_or("probed"))?;
    match &args.write {
        None => write!(out, "\nA profile for smppost.toml:\n\n{suggested}")?,
        Some(path) => {
            let file = private(path, OpenOptions::new().write(true).create(true).truncate(true));
            file.and_then(|mut file| file.write_all(suggested.as_bytes())).map_err(|error| at(path, error))?;
            display.say(&format!("wrote the profile to {}", shown(path)));
        }
    }
    let all_well = findings.broken.is_none()
        && findings.sent.iter().take(TESTS).all(Sent::was_written)
        // Not all that may be used to measure is needed each time.
        && findings.sent.iter().filter(|sent| sent.was_written()).all(|sent| sent.was_taken() && (!trial.receives || !sent.receipts.is_empty()));
    Ok(if all_well { exit::OK } else { exit::INCOMPLETE })
}

fn private(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = how.mode(0o600).open(path)?;
    // One that was there may be open to others.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// What was found, in words.
fn report(findings: &Findings, trial: &Trial<'_>, references: bool, out: &mut dyn Write) -> io::Result<()> {
    let sent = &findings.sent;
    if let Some(why) = &findings.broken {
        writeln!(out, "ended early: {why}")?;
    }
    let written = sent.iter().filter(|sent| sent.was_written()).count();
    let taken: Vec<&Sent> = sent.iter().filter(|sent| sent.was_taken()).collect();
    writeln!(out, "messages: {} of {written} sent were accepted", taken.len())?;
    let refused: BTreeSet<String> = sent
        .iter()
        .filter_map(|sent| sent.answer.filter(|(_, status)| status.0 != 0).map(|(_, status)| (sent.number, status)))
        .map(|(number, status)| format!("{} ({})", crate::journal::words(status), what(number)))
        .collect();
    let again = sent.iter().filter(|sent| !sent.throttled.is_empty()).count();
    if again > 0 {
        writeln!(
            out,
            "  of the first {TESTS}, one a second, {again} were throttled and sent again: the rate is below 1/s, or used up"
        )?;
    }
    for words in refused {
        writeln!(out, "  refused: {words}")?;
    }
    answers(findings, trial, out)?;
    let forms = probe::forms_of(taken.iter().map(|sent| &sent.message_id[..]));
    if let Some(example) = taken.iter().find(|sent| !sent.message_id.is_empty()) {
        let example = escape_terminal(&String::from_utf8_lossy(&example.message_id)).into_owned();
        let forms: Vec<String> = forms.into_iter().collect();
        writeln!(out, "ids in answers: {} (such as {example})", forms.join("; "))?;
    }
    if taken.is_empty() {
        return Ok(());
    }
    if trial.receives {
        receipts(findings, references, out)?;
    } else {
        writeln!(out, "receipts: none can come, bound to send only")?;
    }
    handset(findings, out)
}

fn what(number: usize) -> &'static str {
    match number {
        1 => "the GSM 03.38 text",
        2 => "the UCS2 text",
        3 | 4 => "a part of the long text",
        _ => "a measuring one",
    }
}

fn answers(findings: &Findings, trial: &Trial<'_>, out: &mut dyn Write) -> io::Result<()> {
    let times: Vec<Duration> = findings.sent.iter().filter_map(|sent| sent.answer.map(|(waited, _)| waited)).collect();
    let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    writeln!(out, "answers: after {:.1} to {:.1} ms", ms(least), ms(most))?;
    if let Some(words) = super::found::rate(&findings.rate) {
        writeln!(out, "rate: {words}")?;
    }
    writeln!(out, "window: {}", super::found::window(&findings.window, findings.outstanding_most, trial.window))?;
    if findings.unanswered > 0 {
        let count = findings.unanswered;
        writeln!(out, "{count} of them had no answer within the response timeout: they may have been sent")?;
    }
    Ok(())
}

fn receipts(findings: &Findings, references: bool, out: &mut dyn Write) -> io::Result<()> {
    let all: Vec<&Receipted> = findings.sent.iter().flat_map(|sent| &sent.receipts).collect();
    let taken: Vec<&Sent> = findings.sent.iter().filter(|sent| sent.was_taken()).collect();
    let receipted = taken.iter().filter(|sent| !sent.receipts.is_empty()).count();
    writeln!(out, "receipts: for {receipted} of {} messages", taken.len())?;
    if findings.foreign > 0 {
        writeln!(out, "  {} more came that are of none of them: left to the SMSC, to be sent again", findings.foreign)?;
    }
    let Some(example) = all.first() else {
        return writeln!(
            out,
            "  none came in time: is the handset on? are receipts switched on for the account? --wait-receipts waits longer"
        );
    };
    let after: Vec<Duration> = all.iter().filter_map(|receipt| receipt.after).collect();
    if let (Some(least), Some(most)) = (after.iter().min(), after.iter().max()) {
        let early = all.len() - after.len();
        let early = if early > 0 { format!("; {early} before the answer") } else { String::new() };
        writeln!(out, "  {:.1} to {:.1} s after the answer{early}", least.as_secs_f64(), most.as_secs_f64())?;
    }
    let forms = probe::forms_of(all.iter().map(|receipt| &receipt.id[..]));
    let forms: Vec<String> = forms.into_iter().collect();
    let shown = escape_terminal(&String::from_utf8_lossy(&example.id)).into_owned();
    writeln!(out, "  ids: {} (such as {shown}); {}", forms.join("; "), match_words(&all))?;
    let share = |of: &dyn Fn(&Receipted) -> bool| match all.iter().filter(|receipt| of(receipt)).count() {
        0 => "no",
        n if n == all.len() => "yes",
        _ => "some",
    };
    writeln!(
        out,
        "  as {}; marked in esm_class: {}; id in receipted_message_id: {}, in the text: {}; state in message_state: {}, in the \
         text: {}",
        match share(&|receipt| receipt.as_data_sm) {
            "no" => "deliver_sm",
            "yes" => "data_sm",
            _ => "deliver_sm and data_sm",
        },
        share(&|receipt| receipt.kind != ReceiptKind::Unmarked),
        share(&|receipt| receipt.id_in.0),
        share(&|receipt| receipt.id_in.1),
        share(&|receipt| receipt.state_in.0),
        share(&|receipt| receipt.state_in.1),
    )?;
    let by_text = all.iter().filter(|receipt| receipt.by_text).count();
    if by_text > 0 {
        let example = all.iter().find(|receipt| receipt.by_text);
        let shown = example.map(|receipt| escape_terminal(&String::from_utf8_lossy(&receipt.id)).into_owned());
        let shown = shown.unwrap_or_default();
        writeln!(
            out,
            "  the id in the TLV is another than the answer's in {by_text} of {} (such as {shown}): these are matched by the id \
             in their text",
            all.len()
        )?;
    }
    let classes: BTreeSet<String> = all.iter().map(|receipt| format!("0x{:02X}", receipt.esm_class)).collect();
    let classes: Vec<String> = classes.into_iter().collect();
    writeln!(out, "  esm_class: {}", classes.join(", "))?;
    if references {
        writeln!(out, "  user_message_reference comes back: {}", share(&|receipt| receipt.echoed))?;
    }
    if !example.text.is_empty() {
        writeln!(out, "  such as: {}", escape_terminal(&String::from_utf8_lossy(&example.text)))?;
    }
    match findings.parts_with_receipts() {
        Parts::Alike => Ok(()),
        Parts::Only(part) => writeln!(
            out,
            "  of the long message only for its {part} part, and for every other message: if the provider says that this is \
             always so, --receipts-for {part}"
        ),
        Parts::Unclear(part) => writeln!(
            out,
            "  of the long message only for its {part} part; not all else was accepted, matched and receipted, so that this says \
             nothing of --receipts-for"
        ),
    }
}

/// The loosest rule by which ids of receipts were those of answers.
fn match_words(all: &[&Receipted]) -> &'static str {
    let by_id: Vec<Option<IdRule>> = all.iter().map(|receipt| receipt.rule).collect();
    if by_id.iter().any(Option::is_none) {
        return "NOT those of the answers: only user_message_reference tells whose they are";
    }
    match by_id.into_iter().flatten().max() {
        Some(IdRule::Exact) | None => "the same as in the answers",
        Some(IdRule::Case) => "those of the answers in another case: matched as equivalent",
        Some(IdRule::Padding) => "those of the answers with other leading zeros: matched as equivalent",
        Some(IdRule::Radix) => "those of the answers in the other radix (hexadecimal, decimal): matched as equivalent",
    }
}

/// What the handset tells, which nobody else can.
fn handset(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "now look at the handset")?;
    if findings.took(1) {
        alphabet(out)?;
    }
    if findings.took(2) {
        let shown = probe::UCS2_TEXT.trim_start_matches("smppost test 2: ");
        writeln!(out, "  message 2 shows {shown}: else UCS2 does not arrive whole")?;
    }
    if findings.took(3) && findings.took(4) {
        let words = "message 3 is one message that ends in \"end\"; two messages: try --concat sar or payload";
        writeln!(out, "  {words}")?;
    }
    Ok(())
}

/// What the first message shows, by what the SMSC takes its octets for.
fn alphabet(out: &mut dyn Write) -> io::Result<()> {
    let mut octets = Vec::new();
    if let Ok(mut encoder) = Encoder::new(probe::GSM_TEXT, Encoding::Gsm7, Reference::Whole) {
        encoder.next_into(&mut octets);
    }
    let read = |alphabet| {
        let text = decode(0, &octets, alphabet);
        let shown: String = text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect();
        shown
    };
    writeln!(out, "  what does its message \"smppost test 1\" say?")?;
    writeln!(out, "  {}   data_coding 0 is GSM 03.38: nothing to set", read(DefaultAlphabet::Gsm7))?;
    writeln!(
        out,
        "  {}   it is Latin-1 or ASCII: default_alphabet = \"latin1\" (or \"ascii\")",
        read(DefaultAlphabet::Latin1)
    )?;
    let packed: String = read(DefaultAlphabet::Gsm7Packed).chars().take(16).collect();
    writeln!(out, "  {packed}...   septets are packed: default_alphabet = \"gsm7-packed\"")
}
