//! The ledger's lines for people: a line for each event, its time, its session, and what there is to see. What a client sent is
//! shown with escapes.
use std::fmt::Write;

use serde_json::Value;

use crate::wire::CommandStatus;
use crate::words::escape::escape_terminal;

/// The lines of a batch, each as people read it.
pub(super) fn lines(lines: &[u8]) -> String {
    let mut shown = String::new();
    for line in lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Value>(line) {
            Ok(value) => one(&value, &mut shown),
            Err(_) => shown += &String::from_utf8_lossy(line),
        }
        shown.push('\n');
    }
    shown
}

fn one(line: &Value, out: &mut String) {
    let text = |name: &str| escape_terminal(line[name].as_str().unwrap_or_default()).into_owned();
    let number = |name: &str| line[name].as_u64().unwrap_or_default();
    let part = || match (line["part"].as_u64(), line["total"].as_u64()) {
        (Some(part), Some(total)) => format!(" part {part}/{total}"),
        _ => String::new(),
    };
    let kind = line["kind"].as_str().unwrap_or_default();
    // The time of the day, to the millisecond.
    let time = line["time"].as_str().unwrap_or_default();
    let time = time.get(11..23).unwrap_or(time);
    let _ = write!(out, "{time} [{}] {} ", number("session"), text("system_id"));
    match kind {
        "submit" => {
            let _ = write!(out, "{} {} -> {}{}", text("command"), text("source"), text("destination"), part());
            let _ = write!(out, ": \"{}\"", text("text"));
            let _ = match line["message_id"].as_str() {
                Some(_) => write!(out, " = {}", text("message_id")),
                None => write!(out, " REFUSED {} for {}", CommandStatus(number("status") as u32), text("refused_for")),
            };
            for tlv in line["tlvs"].as_array().into_iter().flatten() {
                let name = tlv["name"].as_str().or(tlv["tag"].as_str()).unwrap_or_default();
                let _ = write!(out, " {name}=0x{}", tlv["value"].as_str().unwrap_or_default());
            }
        }
        "joined" => {
            let _ = write!(out, "whole {} -> {}: \"{}\"", text("source"), text("destination"), text("text"));
        }
        "receipt" => {
            let _ = write!(out, "receipt {} to {}: {}", text("message_id"), text("source"), text("state"));
        }
        "receipt_answered" => {
            let _ = write!(out, "receipt {} answered {}", text("message_id"), CommandStatus(number("status") as u32));
        }
        "inbound" => {
            let (from, to) = (text("source"), text("destination"));
            let _ =
                write!(out, "from handset #{} {from} -> {to}{}: \"{}\"", number("inbound_id"), part(), text("text"));
        }
        "inbound_answered" => {
            let status = CommandStatus(number("status") as u32);
            let _ = write!(out, "from handset #{} part {} answered {status}", number("inbound_id"), number("part"));
        }
        "inbound_given_up" => {
            let _ = write!(out, "from handset #{} given up: {}", number("inbound_id"), text("reason"));
        }
        "bind" => {
            let status = CommandStatus(number("status") as u32);
            let _ = write!(out, "{} {} from {}: {status}", text("command"), text("version"), text("peer"));
        }
        "operation" => {
            let status = CommandStatus(number("status") as u32);
            let _ = write!(out, "{} {}: {status}", text("command"), text("message_id"));
        }
        other => out.push_str(other),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_kind_is_a_line() {
        let given = concat!(
            r#"{"kind":"submit","time":"2026-11-23T09:15:00.123456Z","session":3,"system_id":"acme","command":"submit_sm","status":0,"#,
            r#""message_id":"00ff","source":"Me","destination":"4477","total":2,"part":1,"text":"a\u001b[31m","tlvs":"#,
            r#"[{"tag":"0x1401","name":null,"value":"01"}]}"#,
            "\n",
            r#"{"kind":"submit","time":"2026-11-23T09:15:00.123456Z","session":3,"system_id":"acme","command":"submit_sm","status":11,"#,
            r#""message_id":null,"source":"Me","destination":"4","total":null,"part":null,"text":"x","refused_for":"destination_addr"}"#,
            "\n",
            r#"{"kind":"inbound_answered","time":"t","session":1,"system_id":"a","status":0,"inbound_id":7,"part":1}"#,
            "\n",
            r#"{"kind":"closed","time":"t","session":1,"system_id":"a"}"#,
            "\n",
        );
        let shown = super::lines(given.as_bytes());
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("09:15:00.123 [3] acme submit_sm Me -> 4477 part 1/2: \"a"), "{}", lines[0]);
        assert!(lines[0].ends_with("\" = 00ff 0x1401=0x01") && !shown.contains('\u{1b}'), "{}", lines[0]);
        assert!(lines[1].ends_with("\"x\" REFUSED 0x0B ESME_RINVDSTADR for destination_addr"), "{}", lines[1]);
        assert_eq!(lines[2..], ["t [1] a from handset #7 part 1 answered 0x00 ESME_ROK", "t [1] a closed"]);
    }
}
