//! The profile that `probe --send-to` ends with.

use super::CliError;
use super::probe::ProbeArgs;
use crate::client::{Account, BindMode};
use crate::policy::pacer::Rate;
use crate::run::probe::measuring::{RateFound, Window, words as per_second};
use crate::run::probe::{Findings, Parts};
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
    let commented = |setting: String, words: &str| format!("{setting:<27} # {words}");
    match findings.window {
        Window::Is(window, _) => line(&commented(format!("window = {window}"), "one more is refused, or not answered")),
        Window::Perhaps(window, _) => {
            line(&commented(format!("window = {window}"), "more at once was refused; the rate may be why"))
        }
        _ => line(&format!("window = {}", account.window)),
    }
    // Only what was shown is set: what is written here is believed.
    let asked = match probe.pace.rate() {
        Rate::PerSecond(rate) => rate.to_string(),
        Rate::Unlimited => quoted("unlimited"),
    };
    let rate = per_second;
    line(&match findings.rate {
        RateFound::Held { per_second } if probe.pace.rate() == Rate::PerSecond(per_second) => {
            commented(format!("rate = {asked}"), "taken for three seconds; more was not tried")
        }
        RateFound::Held { per_second } => {
            commented(format!("rate = {}", rate(per_second)), "taken for three seconds; more was not tried")
        }
        RateFound::Limit { per_second, .. } => {
            commented(format!("rate = {}", rate(per_second)), "taken for three seconds; more was refused")
        }
        RateFound::Between { per_second, refused, .. } => commented(
            format!("rate = {}", rate(per_second)),
            &format!("taken for three seconds; {} was refused", rate(refused)),
        ),
        RateFound::Unverified { about, .. } | RateFound::Penalty { about, .. } => commented(
            format!("# rate = {}", rate(about)),
            "less than this: throttled at it; ask the provider for the rate",
        ),
        RateFound::HungUp { about } => {
            commented(format!("# rate = {}", rate(about)), "less than this: the connection ended; ask the provider")
        }
        RateFound::Other { .. } | RateFound::Passed { .. } | RateFound::Untried => {
            commented(format!("# rate = {asked}"), "not shown: as the provider says, else 30 is the default")
        }
    });
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
