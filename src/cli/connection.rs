//! Options that say how the account is reached.

use super::CliError;
use super::campaign::AlphabetArgs;
use crate::cli::config::PASSWORD_VARIABLE;
use crate::client::link::{LocalAddresses, Tls, TlsOptions, parse_host, parse_local, parse_pin};
use crate::client::{
    ADDRESS_RANGE_MAX, Account, BindMode, BoundAddresses, ReceiptCodes, ReceiptReading, Secret, Spread, StateFrom,
    TakesTlvs, Timers, Version,
};
use crate::journal::store::account::Identity;
use crate::journal::writer::{RECEIPT_HORIZON, stop_word};
pub use crate::words::typed::duration;
use crate::words::{BadValue, bad};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The reference provider's ports, without and with TLS.
const PORT: u16 = 2777;
const PORT_TLS: u16 = 2778;

/// Headings of options.
pub const CONNECTION: &str = "Connection (the password comes from SMPPOST_PASSWORD, --password-file or a prompt)";
pub const TIMERS: &str = "Timers (such as 500ms, 3s, 2m or 1h)";

/// How the account is reached: what every command that connects has to know. What only some of them do with a session is
/// in [`super::sessions`].
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CONNECTION)]
pub struct ConnectionArgs {
    /// Host name or address of the SMSC; several, by commas or repeated, are tried in this order, each at all of its
    /// addresses
    #[arg(long = "host", env = "SMPPOST_HOST", value_name = "HOST", value_delimiter = ',', value_parser = parse_host)]
    hosts: Vec<String>,
    /// Port of the SMSC [default: 2777, with TLS 2778]
    #[arg(long, env = "SMPPOST_PORT", value_name = "PORT", value_parser = port)]
    port: Option<u16>,
    /// The account's user name
    #[arg(long, env = "SMPPOST_SYSTEM_ID", value_name = "NAME")]
    system_id: Option<String>,
    /// A file that holds the password on its first line; only you may be able to read it
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the password [default: SMPPOST_PASSWORD]
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Refuse a password of more than the 8 octets that SMPP allows, instead of sending it with a warning
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict_password: Option<bool>,
    /// The system_type [default: empty]
    #[arg(long, value_name = "TYPE")]
    system_type: Option<String>,
    /// The address_range of the bind: which addresses to receive for, as the provider writes it [default: empty]
    #[arg(long, value_name = "PATTERN", value_parser = address_range)]
    address_range: Option<String>,
    /// The addr_ton of the bind, 0 to 255 [default: 0]
    #[arg(long, value_name = "TON")]
    addr_ton: Option<u8>,
    /// The addr_npi of the bind, 0 to 255 [default: 0]
    #[arg(long, value_name = "NPI")]
    addr_npi: Option<u8>,
    /// The version of SMPP; 3.3 has neither transceivers nor optional parameters [default: 3.4]
    #[arg(long, value_enum, value_name = "VERSION")]
    smpp_version: Option<VersionArg>,
    /// Whether the SMSC takes optional parameters (TLVs): auto is where its bind answer announces 3.4 or newer [default: auto]
    #[arg(long, value_enum, value_name = "WHETHER")]
    tlvs: Option<TlvsArg>,
    /// Which way messages go: trx both ways, tx out only, rx in only, tx+rx in pairs of connections [default: trx]
    #[arg(long, value_enum, value_name = "MODE")]
    bind: Option<BindArg>,
    /// Connect from this address of this machine, of which the provider knows one; one of IPv4 and one of IPv6 at most
    #[arg(long = "local-address", value_name = "ADDRESS", value_delimiter = ',', value_parser = parse_local)]
    local_addresses: Vec<SocketAddr>,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    timers: TimerArgs,
    /// The account's name, from the option that every command has.
    #[arg(skip)]
    pub account_name: Option<String>,
    /// The options of the command that were typed, by their names.
    #[arg(skip)]
    pub typed: Vec<String>,
}

/// How the connection is protected.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Speak TLS; the certificate must be for the host and come from a CA that this system or the program knows
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls: Option<bool>,
    /// Trust the CAs, or the very certificate, in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The name that the certificate must be for, if it is not the host
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Our certificate (PEM), if the SMSC asks for one
    #[arg(long, value_name = "FILE")]
    pub tls_client_cert: Option<PathBuf>,
    /// The key of our certificate (PEM); only you may be able to read it
    #[arg(long, value_name = "FILE")]
    pub tls_client_key: Option<PathBuf>,
    /// Take only a certificate with this public key: the SHA-256 of its SubjectPublicKeyInfo; repeatable
    #[arg(long, value_name = "HEX", value_parser = parse_pin)]
    pub tls_pin_sha256: Vec<[u8; 32]>,
    /// Do not check the certificate (with a pin: only its key). Whoever sits between can read everything
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_danger_accept_any_cert: Option<bool>,
}

