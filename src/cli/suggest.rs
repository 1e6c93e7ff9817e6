//! The profile that `probe --send-to` ends with.

use super::CliError;
use super::probe::ProbeArgs;
use crate::client::{Account, BindMode};
use crate::policy::pacer::Rate;
use crate::run::probe::{Findings, Pace, Parts};
use std::fmt::Write as _;

/// A profile that fits what was found.
pub fn suggest(findings: &Findings, probe: &ProbeArgs, account: &Account, name: &str) -> Result<String, CliError> {
    let mut out = String::new();
    // Strings as TOML writes them, which quotes like Rust for all that can stand here.
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let hosts: Vec<String> = account.hosts.iter().map(|host| quoted(host)).collect();
    let host = if let [host] = hosts.as_slice() { host.clone() } else { format!("[{}]", hosts.join(", ")) };
    let mut line = |text: &str| {
        // A String takes whatever is written.
        let _ = writeln!(out, "{text}");
    };
    line(&format!("[{}]", toml_key(name, &quoted)));
    line(&format!("host = {host}"));
    line(&format!("port = {}", account.port));
    line(&format!("tls = {}", account.tls.is_some()));
    for (key, value) in probe.connection.tls_entries() {
        line(&format!("{key} = {}", quoted(&value)));
    }
    line(&format!("system_id = {}", quoted(&account.system_id)));
    if !account.system_type.is_empty() {
        line(&format!("system_type = {}", quoted(&account.system_type)));
    }
    let addresses = &account.addresses;
    for (key, number) in [("addr_ton", addresses.ton), ("addr_npi", addresses.npi)] {
        if number != 0 {
            line(&format!("{key} = {number}"));
        }
    }
    if !addresses.range.is_empty() {
        line(&format!("address_range = {}", quoted(&addresses.range)));
    }
    line(&format!("smpp_version = {}", quoted(account.version.name())));
    let bind = match account.bind {
        BindMode::Transceiver => "trx",
        BindMode::Transmitter => "tx",
        BindMode::Receiver => "rx",
        BindMode::Pairs => "tx+rx",
    };
    line(&format!("bind = {}", quoted(bind)));
    // The pairs may be the finding, and the number that of what was asked for.
    let connections = probe.count.connections(BindMode::Transceiver)?;
    let is_paired = account.bind == BindMode::Pairs;
    line(&format!("connections = {}", if is_paired { connections.next_multiple_of(2) } else { connections }));
    line(&format!("window = {}", account.window));
    match (probe.pace.rate(), findings.pace()) {
        (_, Some(pace @ Pace { throttled: Some(number), .. })) => {
            let words = format!("throttled at message {number}; so much was taken: ask the provider for the rate");
            line(&format!("{:<27} # {words}", format!("rate = {}", pace.shown())));
        }
        (Rate::PerSecond(rate), _) => line(&format!("rate = {rate}")),
        (Rate::Unlimited, _) => line("rate = \"unlimited\""),
    }
    if let Some(from) = &probe.trial.from {
        line(&format!("from = {}", quoted(from)));
    }
    if let Parts::Only(part) = findings.parts_with_receipts() {
        let words = format!("the long message had a receipt for its {part} part only: is that so always?");
        line(&format!("{:<27} # {words}", format!("# receipts_for = {}", quoted(part))));
    }
    line("# default_alphabet = \"latin1\"    # as the handset showed it; the default is gsm7");
    line("# password_file = \"password\"      # else SMPPOST_PASSWORD");
    if let Some(login) = account.receiver.as_ref().filter(|_| is_paired) {
        let hosts: Vec<String> = login.hosts.iter().map(|host| quoted(host)).collect();
        line(&format!("[{}.receiver]", toml_key(name, &quoted)));
        line(&format!("host = [{}]", hosts.join(", ")));
        line(&format!("port = {}", login.port));
        line(&format!(
            "tls = {}               # what else of TLS is other than above stands here, too",
            login.tls.is_some()
        ));
        line(&format!("system_id = {}", quoted(&login.system_id)));
        line(&format!("system_type = {}", quoted(&login.system_type)));
        line("# password_file = \"rx-password\"   # else SMPPOST_RX_PASSWORD, else the same as above");
    }
    Ok(out)
}

/// A table's name, quoted where it has to be.
fn toml_key(name: &str, quoted: &dyn Fn(&str) -> String) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
    if is_bare { name.to_owned() } else { quoted(name) }
}
