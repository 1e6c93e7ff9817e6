use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

/// Short messages of all parts, and their headers.
fn encode_all(text: &str, encoding: Encoding, reference: Reference) -> Vec<(PartHeader, Vec<u8>)> {
    let mut encoder = Encoder::new(text, encoding, reference).unwrap();
    let mut parts = Vec::new();
    loop {
        let mut octets = Vec::new();
        match encoder.next_into(&mut octets) {
            Some(header) => parts.push((header, octets)),
            None => return parts,
        }
    }
}

fn body(header: &PartHeader, octets: &[u8]) -> Vec<u8> {
    if header.esm_class == ESM_CLASS_UDHI { split_udh(octets).1.to_vec() } else { octets.to_vec() }
}

#[test]
fn lengths_at_the_borders() {
    use Encoding::{Gsm7, Ucs2};
    let x = |n: usize| "x".repeat(n);
    let zhe = |n: usize| "ж".repeat(n);
    let family = "👨\u{200d}👩\u{200d}👧"; // 8 units, one cluster
    for (text, encoding, units, parts, parts_16) in [
        (String::new(), Gsm7, 0, 1, 1),
        (x(1), Gsm7, 1, 1, 1),
        (x(160), Gsm7, 160, 1, 1),
        (x(161), Gsm7, 161, 2, 2),
        (x(304), Gsm7, 304, 2, 2),
        (x(305), Gsm7, 305, 2, 3),
        (x(306), Gsm7, 306, 2, 3),
        (x(307), Gsm7, 307, 3, 3),
        (x(459), Gsm7, 459, 3, 4),
        (x(158) + "€", Gsm7, 160, 1, 1),
        (x(159) + "€", Gsm7, 161, 2, 2),
        ("€".repeat(80), Gsm7, 160, 1, 1),
        ("€".repeat(81), Gsm7, 162, 2, 2),
        // A euro sign that would straddle septet 153 moves on whole, and costs its part one septet.
        (x(152) + "€" + &x(152), Gsm7, 306, 3, 3),
        (x(151) + "€" + &x(153), Gsm7, 306, 2, 3),
        (zhe(70), Ucs2, 70, 1, 1),
        (zhe(71), Ucs2, 71, 2, 2),
        (zhe(132), Ucs2, 132, 2, 2),
        (zhe(133), Ucs2, 133, 2, 3),
        (zhe(134), Ucs2, 134, 2, 3),
        (zhe(135), Ucs2, 135, 3, 3),
        ("👋".repeat(35), Ucs2, 70, 1, 1),
        ("👋".repeat(36), Ucs2, 72, 2, 2),
        // 33 emoji in a part of 67 units: the 67th unit stays free.
        ("👋".repeat(66), Ucs2, 132, 2, 2),
        ("👋".repeat(67), Ucs2, 134, 3, 3),
        (zhe(66) + "👋" + &zhe(66), Ucs2, 134, 3, 3),
        (zhe(65) + "👋" + &zhe(67), Ucs2, 134, 2, 3),
        // A cluster is not torn: the family moves to the second part, and the third is needed.
        (zhe(60) + family + &zhe(60), Ucs2, 128, 3, 3),
        (zhe(59) + family + &zhe(60), Ucs2, 127, 2, 3),
    ] {
        let wide = Policy { concat: Concat::Udh16, ..Policy::default() };
        let (narrow, wide) = (segment(&text, Policy::default()).unwrap(), segment(&text, wide).unwrap());
        assert_eq!((narrow.encoding, narrow.units, narrow.parts), (encoding, units, parts), "{text}");
        assert_eq!(wide.parts, parts_16, "{text}");
        assert_eq!(encode_all(&text, encoding, Reference::Bits8(7)).len(), usize::from(parts), "{text}");
        assert_eq!(encode_all(&text, encoding, Reference::Bits16(7)).len(), usize::from(parts_16), "{text}");
    }
}

