//! Alphabets, parts, packed septets and national language tables against encoders that others wrote.

use crate::clients::octets;
use crate::peers::{arguments, install, node, python};
use smppost::testing::message::text::{
    DefaultAlphabet, Encoder, Encoding, Language, Policy, Reference, Shift, decode, segment,
};
use std::fmt::Write as _;
use std::process::Command;

/// Longest text, in characters.
const LONGEST: usize = 700;

/// Characters of two septets and of two units are frequent, since parts must not end in the middle of them; none of these joins
/// another to one character for the eye, which parts of the program's do not tear and those of others do.
const PLAIN: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.;:!?-\n\
                     @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ\"#¤%&'()*+/<=>¡ÄÖÑÜ§¿äöñüà";
const EXTENDED: &str = "^{}\\[~]|€";
const WIDE: &str = "áíóúçêœ–„“ЯПриветдень日本語一二三✓";
const PAIRS: &str = "😀🎉𝒜🦀🚀𐍈";

fn random_text(random: &mut fastrand::Rng, alphabets: &[Vec<char>]) -> String {
    // Where the number of parts changes is where errors live.
    let near = [70, 160, 134, 153, 306, 67, 201, 459];
    let length = match random.u8(..4) {
        0 => random.usize(1..LONGEST),
        1 => random.usize(1..200),
        _ => near[random.usize(..near.len())] + random.usize(..9) - 4,
    };
    let all_gsm = random.u8(..3) > 0;
    let spice = random.u8(2..60);
    (0..length)
        .map(|_| {
            let alphabet = match random.u8(..spice) {
                0 => &alphabets[1],
                1 if !all_gsm => &alphabets[2 + random.usize(..2)],
                _ => &alphabets[0],
            };
            alphabet[random.usize(..alphabet.len())]
        })
        .collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}

/// The octets of the parts of a text, without their headers.
fn parts(text: &str, encoding: Encoding, alphabet: DefaultAlphabet) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(text, encoding, Reference::Bits8(7)).unwrap().with_alphabet(alphabet);
    let mut parts = Vec::new();
    let mut out = Vec::new();
    while let Some(header) = encoder.next_into(&mut out) {
        let length = if header.total > 1 { 6 } else { 0 };
        parts.push(out.split_off(length));
        out.clear();
    }
    parts
}

fn joined(parts: &[Vec<u8>]) -> String {
    parts.iter().map(|part| hex(part)).collect::<Vec<_>>().join(",")
}

/// What the program makes of a text, in the words of the oracles.
fn ours(text: &str) -> String {
    let found = segment(text, Policy::default()).unwrap();
    let unpacked = parts(text, found.encoding, DefaultAlphabet::Gsm7);
    assert_eq!(unpacked.len(), usize::from(found.parts), "{text:?}");
    let packed = match found.encoding {
        Encoding::Gsm7 => {
            let mut packed = parts(text, found.encoding, DefaultAlphabet::Gsm7Packed);
            let fill = usize::from(packed.len() > 1);
            for (octets, septets) in packed.iter_mut().zip(&unpacked) {
                // Seven bits that are left over are filled with a carriage return (3GPP TS 23.038, 6.1.2.3.1), so that they are
                // not read as one more character; the others leave zeros, and the number of septets to another field.
                if (septets.len() * 7 + fill) % 8 == 1 {
                    let last = octets.last_mut().unwrap();
                    assert_eq!(*last & 0xFE, 0x0D << 1, "{text:?}");
                    *last &= 1;
                }
            }
            joined(&packed)
        }
        _ => String::new(),
    };
    format!("{}\t{}\t{packed}", found.encoding.name(), joined(&unpacked))
}

/// How many texts; `SMPPOST_TEXTS` says another number.
fn count() -> usize {
    std::env::var("SMPPOST_TEXTS").map_or(100_000, |count| count.parse().unwrap())
}

fn compare(what: &str, oracle: impl Fn(&std::path::Path, &std::path::Path) -> Command) {
    let seed = std::env::var("SMPPOST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let alphabets = [PLAIN, EXTENDED, WIDE, PAIRS].map(|alphabet| alphabet.chars().collect::<Vec<_>>());
    let texts: Vec<String> = (0..count()).map(|_| random_text(&mut random, &alphabets)).collect();
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("texts.json"), folder.path().join("lines"));
    std::fs::write(&input, serde_json::to_string(&texts).unwrap()).unwrap();
    let ended = oracle(&input, &output).output().unwrap();
    assert!(ended.status.success(), "{what}: {}", String::from_utf8_lossy(&ended.stderr));
    let lines = std::fs::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().count(), texts.len(), "{what}");
    for (text, theirs) in texts.iter().zip(lines.lines()) {
        assert_eq!(ours(text).trim_end(), theirs.trim_end(), "{what}, seed {seed}: {text:?}");
        let columns: Vec<&str> = theirs.split('\t').collect();
        let data_coding = if columns[0] == "ucs2" { 8 } else { 0 };
        let read: String =
            columns[1].split(',').map(|part| decode(data_coding, &octets(part), DefaultAlphabet::Gsm7)).collect();
        assert_eq!(&read, text, "{what}, seed {seed}");
    }
}

#[test]
fn as_npm_smpp_and_split_sms_and_node_pdu_have_them() {
    let Some(packages) = install("texts, by npm smpp, split-sms and node-pdu", "npm") else { return };
    compare("npm", |input, output| arguments(node(&packages, "oracle.js"), [input.into(), output.into()]));
}

