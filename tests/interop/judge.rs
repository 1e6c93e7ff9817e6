//! Wireshark's dissector over what was recorded.

use crate::clients::Simulator;
use crate::common::{number, rows, rows_with};
use crate::peers::{install, not_checked};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Whether there is a tshark; once for all tests of a run.
pub fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| install("records, by Wireshark's dissector", "tshark").is_some())
}

/// The lines that tshark prints.
pub fn tshark(path: &Path, arguments: &[&str]) -> Vec<String> {
    // What the profile of this user says shall not matter.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("tshark");
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME").args(["-n", "-r"]).arg(path).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Nothing malformed in it, and no note of an expert.
#[track_caller]
pub fn assert_clean(what: &str, path: &Path) {
    if !is_there() {
        return not_checked(&format!("the record of {what}"), "there is no tshark");
    }
    let fields = ["frame.number", "tcp.flags.syn", "tcp.flags.fin", "tcp.len", "smpp.command_id", "_ws.expert.message"];
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let mut pdus = 0;
    for line in tshark(path, &arguments) {
        let [_, syn, fin, length, command_id, expert] = line.splitn(6, '|').collect::<Vec<_>>()[..] else {
            panic!("{what}: {line}")
        };
        // What is malformed is a note, too. That a connection begins or ends is one, and no fault.
        let is_noted = !expert.is_empty() && (syn, fin) == ("0", "0");
        assert!(!is_noted && (length == "0" || !command_id.is_empty()), "{what}: {line}");
        pdus += usize::from(!command_id.is_empty());
    }
    assert!(pdus > 0, "{what}: nothing is recorded");
}

/// One way of sending, and how tshark is to read what has data_coding 0.
struct Way {
    options: &'static [&'static str],
    reads: &'static str,
    version: &'static str,
}

