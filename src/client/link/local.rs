//! The address of this machine that connections go out from, where the operator names one: some providers know a machine of
//! several addresses by one of them.

use crate::words::{BadValue, bad};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

/// Addresses to connect from: of each family at most one. None at all: the system chooses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LocalAddresses(Vec<SocketAddr>);

impl LocalAddresses {
    /// The system chooses.
    pub const ANY: &'static Self = &Self(Vec::new());

    /// Those, if each may be one and there are not two of a family. Fails in words.
    pub fn new(addresses: &[SocketAddr]) -> Result<Self, BadValue> {
        let mut all: Vec<SocketAddr> = Vec::new();
        for &address in addresses.iter().filter(|address| !all_has(addresses, address)) {
            if all.iter().any(|other| other.is_ipv6() == address.is_ipv6()) {
                return Err(bad!("two of {}: a connection goes out from one address", family(address)));
            }
            all.push(address);
        }
        Ok(Self(all))
    }

    /// Whether the system chooses.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one to connect to `peer` from; `Ok(None)`: any. Fails in words where there is none of its family.
    pub fn for_peer(&self, peer: SocketAddr) -> Result<Option<SocketAddr>, BadValue> {
        match self.0.iter().find(|own| own.is_ipv6() == peer.is_ipv6()) {
            Some(own) => Ok(Some(*own)),
            None if self.0.is_empty() => Ok(None),
            None => Err(bad!("it is {}, and --local-address {self} is not", family(peer))),
        }
    }

    /// Fails in words where one of them is not this machine's.
    pub fn check(&self) -> Result<(), BadValue> {
        for address in &self.0 {
            match UdpSocket::bind(address) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    return Err(bad!(
                        "this machine does not have the address {} (`ip address` lists them)",
                        address.ip()
                    ));
                }
                Err(error) => return Err(bad!("{}: {}", address.ip(), crate::words::trouble::words(&error))),
            }
        }
        Ok(())
    }
}

/// Typed twice is typed once: only the first of equal ones counts.
fn all_has(addresses: &[SocketAddr], address: &SocketAddr) -> bool {
    let first = addresses.iter().find(|other| *other == address);
    first.is_some_and(|first| !std::ptr::eq(first, address))
}

impl fmt::Display for LocalAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|address| address.ip().to_string()).collect();
        f.write_str(&all.join(","))
    }
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}

/// Reads an address as it is typed: IPv4, or IPv6 with or without brackets and a zone.
pub fn parse_local(typed: &str) -> Result<SocketAddr, BadValue> {
    let host = super::parse_host(typed)?;
    if !super::host::is_address(&host) {
        return Err("that is a name: write an address of this machine, such as 192.0.2.1".into());
    }
    let found = (host.as_str(), 0).to_socket_addrs().ok().and_then(|mut found| found.next());
    let mut address = found.ok_or_else(|| bad!("{host}: this machine has no such interface"))?;
    if address.ip().to_canonical() != address.ip() {
        address = SocketAddr::new(address.ip().to_canonical(), 0);
    }
    match address.ip() {
        ip if ip.is_unspecified() => Err("that is any address, as without this option".into()),
        ip if ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast()) => {
            Err("that is an address of many, and of no machine".into())
        }
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &[&str]) -> Result<LocalAddresses, BadValue> {
        let all: Vec<SocketAddr> = typed.iter().map(|typed| parse_local(typed)).collect::<Result<_, _>>()?;
        LocalAddresses::new(&all)
    }

    #[test]
    fn an_address_of_each_family_at_most() {
        for (typed, shown) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1", "2001:db8::1"], "192.0.2.1,2001:db8::1"),
            (&["192.0.2.1", "192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(read(typed).unwrap().to_string(), shown, "{typed:?}");
        }
        for (typed, words) in [
            (&["192.0.2.1", "192.0.2.2"][..], "two of IPv4"),
            (&["::1", "2001:db8::1"], "two of IPv6"),
            (&["0.0.0.0"], "any address"),
            (&["::"], "any address"),
            (&["224.0.0.1"], "an address of many"),
            (&["smsc.example"], "that is a name"),
            (&["192.0.2.1:5000"], "more than a host"),
            (&["fe80::1%nosuch0"], "no such interface"),
            (&[""], "a name is empty"),
        ] {
            let said = read(typed).unwrap_err();
            assert!(said.contains(words), "{typed:?}: {said}");
        }
    }

    #[test]
    fn each_peer_has_the_one_of_its_family() {
        let peers: [SocketAddr; 2] = ["192.0.2.9:1".parse().unwrap(), "[2001:db8::9]:1".parse().unwrap()];
        assert_eq!(LocalAddresses::default().for_peer(peers[0]), Ok(None));
        let both = read(&["127.0.0.1", "::1"]).unwrap();
        for peer in peers {
            assert_eq!(both.for_peer(peer).unwrap().unwrap().is_ipv6(), peer.is_ipv6());
        }
        let words = read(&["127.0.0.1"]).unwrap().for_peer(peers[1]).unwrap_err();
        assert_eq!(&*words, "it is IPv6, and --local-address 127.0.0.1 is not");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        read(&["127.0.0.1"]).unwrap().check().unwrap();
        let words = read(&["192.0.2.1"]).unwrap().check().unwrap_err();
        assert!(words.contains("does not have the address 192.0.2.1"), "{words}");
    }
}
