//! A reader of pcapng for tests: blocks, raw IP, TCP, and the PDUs in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A PDU, as it stands in a record.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub at_ns: u64,
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    pub frame: Vec<u8>,
}

impl Recorded {
    pub fn command_id(&self) -> u32 {
        u32::from_be_bytes(self.frame[4..8].try_into().unwrap())
    }

    pub fn sequence_number(&self) -> u32 {
        u32::from_be_bytes(self.frame[12..16].try_into().unwrap())
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Pcap {
    pub pdus: Vec<Recorded>,
    pub comments: Vec<String>,
    /// The file ends within a block.
    pub is_cut: bool,
}

impl Pcap {
    pub fn of(&self, command_id: u32) -> Vec<&Recorded> {
        self.pdus.iter().filter(|pdu| pdu.command_id() == command_id).collect()
    }
}

pub fn read(path: &Path) -> Pcap {
    parse(&std::fs::read(path).unwrap())
}

/// A direction of a connection: the next sequence number, and what has come of a PDU.
type Streams = BTreeMap<((IpAddr, u16), (IpAddr, u16)), (u32, Vec<u8>)>;

pub fn parse(octets: &[u8]) -> Pcap {
    let le = |at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().unwrap());
    let (mut pcap, mut streams, mut at) = (Pcap::default(), Streams::new(), 0);
    let mut kinds = Vec::new();
    while at < octets.len() {
        if octets.len() < at + 12 || octets.len() < at + le(at + 4) as usize {
            pcap.is_cut = true;
            break;
        }
        let (kind, length) = (le(at), le(at + 4) as usize);
        assert!(length % 4 == 0 && le(at + length - 4) as usize == length, "a block's lengths at {at}");
        kinds.push(kind);
        match kind {
            0x0A0D_0D0A => assert_eq!(le(at + 8), 0x1A2B_3C4D),
            1 => assert_eq!(u16::from_le_bytes([octets[at + 8], octets[at + 9]]), 101, "raw IP"),
            6 => {
                let at_ns = (u64::from(le(at + 12)) << 32) | u64::from(le(at + 16));
                let captured = le(at + 20) as usize;
                assert_eq!(le(at + 24) as usize, captured, "whole packets");
                packet(&octets[at + 28..at + 28 + captured], at_ns, &mut streams, &mut pcap);
                options(&octets[at + 28 + captured.next_multiple_of(4)..at + length - 4], &mut pcap.comments);
            }
            other => panic!("a block of kind {other:#x}"),
        }
        at += length;
    }
    assert!(kinds.is_empty() || kinds.starts_with(&[0x0A0D_0D0A, 1]), "{kinds:x?}");
    pcap
}

fn options(mut octets: &[u8], comments: &mut Vec<String>) {
    loop {
        let code = u16::from_le_bytes([octets[0], octets[1]]);
        let length = usize::from(u16::from_le_bytes([octets[2], octets[3]]));
        match code {
            0 => return,
            1 => comments.push(String::from_utf8(octets[4..4 + length].to_vec()).unwrap()),
            _ => {}
        }
        octets = &octets[4 + length.next_multiple_of(4)..];
    }
}

fn sum(octets: impl Iterator<Item = u8>) -> u16 {
    let octets: Vec<u8> = octets.collect();
    let mut sum: u64 =
        octets.chunks(2).map(|pair| u64::from(pair[0]) * 256 + u64::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

fn packet(packet: &[u8], at_ns: u64, streams: &mut Streams, pcap: &mut Pcap) {
    let (from, to, addresses, tcp) = match packet[0] >> 4 {
        4 => {
            assert_eq!(sum(packet[..20].iter().copied()), 0xFFFF, "the checksum of IP");
            assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
            let ip = |at: usize| IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()));
            (ip(12), ip(16), &packet[12..20], &packet[20..])
        }
        6 => {
            let ip = |at: usize| IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap()));
            (ip(8), ip(24), &packet[8..40], &packet[40..])
        }
        version => panic!("IP version {version}"),
    };
    let pseudo = [0, 6].into_iter().chain((tcp.len() as u16).to_be_bytes());
    assert_eq!(sum(addresses.iter().copied().chain(pseudo).chain(tcp.iter().copied())), 0xFFFF, "the checksum of TCP");
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
    let (from, to) = ((from, port(0)), (to, port(2)));
    let is_syn = tcp[13] & 2 != 0;
    let (next, pending) = streams.entry((from, to)).or_insert((seq, Vec::new()));
    if is_syn {
        *next = seq + 1;
        return;
    }
    assert_eq!(*next, seq, "octets follow each other without a gap");
    *next = next.wrapping_add((tcp.len() - 20) as u32);
    pending.extend(&tcp[20..]);
    while let Some(head) = pending.first_chunk::<4>() {
        let length = u32::from_be_bytes(*head) as usize;
        assert!((16..=70_000).contains(&length), "a PDU of {length}");
        if pending.len() < length {
            break;
        }
        let frame = pending.drain(..length).collect();
        pcap.pdus.push(Recorded { at_ns, from, to, frame });
    }
}