const WAYS: &[Way] = &[
    Way { options: &[], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--concat", "udh16"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--concat", "sar"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--concat", "payload"], reads: "GSM 7-bit", version: "52" },
    // Of a header in message_payload tshark 4.0 makes characters.
    Way { options: &["--via", "data_sm", "--concat", "sar"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--bind", "tx+rx", "--smpp-version", "3.3"], reads: "GSM 7-bit", version: "51" },
    Way { options: &["--smpp-version", "5.0"], reads: "GSM 7-bit", version: "80" },
    Way { options: &["--default-alphabet", "gsm7-packed"], reads: "GSM 7-bit (packed)", version: "52" },
    Way { options: &["--default-alphabet", "latin1"], reads: "ISO-8859-1", version: "52" },
    Way { options: &["--default-alphabet", "ascii"], reads: "ASCII", version: "52" },
    Way { options: &["--default-alphabet", "utf8"], reads: "ASCII", version: "52" },
    Way { options: &["--bind", "tx+rx"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--bind", "tx"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--alphabet", "ucs2"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--receipts", "failures"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--receipts", "none"], reads: "GSM 7-bit", version: "52" },
    Way { options: &["--tlvs", "no"], reads: "GSM 7-bit", version: "52" },
];

/// Short and long, in both alphabets. Of characters outside the basic plane the dissector makes replacement characters.
fn texts() -> Vec<String> {
    vec![
        "Hi {€} [~] @".to_owned(),
        "all is well [€] and so on, ".repeat(14),
        "Grüße, ça va?".to_owned(),
        "Привет ✓".to_owned(),
        "Добрый день, и так далее ✓ ".repeat(8),
        "x".repeat(160),
        "x".repeat(161),
    ]
}

/// What is read of each message: its number, the part, and these fields.
const FIELDS: &[&str] = &[
    "smpp.destination_addr",
    "gsm_sms.udh.mm.msg_part",
    "smpp.sar_segment_seqnum",
    "smpp.message_text",
    "smpp.source_addr",
    "smpp.source_addr_ton",
    "smpp.source_addr_npi",
    "smpp.dest_addr_ton",
    "smpp.dest_addr_npi",
    "smpp.regdel.receipt",
    "smpp.esm.submit.msg_type",
];

fn assert_decoded(path: &Path, way: &Way) {
    let unpacked = format!("smpp.gsm7_unpacked:{}", way.reads != "GSM 7-bit (packed)");
    let reads = format!("smpp.decode_sms_over_smpp:{}", way.reads);
    let mut arguments = vec!["-o", &reads, "-o", &unpacked, "-T", "fields", "-E", "separator=|"];
    arguments.extend(["-Y", "smpp.command_id == 4 || smpp.command_id == 0x103 && tcp.dstport == 2775"]);
    arguments.extend(FIELDS.iter().flat_map(|field| ["-e", *field]));
    let mut found: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    let receipts = match way.options {
        [.., "none"] => "0x00",
        [.., "failures"] => "0x02",
        _ => "0x01",
    };
    for line in tshark(path, &arguments) {
        let [to, udh, sar, text, rest @ ..] = &line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(rest, ["INFO", "0x05", "0x00", "0x01", "0x01", receipts, "0x00"], "{line}");
        let part = format!("{udh}{sar}").parse().unwrap_or(1);
        // Seven bits that are left over hold a carriage return (3GPP TS 23.038, 6.1.2.3.1), which the dissector shows.
        let text = if way.reads.ends_with("(packed)") { text.trim_end_matches("\\r") } else { text };
        let other = found.entry((*to).to_owned()).or_default().insert(part, text.to_owned());
        assert!(other.is_none(), "{:?}: part {part} twice: {line}", way.options);
    }
    for (row, text) in texts().into_iter().enumerate() {
        let parts = &found[&number(row)];
        assert_eq!(parts.values().map(String::as_str).collect::<String>(), text, "{:?}", way.options);
    }
    let binds = tshark(path, &["-Y", "smpp.interface_version", "-T", "fields", "-e", "smpp.interface_version"]);
    assert!(!binds.is_empty() && binds.iter().all(|version| version == way.version), "{binds:?}");
}

/// The commands that a record holds.
fn commands(path: &Path) -> BTreeSet<String> {
    tshark(path, &["-Y", "smpp", "-T", "fields", "-e", "smpp.command_id"]).into_iter().collect()
}

fn account(port: &str) -> [&str; 8] {
    ["--host", "127.0.0.1", "--port", port, "--system-id", "test", "--rate", "unlimited"]
}

#[test]
fn each_way_of_sending_is_read_as_it_was_meant() {
    if !is_there() {
        return;
    }
    let simulator = Simulator::start(&[]);
    let csv = rows_with(texts().len(), |row| texts()[row].clone());
    for (at, way) in WAYS.iter().enumerate() {
        let (campaign, record) = (format!("c{at}"), format!("{at}.pcapng"));
        let options = ["--campaign", &campaign, "--allow-same-file", "--from", "INFO", "--record", &record];
        let more = [&options[..], &["--record-texts", "--wait-receipts", "3s"], way.options].concat();
        let ended = simulator.smppost.send(&csv, simulator.port, &more);
        assert_eq!(ended.code, Some(0), "{:?}: {}", way.options, ended.said());
        let path = simulator.smppost.path(&record);
        assert_clean(&format!("{:?}", way.options), &path);
        assert_decoded(&path, way);
    }
    let (smppost, _) = simulator.end();
    assert_clean("the simulator", &smppost.path("smsc.pcapng"));
}

#[test]
fn fields_and_parameters_of_a_message_are_read_as_they_were_meant() {
    if !is_there() {
        return;
    }
    let simulator = Simulator::start(&[]);
    let fields = [
        ("validity_period", "000001000000000R", "smpp.validity_period_r", "86400.000000000"),
        ("priority_flag", "1", "smpp.priority_flag", "0x01"),
        ("protocol_id", "65", "smpp.protocol_id", "0x41"),
        ("replace_if_present_flag", "1", "smpp.replace_if_present_flag", "0x01"),
        ("tlv:0x0204", "0x0007", "smpp.user_message_reference", "0x0007"),
        ("tlv:0x020A", "0x1F90", "smpp.source_port", "0x1f90"),
        ("tlv:0x020D", "0x05", "smpp.language_indicator", "5"),
        ("tlv:0x1400", "abc", "smpp.vendor_op", "616263"),
        ("tlv:0x1401:cstring", "abc", "smpp.vendor_op", "61626300"),
    ];
    for (at, (name, value, field, read)) in fields.into_iter().enumerate() {
        let (campaign, record, set) = (format!("c{at}"), format!("{at}.pcapng"), format!("{name}={value}"));
        let options = ["--campaign", &campaign, "--allow-same-file", "--record", &record, "--field", &set];
        simulator.smppost.send(&rows(1), simulator.port, &options).assert_code(0);
        let path = simulator.smppost.path(&record);
        assert_clean(name, &path);
        let found = tshark(&path, &["-Y", "smpp.command_id == 4", "-T", "fields", "-e", field]);
        assert_eq!(found, [read], "{name}");
    }
    simulator.end();
}

#[test]
fn operations_and_probes_are_well_formed_on_both_sides() {
    if !is_there() {
        return;
    }
    let simulator = Simulator::start(&["--receipt-delay", "60s"]);
    let (smppost, port) = (&simulator.smppost, simulator.port.to_string());
    smppost.send(&rows(4), simulator.port, &["--wait-receipts", "1ms"]).assert_code(0);
    for words in [
        &["query", "c", "--line", "2"][..],
        &["replace", "c", "--line", "3", "--text", "Another text, with [€]"],
        &["cancel", "c", "--line", "4", "--at-smsc", "--yes"],
        &["listen", "--for", "300ms", "--bind", "rx"],
    ] {
        let ended = smppost.run(&[words, &account(&port)[..if words[0] == "listen" { 6 } else { 8 }]].concat());
        assert!(ended.code == Some(0), "{words:?}: {}", ended.said());
    }
    let (smppost, _) = simulator.end();
    let path = smppost.path("smsc.pcapng");
    assert_clean("operations", &path);
    let probed = Simulator::start(&[]);
    let port = probed.port.to_string();
    let probe = [&["probe", "--send-to", "447700900999"], &account(&port)[..]].concat();
    probed.smppost.run(&probe).assert_code(0);
    let (probed, _) = probed.end();
    assert_clean("a probe", &probed.path("smsc.pcapng"));
    // A probe asks with enquire_link whatever the machine has to do besides.
    let commands = &commands(&path) | &commands(&probed.path("smsc.pcapng"));
    for id in [1_u32, 3, 4, 6, 7, 8, 9, 0x15] {
        for id in [id, id | 0x8000_0000] {
            assert!(commands.contains(&format!("0x{id:08x}")), "{id:#x} is not in {commands:?}");
        }
    }
    let states = ["-Y", "smpp.command_id == 0x80000003", "-T", "fields", "-e", "smpp.message_state"];
    assert_eq!(tshark(&path, &states)[0], "1", "ENROUTE");
}

#[test]
fn odd_receipts_and_answers_of_the_simulator_are_well_formed() {
    if !is_there() {
        return;
    }
    let outcomes = ["--outcomes", "delivered=2,undelivered=1,expired=1,rejected=1"];
    for odd in [
        &["--receipt", "data-sm=2", "--receipt", "intermediate=3"][..],
        &["--receipt", "tlv-only"],
        &["--receipt", "text-only", "--receipt-id", "dec"],
        &["--receipt", "provider-codes", "--message-id", "uuid"],
        &["--receipt", "duplicate", "--no-sc-interface-version"],
        &["--fault", "nack=7", "--fault", "error=0x58:5"],
        &["--fault", "bodyless-errors", "--fault", "error=0x0B:5"],
        &["--fault", "unbind=15", "--fault", "reorder"],
        &["--fault", "receipt-flood=20", "--fault", "long-service-type"],
    ] {
        let simulator = Simulator::start(&[&outcomes[..], odd].concat());
        let ended =
            simulator.smppost.send(&rows(30), simulator.port, &["--retry-delays", "50ms", "--wait-receipts", "1s"]);
        assert!(matches!(ended.code, Some(0 | 3)), "{odd:?}: {}", ended.said());
        let (smppost, _) = simulator.end();
        assert_clean(&format!("{odd:?}"), &smppost.path("smsc.pcapng"));
    }
}
