//! `forget`: all that is there of a number goes, wherever it stands.

use super::purge::{Own, finish, own, say_untouched};
use super::{CliError, ask, exit};
use crate::journal::forgetting::{ForgetPlan, forget, look_for};
use crate::journal::model::key::State;
use crate::journal::store::decisions::{Decision, request};
use crate::journal::writer::recover_only;
use crate::message::address::{Country, Destination, dialled};
use crate::report::progress::Display;
use crate::words::escape::escape_terminal;
use crate::words::format::count;
use crate::words::trouble::shown;
use clap::Args;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A running sender applies a cancel within half a second; it is waited for so long.
const APPLIED_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// `forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The numbers, with their country codes or by --country, however they are written
    #[arg(required = true, value_name = "NUMBER", allow_hyphen_values = true)]
    numbers: Vec<String>,
    /// Where numbers without a country code are of, as in GB or DE [default: such numbers are refused]
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
    /// Also messages whose receipts are still to come: one that comes later matches nothing, and brings the number back
    #[arg(long)]
    now: bool,
    /// Do not ask first (asked only on a terminal)
    #[arg(long)]
    yes: bool,
    /// Do not write the file anew at the end: its room is used for what comes, and not given back
    #[arg(long)]
    no_rewrite: bool,
}

/// Runs the command.
pub fn run(args: &ForgetArgs, journal: &Path) -> Result<u8, CliError> {
    let display = Display::new();
    let mut numbers = Vec::with_capacity(args.numbers.len());
    for typed in &args.numbers {
        let digits = match dialled::read(typed, args.country) {
            Ok(read) => read.digits,
            Err(error) => {
                return Err(CliError::Usage(format!("{}: {error}; nothing was forgotten", escape_terminal(typed))));
            }
        };
        let digits = Destination::parse(&digits).map_or(digits.clone(), |number| number.international().to_owned());
        if !numbers.contains(&digits) {
            numbers.push(digits);
        }
    }
    let mut own = own(journal)?;
    let mut plan = look_for(&own.journal, journal, &numbers, args.country)?;
    if plan.is_empty() && plan.backups.is_empty() {
        display.say("nothing is there of it");
        return Ok(exit::OK);
    }
    say_plan(&display, &plan);
    if !args.yes && ask::on_terminal() && !ask::yes("Forget it? It cannot be undone.", false) {
        display.say("nothing was forgotten");
        return Ok(exit::INTERRUPTED);
    }
    let queued = plan.in_states(&[State::Queued]).iter().filter(|met| met.is_named_by_line).count();
    if queued > 0 {
        cancel(&mut own, &plan, journal)?;
        plan = look_for(&own.journal, journal, &numbers, args.country)?;
        display.say(&format!("{} cancelled first", count(queued as i64, "message")));
    }
    let forgotten = forget(&own.journal, &plan, args.now)?;
    display.say(&format!(
        "forgotten: the numbers and texts of {}, and {} besides; what became of the messages stays",
        count(forgotten.messages, "message"),
        count(forgotten.others, "entry").replace("entrys", "entries")
    ));
    for number in &plan.on_list {
        display.must_say(&format!("{number} stays on the suppression list, and nowhere else: it is never sent to"));
    }
    say_left(&display, &plan, args.now);
    say_untouched(&display, &[]);
    let code = finish(&own, journal, args.no_rewrite, &display)?;
    Ok(if forgotten.left > 0 { exit::INCOMPLETE } else { code })
}

fn say_plan(display: &Display, plan: &ForgetPlan) {
    display.say(&format!("of {} there are:", count(plan.numbers.len() as i64, "number")));
    let mut by_campaign: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for met in &plan.messages {
        *by_campaign.entry((&met.campaign, met.state.name())).or_default() += 1;
    }
    for ((campaign, state), messages) in by_campaign {
        display.say(&format!("  campaign {}: {}, {state}", escape_terminal(campaign), count(messages, "message")));
    }
    for (n, what) in [
        (plan.receipts.len(), "receipt with its addresses"),
        (plan.inbound.len(), "part of messages from handsets"),
        (plan.rows.len(), "row that was left out at an import"),
        (plan.events.len(), "event of the suppression list"),
    ] {
        if n > 0 {
            let (first, rest) = what.split_once(' ').unwrap_or((what, ""));
            display.say(&format!("  {} {rest}", count(n as i64, first)));
        }
    }
    for backup in &plan.backups {
        display.say(&format!("  {}, which an upgrade left, goes as a whole", shown(backup)));
    }
}

/// Cancels what is queued to the numbers, and waits until that is applied.
fn cancel(own: &mut Own, plan: &ForgetPlan, journal: &Path) -> Result<(), CliError> {
    let mut lines: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for met in plan.in_states(&[State::Queued]).into_iter().filter(|met| met.is_named_by_line) {
        lines.entry(&met.campaign).or_default().extend(u64::try_from(met.line));
    }
    for (campaign, lines) in lines {
        request(&own.journal, campaign, &Decision::Cancel { lines }).map_err(|error| error.at(journal))?;
    }
    if let Some(lock) = &own.lock {
        let mut started = recover_only(lock, journal)?;
        started.own.apply_decisions()?;
        own.journal = started.own.journal;
        return Ok(());
    }
    let until = Instant::now() + APPLIED_WITHIN;
    while crate::journal::store::decisions::is_waiting(&own.journal)? && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// What is not forgotten yet, and what to do about it.
fn say_left(display: &Display, plan: &ForgetPlan, now: bool) {
    let queued = plan.in_states(&[State::Queued]);
    let shared = queued.iter().filter(|met| !met.is_named_by_line).count();
    let under_way = queued.len() - shared + plan.in_states(&[State::Sending]).len();
    let doubts = plan.in_states(&[State::InDoubt]).len();
    let awaited = plan.messages.iter().filter(|met| met.is_awaited && !now).count();
    for (n, words) in [
        (under_way, "on the way: the same command again, once that is answered, forgets it"),
        (
            shared,
            "queued in a row with several numbers, which is not cancelled for one of them: send it, or cancel the campaign",
        ),
        (doubts, "in doubt: `smppost resolve` decides, and then the same command forgets it"),
        (
            awaited,
            "waiting for receipts, which find it by its number: the same command again, once they came, or with --now",
        ),
    ] {
        if n > 0 {
            display.must_say(&format!("not forgotten: {}, {words}", count(n as i64, "message")));
        }
    }
}