#[test]
fn at_most_255_parts() {
    for (text, units, encoding) in
        [("x".repeat(255 * 153), 255 * 153, Encoding::Gsm7), ("ж".repeat(255 * 67), 255 * 67, Encoding::Ucs2)]
    {
        let longest = segment(&text, Policy::default()).unwrap();
        assert_eq!((longest.parts, longest.units), (255, units));
        assert_eq!(encode_all(&text, encoding, Reference::Bits8(0)).len(), 255);
        let over = TextError::TooManyParts { units: units + 1, encoding };
        let text = text + "x";
        assert_eq!(segment(&text, Policy::default()), Err(over));
        assert_eq!(Encoder::new(&text, encoding, Reference::Bits8(0)).map(|_| ()), Err(over));
    }
}

#[test]
fn the_choice_of_encoding() {
    let gsm = |text| segment(text, Choice::Gsm7.into());
    for (text, encoding, forced_by) in [
        ("Hello @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ", Encoding::Gsm7, None),
        ("^{}\\[~]|€\u{c}", Encoding::Gsm7, None),
        ("Fran\u{e7}ois", Encoding::Ucs2, Some('ç')),
        ("it\u{2019}s", Encoding::Ucs2, Some('\u{2019}')),
        ("a\tb", Encoding::Ucs2, Some('\t')),
        ("\u{1b}", Encoding::Ucs2, Some('\u{1b}')),
    ] {
        let chosen = segment(text, Policy::default()).unwrap();
        assert_eq!((chosen.encoding, chosen.forced_by), (encoding, forced_by), "{text}");
        assert_eq!(gsm(text).is_ok(), forced_by.is_none(), "{text}");
        assert_eq!(segment(text, Choice::Ucs2.into()).unwrap().encoding, Encoding::Ucs2);
    }
    let error = gsm("Zoë’s café").unwrap_err();
    assert_eq!(error, TextError::NotInAlphabet { encoding: Encoding::Gsm7, character: 'ë', position: 3 });
    assert!(error.to_string().starts_with("character 3 ('ë', U+00EB) is not in the GSM alphabet"), "{error}");
}

#[test]
fn an_encoding_of_octets_takes_what_is_in_it_and_nothing_else() {
    for (choice, text, expected) in [
        (Choice::Ascii, "a@b_c {x}`", Ok((Encoding::Ascii, 1, 10))),
        (Choice::Latin1, "Caf\u{e9} \u{e7}@", Ok((Encoding::Latin1, 1, 7))),
        (Choice::Ascii, &"x".repeat(140), Ok((Encoding::Ascii, 1, 140))),
        (Choice::Latin1, &"\u{fc}".repeat(141), Ok((Encoding::Latin1, 2, 141))),
        (Choice::Latin1, &"\u{fc}".repeat(269), Ok((Encoding::Latin1, 3, 269))),
        (Choice::Ascii, "Caf\u{e9}", Err((Encoding::Ascii, '\u{e9}', 4))),
        (Choice::Latin1, "5 \u{20ac}", Err((Encoding::Latin1, '\u{20ac}', 3))),
    ] {
        let found = segment(text, choice.into()).map(|told| (told.encoding, told.parts, told.units));
        let expected = expected.map_err(|(encoding, character, position)| TextError::NotInAlphabet {
            encoding,
            character,
            position,
        });
        assert_eq!(found, expected, "{text}");
    }
    for (stored, encoding) in Encoding::all().enumerate() {
        assert_eq!(Encoding::from_stored(stored as u8), Some(encoding));
        let of_coding = match encoding {
            Encoding::Octets => None,
            Encoding::Shifted(_) => Some(Encoding::Gsm7),
            plain => Some(plain),
        };
        assert_eq!(
            (encoding.stored(), Encoding::of_data_coding(encoding.data_coding())),
            (stored as u8, of_coding),
            "{encoding}"
        );
    }
    assert_eq!(Encoding::from_stored(Encoding::COUNT as u8), None);
}

