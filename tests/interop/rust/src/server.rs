//! An SMSC made of rusmpp's codec.

use crate::texts::Texts;
use crate::{Anything, say};
use futures::{SinkExt, StreamExt};
use rusmpp::pdus::{BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp};
use rusmpp::tlvs::MessageDeliveryRequestTlvValue;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, MessageState, Npi, Ton};
use rusmpp::{Command, CommandStatus, Pdu};
use serde_json::json;
use std::collections::HashMap;
use std::str::FromStr;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

const BEFORE_UNBIND: usize = 20;

struct Server {
    texts: Texts,
    binds: usize,
    submits: usize,
    /// This side has said that it unbinds: no more requests.
    leaving: bool,
    /// Receipts that wait for the next bind.
    held: Vec<DeliverSm>,
}

struct Session {
    framed: Framed<TcpStream, CommandCodec>,
    sequence_number: u32,
    /// What each of our requests was.
    asked: HashMap<u32, &'static str>,
}

impl Session {
    async fn answer(&mut self, to: &Command, pdu: impl Into<Pdu>) -> Anything<()> {
        let command = Command::new(CommandStatus::EsmeRok, to.sequence_number(), pdu.into());
        Ok(self.framed.send(command).await?)
    }

    async fn ask(&mut self, what: &'static str, pdu: impl Into<Pdu>) -> Anything<()> {
        self.sequence_number += 1;
        self.asked.insert(self.sequence_number, what);
        Ok(self.framed.send(Command::new(CommandStatus::EsmeRok, self.sequence_number, pdu.into())).await?)
    }
}

pub async fn run() -> Anything<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(json!({"event": "listening", "port": listener.local_addr()?.port()}));
    let mut server = Server { texts: Texts::new(), binds: 0, submits: 0, leaving: false, held: Vec::new() };
    // One session after the other is what the test has.
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, CommandCodec::new());
        let mut session = Session { framed, sequence_number: 0, asked: HashMap::new() };
        while let Some(command) = session.framed.next().await {
            if !server.handle(&mut session, command?).await? {
                break;
            }
        }
    }
}

impl Server {
    /// Returns whether the session goes on.
    async fn handle(&mut self, session: &mut Session, command: Command) -> Anything<bool> {
        match command.pdu() {
            Some(Pdu::BindTransceiver(bind)) => {
                self.binds += 1;
                say(json!({"event": "bind", "system_id": bind.system_id.to_string()}));
                let system_id = COctetString::from_str("rusmpp")?;
                session.answer(&command, BindTransceiverResp::builder().system_id(system_id).build()).await?;
                self.leaving = false;
                for receipt in std::mem::take(&mut self.held) {
                    session.ask("receipt", receipt).await?;
                }
                if self.binds == 2 {
                    inbound(session).await?;
                }
            }
            Some(Pdu::SubmitSm(sm)) => self.submitted(session, &command, sm).await?,
            Some(Pdu::EnquireLink) => session.answer(&command, Pdu::EnquireLinkResp).await?,
            Some(Pdu::Unbind) => {
                say(json!({"event": "unbind"}));
                session.answer(&command, Pdu::UnbindResp).await?;
                return Ok(false);
            }
            _ => {
                let status = u32::from(command.status());
                let what = session.asked.remove(&command.sequence_number()).unwrap_or("nobody");
                say(json!({"event": format!("{what}_answered"), "status": status, "id": u32::from(command.id())}));
                if what == "enquire_link" {
                    self.leaving = true;
                    session.ask("unbind", Pdu::Unbind).await?;
                }
                return Ok(what != "unbind");
            }
        }
        Ok(true)
    }

    async fn submitted(&mut self, session: &mut Session, command: &Command, sm: &SubmitSm) -> Anything<()> {
        self.submits += 1;
        let id = format!("ru-{}", self.submits);
        let (octets, data_coding) = (sm.short_message().as_ref(), u8::from(sm.data_coding));
        let header = if u8::from(sm.esm_class) & 0x40 == 0 { 0 } else { usize::from(octets[0]) + 1 };
        let (udh, octets) = octets.split_at(header);
        let udh: String = udh.iter().map(|octet| format!("{octet:02x}")).collect();
        let text = self.texts.read(data_coding, octets)?;
        let to = sm.destination_addr.to_string();
        say(json!({"event": "submit", "to": to, "data_coding": data_coding, "udh": udh, "text": text}));
        let answer = SubmitSmResp::builder().message_id(COctetString::from_str(&id)?).build();
        session.answer(command, answer).await?;
        let words =
            format!("id:{id} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 text:");
        let receipt = DeliverSm::builder()
            .source_addr_ton(Ton::International)
            .source_addr_npi(Npi::Isdn)
            .source_addr(sm.destination_addr.clone())
            .destination_addr(sm.source_addr.clone())
            .esm_class(EsmClass::from(4))
            .short_message(OctetString::from_str(&words)?)
            .push_tlv(MessageDeliveryRequestTlvValue::ReceiptedMessageId(COctetString::from_str(&id)?))
            .push_tlv(MessageDeliveryRequestTlvValue::MessageState(MessageState::Delivered))
            .build();
        if self.leaving {
            self.held.push(receipt);
            return Ok(());
        }
        session.ask("receipt", receipt).await?;
        if self.submits == BEFORE_UNBIND {
            session.ask("enquire_link", Pdu::EnquireLink).await?;
        }
        Ok(())
    }
}

/// What a handset sends: a short one, and one in two parts.
async fn inbound(session: &mut Session) -> Anything<()> {
    // With braces, two septets each, and the euro sign.
    let short = [b"Yes \x1B(please\x1B) ".to_vec(), b"\x1Be".to_vec()].concat();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let mut all = vec![(0, DataCoding::default(), short)];
    for (at, text) in ["Длинный ", "ответ 😀"].into_iter().enumerate() {
        let octets = [vec![5, 0, 3, 7, 2, at as u8 + 1], wide(text)].concat();
        all.push((0x40, DataCoding::Ucs2, octets));
    }
    for (esm_class, data_coding, octets) in all {
        let message = DeliverSm::builder()
            .source_addr_ton(Ton::International)
            .source_addr_npi(Npi::Isdn)
            .source_addr(COctetString::from_str("447700900999")?)
            .destination_addr(COctetString::from_str("12345")?)
            .esm_class(EsmClass::from(esm_class))
            .data_coding(data_coding)
            .short_message(OctetString::from_vec(octets)?)
            .build();
        session.ask("inbound", message).await?;
    }
    Ok(())
}
