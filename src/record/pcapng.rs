//! pcapng (IETF draft-ietf-opsawg-pcapng), with each PDU as TCP over IP: without TLS whatever the wire had, and on ports by
//! which Wireshark takes it for nothing else.

use super::{Line, Way};
use std::net::{IpAddr, SocketAddr};

/// LINKTYPE_RAW: a packet begins with its IP header.
const LINKTYPE_RAW: u16 = 101;
/// Wireshark has a dissector of another protocol for many ports, and asks it first; for this one it has none.
const SMSC_PORT: u16 = 2775;
/// Ports for the other side from here on, so many: no protocol of Wireshark's is among them.
const CLIENT_PORTS: (u16, u64) = (50_000, 6_000);
/// Octets of a PDU in one packet; IP allows 65,535 with its headers.
const SEGMENT_MAX: usize = 60_000;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;
const COMMENT: u16 = 1;
const EPB_FLAGS: u16 = 2;
const IF_TSRESOL: u16 = 9;
const SHB_USERAPPL: u16 = 4;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// How such a file begins.
pub const MAGIC: [u8; 4] = SECTION_HEADER.to_le_bytes();

/// The beginning of a file.
pub fn header(out: &mut Vec<u8>) {
    block(SECTION_HEADER, out, |out| {
        out.extend(BYTE_ORDER.to_le_bytes());
        out.extend([1, 0, 0, 0]);
        out.extend((-1_i64).to_le_bytes());
        option(SHB_USERAPPL, concat!("smppost ", env!("CARGO_PKG_VERSION")).as_bytes(), out);
        option(0, b"", out);
    });
    block(INTERFACE, out, |out| {
        out.extend(LINKTYPE_RAW.to_le_bytes());
        out.extend([0; 6]);
        // Nanoseconds.
        option(IF_TSRESOL, &[9], out);
        option(0, b"", out);
    });
}

/// A connection as TCP: what was written of it so far.
#[derive(Debug)]
pub struct Flow {
    line: Line,
    /// The next sequence numbers, of what came and what was sent.
    next: [u32; 2],
}

impl Flow {
    pub fn new(line: Line) -> Self {
        Self { line, next: [0, 0] }
    }

    /// The three packets by which TCP opens; the first says what the true addresses are.
    pub fn open(&mut self, at_ns: u64, out: &mut Vec<u8>) {
        let line = &self.line;
        let (client, server) = if line.is_server { (line.peer, line.own) } else { (line.own, line.peer) };
        let comment = format!(
            "smppost: connection {}, from {client} to {server}{}; shown here without TLS, the SMSC on port {SMSC_PORT}",
            line.number,
            if line.is_tls { " over TLS" } else { "" },
        );
        let (opens, answers) = if line.is_server { (Way::Came, Way::Sent) } else { (Way::Sent, Way::Came) };
        self.packet(opens, SYN, &[], at_ns, Some(&comment), out);
        self.next[opens as usize] = 1;
        self.packet(answers, SYN | ACK, &[], at_ns, None, out);
        self.next[answers as usize] = 1;
        self.packet(opens, ACK, &[], at_ns, None, out);
    }

    /// A PDU, in as many packets as it takes.
    pub fn pdu(&mut self, way: Way, frame: &[u8], at_ns: u64, comment: Option<&str>, out: &mut Vec<u8>) {
        let mut comment = comment;
        for segment in frame.chunks(SEGMENT_MAX) {
            self.packet(way, PUSH | ACK, segment, at_ns, comment.take(), out);
            self.next[way as usize] = self.next[way as usize].wrapping_add(segment.len() as u32);
        }
    }

    /// A packet without a PDU, to say something.
    pub fn note(&self, way: Way, at_ns: u64, comment: &str, out: &mut Vec<u8>) {
        self.packet(way, ACK, &[], at_ns, Some(comment), out);
    }

    /// One side says no more.
    pub fn close(&mut self, way: Way, at_ns: u64, out: &mut Vec<u8>) {
        self.packet(way, FIN | ACK, &[], at_ns, None, out);
        self.next[way as usize] = self.next[way as usize].wrapping_add(1);
    }

    fn packet(&self, way: Way, flags: u8, octets: &[u8], at_ns: u64, comment: Option<&str>, out: &mut Vec<u8>) {
        let port = CLIENT_PORTS.0 + (self.line.number % CLIENT_PORTS.1) as u16;
        let (own_port, peer_port) = if self.line.is_server { (SMSC_PORT, port) } else { (port, SMSC_PORT) };
        let own = SocketAddr::new(self.line.own.ip().to_canonical(), own_port);
        let peer = SocketAddr::new(self.line.peer.ip().to_canonical(), peer_port);
        let ((from, to), (next, seen)) = match way {
            Way::Sent => ((own, peer), (Way::Sent, Way::Came)),
            Way::Came => ((peer, own), (Way::Came, Way::Sent)),
        };
        let acknowledged = if flags & ACK == 0 { 0 } else { self.next[seen as usize] };
        let mut packet = Vec::with_capacity(octets.len() + 60);
        ip(from, to, flags, self.next[next as usize], acknowledged, octets, &mut packet);
        block(ENHANCED_PACKET, out, |out| {
            out.extend(0_u32.to_le_bytes());
            out.extend(((at_ns >> 32) as u32).to_le_bytes());
            out.extend((at_ns as u32).to_le_bytes());
            out.extend((packet.len() as u32).to_le_bytes());
            out.extend((packet.len() as u32).to_le_bytes());
            out.extend(&packet);
            pad(out);
            // Inbound is 1, outbound 2.
            let direction: u32 = if way == Way::Came { 1 } else { 2 };
            option(EPB_FLAGS, &direction.to_le_bytes(), out);
            if let Some(comment) = comment {
                option(COMMENT, comment.as_bytes(), out);
            }
            option(0, b"", out);
        });
    }
}

/// An IP packet with a TCP segment.
fn ip(from: SocketAddr, to: SocketAddr, flags: u8, seq: u32, ack: u32, octets: &[u8], out: &mut Vec<u8>) {
    const TCP_OCTETS: usize = 20;
    const TCP: u8 = 6;
    let length = (TCP_OCTETS + octets.len()) as u16;
    let mut pseudo = Vec::with_capacity(40);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend([0x45, 0]);
            out.extend((20 + length).to_be_bytes());
            out.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = checksum(&[&out[start..]]).to_be_bytes();
            out[start + 10..start + 12].copy_from_slice(&sum);
            pseudo.extend(from.octets());
            pseudo.extend(to.octets());
        }
        (from, to) => {
            let v6 = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            out.extend([0x60, 0, 0, 0]);
            out.extend(length.to_be_bytes());
            out.extend([TCP, 64]);
            out.extend(v6(from).octets());
            out.extend(v6(to).octets());
            pseudo.extend(v6(from).octets());
            pseudo.extend(v6(to).octets());
        }
    }
    pseudo.extend([0, TCP]);
    pseudo.extend(length.to_be_bytes());
    let start = out.len();
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(ack.to_be_bytes());
    out.extend([0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
    out.extend(octets);
    let sum = checksum(&[&pseudo, &out[start..]]).to_be_bytes();
    out[start + 16..start + 18].copy_from_slice(&sum);
}

/// RFC 1071, over parts of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

fn block(kind: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out.extend(length);
    out[start + 4..start + 8].copy_from_slice(&length);
}

fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out);
}

/// To a multiple of 4, from the beginning of the file: all blocks have such a length.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