#[test]
fn octets_on_the_wire() {
    for (text, encoding, expected) in [
        ("@a€", Encoding::Gsm7, &[0x00, 0x61, 0x1B, 0x65][..]),
        ("a@_$", Encoding::Ascii, &[0x61, 0x40, 0x5F, 0x24]),
        ("\u{e9}@", Encoding::Latin1, &[0xE9, 0x40]),
        ("{Ω}", Encoding::Gsm7, &[0x1B, 0x28, 0x15, 0x1B, 0x29]),
        ("aж👋", Encoding::Ucs2, &[0x00, 0x61, 0x04, 0x36, 0xD8, 0x3D, 0xDC, 0x4B]),
    ] {
        let parts = encode_all(text, encoding, Reference::Bits8(0));
        let header = PartHeader {
            number: 1,
            total: 1,
            esm_class: 0,
            data_coding: encoding.data_coding(),
            sar: None,
            whole: false,
        };
        assert_eq!(parts, [(header, expected.to_vec())]);
    }
    let long = "x".repeat(161);
    let parts = encode_all(&long, Encoding::Gsm7, Reference::Bits8(0xAB));
    assert_eq!((parts[0].1.len(), parts[1].1.len()), (159, 14));
    assert_eq!(parts[1].1[..7], [0x05, 0x00, 0x03, 0xAB, 2, 2, b'x']);
    assert_eq!(
        parts[1].0,
        PartHeader { number: 2, total: 2, esm_class: 0x40, data_coding: 0, sar: None, whole: false }
    );
    let parts = encode_all(&long, Encoding::Gsm7, Reference::Bits16(0xABCD));
    assert_eq!(parts[0].1[..8], [0x06, 0x08, 0x04, 0xAB, 0xCD, 2, 1, b'x']);
}

#[test]
fn one_part_alone() {
    let text = "x".repeat(400);
    let all = encode_all(&text, Encoding::Gsm7, Reference::Bits8(9));
    for number in 0..=4 {
        let mut octets = Vec::new();
        let header = encode_part(&text, Encoding::Gsm7, Reference::Bits8(9), number, &mut octets).unwrap();
        let expected = number.checked_sub(1).and_then(|i| all.get(usize::from(i)));
        assert_eq!(header.map(|header| (header, octets)), expected.cloned(), "part {number}");
    }
}

#[test]
fn inbound_is_read_leniently() {
    use DefaultAlphabet::{Gsm7, Latin1, Utf8};
    for (data_coding, octets, default, expected) in [
        (0x00, &b"\x00\x1Be\x1Bx\x1B\xFF"[..], Gsm7, "@€xà"),
        (0x00, b"a\x1B", Gsm7, "a "),
        (0x00, b"a\xFF", Gsm7, "a\u{fffd}"),
        (0x00, b"a@\xE9", Latin1, "a@é"),
        (0x00, b"\xC3\xA9\xFF", Utf8, "é\u{fffd}"),
        (0x01, b"abc\xFF", Gsm7, "abc\u{fffd}"),
        (0x03, b"\xE9\x00", Gsm7, "é\0"),
        (0x04, b"\x01\xFF", Gsm7, "\u{1}ÿ"),
        (0x06, b"\xB6", Gsm7, "Ж"),
        (0x08, b"\x04\x36\xD8", Gsm7, "ж\u{fffd}"),
        (0x08, b"\xD8\x3D\x00a", Gsm7, "\u{fffd}a"),
        (0x08, b"\xFE\xFF\x00a", Gsm7, "\u{feff}a"),
        (0x10, b"\x00", Gsm7, "@"),
        (0x18, b"\x04\x36", Gsm7, "ж"),
        (0xF5, b"\x80", Gsm7, "\u{80}"),
    ] {
        assert_eq!(decode(data_coding, octets, default), expected, "{data_coding:#x} {octets:x?}");
    }
}

#[test]
fn user_data_headers() {
    let part = |reference, total, number| Some(Concatenation { reference, total, number });
    for (octets, expected, text) in [
        (&b"\x05\x00\x03\xAB\x02\x01hi"[..], part(0xAB, 2, 1), "hi"),
        (b"\x06\x08\x04\xAB\xCD\x03\x02hi", part(0xABCD, 3, 2), "hi"),
        (b"\x0B\x05\x04\x0B\x84\x23\xF0\x00\x03\x01\x02\x02x", part(1, 2, 2), "x"),
        (b"\x05\x00\x03\xAB\x02\x03hi", None, "hi"),
        (b"\x05\x00\x03\xAB\x02\x00hi", None, "hi"),
        (b"\x03\x00\x09\x01x", None, "x"),
        (b"\x00x", None, "x"),
        (b"\x09short", None, "\tshort"),
        (b"", None, ""),
    ] {
        let (udh, rest) = split_udh(octets);
        assert_eq!((concatenation(udh), rest), (expected, text.as_bytes()), "{octets:x?}");
    }
}