/// What may take how long.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = TIMERS)]
struct TimerArgs {
    /// How long a TCP connection and its TLS handshake may take to come about [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    connect_timeout: Option<Duration>,
    /// How long the answer to the bind may take [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    bind_timeout: Option<Duration>,
    /// How long the answer to a message may take; after that it is in doubt [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    response_timeout: Option<Duration>,
    /// How long the SMSC may take to read what is written [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    write_timeout: Option<Duration>,
}

/// Checks an address_range.
fn address_range(typed: &str) -> Result<String, BadValue> {
    if !typed.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        return Err("only ASCII characters are allowed".into());
    }
    match typed.len() {
        long if long > ADDRESS_RANGE_MAX => {
            Err(bad!("it has {long} octets, and SMPP takes at most {ADDRESS_RANGE_MAX}"))
        }
        _ => Ok(typed.to_owned()),
    }
}

/// What comes in, and what it means.
#[derive(Debug, Args)]
#[command(next_help_heading = "Receipts and inbound messages")]
pub struct InboundArgs {
    #[command(flatten)]
    pub alphabet: AlphabetArgs,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Messages that put their sender on the suppression list, separated by commas; case and spaces do not count
    #[arg(long, alias = "stop-words", value_name = "WORDS", value_delimiter = ',')]
    opt_out_words: Vec<String>,
    /// Messages that take their sender off the list again, if it was an opt-out word that put it there
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    opt_in_words: Vec<String>,
    /// Of messages with the same id, one that was answered longer before a receipt came is no rival of a newer one, as 36h
    /// or 7d: for SMSCs whose ids start again [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = horizon)]
    receipt_horizon: Option<Duration>,
}

/// What states mean.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// The SMSC's own delivery codes where a number stands as stat, and its own words, as CODE=STATE,...
    /// (0=ENROUTE,1=UNDELIVERABLE,2=DELIVERED,BLACKLST=REJECTED) [default: SMPP's]
    #[arg(long, value_name = "TABLE")]
    receipt_codes: Option<ReceiptCodes>,
    /// --receipt-codes hold for the TLV message_state too, not only for the codes that SMPP does not have
    #[arg(long, requires = "receipt_codes")]
    receipt_codes_in_state: bool,
    /// ACCEPTED is the last that the SMSC says of a message: it counts as DELIVERED
    #[arg(long)]
    accepted_is_final: bool,
    /// Which holds where a receipt's TLV message_state and the `stat` of its text differ; a report says how often they do
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = StateFromArg::Tlv)]
    receipt_state: StateFromArg,
}

/// Where a receipt's state is taken from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum StateFromArg {
    /// The TLV
    Tlv,
    /// The text
    Text,
}

impl ReadingArgs {
    /// As typed.
    pub fn reading(&self) -> ReceiptReading {
        ReceiptReading {
            codes: self.receipt_codes.clone().unwrap_or_default(),
            codes_in_state: self.receipt_codes_in_state,
            accepted_is_final: self.accepted_is_final,
            state_from: match self.receipt_state {
                StateFromArg::Tlv => StateFrom::Tlv,
                StateFromArg::Text => StateFrom::Text,
            },
        }
    }
}

fn folded(words: &[String]) -> Vec<String> {
    words.iter().map(|word| stop_word(word)).filter(|word| !word.is_empty()).collect()
}

impl InboundArgs {
    /// What receipts mean.
    pub fn reading(&self) -> ReceiptReading {
        self.reading.reading()
    }

    /// What was answered longer before a receipt came is no rival of a newer message with the same id.
    pub fn receipt_horizon(&self) -> Duration {
        self.receipt_horizon.unwrap_or(RECEIPT_HORIZON)
    }

    /// The stop words, folded.
    pub fn opt_out_words(&self) -> Vec<String> {
        folded(&self.opt_out_words)
    }

