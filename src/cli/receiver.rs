//! A receiver elsewhere: with `tx+rx` (and for `listen`) what comes in may come from other hosts, by another login. What of it
//! is not given is as for the connections that send. Its password stands in no option: a profile's `[NAME.receiver]` names
//! its file or variable, and without a profile it is in `SMPPOST_RX_PASSWORD`.

use super::CliError;
use super::connection::{ConnectionArgs, checked_login, port};
use crate::cli::config::own_password;
use crate::client::link::{parse_host, parse_pin};
use crate::client::{Account, BindMode, Login, Secret};
use crate::words::{BadValue, bad};
use clap::Args;
use std::path::PathBuf;

/// The heading of its options.
const RECEIVER: &str =
    "A receiver elsewhere, with tx+rx (its password is in SMPPOST_RX_PASSWORD, or as the profile says)";
/// The keys of its table in a profile.
const KEYS: [&str; 13] = [
    "host",
    "port",
    "system_id",
    "system_type",
    "password_file",
    "password_env",
    "tls",
    "tls_ca",
    "tls_server_name",
    "tls_client_cert",
    "tls_client_key",
    "tls_pin_sha256",
    "tls_danger_accept_any_cert",
];

/// What is another for a receiver.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = RECEIVER)]
pub struct ReceiverArgs {
    /// Host of the receiver, if it is another than --host; several are tried in this order
    #[arg(long = "rx-host", value_name = "HOST", value_delimiter = ',', value_parser = parse_host)]
    rx_hosts: Vec<String>,
    /// Port of the receiver, if it is another than --port
    #[arg(long, value_name = "PORT", value_parser = port)]
    rx_port: Option<u16>,
    /// User name of the receiver, if it is another than --system-id
    #[arg(long, value_name = "NAME")]
    rx_system_id: Option<String>,
    /// The system_type of the receiver, if it is another than --system-type
    #[arg(long, value_name = "TYPE")]
    rx_system_type: Option<String>,
    /// The `receiver` table of a profile
    #[arg(long, hide = true, value_parser = setting)]
    profile_receiver: Vec<Setting>,
}

/// An entry of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Setting {
    Host(String),
    Port(u16),
    SystemId(String),
    SystemType(String),
    PasswordFile(PathBuf),
    PasswordEnv(String),
    Tls(bool),
    TlsCa(PathBuf),
    TlsServerName(String),
    TlsClientCert(PathBuf),
    TlsClientKey(PathBuf),
    TlsPin([u8; 32]),
    TlsDanger(bool),
}

/// Reads `KEY=VALUE`. What fails repeats no value: it may be a password in the wrong place.
fn setting(text: &str) -> Result<Setting, BadValue> {
    let (key, value) = text.split_once('=').ok_or("a receiver is a table of settings")?;
    let bool = || value.parse().map_err(|_| "it is true or false".to_owned());
    let text = value.to_owned();
    Ok(match key {
        "host" => Setting::Host(parse_host(value)?),
        "port" => Setting::Port(port(value)?),
        "system_id" => Setting::SystemId(text),
        "system_type" => Setting::SystemType(text),
        "password_file" => Setting::PasswordFile(value.into()),
        "password_env" => Setting::PasswordEnv(text),
        "tls" => Setting::Tls(bool()?),
        "tls_ca" => Setting::TlsCa(value.into()),
        "tls_server_name" => Setting::TlsServerName(text),
        "tls_client_cert" => Setting::TlsClientCert(value.into()),
        "tls_client_key" => Setting::TlsClientKey(value.into()),
        "tls_pin_sha256" => Setting::TlsPin(parse_pin(value)?),
        "tls_danger_accept_any_cert" => Setting::TlsDanger(bool()?),
        "password" => {
            return Err(
                "a password does not belong into this file: name a file of its own with `password_file`, or a \
                        variable with `password_env`"
                    .into(),
            );
        }
        _ => return Err(bad!("a receiver has no such key: it has {}", KEYS.join(", "))),
    })
}

/// The last value of a kind, as a reference.
macro_rules! last {
    ($args:expr, $kind:ident) => {
        $args.profile_receiver.iter().rev().find_map(|setting| match setting {
            Setting::$kind(value) => Some(value),
            _ => None,
        })
    };
}

impl ReceiverArgs {
    fn is_given(&self) -> bool {
        !self.rx_hosts.is_empty()
            || self.rx_port.is_some()
            || self.rx_system_id.is_some()
            || self.rx_system_type.is_some()
            || !self.profile_receiver.is_empty()
    }

    /// Whether a profile names its password.
    fn names_password(&self) -> bool {
        last!(self, PasswordFile).is_some() || last!(self, PasswordEnv).is_some()
    }

    /// Whether the connections of a run need the password of those that send: not one that only receives, elsewhere.
    pub fn needs_senders_password(&self, bind: BindMode) -> bool {
        bind != BindMode::Receiver || !self.names_password() && !crate::cli::config::has_receiver_password()
    }

    /// The files that say how TLS is spoken there, where they are others.
    pub fn tls_files(&self) -> Vec<PathBuf> {
        let file = |setting: &Setting| match setting {
            Setting::TlsCa(path) | Setting::TlsClientCert(path) | Setting::TlsClientKey(path) => Some(path.clone()),
            _ => None,
        };
        self.profile_receiver.iter().filter_map(file).collect()
    }