/// Texts that mix alphabets, pairs and clusters, long enough for several parts.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,40}",
        3 => "[€^{}~@£ΩÇé\\[\\]\r\n]{0,20}",
        2 => "[жçñ’]{0,30}",
        2 => "(👋|👨\u{200d}👩\u{200d}👧|🇬🇧|e\u{301}|각|\u{200d}|\r\n){0,12}",
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn gsm_texts() -> impl Strategy<Value = String> {
    "[ -_a-~€ΩÇé\r\n]{0,500}"
}

fn check(text: &str, choice: Choice, reference: Reference) -> Result<(), TestCaseError> {
    let policy = Policy { choice, concat: reference.concat(), ..Policy::default() };
    let segmentation = segment(text, policy).unwrap();
    let encoding = segmentation.encoding;
    let parts = encode_all(text, encoding, reference);
    prop_assert_eq!(parts.len(), usize::from(segmentation.parts));
    let limit = match parts.len() {
        1 => encoding.units_single(),
        _ => encoding.units_per_part(reference.concat()),
    };
    let mut pieces = Vec::new();
    for (i, (header, octets)) in parts.iter().enumerate() {
        prop_assert_eq!(usize::from(header.number), i + 1);
        prop_assert_eq!(usize::from(header.total), parts.len());
        if parts.len() > 1 {
            let found = concatenation(split_udh(octets).0).unwrap();
            prop_assert_eq!((found.number, found.total), (header.number, header.total));
        }
        let body = body(header, octets);
        let unit_octets = if encoding == Encoding::Gsm7 { 1 } else { 2 };
        prop_assert!(body.len() <= limit * unit_octets);
        // A pair that was torn would not read back part by part.
        pieces.push(decode(header.data_coding, &body, DefaultAlphabet::Gsm7));
    }
    prop_assert_eq!(pieces.concat(), text);
    let clusters: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    let mut cut = 0;
    for piece in &pieces[..pieces.len() - 1] {
        cut += piece.len();
        if let Err(i) = clusters.binary_search(&cut) {
            let cluster = &text[clusters[i - 1]..clusters.get(i).copied().unwrap_or(text.len())];
            let units = if encoding == Encoding::Gsm7 { cluster.len() } else { ucs2_units(cluster) };
            prop_assert!(units > limit, "torn: {:?} of {} units", cluster, units);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_comes_back_from_its_parts(text in texts(), reference in any::<u16>()) {
        check(&text, Choice::Auto, Reference::Bits8(reference as u8))?;
        check(&text, Choice::Ucs2, Reference::Bits16(reference))?;
    }

    #[test]
    fn any_gsm_text_comes_back_from_its_parts(text in gsm_texts(), reference in any::<u16>()) {
        check(&text, Choice::Gsm7, Reference::Bits8(reference as u8))?;
        check(&text, Choice::Gsm7, Reference::Bits16(reference))?;
    }

    #[test]
    fn a_cluster_longer_than_a_part_is_cut_all_the_same(marks in 60usize..400) {
        let text = format!("жe{}x", "\u{301}".repeat(marks));
        let segmentation = segment(&text, Policy::default()).unwrap();
        let parts = encode_all(&text, Encoding::Ucs2, Reference::Bits8(1));
        prop_assert_eq!(parts.len(), usize::from(segmentation.parts));
        let pieces: String = parts.iter().map(|(h, o)| decode(8, &body(h, o), DefaultAlphabet::Gsm7)).collect();
        prop_assert_eq!(pieces, text);
    }

    #[test]
    fn nothing_inbound_panics(data_coding: u8, octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        for default in [DefaultAlphabet::Gsm7, DefaultAlphabet::Latin1, DefaultAlphabet::Utf8] {
            decode(data_coding, &octets, default);
        }
        let (udh, text) = split_udh(&octets);
        prop_assert!(udh.len() + text.len() <= octets.len());
        concatenation(udh);
    }
}

#[test]
fn septets_are_packed_as_the_standard_has_it() {
    let packed = |text: &str| {
        let mut octets = Vec::new();
        let encoder = Encoder::new(text, Encoding::Gsm7, Reference::Whole).unwrap();
        encoder.with_alphabet(DefaultAlphabet::Gsm7Packed).next_into(&mut octets);
        octets
    };
    assert_eq!(packed("hellohello"), [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]);
    // Seven septets leave seven bits, which a carriage return fills; eight leave none.
    assert_eq!((packed("1234567").len(), packed("12345678").len(), packed(&"x".repeat(160)).len()), (7, 7, 140));
    assert_eq!(packed("1234567")[6] >> 1, b'\r');
    assert_eq!(decode(0, &packed("1234567"), DefaultAlphabet::Gsm7Packed), "1234567");
}

#[test]
fn an_alphabet_that_lacks_a_character_makes_the_text_ucs2() {
    for (alphabet, text, encoding) in [
        (DefaultAlphabet::Gsm7, "\u{e9}\u{3a9}\u{20ac}", Encoding::Gsm7),
        (DefaultAlphabet::Gsm7Packed, "\u{e9}\u{3a9}\u{20ac}", Encoding::Gsm7),
        (DefaultAlphabet::Latin1, "\u{e9}{}@", Encoding::Gsm7),
        (DefaultAlphabet::Latin1, "\u{3a9}", Encoding::Ucs2),
        (DefaultAlphabet::Latin1, "\u{20ac}", Encoding::Ucs2),
        // In Latin-1, and not in the GSM alphabet, which is what goes over the air.
        (DefaultAlphabet::Latin1, "\u{ea}", Encoding::Ucs2),
        (DefaultAlphabet::Ascii, "plain {}@", Encoding::Gsm7),
        (DefaultAlphabet::Ascii, "\u{e9}", Encoding::Ucs2),
        (DefaultAlphabet::Utf8, "\u{e9}", Encoding::Ucs2),
    ] {
        let policy = Policy { alphabet, ..Policy::default() };
        assert_eq!(segment(text, policy).unwrap().encoding, encoding, "{alphabet:?} {text}");
        let forced = segment(text, Policy { choice: Choice::Gsm7, ..policy });
        assert_eq!(forced.is_ok(), encoding == Encoding::Gsm7, "{alphabet:?} {text}");
    }
}

#[test]
fn what_the_smsc_splits_is_one_part() {
    let text = "x".repeat(307);
    let segmentation = segment(&text, Policy { concat: Concat::Payload, ..Policy::default() }).unwrap();
    assert_eq!((segmentation.parts, segmentation.sms), (1, 3));
    let parts = encode_all(&text, Encoding::Gsm7, Reference::Whole);
    assert_eq!((parts.len(), parts[0].1.len(), parts[0].0.whole, parts[0].0.esm_class), (1, 307, true, 0));
    let parts = encode_all(&text, Encoding::Gsm7, Reference::Sar(0x1234));
    assert_eq!(parts.iter().map(|(header, _)| header.sar).collect::<Vec<_>>(), [Some(0x1234); 3]);
    assert!(parts.iter().all(|(header, octets)| header.esm_class == 0 && octets.len() <= 153));
    let short = encode_all("x", Encoding::Gsm7, Reference::Sar(7));
    assert_eq!((short[0].0.sar, short[0].0.whole), (None, false));
}

proptest! {
    #[test]
    fn parts_come_back_in_every_alphabet(text in "[ -_a-~ÇéÄöÑ\u{a3}]{0,400}", reference in any::<u16>(), wide: bool) {
        for alphabet in [DefaultAlphabet::Gsm7, DefaultAlphabet::Gsm7Packed, DefaultAlphabet::Latin1] {
            let reference = if wide { Reference::Bits16(reference) } else { Reference::Bits8(reference as u8) };
            let mut encoder = Encoder::new(&text, Encoding::Gsm7, reference).unwrap().with_alphabet(alphabet);
            let (mut found, mut octets) = (String::new(), Vec::new());
            while let Some(header) = encoder.next_into(&mut octets) {
                let most = if alphabet == DefaultAlphabet::Gsm7Packed { 140 } else { 160 };
                prop_assert!(octets.len() <= most);
                let has_header = header.esm_class == ESM_CLASS_UDHI;
                found.push_str(&decode_with_header(0, &octets, has_header, alphabet).1);
                octets.clear();
            }
            prop_assert_eq!(&found, &text);
        }
    }
}

/// A shop's text, a bank's, and what shift tables make of them.
#[test]
fn national_tables_take_fewer_parts() {
    let turkish =
        "Sayın müşterimiz siparişiniz yola çıktı bugün saat on yedi ile yirmi arasında adresinize teslim edilecektir";
    let spanish = "Tu código de verificación es 4711. Caduca en cinco minutos y no lo compartas con nadie. Gracias por confiar \
                   en nosotros según acordado";
    for (text, tables, encoding, sms) in [
        (turkish, ShiftTables::Off, "ucs2", 2),
        (turkish, ShiftTables::Of(Language::Turkish), "gsm7-tr", 1),
        (turkish, ShiftTables::Of(Language::Spanish), "ucs2", 2),
        (turkish, ShiftTables::Auto, "gsm7-tr", 1),
        (spanish, ShiftTables::Off, "ucs2", 2),
        (spanish, ShiftTables::Of(Language::Spanish), "gsm7-es", 1),
        (spanish, ShiftTables::Auto, "gsm7-es", 1),
        ("ação e reação", ShiftTables::Of(Language::Portuguese), "gsm7-pt", 1),
        ("ş", ShiftTables::Of(Language::Turkish), "gsm7-tr", 1),
        // One shift for each letter would be too many.
        (&"ş".repeat(100), ShiftTables::Of(Language::Turkish), "gsm7-tr-locking", 1),
        // It saves nothing.
        ("ş", ShiftTables::Auto, "ucs2", 1),
        ("plain", ShiftTables::Of(Language::Turkish), "gsm7", 1),
        ("ş 👋", ShiftTables::Auto, "ucs2", 1),
    ] {
        let policy = Policy { shift_tables: tables, ..Policy::default() };
        let found = segment(text, policy).unwrap();
        assert_eq!((found.encoding.name(), found.sms), (encoding, sms), "{text} {tables:?}");
    }
}

/// What is encoded with each of the tables, in parts of each kind, reads as the text again.
#[test]
fn what_is_written_with_tables_is_read_again() {
    let all = "Iğdır'ın şirin çayı; Água, ação, coração, PÃO; Á, í, ñ, ú, €, [x] ";
    for shift in Shift::ALL {
        let fitting: String = all.chars().filter(|c| shift.septets(c.encode_utf8(&mut [0; 4])).is_some()).collect();
        for repeats in [1, 2, 3, 9] {
            let text = fitting.repeat(repeats);
            for reference in [Reference::Bits8(7), Reference::Bits16(0x1234)] {
                for alphabet in [DefaultAlphabet::Gsm7, DefaultAlphabet::Gsm7Packed] {
                    let encoding = Encoding::Shifted(shift);
                    let mut encoder = Encoder::new(&text, encoding, reference).unwrap().with_alphabet(alphabet);
                    let (mut read, mut parts) = (String::new(), 0);
                    let mut octets = Vec::new();
                    while let Some(header) = encoder.next_into(&mut octets) {
                        let (udh, part) =
                            decode_with_header(header.data_coding, &octets, header.esm_class != 0, alphabet);
                        assert_eq!((header.esm_class, Shift::of_header(udh)), (ESM_CLASS_UDHI, Some(shift)));
                        let septets = shift.septets(&part).unwrap();
                        assert!(((udh.len() + 1) * 8).div_ceil(7) + septets <= 160, "{encoding}");
                        assert_eq!(concatenation(udh).is_some(), header.total > 1);
                        read += &part;
                        parts += 1;
                        octets.clear();
                    }
                    assert_eq!((read.as_str(), parts), (text.as_str(), encoder.total()), "{encoding} {reference:?}");
                }
            }
        }
    }
}
