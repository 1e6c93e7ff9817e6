//! Options about what goes over the sessions, and how they are kept: each command has those that act there.

use super::CliError;
use super::connection::{CONNECTION, ConnectionArgs, TIMERS, duration};
use super::receiver::{self, ReceiverArgs};
use super::record::RecordArgs;
use crate::cli::config::presets;
use crate::cli::config::presets::Preset;
use crate::client::link::LocalAddresses;
use crate::client::{Account, BindMode, Secret, Spread};
use crate::journal::model::retry_rules::{CodeRule, RetryRules};
use crate::journal::store::runs::RunRow;
use crate::policy::pacer::Rate;
use crate::wire::{CommandStatus, StatusClass};
use crate::words::escape::escape_terminal;
use crate::words::{BadValue, bad};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many connections there are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct CountArgs {
    /// Connections at a time; with tx+rx an even number [default: 1, with tx+rx 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: Option<u16>,
}

impl CountArgs {
    /// How many, where they are bound like this.
    pub fn connections(&self, bind: BindMode) -> Result<usize, CliError> {
        let is_pairs = bind == BindMode::Pairs;
        match self.connections.map_or(if is_pairs { 2 } else { 1 }, usize::from) {
            odd if is_pairs && !odd.is_multiple_of(2) => Err(CliError::Usage(format!(
                "--bind tx+rx needs an even number of connections, not {odd}: one to send and one to receive"
            ))),
            count => Ok(count),
        }
    }
}

/// What several hosts are for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct SpreadArgs {
    /// What several hosts are for: in-turn, each connection goes through them until one binds; spread, the first connection
    /// goes to the first host, the second to the second [default: in-turn]
    #[arg(long = "hosts", value_enum, value_name = "HOW")]
    hosts_how: Option<HostsArg>,
    /// With --hosts spread: where a host is down its connection goes to the next one meanwhile, which may then have two
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    lend_connections: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum HostsArg {
    InTurn,
    Spread,
}

impl SpreadArgs {
    /// The account with its hosts used like this, over so many connections.
    pub fn complete(&self, account: Account, connections: usize) -> Result<Account, CliError> {
        let lends = self.lend_connections == Some(true);
        let spread = match self.hosts_how {
            Some(HostsArg::Spread) => Spread::Each { lends },
            _ if lends => {
                return Err(CliError::Usage("--lend-connections: only with --hosts spread has a host its own".into()));
            }
            _ => Spread::InTurn,
        };
        let account = Account { spread, ..account };
        if let idle @ [_, ..] = account.idle_hosts(connections) {
            log::warn!(
                "--hosts spread: no connection goes to {}: --connections is {connections}",
                escape_terminal(&idle.join(", "))
            );
        }
        Ok(account)
    }
}

/// How much may be under way, and how fast.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct PaceArgs {
    /// Requests outstanding on each connection; 1 is the synchronous mode [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: Option<u32>,
    /// Messages (parts) a second over all connections, from 0.001 to 1000000000, or `unlimited`; no second holds more [default: 30]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rate: Option<Rate>,
}

impl PaceArgs {
    /// Requests outstanding on each connection.
    pub fn window(&self) -> usize {
        self.window.map_or(10, |window| window as usize)
    }

    /// How fast.
    pub fn rate(&self) -> Rate {
        self.rate.unwrap_or(Rate::PerSecond(30.0))
    }
}

fn percent(text: &str) -> Result<f64, BadValue> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "a percentage from 0 to 100".into())
}

/// What statuses mean.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct StatusArgs {
    /// What a command_status means here: CODE=throttled, temporary, session, account or permanent; a temporary one may name the
    /// delays before its tries, as in 0x45=temporary:1s,10s,1m; repeatable
    #[arg(long = "status", value_name = "CODE=CLASS", value_parser = code_rule)]
    statuses: Vec<(u32, CodeRule)>,
    /// The `status` table of a profile
    #[arg(long, hide = true, value_parser = code_rule)]
    profile_status: Vec<(u32, CodeRule)>,
    /// What a vendor's own statuses mean, as its public pages say: hollatags, horisen, infobip, serwersms, telesign, world-text or
    /// ycloud. --status, and the `status` table of a profile, beat it
    #[arg(long, value_name = "VENDOR", value_parser = presets::parse)]
    status_preset: Option<&'static Preset>,
}

