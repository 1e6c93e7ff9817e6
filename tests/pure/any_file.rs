//! Files and texts that nobody meant, through what reads them.

use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of campaign files, in senseless orders.
const PIECES: &[&str] = &[
    "to,text,name\n",
    "to;text\r\n",
    "to\ttext\n",
    "sep=;\n",
    "\u{feff}",
    "447700900001",
    "447700900002",
    "+44770090000",
    "4.47E+11",
    "44",
    ",",
    ";",
    "\t",
    "|",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\r",
    "\0",
    " ",
    "Hi",
    "it\u{2019}s \u{20ac}",
    "{name}",
    "1h",
    "validity_period",
    "from",
    "\u{1b}",
    "\u{664}",
];

/// Pieces of texts: both alphabets, extension and surrogate pairs, clusters.
const TEXTS: &[&str] = &[
    "x",
    "Hello, world. ",
    "\u{20ac}",
    "[]{}",
    "\u{e9}",
    "\u{3a9}",
    "\u{436}",
    "\u{1f44b}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "e\u{301}",
    "\r\n",
    "\0",
    "\u{1b}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn f10_any_file_is_rows_or_refused(
        settings in any::<u8>(),
        step in any::<u8>(),
        header in prop::sample::select(&PIECES[..4]),
        pieces in vec(prop::sample::select(PIECES), 0..60),
    ) {
        let mut data = vec![settings, step];
        data.extend(header.bytes());
        data.extend(pieces.concat().bytes());
        crate::import_bodies::csv_import(&data);
    }

    #[test]
    fn f01_any_octets_are_rows_or_refused(data in vec(any::<u8>(), 0..200), header in any::<bool>()) {
        crate::import_bodies::csv_import(&data);
        if header && data.len() > 2 {
            crate::import_bodies::csv_import(&[&data[..2], b"to,text\n", &data[2..]].concat());
        }
    }

    #[test]
    fn any_text_is_encoded_or_refused(
        head in vec(any::<u8>(), 3),
        pieces in vec((prop::sample::select(TEXTS), 1..200_usize), 0..12),
    ) {
        let mut data = head;
        for (piece, times) in pieces {
            data.extend(piece.repeat(times).bytes());
        }
        crate::import_bodies::text_encoding(&data);
    }

    #[test]
    fn any_octets_are_a_text(data in vec(any::<u8>(), 0..300)) {
        crate::import_bodies::text_encoding(&data);
    }
}

#[test]
fn what_fuzzing_found_worth_keeping() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
    for (target, body) in [
        ("csv_import", crate::import_bodies::csv_import as fn(&[u8])),
        ("text_encoding", crate::import_bodies::text_encoding),
    ] {
        let mut count = 0;
        for entry in std::fs::read_dir(format!("{folder}/{target}")).expect("a corpus") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            body(&std::fs::read(path).expect("a file"));
            count += 1;
        }
        assert!(count > 10, "{target}: {count}");
    }
}
