//! Alphabets, parts and packed septets against encoders that others wrote. There are no national language tables to compare:
//! the program has none.

use crate::clients::octets;
use crate::peers::{arguments, install, node, python};
use smppost::testing::message::text::{DefaultAlphabet, Encoder, Encoding, Policy, Reference, decode, segment};
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