impl StatusArgs {
    /// As typed, over the profile's, over the vendor's.
    pub fn rules(&self) -> RetryRules {
        let preset = self.status_preset.into_iter().flat_map(|preset| preset.codes);
        let preset = preset.map(|&(code, class, _)| (code, CodeRule { class, delays_ms: None }));
        let own = self.profile_status.iter().chain(&self.statuses).cloned();
        RetryRules { codes: preset.chain(own).collect(), ..RetryRules::default() }
    }

    /// The vendor's statuses as they hold, in words.
    fn described(&self) -> Option<String> {
        let (preset, rules) = (self.status_preset?, self.rules());
        let shown = preset.codes.iter().map(|&(code, class, meaning)| {
            let status = CommandStatus(code);
            match rules.class(status) {
                same if same == class => format!("0x{code:02X} {} ({meaning})", class.name()),
                own => format!("0x{code:02X} {} (its own table; {}: {meaning})", own.name(), class.name()),
            }
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        Some(format!("statuses of {} ({}): {shown}", preset.name, preset.origin))
    }
}

/// How sessions that last are kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = TIMERS)]
pub struct KeepArgs {
    /// Ask whether the link is alive when nothing came for this long [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    enquire_link_interval: Option<Duration>,
    /// Unbind, and bind anew, when neither message nor receipt passed for this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    inactivity_timeout: Option<Duration>,
    /// Give up when no connection, or with tx+rx none that sends, was bound for this long [default: never; a run that sends,
    /// at a terminal: after 2m of which none was ever bound]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    give_up_after: Option<Duration>,
}

impl KeepArgs {
    /// The account with these timers.
    pub fn complete(&self, mut account: Account) -> Account {
        let timers = &mut account.timers;
        timers.enquire_link = self.enquire_link_interval.unwrap_or(timers.enquire_link);
        timers.inactivity = self.inactivity_timeout;
        timers.give_up_after = self.give_up_after;
        account
    }
}

/// All that sending wants to know of its sessions.
#[derive(Clone, Debug, Args)]
pub struct SessionArgs {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    receiver: ReceiverArgs,
    #[command(flatten)]
    count: CountArgs,
    #[command(flatten)]
    spread: SpreadArgs,
    #[command(flatten)]
    pub pace: PaceArgs,
    /// So much more than --rate a single second may hold, after a writer was held up: from 0 to 100 [default: 0]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    rate_tolerance: Option<f64>,
    #[command(flatten)]
    status: StatusArgs,
    /// Delays before what was refused for the moment is tried again; after the last it is rejected [default: 1s,5s,15s,1m]
    #[arg(long, value_name = "TIMES", value_delimiter = ',', value_parser = duration, help_heading = CONNECTION)]
    retry_delays: Vec<Duration>,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    record: RecordArgs,
}

impl SessionArgs {
    /// How much of a percent more than the rate a single second may hold.
    pub fn rate_tolerance(&self) -> f64 {
        self.rate_tolerance.unwrap_or(0.0)
    }

    /// The account as typed, if messages can be sent with it.
    pub fn resolve_to_send(&self) -> Result<Account, CliError> {
        self.connections()?;
        self.record.options()?;
        let account = self.connection.resolve_to_send()?;
        let account = self.complete(self.with_receiver(account, true)?);
        Ok(Account { recorder: self.record.start()?, ..account })
    }

    /// The same while a run goes on: nobody is asked for a password, and what records goes on.
    pub fn resolve_again(&self, before: &Account) -> Result<Account, CliError> {
        self.connections()?;
        self.record.options()?;
        let account = self.connection.resolve_again(before)?;
        let account = self.complete(self.with_receiver(account, true)?);
        Ok(Account { recorder: before.recorder.clone(), ..account })
    }

    /// The files that say how TLS is spoken.
    pub fn tls_files(&self) -> Vec<PathBuf> {
        let tls = &self.connection.tls;
        let own = [&tls.tls_ca, &tls.tls_client_cert, &tls.tls_client_key];
        own.into_iter().flatten().cloned().chain(self.receiver.tls_files()).collect()
    }

    /// The account as typed, if messages can be sent with it, without its password: for what does not connect.
    pub fn check(&self) -> Result<Account, CliError> {
        self.connections()?;
        let account = self.connection.check_to_send()?;
        Ok(self.complete(self.with_receiver(account, false)?))
    }

    /// The account as typed, at another host, without TLS.
    pub fn account(&self, host: &str, system_id: &str) -> Result<Account, CliError> {
        self.connections()?;
        let account = self.connection.account(&[host.into()], system_id, Secret::default())?;
        let account = Account { local: LocalAddresses::default(), ..account };
        Ok(Account { recorder: self.record.start()?, ..self.complete(account) })
    }

    /// These settings, and for what nobody gave those of the last run; and in words what of them is so, and what is not as
    /// it was then.
    pub fn with_last(&self, last: &RunRow) -> (Self, Vec<String>) {
        let mut own = self.clone();
        let (mut kept, mut changed) = (Vec::new(), Vec::new());
        let mut note = |given: bool, words: String, before: String| {
            if !given {
                kept.push(before);
            } else if words != before {
                changed.push(format!("{words} instead of {before}"));
            }
        };
        if let Ok(rate) = last.rate.parse::<Rate>() {
            note(
                own.pace.rate.is_some(),
                format!("--rate {}", shown(own.pace.rate())),
                format!("--rate {}", last.rate),
            );
            own.pace.rate.get_or_insert(rate);
        }
        let given = own.connection.names_bind();
        note(given, format!("--bind {}", own.connection.bind_mode().name()), format!("--bind {}", last.bind));
        own.connection.bind_as(&last.bind);
        // Where it binds otherwise, another number may be needed.
        if let Ok(connections) = u16::try_from(last.connections)
            && (own.count.connections.is_some() || own.connection.bind_mode().name() == last.bind)
        {
            let typed = own.count.connections.unwrap_or(connections);
            let before = format!("--connections {connections}");
            note(own.count.connections.is_some(), format!("--connections {typed}"), before);
            own.count.connections.get_or_insert(connections);
        }
        note(own.pace.window.is_some(), format!("--window {}", own.pace.window()), format!("--window {}", last.window));
        own.pace.window.get_or_insert(last.window);
        let default = ["--rate 30", "--bind trx", "--connections 1", "--window 10"];
        kept.retain(|words| !default.contains(&words.as_str()));
        let mut notes = Vec::new();
        if !kept.is_empty() {
            notes.push(format!("As its last run: {}", kept.join(", ")));
        }
        if !changed.is_empty() {
            notes.push(format!("Other than its last run: {}", changed.join(", ")));
        }
        (own, notes)
    }

    fn complete(&self, account: Account) -> Account {
        self.keep.complete(Account { window: self.pace.window(), ..account })
    }

    /// How many connections.
    pub fn connections(&self) -> Result<usize, CliError> {
        self.count.connections(self.connection.bind_mode())
    }

    /// What statuses mean.
    pub fn rules(&self) -> Arc<RetryRules> {
        let mut rules = self.status.rules();
        if !self.retry_delays.is_empty() {
            rules.delays_ms = self.retry_delays.iter().map(|delay| delay.as_millis() as i64).collect();
        }
        Arc::new(rules)
    }

    /// Checks what is typed of the account, as far as it is typed: what is missing may come from elsewhere later.
    pub fn judge(&self) -> Result<Account, CliError> {
        self.connections()?;
        let account = self.connection.judge()?;
        self.with_receiver(account, false)
    }

    fn with_receiver(&self, account: Account, with_password: bool) -> Result<Account, CliError> {
        self.receiver.refuse_idle(account.bind)?;
        let account = self.receiver.complete(account, &self.connection, with_password)?;
        self.spread.complete(account, self.connections()?)
    }

    /// Checks all that can be checked without connecting, and says what would be done.
    pub fn describe(&self) -> Result<String, BadValue> {
        let account = self.with_receiver(self.connection.check()?, false).map_err(|error| error.to_string())?;
        let account = self.complete(account);
        let connections = self.connections().map_err(|error| error.to_string())?;
        Ok(format!(
            "{}{} port {}{}, {}, system_id {}, SMPP {}, {}, window {}, {}{}",
            account.hosts.join(", "),
            if account.spread == Spread::InTurn { "" } else { " (spread)" },
            account.port,
            if account.local.is_empty() { String::new() } else { format!(" from {}", account.local) },
            if account.tls.is_some() { "TLS" } else { "no TLS" },
            account.system_id,
            account.version.name(),
            crate::words::format::count(connections as i64, "connection"),
            account.window,
            self.pace.rate(),
            receiver::described(&account)
                .into_iter()
                .chain(self.status.described())
                .fold(String::new(), |all, words| format!("{all}; {words}")),
        ))
    }
}

/// A rate as it is typed.
fn shown(rate: Rate) -> String {
    match rate {
        Rate::PerSecond(rate) => rate.to_string(),
        Rate::Unlimited => "unlimited".into(),
    }
}

/// Reads `0x45=permanent` or `0x64=temporary:1s,10s`.
fn code_rule(text: &str) -> Result<(u32, CodeRule), BadValue> {
    let form = || "write CODE=CLASS, such as 0x45=permanent or 0x64=temporary:1s,10s".to_owned();
    let (code, rule) = text.split_once('=').ok_or_else(form)?;
    let code = CommandStatus::parse(code).ok_or_else(|| bad!("{code:?} is no command_status"))?;
    let (class, delays) = rule.split_once(':').map_or((rule, None), |(class, delays)| (class, Some(delays)));
    let class = match class.trim() {
        "throttled" => StatusClass::Throttled,
        "temporary" => StatusClass::Temporary,
        "session" => StatusClass::Session,
        "account" => StatusClass::Account,
        "permanent" => StatusClass::Permanent,
        other => return Err(bad!("{other:?} is none of throttled, temporary, session, account, permanent")),
    };
    if code == CommandStatus::OK {
        return Err("0 is no error".into());
    }
    if delays.is_some() && class != StatusClass::Temporary {
        return Err("only a temporary status has delays".into());
    }
    let delays: Option<Result<Vec<i64>, BadValue>> = delays.map(|delays| {
        delays.split(',').map(|delay| duration(delay.trim()).map(|delay| delay.as_millis() as i64)).collect()
    });
    Ok((code.0, CodeRule { class, delays_ms: delays.transpose()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f25_rules_for_codes() {
        let rule = |class, delays_ms| CodeRule { class, delays_ms };
        for (text, expected) in [
            ("0x45=permanent", (0x45, rule(StatusClass::Permanent, None))),
            ("88=temporary", (0x58, rule(StatusClass::Temporary, None))),
            ("ESME_RX_T_APPN=temporary:1s,2m", (0x64, rule(StatusClass::Temporary, Some(vec![1_000, 120_000])))),
        ] {
            assert_eq!(code_rule(text), Ok(expected));
        }
        for text in
            ["", "0x45", "0x45=", "0x45=lost", "x=permanent", "0=permanent", "0x45=permanent:1s", "0x45=temporary:1"]
        {
            assert!(code_rule(text).is_err(), "{text}");
        }
    }
}
