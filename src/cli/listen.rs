//! `listen`: bound to receive (as a receiver unless `--bind` says otherwise), for receipts that come late and messages from handsets.

use super::connection::{ConnectionArgs, InboundArgs, duration};
use super::finish::{self, FinishArgs};
use super::guard::AdoptArgs;
use super::receiver::ReceiverArgs;
use super::record::RecordArgs;
use super::sessions::{CountArgs, KeepArgs, SpreadArgs};
use super::{CliError, exit};
use crate::client::{Account, BindMode};
use crate::journal::JournalError;
use crate::journal::files::lock::SenderLock;
use crate::journal::store::account::Identity;
use crate::policy::hours::Hours;
use crate::policy::pacer::Rate;
use crate::report::progress::Display;
use crate::run::pipeline;
use crate::run::pipeline::{Ended, Listen, NeverBound, SendSettings};
use clap::Args;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// `listen`.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Stop after this time [default: when told to, with Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    receiver: ReceiverArgs,
    #[command(flatten)]
    count: CountArgs,
    #[command(flatten)]
    spread: SpreadArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    inbound: InboundArgs,
    #[command(flatten)]
    pub adopt: AdoptArgs,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    pub finish: FinishArgs,
}

/// Listens until it is told to stop: that is how it ends, so that a signal is no failure.
pub fn listen(args: &ListenArgs, journal: &Path) -> Result<u8, CliError> {
    if !journal.exists() {
        return Err(JournalError::Missing(journal.into()).into());
    }
    let lock = SenderLock::take(journal)?;
    let bind = if args.connection.names_bind() { args.connection.bind_mode() } else { BindMode::Receiver };
    if !bind.can_receive() {
        return Err(CliError::Usage("--bind tx sends only: to listen, use rx, trx or tx+rx".into()));
    }
    let connections = args.count.connections(bind)?;
    args.receiver.refuse_idle(bind)?;
    let account = args.connection.resolve_with(args.receiver.needs_senders_password(bind))?;
    let account = args.keep.complete(args.receiver.complete(account, &args.connection, true)?);
    let account = Account { bind, ..account };
    let account = args.spread.complete(account, connections)?;
    let account = Account { recorder: args.record.start()?, ..account };
    let identity = args.connection.identity(&account, args.adopt.same_account);
    let collecting = collecting(&args.inbound, journal, account, identity, connections);
    let settings = SendSettings { listen: Some(Listen { time: args.time }), ..collecting };
    let interrupt = crate::platform::signals::interrupts()?;
    let display = Display::new();
    let outcome = pipeline::send(&settings, &lock, &interrupt, &mut |progress| display.listening(progress))?;
    display.clear();
    let status = &outcome.status;
    let mut words = format!(
        "received {} ({} of no known message) and {} from handsets",
        many(status.receipts, "receipt"),
        status.unmatched,
        many(status.inbound, "message")
    );
    if !args.inbound.opt_out_words().is_empty() {
        let numbers = if status.stopped == 1 { "a number" } else { "numbers" };
        words += &format!("; {} put {numbers} on the suppression list", many(status.stopped, "opt-out word"));
    }
    if status.opted_in > 0 {
        let numbers = if status.opted_in == 1 { "a number" } else { "numbers" };
        words += &format!("; {} took {numbers} off it", many(status.opted_in, "opt-in word"));
    }
    display.say(&words);
    match outcome.ended {
        Ended::Refused(why) | Ended::Halted(why) | Ended::Stopped(why) => {
            let words = format!("no connection: {why}");
            display.say(&words);
            finish::failed(&words);
            Ok(exit::ERROR)
        }
        Ended::Done | Ended::NothingToDo | Ended::Interrupted => Ok(exit::OK),
    }
}

/// A run that stays bound and takes what comes for whatever was sent before; by itself it sends nothing.
pub fn collecting(
    inbound: &InboundArgs,
    journal: &Path,
    account: Account,
    identity: Identity,
    connections: usize,
) -> SendSettings {
    SendSettings {
        restraint: Default::default(),
        journal: journal.into(),
        account: Account { receipts: inbound.reading(), ..account },
        identity,
        connections,
        rate: Rate::Unlimited,
        rate_tolerance: 0.0,
        rules: Arc::default(),
        hours: Hours::default(),
        ignore_hours: false,
        limit: None,
        wait_receipts: Duration::ZERO,
        campaigns: Vec::new(),
        old_receipts_come: true,
        default_alphabet: inbound.alphabet.alphabet(),
        opt_out_words: inbound.opt_out_words(),
        opt_in_words: inbound.opt_in_words(),
        receipt_horizon: inbound.receipt_horizon(),
        never_bound: NeverBound::Wait,
        listen: None,
        serves: false,
    }
}

fn many(n: u64, what: &str) -> String {
    crate::words::format::count(i64::try_from(n).unwrap_or(i64::MAX), what)
}
