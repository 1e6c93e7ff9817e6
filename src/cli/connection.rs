//! Options that say how the account is reached.

use super::CliError;
use crate::pacer::Rate;
use crate::session::{Account, Secret, Timers, Version};
use crate::wire::BindKind;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// How the account is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection (the password comes from SMPPOST_PASSWORD, --password-file or a prompt)")]
pub struct ConnectionArgs {
    /// Host name or address of the SMSC
    #[arg(long, env = "SMPPOST_HOST", value_name = "HOST")]
    host: Option<String>,
    /// Port of the SMSC
    #[arg(long, env = "SMPPOST_PORT", value_name = "PORT", default_value_t = 2777)]
    port: u16,
    /// The account's user name
    #[arg(long, env = "SMPPOST_SYSTEM_ID", value_name = "NAME")]
    system_id: Option<String>,
    /// A file that holds the password on its first line; only you may be able to read it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The system_type, as a rule empty
    #[arg(long, value_name = "TYPE", default_value = "")]
    system_type: String,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,
    /// Requests outstanding on each connection; 1 is the synchronous mode
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// Messages (parts) a second over all connections, or `unlimited`
    #[arg(long, value_name = "N", default_value = "30")]
    pub rate: Rate,
    /// How long a TCP connection may take to come about
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    connect_timeout: Duration,
    /// How long the answer to the bind may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    bind_timeout: Duration,
    /// How long the answer to a message may take; after that it is in doubt
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    response_timeout: Duration,
    /// Ask whether the link is alive when nothing came for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    enquire_link_interval: Duration,
    /// How long the SMSC may take to read what is written
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    write_timeout: Duration,
    /// Give up when no connection could be bound for this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    give_up_after: Option<Duration>,
}

/// The account's name in the journal.
pub fn account_name(account: &Account) -> String {
    let host = if crate::link::is_loopback(&account.host) { "localhost" } else { &account.host };
    format!("{} at {host}", account.system_id)
}

impl ConnectionArgs {
    /// The account as typed, with its password.
    pub fn resolve(&self) -> Result<Account, CliError> {
        let missing = |option: &str, variable: &str| {
            CliError::Usage(format!(
                "{option} is missing: give it, or set {variable} (a rehearsal needs none: send --simulate)"
            ))
        };
        let host = self.host.as_deref().ok_or_else(|| missing("--host", "SMPPOST_HOST"))?;
        let system_id = self.system_id.as_deref().ok_or_else(|| missing("--system-id", "SMPPOST_SYSTEM_ID"))?;
        let password = crate::config::password(self.password_file.as_deref()).map_err(CliError::Usage)?;
        self.account(host, system_id, password)
    }

    /// The account as typed, at a host.
    pub fn account(&self, host: &str, system_id: &str, password: Secret) -> Result<Account, CliError> {
        for (option, value, most) in [("--system-id", system_id, 15), ("--system-type", &*self.system_type, 12)] {
            if value.len() > most || value.contains('\0') {
                return Err(CliError::Usage(format!("{option}: at most {most} octets")));
            }
        }
        Ok(Account {
            host: host.into(),
            port: self.port,
            system_id: system_id.into(),
            password,
            system_type: self.system_type.clone(),
            bind: BindKind::Transceiver,
            version: Version::V34,
            window: self.window as usize,
            timers: Timers {
                connect: self.connect_timeout,
                bind: self.bind_timeout,
                response: self.response_timeout,
                enquire_link: self.enquire_link_interval,
                write: self.write_timeout,
                give_up_after: self.give_up_after,
            },
        })
    }
}

/// Reads `500ms`, `3s`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(0) => Err("it must be above 0".into()),
        Some(total) if total <= 30 * 24 * 3_600_000 => Ok(Duration::from_millis(total)),
        Some(_) => Err("at most 720h".into()),
        None => Err("write a whole number and its unit: 500ms, 3s, 2m or 1h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_durations() {
        for (text, milliseconds) in [("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "3", "s", "0s", "-1s", "1.5s", "3 s", "99999999999h", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
