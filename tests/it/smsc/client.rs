//! A client as small as it can be: requests written by the codec, answers awaited one by one.
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use smppost::smsc::{Settings, Smsc};
use smppost::wire::{
    Address, Bind, BindKind, CommandId, CommandStatus, FrameBuffer, Pdu, Sm, Tlvs, decode, encode,
    encode_deliver_sm_resp, encode_header_only,
};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A simulator on a free port, without a rate limit.
pub fn smsc(change: impl FnOnce(&mut Settings)) -> Smsc {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    change(&mut settings);
    Smsc::start(settings).unwrap()
}

/// A PDU as it came, owned.
#[derive(Clone, Debug)]
pub struct Frame(pub Vec<u8>);

impl Frame {
    pub fn id(&self) -> CommandId {
        decode(&self.0).unwrap().0.command_id
    }

    pub fn status(&self) -> u32 {
        decode(&self.0).unwrap().0.command_status.0
    }

    pub fn sequence_number(&self) -> u32 {
        decode(&self.0).unwrap().0.sequence_number
    }

    pub fn pdu(&self) -> Pdu<'_> {
        decode(&self.0).unwrap().1
    }

    /// The message_id of an answer to a submit.
    pub fn message_id(&self) -> String {
        match self.pdu() {
            Pdu::SubmitSmResp(answer) | Pdu::DataSmResp(answer) => {
                String::from_utf8(answer.message_id.to_vec()).unwrap()
            }
            other => panic!("{other:?} is no answer to a submit"),
        }
    }

    /// The text of a deliver_sm.
    pub fn text(&self) -> String {
        match self.pdu() {
            Pdu::DeliverSm(sm) => String::from_utf8_lossy(sm.text()).into_owned(),
            Pdu::DataSm(data) => String::from_utf8_lossy(data.text()).into_owned(),
            other => panic!("{other:?} carries no text"),
        }
    }

    pub fn tlvs(&self) -> Tlvs<'_> {
        match self.pdu() {
            Pdu::DeliverSm(sm) => sm.tlvs,
            Pdu::DataSm(data) => data.tlvs,
            Pdu::BindResp(answer) => answer.tlvs,
            other => panic!("{other:?} carries no TLVs"),
        }
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    frames: FrameBuffer,
    waiting: VecDeque<Frame>,
    sequence_number: u32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// Over a connection that is there.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        Client { stream, frames: FrameBuffer::new(), waiting: VecDeque::new(), sequence_number: 0 }
    }

    /// Connected and bound as `account`, version 3.4.
    pub fn bound(smsc: &Smsc, kind: BindKind, account: &str) -> Client {
        let mut client = Client::connect(smsc.local_addr());
        let answer = client.bind(kind, account, "secret", 0x34);
        assert_eq!(answer.status(), 0, "{answer:?}");
        client
    }

    pub fn bind(&mut self, kind: BindKind, system_id: &str, password: &str, interface_version: u8) -> Frame {
        self.request(&Pdu::Bind(Bind {
            kind,
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
            system_type: b"",
            interface_version,
            addr_ton: 0,
            addr_npi: 0,
            address_range: b"",
        }))
    }

    pub fn next_sequence(&mut self) -> u32 {
        self.sequence_number += 1;
        self.sequence_number
    }

    /// Sends a request and gives its sequence number.
    pub fn send(&mut self, pdu: &Pdu<'_>) -> u32 {
        let sequence_number = self.next_sequence();
        let mut out = Vec::new();
        encode(pdu, sequence_number, CommandStatus::OK, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
        sequence_number
    }

    /// Sends a request and waits for its answer; what else comes is kept for `receive`.
    pub fn request(&mut self, pdu: &Pdu<'_>) -> Frame {
        let sequence_number = self.send(pdu);
        let mut others = Vec::new();
        let answer = loop {
            let frame = self.receive();
            if frame.id().is_response() && frame.sequence_number() == sequence_number {
                break frame;
            }
            others.push(frame);
        };
        others.into_iter().rev().for_each(|frame| self.waiting.push_front(frame));
        answer
    }

    /// Sends a header alone.
    pub fn send_header(&mut self, id: CommandId, status: u32, sequence_number: u32) {
        let mut out = Vec::new();
        encode_header_only(id, CommandStatus(status), sequence_number, &mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// The next PDU, whatever it is.
    pub fn receive(&mut self) -> Frame {
        self.receive_within(PATIENCE).expect("nothing came")
    }

    /// The next PDU, or `None` when the connection ends or the time does.
    pub fn receive_within(&mut self, time: Duration) -> Option<Frame> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(frame);
        }
        let until = Instant::now() + time;
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return Some(Frame(frame.to_vec()));
            }
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(self.frames.spare()) {
                Ok(count) if count > 0 => self.frames.filled(count),
                _ => return None,
            }
        }
    }

    /// The next deliver_sm or data_sm, answered with `status`.
    pub fn take_receipt(&mut self, status: u32) -> Frame {
        let receipt = self.receive();
        assert!(matches!(receipt.id(), CommandId::DELIVER_SM | CommandId::DATA_SM), "{receipt:?}");
        self.answer_receipt(&receipt, status);
        receipt
    }

    pub fn answer_receipt(&mut self, receipt: &Frame, status: u32) {
        let mut out = Vec::new();
        encode_deliver_sm_resp(receipt.sequence_number(), CommandStatus(status), &mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// Sends a request, where the connection is still there.
    pub fn try_send(&mut self, pdu: &Pdu<'_>) -> Option<u32> {
        let sequence_number = self.next_sequence();
        let mut out = Vec::new();
        encode(pdu, sequence_number, CommandStatus::OK, &mut out).unwrap();
        self.stream.write_all(&out).ok().map(|()| sequence_number)
    }

    /// Sends a header alone, where the connection is still there.
    pub fn try_send_header(&mut self, id: CommandId, status: u32, sequence_number: u32) {
        let mut out = Vec::new();
        encode_header_only(id, CommandStatus(status), sequence_number, &mut out);
        let _ = self.stream.write_all(&out);
    }

    /// Answers a deliver_sm or data_sm, where the connection is still there.
    pub fn try_answer(&mut self, frame: &Frame, status: u32) {
        self.try_send_header(frame.id().response(), status, frame.sequence_number());
    }

    /// Binds, and says whether that was answered with success.
    pub fn try_bind(&mut self, kind: BindKind, system_id: &str) -> bool {
        let bind = Bind {
            kind,
            system_id: system_id.as_bytes(),
            password: b"",
            system_type: b"",
            interface_version: 0x34,
            addr_ton: 0,
            addr_npi: 0,
            address_range: b"",
        };
        let Some(number) = self.try_send(&Pdu::Bind(bind)) else { return false };
        let until = Instant::now() + Duration::from_secs(5);
        while let Some(frame) = self.receive_within(until.saturating_duration_since(Instant::now())) {
            if frame.id().is_response() && frame.sequence_number() == number {
                return frame.status() == 0;
            }
        }
        false
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let is_over = match self.stream.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        self.stream.set_nonblocking(false).unwrap();
        is_over
    }

    /// Whether the simulator closes the connection; what it still says is given.
    pub fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let until = Instant::now() + PATIENCE;
        while let Some(frame) = self.receive_within(PATIENCE) {
            frames.push(frame);
        }
        assert!(Instant::now() < until, "the connection stays open");
        frames
    }
}

/// A message that the provider accepts, with a receipt asked for.
pub fn message<'a>() -> Sm<'a> {
    Sm {
        source: Address::new(5, 0, b"Sender"),
        destination: Address::new(1, 1, b"491700000001"),
        registered_delivery: 1,
        short_message: b"Hello",
        ..Sm::default()
    }
}