    /// Words that take it off, folded likewise. One that is an opt-out word as well leaves the number where it is.
    pub fn opt_in_words(&self) -> Vec<String> {
        let out = self.opt_out_words();
        folded(&self.opt_in_words).into_iter().filter(|word| !out.contains(word)).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum VersionArg {
    #[value(name = "3.3")]
    V33,
    #[value(name = "3.4")]
    V34,
    #[value(name = "5.0")]
    V50,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum TlvsArg {
    Auto,
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BindArg {
    Trx,
    Tx,
    Rx,
    #[value(name = "tx+rx")]
    Pairs,
}

/// What an option says that several commands have.
pub const SAME_ACCOUNT: &str = "The journal's account is this one, at new hosts, by another login or under another name; recorded: once is \
                                enough";

/// The name of an account with this system_id at this host.
pub fn name_of(system_id: &str, host: &str) -> String {
    let host =
        if crate::client::link::is_loopback(host) { "localhost" } else { crate::client::link::host::plain(host) };
    format!("{system_id} at {host}")
}

impl ConnectionArgs {
    /// The variable that was named for the password.
    pub(super) fn password_variable(&self) -> Option<&String> {
        self.password_env.as_ref()
    }

    /// The account as typed, with its password.
    pub fn resolve(&self) -> Result<Account, CliError> {
        self.resolve_with(true)
    }

    /// The account as typed, with its password where that is wanted.
    pub fn resolve_with(&self, with_password: bool) -> Result<Account, CliError> {
        let system_id = self.named()?;
        // What can be wrong with the rest is said before a password is asked for.
        let mut account = self.account(&self.hosts, system_id, Secret::default())?;
        account.tls = self.tls.settings().map_err(CliError::from)?;
        self.check_local(&account).map_err(CliError::from)?;
        if !with_password {
            return Ok(account);
        }
        if account.tls.is_none() {
            warn_of_clear(&self.hosts);
        }
        let variable = self.password_env.as_deref().unwrap_or(PASSWORD_VARIABLE);
        account.password = crate::cli::config::password(self.password_file.as_deref(), variable, self.is_strict())
            .map_err(CliError::from)?;
        Ok(account)
    }

    /// How the account is named. `same`: the user says that the journal is its own.
    pub fn identity(&self, account: &Account, same: bool) -> Identity {
        let names = |system_id: &str, hosts: &[String]| -> Vec<String> {
            hosts.iter().map(|host| name_of(system_id, host)).collect()
        };
        Identity {
            name: self.account_name.clone().filter(|name| !name.is_empty()),
            addresses: names(&account.system_id, &account.hosts),
            receivers: account.receiver.as_ref().map_or_else(Vec::new, |own| names(&own.system_id, &own.hosts)),
            same,
        }
    }

    /// The account as typed, if messages can be sent with it.
    pub fn resolve_to_send(&self) -> Result<Account, CliError> {
        self.refuse_receiver()?;
        self.resolve()
    }

    /// The same while a run goes on: what was asked for at a terminal stays.
    pub fn resolve_again(&self, before: &Account) -> Result<Account, CliError> {
        self.refuse_receiver()?;
        let variable = self.password_env.as_deref().unwrap_or(PASSWORD_VARIABLE);
        let is_there = crate::cli::config::has_password(self.password_file.as_deref(), variable);
        let account = self.resolve_with(is_there)?;
        let password = if is_there { account.password } else { before.password.clone() };
        Ok(Account { password, ..account })
    }

    fn refuse_receiver(&self) -> Result<(), CliError> {
        if self.bind_mode().can_submit() {
            return Ok(());
        }
        Err(CliError::Usage("--bind rx receives only: to send, use trx, tx or tx+rx".into()))
    }

    /// The account's user name, where it and a host are given.
    fn named(&self) -> Result<&str, CliError> {
        let missing = |option: &str, variable: &str| {
            CliError::Usage(format!(
                "{option} is missing: give it, or set {variable} (a rehearsal needs none: send --simulate)"
            ))
        };
        if self.hosts.is_empty() {
            return Err(missing("--host", "SMPPOST_HOST"));
        }
        self.system_id.as_deref().ok_or_else(|| missing("--system-id", "SMPPOST_SYSTEM_ID"))
    }

    /// The account as typed, if messages can be sent with it, without its password.
    pub fn check_to_send(&self) -> Result<Account, CliError> {
        self.refuse_receiver()?;
        self.named()?;
        self.check().map_err(CliError::from)
    }

    /// Checks what is typed, as far as it is; what is missing stands for anything.
    pub fn judge(&self) -> Result<Account, CliError> {
        self.refuse_receiver()?;
        let hosts = if self.hosts.is_empty() { &["127.0.0.1".to_owned()][..] } else { &self.hosts };
        let account = self.account(hosts, self.system_id.as_deref().unwrap_or_default(), Secret::default())?;
        self.tls.settings().map_err(CliError::from)?;
        if let Some(path) = &self.password_file {
            crate::platform::private_files::check_private(path)
                .map_err(|words| CliError::Usage(format!("--password-file {words}")))?;
        }
        Ok(account)
    }

    /// The account as typed, without its password: all that can be checked without connecting.
    pub fn check(&self) -> Result<Account, BadValue> {
        if self.hosts.is_empty() {
            return Err("host is missing".into());
        }
        let system_id = self.system_id.as_deref().ok_or("system_id is missing")?;
        let mut account = self.account(&self.hosts, system_id, Secret::default()).map_err(|error| error.to_string())?;
        account.tls = self.tls.settings()?;
        self.check_local(&account)?;
        if let Some(path) = &self.password_file {
            crate::platform::private_files::check_private(path).map_err(|words| bad!("password_file {words}"))?;
        }
        Ok(account)
    }

    fn local(&self) -> Result<LocalAddresses, CliError> {
        LocalAddresses::new(&self.local_addresses).map_err(|words| CliError::Usage(format!("--local-address: {words}")))
    }

    /// Fails in words where no connection can go out from the address that was typed.
    fn check_local(&self, account: &Account) -> Result<(), BadValue> {
        account.local.check().map_err(|words| bad!("--local-address: {words}"))?;
        // Names may have addresses of either family.
        let peers = account.hosts.iter().map(|host| host.parse().ok().map(|ip| SocketAddr::new(ip, 0)));
        let Some(peers) = peers.collect::<Option<Vec<SocketAddr>>>() else { return Ok(()) };
        let misfits: Vec<BadValue> = peers.iter().filter_map(|peer| account.local.for_peer(*peer).err()).collect();
        match misfits.first() {
            Some(words) if misfits.len() == peers.len() => {
                Err(bad!("--local-address: no connection from there goes to {}: {words}", account.hosts.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// The account as typed, at other hosts, without TLS, with a window of 1 and the default timers of a session.
    pub fn account(&self, hosts: &[String], system_id: &str, password: Secret) -> Result<Account, CliError> {
        let system_type = self.system_type.as_deref().unwrap_or_default();
        checked_login("--system-id", system_id, 15)?;
        checked_login("--system-type", system_type, 12)?;
        let version = match self.smpp_version {
            Some(VersionArg::V33) => Version::V33,
            None | Some(VersionArg::V34) => Version::V34,
            Some(VersionArg::V50) => Version::V50,
        };
        let tlvs = match (version, self.tlvs) {
            (Version::V33, Some(TlvsArg::Yes)) => {
                return Err(CliError::Usage("--tlvs yes: SMPP 3.3 has no optional parameters".into()));
            }
            (Version::V33, _) | (_, Some(TlvsArg::No)) => TakesTlvs::No,
            (_, Some(TlvsArg::Yes)) => TakesTlvs::Yes,
            (_, None | Some(TlvsArg::Auto)) => TakesTlvs::AsAnnounced,
        };
        let bind = self.bind_mode();
        if version == Version::V33 && bind == BindMode::Transceiver {
            return Err(CliError::Usage(
                "--smpp-version 3.3 has no transceivers: use --bind tx+rx (two connections), or --bind tx without receipts"
                    .into(),
            ));
        }
        let default = Timers::default();
        let timers = &self.timers;
        Ok(Account {
            hosts: hosts.to_vec(),
            port: self.port_with(self.tls.is_on()),
            tls: None,
            system_id: system_id.into(),
            password,
            system_type: system_type.into(),
            addresses: BoundAddresses {
                ton: self.addr_ton.unwrap_or_default(),
                npi: self.addr_npi.unwrap_or_default(),
                range: self.address_range.clone().unwrap_or_default(),
            },
            bind,
            version,
            tlvs,
            window: 1,
            timers: Timers {
                connect: timers.connect_timeout.unwrap_or(default.connect),
                bind: timers.bind_timeout.unwrap_or(default.bind),
                response: timers.response_timeout.unwrap_or(default.response),
                write: timers.write_timeout.unwrap_or(default.write),
                ..default
            },
            receipts: ReceiptReading::default(),
            spread: Spread::default(),
            local: self.local()?,
            recorder: None,
            receiver: None,
        })
    }

    /// The port, where TLS is spoken or not.
    pub fn port_with(&self, has_tls: bool) -> u16 {
        self.port.unwrap_or(if has_tls { PORT_TLS } else { PORT })
    }

    /// Whether a password may have no more octets than SMPP allows.
    pub fn is_strict(&self) -> bool {
        self.strict_password == Some(true)
    }

    /// Whether no request may carry optional parameters.
    pub fn forbids_tlvs(&self) -> bool {
        self.smpp_version == Some(VersionArg::V33) || self.tlvs == Some(TlvsArg::No)
    }

    /// Whether messages can be sent at all.
    pub fn can_submit(&self) -> bool {
        self.bind_mode().can_submit()
    }

    /// The options about TLS beside `tls` itself, as keys of a profile with their values.
    pub fn tls_entries(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let tls = &self.tls;
        let mut entries: Vec<(&'static str, String)> = [
            ("tls_ca", path(&tls.tls_ca)),
            ("tls_server_name", tls.tls_server_name.clone()),
            ("tls_client_cert", path(&tls.tls_client_cert)),
            ("tls_client_key", path(&tls.tls_client_key)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
        if let [pin] = tls.tls_pin_sha256.as_slice() {
            entries.push(("tls_pin_sha256", crate::words::escape::hex(pin)));
        }
        entries
    }

    /// Whether the way to bind was given.
    pub fn names_bind(&self) -> bool {
        self.bind.is_some()
    }

    /// Binds as an earlier run did, unless the way to bind was given.
    pub fn bind_as(&mut self, name: &str) {
        if self.bind.is_none() {
            self.bind = BindArg::from_str(name, true).ok();
        }
    }

    /// Which way messages go.
    pub fn bind_mode(&self) -> BindMode {
        match self.bind {
            None | Some(BindArg::Trx) => BindMode::Transceiver,
            Some(BindArg::Tx) => BindMode::Transmitter,
            Some(BindArg::Rx) => BindMode::Receiver,
            Some(BindArg::Pairs) => BindMode::Pairs,
        }
    }
}

impl TlsArgs {
    /// Any option about TLS asks for it: none of them may be given in vain.
    pub fn is_on(&self) -> bool {
        self.tls.unwrap_or(
            self.tls_ca.is_some()
                || self.tls_server_name.is_some()
                || self.tls_client_cert.is_some()
                || self.tls_client_key.is_some()
                || !self.tls_pin_sha256.is_empty()
                || self.tls_danger_accept_any_cert == Some(true),
        )
    }

    /// As typed, where it is asked for.
    pub fn settings(&self) -> Result<Option<Tls>, BadValue> {
        if !self.is_on() {
            return Ok(None);
        }
        if self.tls_client_cert.is_some() != self.tls_client_key.is_some() {
            return Err("--tls-client-cert and --tls-client-key go together".into());
        }
        let options = TlsOptions {
            ca: self.tls_ca.clone(),
            server_name: self.tls_server_name.clone(),
            client: self.tls_client_cert.clone().zip(self.tls_client_key.clone()),
            pins: self.tls_pin_sha256.clone(),
            accept_any: self.tls_danger_accept_any_cert == Some(true),
        };
        Tls::new(&options).map(Some)
    }
}

/// Refuses what a bind request has no room for.
pub fn checked_login(option: &str, value: &str, most: usize) -> Result<(), CliError> {
    if value.len() > most {
        let octets = value.len();
        return Err(CliError::Usage(format!("{option}: it has {octets} octets, and SMPP takes at most {most}")));
    }
    if value.contains('\0') {
        return Err(CliError::Usage(format!("{option}: a NUL cannot be in it")));
    }
    Ok(())
}

/// Warns where a password travels to another machine without TLS.
pub fn warn_of_clear(hosts: &[String]) {
    if let Some(host) = hosts.iter().find(|host| !crate::client::link::is_loopback(host)) {
        log::warn!("the password and all messages travel to {host} in the clear: use --tls if the provider offers it");
    }
}

/// Reads a port.
pub fn port(typed: &str) -> Result<u16, BadValue> {
    match typed.parse() {
        Ok(0) | Err(_) => Err("a port is a number from 1 to 65535".into()),
        Ok(port) => Ok(port),
    }
}

/// Nobody waits for a receipt for longer than ten years.
const HORIZON_DAYS_MAX: u64 = 3_650;

/// As [`duration`], and in days: `7d`.
fn horizon(text: &str) -> Result<Duration, BadValue> {
    let Some(days) = text.strip_suffix('d') else { return duration(text) };
    match days.parse::<u64>() {
        Ok(days @ 1..=HORIZON_DAYS_MAX) => Ok(Duration::from_secs(days * 24 * 3_600)),
        Ok(_) => Err(bad!("it is from 1d to {HORIZON_DAYS_MAX}d")),
        Err(_) => Err("write a whole number and its unit: 30m, 36h or 7d".into()),
    }
}

#[cfg(test)]
mod tests;
