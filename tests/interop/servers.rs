//! The program against SMSCs that others wrote: long and UCS2 texts, receipts, messages from handsets, enquire_link and unbind
//! from their side.

use crate::common::{Smppost, expected, number, one, open, rows_with, states};
use crate::judge;
use crate::peers::{Peer, install, node, python};
use std::collections::BTreeMap;
use std::process::Command;

const MESSAGES: usize = 60;

/// Of each kind: short and long, in both alphabets, with what takes two septets or two units where parts end.
pub fn text(row: usize) -> String {
    match row % 6 {
        0 => format!("Hello number {row}"),
        1 => format!("{row} [€] {{~}} \\ | ^ @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà"),
        2 => format!("{row}: {}", "all is well [€] and so on, @ {any} time. ".repeat(9 + row / 6)),
        3 => format!("Привет, {row}"),
        4 => format!("{row} {}", "😀 Добрый день ✓ ".repeat(5 + row / 6)),
        _ => format!("{row} {}", "x".repeat(150 + row % 20)),
    }
}

/// The texts that a server has read, by destination, parts in their order.
fn joined(peer: &Peer) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for submit in peer.of("submit") {
        let udh = submit["udh"].as_str().unwrap();
        // 05 00 03 reference total number
        let part = if udh.is_empty() { 1 } else { i64::from_str_radix(&udh[10..12], 16).unwrap() };
        assert!(udh.is_empty() || udh.starts_with("050003"), "{submit}");
        let texts = parts.entry(submit["to"].as_str().unwrap().to_owned()).or_default();
        let other = texts.insert(part, submit["text"].as_str().unwrap().to_owned());
        assert!(other.is_none(), "it came twice: {submit}");
    }
    parts.into_iter().map(|(to, texts)| (to, texts.into_values().collect())).collect()
}

fn check(what: &str, server: &mut Command) {
    let mut peer = Peer::start(what, server);
    let port = u16::try_from(peer.wait_for("listening", 1)["port"].as_u64().unwrap()).unwrap();
    let smppost = Smppost::new();
    let options = ["--window", "10", "--wait-receipts", "20s", "--retry-delays", "100ms", "--record", "a.pcapng"];
    let more = [&options[..], &["--record-texts"]].concat();
    let running = smppost.spawn_send(&rows_with(MESSAGES, text), port, &more);
    let parts = {
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{} {}", ended.said(), peer.said());
        usize::try_from(one(&smppost.journal(), "SELECT parts FROM campaign_summary")).unwrap()
    };
    peer.wait_for("receipt_answered", parts);
    peer.wait_for("inbound_answered", 3);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", MESSAGES as i64)]), "{}", peer.said());
    assert_eq!(peer.of("submit").count(), parts);
    peer.assert_all_well("receipt_answered", parts);
    peer.assert_all_well("inbound_answered", 3);
    assert_eq!(peer.of("bind").count(), 2, "it binds again after an unbind. {}", peer.said());
    peer.assert_all_well("unbind_answered", 1);
    let texts = joined(&peer);
    assert_eq!(texts.len(), MESSAGES);
    for row in 0..MESSAGES {
        assert_eq!(texts[&number(row)], text(row), "row {row}");
    }
    let journal = open(&smppost.journal());
    let mut query = journal.prepare("SELECT text FROM inbound_message ORDER BY length(text)").unwrap();
    let inbound: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(inbound, ["Длинный ответ 😀", "Yes {please} €"].map(str::to_owned).to_vec().tap_sorted());
    smppost.run(&["verify"]).assert_code(0);
    judge::assert_clean(what, &smppost.path("a.pcapng"));
}

trait Sorted {
    fn tap_sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn tap_sorted(mut self) -> Self {
        self.sort_by_key(|text| text.chars().count());
        self
    }
}

#[test]
fn npm_smpp() {
    let Some(packages) = install("npm smpp as SMSC", "npm") else { return };
    check("npm smpp", &mut node(&packages, "server.js"));
}

#[test]
fn pypi_smpp34() {
    let Some(packages) = install("PyPI smpp34 as SMSC", "python") else { return };
    check("PyPI smpp34", &mut python(&packages, "smpp34_server.py"));
}

#[test]
fn rusmpp() {
    let Some(packages) = install("rusmpp as SMSC", "rust") else { return };
    check("rusmpp", Command::new(packages.join("target/debug/interop-peer")).arg("server"));
}
