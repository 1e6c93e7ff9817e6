//! What stands for a host: a name, or an address of either kind. What is more than that (a scheme, a user, a port, a path)
//! is refused with the words that say how to write it; they do not repeat what
//! was typed, which may hold a password.

use crate::words::{BadValue, bad};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Characters of a whole name, and of a part between two dots (RFC 1035, 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;
/// Characters of the name of a network interface, in the zone of an IPv6 address.
const INTERFACE_MAX: usize = 15;

/// Reads a host as it is typed: spaces around it, brackets around an IPv6 address and capitals do not count. A dot at the
/// end stays, since resolvers look only such a name up as it is. Fails in words that say what to write instead.
pub fn parse_host(typed: &str) -> Result<String, BadValue> {
    let text = typed.trim();
    if text.is_empty() {
        return Err("a name is empty".into());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let tls = if scheme.to_ascii_lowercase().ends_with("ps") || scheme.eq_ignore_ascii_case("ssmpp") {
            " --tls"
        } else {
            ""
        };
        return Err(bad!("that is a URL: write {}{tls}", options(rest)));
    }
    if text.contains('@') || text.contains('/') {
        return Err(bad!("that is more than a host: write {}", options(text)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, more)) = rest.split_once(']') else {
            return Err("the bracket is not closed: write an IPv6 address as ::1 or [::1]".into());
        };
        if !more.is_empty() {
            return Err(bad!("that is more than a host: write {}", options(text)));
        }
        return ipv6(address).ok_or_else(|| "there is no IPv6 address in the brackets".into());
    }
    if text.matches(':').count() > 1 {
        return ipv6(text).ok_or_else(|| "that is no IPv6 address".into());
    }
    if text.contains(':') {
        return Err(bad!("that is more than a host: write {}", options(text)));
    }
    name(text)
}

/// A host as certificates and people have it: without the dot at the end, and without the zone of an address.
pub fn plain(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.split_once('%').map_or(host, |(address, _)| address)
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = plain(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a host is an address, and not a name.
pub fn is_address(host: &str) -> bool {
    plain(host).parse::<IpAddr>().is_ok()
}

/// The options that say what `[user[:password]@]host[:port][/path]` says, for a person to type.
fn options(text: &str) -> String {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (user.split(':').next(), place),
        None => (None, authority),
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, more)) => (host, more.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    let host = parse_host(host).unwrap_or_else(|_| "HOST".into());
    let mut words = format!("--host {host}");
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        words += &match port.parse::<u16>() {
            Ok(port) if port > 0 => format!(" --port {port}"),
            _ => " --port NUMBER".into(),
        };
    }
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        words += &format!(" --system-id {}", crate::words::format::argument(user));
    }
    words
}

/// An IPv6 address, perhaps with the zone of a link-local one.
fn ipv6(text: &str) -> Option<String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    match zone {
        None => Some(address.to_string()),
        Some(zone) => {
            let is_name = !zone.is_empty()
                && zone.len() <= INTERFACE_MAX
                && zone.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'/' | b'%' | b':'));
            is_name.then(|| format!("{address}%{zone}"))
        }
    }
}

