//! A record as text: a line for each PDU, with its fields and its octets.

use super::{Line, Way};
use crate::wire::{Address, Pdu, Tlvs, decode, decode_header};
use crate::words::escape::hex;
use std::fmt::Write;

/// How such a file begins.
pub const MAGIC: &str = "# smppost record";

/// The beginning of a file.
pub fn header(out: &mut String) {
    let _ = writeln!(out, "{MAGIC}: time, connection, direction, PDU with its fields, | and its octets");
}

fn begin(at_ns: u64, line: u64, out: &mut String) {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at_ns)).unwrap_or_default();
    let _ = write!(out, "{at:.6} {line} ");
}

pub fn opened(line: &Line, at_ns: u64, out: &mut String) {
    begin(at_ns, line.number, out);
    let tls = if line.is_tls { ", TLS" } else { "" };
    let way = if line.is_server { "from" } else { "to" };
    let _ = writeln!(out, "connection {way} {} (this side: {}{tls})", line.peer, line.own);
}

pub fn said(line: u64, at_ns: u64, words: &str, out: &mut String) {
    begin(at_ns, line, out);
    let _ = writeln!(out, "{words}");
}

/// A PDU. What it holds is shown with escapes.
pub fn pdu(line: u64, way: Way, frame: &[u8], at_ns: u64, out: &mut String) {
    begin(at_ns, line, out);
    out.push_str(if way == Way::Sent { "sent" } else { "came" });
    if let Some(header) = decode_header(frame) {
        let _ = write!(out, " {} seq={}", header.command_id, header.sequence_number);
        if header.command_id.is_response() || header.command_status.0 != 0 {
            let _ = write!(out, " status={}", header.command_status);
        }
    }
    match decode(frame) {
        Ok((_, pdu)) => fields(&pdu, out),
        Err(error) => drop(write!(out, " cannot be read: {error}")),
    }
    let _ = writeln!(out, " | {}", hex(frame));
}

fn fields(pdu: &Pdu<'_>, out: &mut String) {
    match pdu {
        Pdu::Bind(bind) => {
            string("system_id", bind.system_id, out);
            string("password", bind.password, out);
            string("system_type", bind.system_type, out);
            let _ = write!(out, " interface_version=0x{:02X}", bind.interface_version);
            address("address_range", &Address::new(bind.addr_ton, bind.addr_npi, bind.address_range), out);
        }
        Pdu::BindResp(answer) => {
            string("system_id", answer.system_id, out);
            tlvs(answer.tlvs, out);
        }
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => {
            string("service_type", sm.service_type, out);
            address("source_addr", &sm.source, out);
            address("destination_addr", &sm.destination, out);
            let _ = write!(
                out,
                " esm_class=0x{:02X} protocol_id={} priority_flag={}",
                sm.esm_class, sm.protocol_id, sm.priority_flag
            );
            string("schedule_delivery_time", sm.schedule_delivery_time, out);
            string("validity_period", sm.validity_period, out);
            let _ = write!(out, " registered_delivery={} data_coding={}", sm.registered_delivery, sm.data_coding);
            string("short_message", sm.short_message, out);
            tlvs(sm.tlvs, out);
        }
        Pdu::DataSm(data) => {
            string("service_type", data.service_type, out);
            address("source_addr", &data.source, out);
            address("destination_addr", &data.destination, out);
            let _ = write!(
                out,
                " esm_class=0x{:02X} registered_delivery={} data_coding={}",
                data.esm_class, data.registered_delivery, data.data_coding
            );
            tlvs(data.tlvs, out);
        }
        Pdu::SubmitSmResp(answer) | Pdu::DeliverSmResp(answer) | Pdu::DataSmResp(answer) => {
            string("message_id", answer.message_id, out);
            tlvs(answer.tlvs, out);
        }
        Pdu::QuerySm(query) => {
            string("message_id", query.message_id, out);
            address("source_addr", &query.source, out);
        }
        Pdu::QuerySmResp(answer) => {
            string("message_id", answer.message_id, out);
            string("final_date", answer.final_date, out);
            let _ = write!(out, " message_state={} error_code={}", answer.message_state, answer.error_code);
            tlvs(answer.tlvs, out);
        }
        Pdu::CancelSm(cancel) => {
            string("message_id", cancel.message_id, out);
            address("source_addr", &cancel.source, out);
            address("destination_addr", &cancel.destination, out);
        }
        Pdu::ReplaceSm(replace) => {
            string("message_id", replace.message_id, out);
            address("source_addr", &replace.source, out);
            string("short_message", replace.short_message, out);
            tlvs(replace.tlvs, out);
        }
        Pdu::AlertNotification(alert) => {
            address("source_addr", &alert.source, out);
            address("esme_addr", &alert.esme, out);
            tlvs(alert.tlvs, out);
        }
        // Seldom seen: the octets have it.
        _ => {}
    }
}

fn string(name: &str, value: &[u8], out: &mut String) {
    if !value.is_empty() {
        let _ = write!(out, " {name}=\"{}\"", value.escape_ascii());
    }
}

fn address(name: &str, address: &Address<'_>, out: &mut String) {
    if !address.addr.is_empty() || address.ton != 0 || address.npi != 0 {
        let _ = write!(out, " {name}={}/{}/\"{}\"", address.ton, address.npi, address.addr.escape_ascii());
    }
}

fn tlvs(tlvs: Tlvs<'_>, out: &mut String) {
    for tlv in tlvs.iter() {
        let is_text = tlv.value.len() > 2 && tlv.value.iter().all(|octet| (b' '..=b'~').contains(octet) || *octet == 0);
        let value = if is_text { format!("\"{}\"", tlv.value.escape_ascii()) } else { format!("0x{}", hex(tlv.value)) };
        let _ = write!(out, " {}={value}", tlv.tag);
    }
}