#[test]
fn as_pypi_gsmcodecs_and_gsmmodem_and_aiosmpplib_have_them() {
    let Some(packages) = install("texts, by PyPI gsmcodecs, python-gsmmodem-new and aiosmpplib", "python") else {
        return;
    };
    compare("PyPI", |input, output| arguments(python(&packages, "oracle.py"), [input.into(), output.into()]));
}

/// What the tables of Turkish, Spanish and Portuguese have besides.
const NATIONAL: [&str; 3] = ["ĞğŞşİıç€", "çÁÍÓÚáíóú€", "êçÔôÁáÊÀÍÓÚÃÕÂíóúãõâ∞ªº`€"];

fn number_of(language: Option<Language>) -> u8 {
    language.map_or(0, |language| language as u8)
}

/// A text of one language for each time that it can be written with one of the tables: the tables, the text, and its parts as the
/// program writes them, with their headers.
fn national(random: &mut fastrand::Rng) -> (Shift, String, Option<Vec<Vec<u8>>>) {
    let shift = Shift::ALL[random.usize(..Shift::ALL.len())];
    let language = shift.single.or(shift.locking).unwrap();
    let letters: Vec<char> = NATIONAL[language as usize - 1].chars().collect();
    let (plain, extended): (Vec<char>, Vec<char>) = (PLAIN.chars().collect(), EXTENDED.chars().collect());
    let length = if random.bool() { random.usize(1..80) } else { random.usize(1..400) };
    let spice = random.u8(3..40);
    let text: String = (0..length)
        .map(|_| match random.u8(..spice) {
            0 | 1 => letters[random.usize(..letters.len())],
            2 if spice > 20 => extended[random.usize(..extended.len())],
            _ if shift.locking.is_some() => char::from(random.u8(b'a'..=b'z')),
            _ => plain[random.usize(..plain.len())],
        })
        .collect();
    let made = Encoder::new(&text, Encoding::Shifted(shift), Reference::Bits8(7)).ok().map(|mut encoder| {
        let mut parts = Vec::new();
        let mut out = Vec::new();
        while encoder.next_into(&mut out).is_some() {
            parts.push(std::mem::take(&mut out));
        }
        parts
    });
    (shift, text, made)
}

type National = (Shift, String, Option<Vec<Vec<u8>>>);

fn compare_tables(
    what: &str,
    is_known: impl Fn(&National) -> bool,
    oracle: impl Fn(&std::path::Path, &std::path::Path) -> Command,
    agrees: impl Fn(&National, &str) -> bool,
) {
    let seed = std::env::var("SMPPOST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let texts: Vec<National> = (0..count()).map(|_| national(&mut random)).filter(|text| is_known(text)).collect();
    assert!(texts.len() > count() / 20, "{what}: {} texts", texts.len());
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("texts.json"), folder.path().join("lines"));
    let asked: Vec<_> = texts
        .iter()
        .map(|(shift, text, made)| {
            let first = made.as_ref().and_then(|parts| parts.first()).map(|part| hex(part)).unwrap_or_default();
            (number_of(shift.locking), number_of(shift.single), text, first)
        })
        .collect();
    std::fs::write(&input, serde_json::to_string(&asked).unwrap()).unwrap();
    let ended = oracle(&input, &output).output().unwrap();
    assert!(ended.status.success(), "{what}: {}", String::from_utf8_lossy(&ended.stderr));
    let lines = std::fs::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().count(), texts.len(), "{what}");
    for (text, theirs) in texts.iter().zip(lines.lines()) {
        assert!(agrees(text, theirs), "{what}, seed {seed}: {text:?}: {theirs}");
    }
}

#[test]
fn national_tables_as_pypi_gsmcodecs_has_them() {
    let Some(packages) = install("national tables, by PyPI gsmcodecs", "python") else { return };
    compare_tables(
        "PyPI gsmcodecs",
        |_| true,
        |input, output| arguments(python(&packages, "tables.py"), [input.into(), output.into()]),
        |(_, _, made), theirs| match made {
            // The septets of all parts, without their headers, are those of the whole.
            Some(parts) => {
                let septets = parts.iter().map(|part| hex(&part[usize::from(part[0]) + 1..]));
                septets.collect::<String>() == theirs
            }
            None => theirs == "-",
        },
    );
}

#[test]
fn national_tables_as_npm_smpp_reads_them() {
    let Some(packages) = install("national tables, by npm smpp", "npm") else { return };
    compare_tables(
        "npm smpp",
        // It takes one language's both tables to be meant, whichever of them the header names, and reads whole messages.
        |(shift, text, made)| {
            let both = shift.locking.is_some() && shift.single == shift.locking;
            let is_spanish = shift.locking.is_none() && shift.single == Some(Language::Spanish);
            // Behind an escape it knows neither of these.
            let is_read = !text.contains(NOT_READ_BY_SMPP);
            (both || is_spanish) && is_read && made.as_ref().is_some_and(|parts| parts.len() == 1)
        },
        |input, output| arguments(node(&packages, "tables.js"), [input.into(), output.into()]),
        |(_, text, _), theirs| serde_json::from_str::<String>(theirs).is_ok_and(|theirs| theirs == *text),
    );
}

/// Characters of the tables that npm smpp reads as others.
const NOT_READ_BY_SMPP: [char; 1] = ['\\'];