/// A name, or an IPv4 address.
fn name(text: &str) -> Result<String, BadValue> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.chars().any(char::is_whitespace) {
        return Err("there is a space in it; write several hosts with commas or with --host each".into());
    }
    if !bare.is_ascii() {
        return Err("write the ASCII form of the name, which begins with xn-- (`idn2 NAME` tells it)".into());
    }
    let labels: Vec<&str> = bare.split('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return Err("a part between two dots is empty".into());
    }
    // What ends in a number is an address: resolvers take 10.1 for 10.0.0.1, and 0x7f.1 for 127.0.0.1.
    let last = labels.last().copied().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|octet| octet.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    {
        let address = bare.parse::<Ipv4Addr>().map(|address| address.to_string());
        return address
            .map_err(|_| "this is no IPv4 address: write four numbers from 0 to 255, such as 192.0.2.1".into());
    }
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    for label in &labels {
        if label.len() > LABEL_MAX || bare.len() > NAME_MAX {
            return Err(bad!("a name has at most {NAME_MAX} characters, and {LABEL_MAX} between two dots"));
        }
        if !label.bytes().all(is_allowed) || label.starts_with('-') || label.ends_with('-') {
            return Err("a name has letters, digits, dots, and hyphens between them".into());
        }
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_a_host_is_understood() {
        for (typed, host) in [
            ("smsc.example.com", "smsc.example.com"),
            (" SMSC.Example.COM\t", "smsc.example.com"),
            ("smsc.example.com.", "smsc.example.com."),
            ("localhost", "localhost"),
            ("smsc_1", "smsc_1"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1.", "192.0.2.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            (" [2001:DB8::1] ", "2001:db8::1"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("[fe80::1%br-lan.2]", "fe80::1%br-lan.2"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("3com.example", "3com.example"),
        ] {
            assert_eq!(parse_host(typed).as_deref(), Ok(host), "{typed}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused_with_what_to_write() {
        for (typed, words) in [
            ("", "a name is empty"),
            ("  ", "a name is empty"),
            ("smpp://x", "write --host x"),
            ("smpp://User@X.example:2775/path?q", "write --host x.example --port 2775 --system-id User"),
            ("smpps://x:2778", "write --host x --port 2778 --tls"),
            ("ssmpp://x", "write --host x --tls"),
            ("http://x/", "write --host x"),
            ("smpp://[::1]:2777", "write --host ::1 --port 2777"),
            ("[::1]:2777", "write --host ::1 --port 2777"),
            ("x:2777", "write --host x --port 2777"),
            ("x:", "write --host x"),
            ("x:http", "write --host x --port NUMBER"),
            ("u@x", "write --host x --system-id u"),
            ("u:secret@x", "write --host x --system-id u"),
            ("x/smpp", "write --host x"),
            ("[::1", "the bracket is not closed"),
            ("[x]", "there is no IPv6 address in the brackets"),
            ("[]", "there is no IPv6 address in the brackets"),
            ("::1::2", "is no IPv6 address"),
            ("a:b:c", "is no IPv6 address"),
            ("fe80::1%", "is no IPv6 address"),
            ("a b", "there is a space in it"),
            ("x..", "a part between two dots is empty"),
            (".x", "a part between two dots is empty"),
            (".", "a part between two dots is empty"),
            ("300.1.1.1", "this is no IPv4 address"),
            ("10.1", "this is no IPv4 address"),
            ("2130706433", "this is no IPv4 address"),
            ("0x7f000001", "this is no IPv4 address"),
            ("192.0.2.010", "this is no IPv4 address"),
            ("m\u{fc}nchen.example", "begins with xn--"),
            ("x\u{1b}[31m", "a name has letters"),
            ("-x", "a name has letters"),
            ("x;y", "a name has letters"),
        ] {
            let said = parse_host(typed).unwrap_err();
            assert!(said.contains(words), "{typed:?}: {said}");
            assert!(!said.contains("secret") && !said.contains('\u{1b}'), "{said:?}");
        }
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join(".");
        assert!(parse_host(&long).is_err() && parse_host(&"a".repeat(64)).is_err());
        assert!(parse_host(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn a_host_without_what_certificates_do_not_have() {
        for (host, expected) in [("x.example.", "x.example"), ("fe80::1%eth0", "fe80::1"), ("::1", "::1"), ("x", "x")] {
            assert_eq!(plain(host), expected);
        }
        for (host, expected) in
            [("localhost.", true), ("LocalHost", true), ("127.3.2.1", true), ("::1", true), ("x", false)]
        {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
        assert!(is_address("fe80::1%eth0") && is_address("192.0.2.1") && !is_address("x.example"));
    }
}
