//! Files that are packed, spreadsheets, and what comes through a pipe.

use super::desk::Desk;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const KUNDEN: &[u8] = include_bytes!("../../data/sheets/kunden.xlsx");
const LISTE: &[u8] = include_bytes!("../../data/sheets/liste.ods");
const ROWS: &str = "to,text\n447700900101,Grüße\n447700900102,Ho\n447700900101,again\n44,short\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

/// Runs the program with something on its standard input.
fn through_a_pipe(desk: &Desk, input: &[u8], args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
        .args(args)
        .current_dir(desk.path(""))
        .env("HOME", desk.path("home"))
        .env("XDG_DATA_HOME", desk.path("home"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn says(output: &Output, code: i32, words: &str) {
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{shown}");
    assert!(shown.contains(words), "{words:?} is not in {shown}");
}

/// By its content, whatever it is called; and the same file again is the same campaign.
#[test]
fn packed_files_are_read_as_what_is_in_them() {
    let desk = Desk::new();
    let two = [gzip("to,text\n447700900101,Grü"), gzip("ße\n447700900102,Ho\n447700900101,again\n44,short\n")].concat();
    // A frame to be passed over in front, and two with text.
    let frames = [
        &[0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'][..],
        &zstd("to,text\n447700900101,Grüße\n"),
        &zstd("447700900102,Ho\n447700900101,again\n44,short\n"),
    ]
    .concat();
    for (name, file, packed) in [
        ("a.csv.gz", gzip(ROWS), "unpacked: gzip"),
        ("b.csv", gzip(ROWS), "unpacked: gzip"),
        ("c.gz", two, "unpacked: gzip"),
        ("d.zst", zstd(ROWS), "unpacked: Zstandard"),
        ("e.csv", frames, "unpacked: Zstandard"),
    ] {
        desk.file(name, file);
        let words = ["imported 2 messages", "1 row refused", "1 duplicate row left out", packed];
        desk.run(&["import", name, "--campaign", name, "--allow-same-file"]).says(0, &words);
        desk.run(&["import", name, "--campaign", name]).says(0, &["in the journal already, with 2 messages"]);
        assert_eq!(
            desk.sql(&format!("SELECT line, destination, text FROM message_status WHERE campaign = '{name}'")),
            ["2|447700900101|Grüße", "3|447700900102|Ho"]
        );
    }
    assert_eq!(desk.sql("SELECT DISTINCT line FROM rejected_row"), ["5"]);
}

#[test]
fn what_is_torn_or_of_no_use_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    let mut wrong = zstd(ROWS);
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let gz = gzip(&ROWS.repeat(1_000));
    for (file, words) in [
        (gz[..gz.len() - 9].to_vec(), "this is packed (gzip), and what is in it cannot be read"),
        (zstd(ROWS)[..20].to_vec(), "this is packed (Zstandard)"),
        (wrong, "its checksum is wrong"),
        (KUNDEN[..3_000].to_vec(), "it is damaged, or protected by a password"),
        (b"PK\x03\x04\x14\x00\x06\x00".to_vec(), "it is damaged"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(), "an old spreadsheet (.xls)"),
        (b"%PDF-1.7\n".to_vec(), "this is a PDF file"),
        (b"\xFD7zXZ\x00\x00".to_vec(), "this is an .xz archive"),
    ] {
        desk.file("a.csv", &file).run(&["import", "a.csv"]).says(1, &["a.csv: ", words]);
        assert_eq!(desk.names(), ["a.csv"], "{words}");
    }
    desk.file("a.csv", ROWS)
        .run(&["import", "a.csv", "--sheet", "1"])
        .says(1, &["--sheet names a sheet of a spreadsheet"]);
}

#[test]
fn spreadsheets_are_read_as_they_are_shown() {
    let desk = Desk::new();
    desk.file("kunden.xlsx", KUNDEN).file("liste.ods", LISTE);
    desk.run(&["import", "kunden.xlsx", "--text", "{Vorname|Kunde}: {Datum|-} {Betrag|-} {PLZ|-}"]).says(
        0,
        &["its sheet `Kunden`; --sheet names another: `Versteckt`, `Alt`", "header is in line 3", "imported 4"],
    );
    assert_eq!(
        desk.sql("SELECT line, destination, text FROM message_status"),
        [
            "4|447700900101|Ann: 24.12.2026 1,234.50 01067",
            "5|447700900102|Zoë: 25.12.2026 0.15 80331",
            "6|447700900103|Cid: 05.01.2026 5.00 10115",
            "8|447700900104|Kunde: - - -",
        ]
    );
    desk.run(&["import", "liste.ods"]).says(0, &["imported 3 messages", "the numbers from column `MSISDN`"]);
    assert_eq!(
        desk.sql("SELECT line, text FROM message_status WHERE campaign = 'liste'"),
        ["2|Hi Ann & Bob <3", "3|zwei\nZeilen, \"x\"", "9|after empty rows"]
    );
    // Another sheet is another campaign's, also of the same file.
    desk.run(&["import", "kunden.xlsx", "--sheet", "Alt"])
        .says(1, &["differs", "--sheet: was not given, is now \"Alt\""]);
    desk.run(&["import", "kunden.xlsx", "--sheet", "alt", "--campaign", "alt"]).says(0, &["imported 1 message"]);
    desk.run(&["import", "kunden.xlsx", "--sheet", "alt", "--campaign", "alt"]).says(0, &["in the journal already"]);
    desk.run(&["suppress", "import", "liste.ods"]).says(0, &["3 numbers read"]);
}

#[test]
fn standard_input_is_a_file_of_any_kind() {
    let desk = Desk::new();
    for (name, input) in [("plain", ROWS.as_bytes().to_vec()), ("gz", gzip(ROWS)), ("zst", zstd(ROWS))] {
        let args = ["import", "-", "--campaign", name, "--journal", "j.db", "--allow-same-file"];
        says(&through_a_pipe(&desk, &input, &args), 0, "imported 2 messages");
        says(&through_a_pipe(&desk, &input, &args), 0, "in the journal already, with 2 messages");
    }
    says(
        &through_a_pipe(&desk, KUNDEN, &["check", "-", "--campaign", "k", "--journal", "j.db"]),
        0,
        "4 messages to send",
    );
    says(
        &through_a_pipe(&desk, LISTE, &["import", "-", "--campaign", "ods", "--journal", "j.db"]),
        0,
        "imported 3 messages",
    );
    says(
        &through_a_pipe(&desk, b"447700900101\n+44 7700 900102\n", &["suppress", "import", "-", "--journal", "j.db"]),
        0,
        "2 numbers read",
    );
    says(
        &through_a_pipe(&desk, &gzip("Phone\n447700900103\n"), &["suppress", "import", "-", "--journal", "j.db"]),
        0,
        "1 number read",
    );
}
