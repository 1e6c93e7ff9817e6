//! An ESME made of rusmppc: one task for each message, and one that hears events.

use crate::{Anything, say};
use futures::StreamExt;
use rusmpp::extra::concatenation::SubmitSmMultipartExt;
use rusmpp::extra::encoding::ucs2::Ucs2;
use rusmpp::pdus::{BindTransceiver, DeliverSmResp, SubmitSm};
use rusmpp::tlvs::TlvValue;
use rusmpp::types::COctetString;
use rusmpp::values::{MessageState, Npi, RegisteredDelivery, Ton};
use rusmpp::{Command, Pdu};
use rusmppc::{ConnectionBuilder, Event};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

fn submits(to: &str, text: &str, reference: u8) -> Anything<Vec<SubmitSm>> {
    let parts = SubmitSm::builder()
        .source_addr_ton(Ton::Alphanumeric)
        .source_addr(COctetString::from_str("Test")?)
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(COctetString::from_str(to)?)
        .registered_delivery(RegisteredDelivery::from(1))
        .build()
        .multipart(text)
        .reference_u8(reference)
        .gsm7bit_unpacked()
        .fallback(Ucs2::new())
        .build();
    Ok(parts?)
}

/// The id and the state of a receipt, as its TLVs say them.
fn receipt(command: &Command) -> Option<(String, MessageState)> {
    let Some(Pdu::DeliverSm(sm)) = command.pdu() else { return None };
    let (mut id, mut state) = (None, None);
    for tlv in sm.tlvs() {
        match tlv.value() {
            Some(TlvValue::ReceiptedMessageId(value)) => id = Some(value.to_string()),
            Some(TlvValue::MessageState(value)) => state = Some(*value),
            _ => {}
        }
    }
    Some((id?, state?))
}

pub async fn run(port: &str, file: &str) -> Anything<()> {
    let messages: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    // rusmppc 0.4.0 looks at five requests at a time and then sleeps without asking to be woken for the rest: its timer wakes it.
    let (client, mut events) = ConnectionBuilder::new()
        .enquire_link_interval(Duration::from_millis(100))
        .connect(format!("smpp://127.0.0.1:{port}"))
        .await?;
    let bind = BindTransceiver::builder()
        .system_id(COctetString::from_str("test")?)
        .password(COctetString::from_str("secret")?)
        .build();
    let bound = client.bind_transceiver(bind).await?;
    say(json!({"event": "bound", "status": 0, "system_id": bound.system_id.to_string()}));
    let answering = client.clone();
    let (sender, mut receipts) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Incoming(command) = event {
                let _ = answering.deliver_sm_resp(command.sequence_number(), DeliverSmResp::default()).await;
                let _ = sender.send(receipt(&command));
            }
        }
    });
    let mut tasks = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let (to, text) = (message["to"].as_str().unwrap_or_default(), message["text"].as_str().unwrap_or_default());
        for submit in submits(to, text, number as u8)? {
            let (client, to) = (client.clone(), to.to_owned());
            tasks.push(tokio::spawn(async move { (to, client.submit_sm(submit).await) }));
        }
    }
    let mut sent = HashMap::new();
    for task in tasks {
        let (to, answer) = task.await?;
        let id = answer?.message_id().to_string();
        say(json!({"event": "answered", "status": 0, "to": to, "id": id}));
        sent.insert(id, to);
    }
    for _ in 0..sent.len() {
        let Some(Some((id, state))) = receipts.recv().await else { return Err("an event that is no receipt".into()) };
        let to = sent.get(&id).ok_or("a receipt of an unknown id")?;
        say(json!({"event": "receipt", "to": to, "id": id, "message_state": u8::from(state), "right": true}));
    }
    client.enquire_link().await?;
    say(json!({"event": "enquire_link_answered", "status": 0}));
    client.unbind().await?;
    say(json!({"event": "unbound", "status": 0}));
    // The simulator has closed the connection by now, as it may.
    let _ = client.close().await;
    client.closed().await;
    Ok(())
}