    /// Refuses settings that would do nothing.
    pub fn refuse_idle(&self, bind: BindMode) -> Result<(), CliError> {
        if !self.is_given() || matches!(bind, BindMode::Pairs | BindMode::Receiver) {
            return Ok(());
        }
        let given = match self.profile_receiver.is_empty() {
            true => "--rx-host, --rx-port, --rx-system-id and --rx-system-type",
            false => "the profile's receiver",
        };
        Err(CliError::Usage(format!("--bind {}: {given} need --bind tx+rx", bind.name())))
    }

    /// The account with its receiver elsewhere, if it has one; with the passwords, where that is wanted.
    pub fn complete(
        &self,
        account: Account,
        connection: &ConnectionArgs,
        with_password: bool,
    ) -> Result<Account, CliError> {
        if !self.is_given() {
            return Ok(account);
        }
        let hosts: Vec<String> = match self.rx_hosts.is_empty() {
            false => self.rx_hosts.clone(),
            true => self.profile_receiver.iter().filter_map(Setting::host).collect(),
        };
        let tls = self.tls(connection);
        let system_id = self.rx_system_id.as_ref().or(last!(self, SystemId)).unwrap_or(&account.system_id);
        let system_type = self.rx_system_type.as_ref().or(last!(self, SystemType)).unwrap_or(&account.system_type);
        checked_login("--rx-system-id", system_id, 15)?;
        checked_login("--rx-system-type", system_type, 12)?;
        let login = Login {
            hosts: if hosts.is_empty() { account.hosts.clone() } else { hosts },
            port: self.rx_port.or(last!(self, Port).copied()).unwrap_or_else(|| connection.port_with(tls.is_on())),
            tls: tls.settings().map_err(|words| CliError::Usage(format!("the receiver: {words}")))?,
            system_id: system_id.clone(),
            system_type: system_type.clone(),
            password: match with_password {
                true => self.password(connection.is_strict())?.unwrap_or_else(|| account.password.clone()),
                false => Secret::default(),
            },
        };
        if with_password && login.tls.is_none() {
            super::connection::warn_of_clear(&login.hosts);
        }
        if !with_password && let Some(path) = last!(self, PasswordFile) {
            crate::platform::private_files::check_private(path)
                .map_err(|words| CliError::Usage(format!("the receiver's password_file {words}")))?;
        }
        Ok(Account { receiver: Some(Box::new(login)), ..account })
    }

    /// Those of the connections that send, with what is another here.
    fn tls(&self, connection: &ConnectionArgs) -> super::connection::TlsArgs {
        let mut tls = connection.tls.clone();
        let mut pins = Vec::new();
        for setting in &self.profile_receiver {
            match setting.clone() {
                Setting::Tls(is_on) => tls.tls = Some(is_on),
                Setting::TlsCa(path) => tls.tls_ca = Some(path),
                Setting::TlsServerName(name) => tls.tls_server_name = Some(name),
                Setting::TlsClientCert(path) => tls.tls_client_cert = Some(path),
                Setting::TlsClientKey(path) => tls.tls_client_key = Some(path),
                Setting::TlsPin(pin) => pins.push(pin),
                Setting::TlsDanger(accepts) => tls.tls_danger_accept_any_cert = Some(accepts),
                _ => {}
            }
        }
        if !pins.is_empty() {
            tls.tls_pin_sha256 = pins;
        }
        tls
    }

    fn password(&self, strict: bool) -> Result<Option<Secret>, CliError> {
        let file = last!(self, PasswordFile).map(PathBuf::as_path);
        let variable = last!(self, PasswordEnv).map(String::as_str);
        own_password(file, variable, strict).map_err(|words| CliError::Usage(format!("the receiver: {words}")))
    }
}

impl Setting {
    fn host(&self) -> Option<String> {
        match self {
            Self::Host(host) => Some(host.clone()),
            _ => None,
        }
    }
}

/// Where and by which login what comes in is fetched, in words; `None`: on the same connections' terms.
pub fn described(account: &Account) -> Option<String> {
    let login = account.receiver.as_ref().filter(|_| account.bind.can_receive())?;
    let tls = if login.tls.is_some() { "TLS" } else { "no TLS" };
    let hosts = crate::words::escape::escape_terminal(&login.hosts.join(", ")).into_owned();
    let system_id = crate::words::escape::escape_terminal(&login.system_id);
    Some(format!("receives as {system_id} at {hosts} port {}, {tls}", login.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receivers_table_has_the_keys_of_a_connection_and_no_password() {
        for key in KEYS {
            let value = match key {
                "port" => "2775",
                "tls" | "tls_danger_accept_any_cert" => "true",
                "tls_pin_sha256" => &"ab".repeat(32),
                _ => "x",
            };
            assert!(setting(&format!("{key}={value}")).is_ok(), "{key}");
        }
        for (text, words) in [
            ("password=hunter2", "does not belong into this file"),
            ("hots=hunter2", "it has host, port"),
            ("port=hunter2", "from 1 to 65535"),
            ("tls=hunter2", "true or false"),
        ] {
            let said = setting(text).unwrap_err();
            assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
        }
    }
}
