//! From what is asked for to the parts that are sent.

use super::{COUNT_MAX, Inbound, InboundPart, OwnedAddress, RATE_MAX, Underway, is_number};
use crate::message::text::{
    Choice, Concat, DefaultAlphabet, ESM_CLASS_UDHI, Encoder, Encoding, Policy, Reference, decode_with_header,
    from_hex, segment,
};
use crate::smsc::rate::checked;
use crate::wire::Tag;
use crate::wire::tlv::push_tlv;
use crate::wire::values::data_coding;
use crate::words::{BadValue, bad};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use encoding_rs::{EUC_KR, ISO_8859_5, ISO_8859_8, SHIFT_JIS};
use parking_lot::Mutex;

/// Octets of a text that one SMS holds, and each part of a longer one.
const OCTETS_SINGLE: usize = 140;
const OCTETS_A_PART: usize = 134;
/// Octets that short_message holds.
const SHORT_MESSAGE_MAX: usize = 254;

/// A message whose text is encoded, from which any number of messages can be made, each with a reference of its own.
pub(in crate::smsc) struct Prepared<'a> {
    pub(in crate::smsc) inbound: &'a Inbound,
    pieces: Vec<Piece>,
    parts: u8,
    from: Arc<str>,
    to: Arc<str>,
    text: Arc<str>,
    /// The optional parameters that were asked for.
    tlvs: Vec<u8>,
}

/// One part: its octets with their header, and what belongs around them.
struct Piece {
    octets: Vec<u8>,
    data_coding: u8,
    esm_class: u8,
    sar: Option<u16>,
    in_payload: bool,
    number: u8,
}

impl Piece {
    /// Its octets, with this reference in the header where it is one of several parts that have one.
    fn with_reference(&self, parts: u8, reference: u16) -> Vec<u8> {
        let mut octets = self.octets.clone();
        let [high, low] = reference.to_be_bytes();
        if parts > 1 && self.esm_class & ESM_CLASS_UDHI != 0 {
            match octets.as_mut_slice() {
                [5, 0, 3, own, ..] => *own = low,
                [6, 8, 4, own_high, own_low, ..] => (*own_high, *own_low) = (high, low),
                _ => {}
            }
        }
        octets
    }
}

impl Prepared<'_> {
    /// How many deliver_sm or data_sm one message comes to.
    pub(in crate::smsc) fn total(&self) -> u8 {
        self.parts
    }

    /// The parts of one message, each to be sent.
    ///
    /// # Errors
    /// What cannot be sent; never of one that was prepared.
    pub(in crate::smsc) fn parts(&self, id: u64) -> Result<Vec<Arc<InboundPart>>, BadValue> {
        let reference = self.inbound.reference.unwrap_or(id as u16);
        let message = Arc::new(Underway {
            id,
            from: Arc::clone(&self.from),
            to: Arc::clone(&self.to),
            text: Arc::clone(&self.text),
            parts: self.parts,
            is_for_one: AtomicBool::new(false),
            system_id: Mutex::new(self.inbound.system_id.clone()),
            sent: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            status: AtomicU32::new(0),
        });
        let part = |piece| self.inbound.part(&message, reference, piece, &self.tlvs).map(Arc::new);
        self.pieces.iter().map(part).collect()
    }
}

impl Inbound {
    /// Its parts, each to be sent.
    ///
    /// # Errors
    /// What cannot be sent, and why.
    pub(in crate::smsc) fn parts(&self, id: u64) -> Result<Vec<Arc<InboundPart>>, BadValue> {
        self.prepare()?.parts(id)
    }

    /// Its text encoded, once for however many messages.
    ///
    /// # Errors
    /// What cannot be sent, and why.
    pub(in crate::smsc) fn prepare(&self) -> Result<Prepared<'_>, BadValue> {
        self.check()?;
        let (pieces, text) = match &self.hex {
            Some(hex) => self.octets(hex)?,
            None => (self.pieces(self.reference.unwrap_or(0))?, self.text.clone()),
        };
        let parts = u8::try_from(pieces.len()).map_err(|_| "the text needs more than 255 parts".to_owned())?;
        let mut tlvs = Vec::new();
        for (name, value) in &self.tlvs {
            let tag = tag(name)?;
            let value = match value.strip_prefix("0x") {
                Some(hex) => from_hex(hex).map_err(|_| bad!("TLV {name}: {value:?} is not hexadecimal"))?,
                None => value.clone().into_bytes(),
            };
            push_tlv(&mut tlvs, tag, &value).map_err(|error| error.to_string())?;
        }
        let (from, to, text) = (self.from.as_str().into(), self.to.as_str().into(), text.into());
        let prepared = Prepared { inbound: self, pieces, parts, from, to, text, tlvs };
        for part in prepared.parts(1)? {
            part.write(1, false, &mut Vec::new())?;
        }
        Ok(prepared)
    }

    fn check(&self) -> Result<(), BadValue> {
        if self.from.is_empty() || self.to.is_empty() {
            return Err("a message from a handset needs from and to".into());
        }
        if self.hex.is_some() && !self.text.is_empty() {
            return Err("a message has a text, or octets as hex, and not both".into());
        }
        if self.hex.is_some()
            && (self.alphabet.is_some() || self.concat.is_some_and(|concat| concat != Concat::Payload))
        {
            return Err(
                "octets given as hex are sent as they are: without alphabet, and with concat payload at most".into()
            );
        }
        if self.count.is_some_and(|count| count == 0 || count > COUNT_MAX) {
            return Err(bad!("count is from 1 to {COUNT_MAX}"));
        }
        match self.rate {
            Some(rate) => checked(rate, RATE_MAX).map(drop),
            None => Ok(()),
        }
    }

    fn part(
        &self,
        message: &Arc<Underway>,
        reference: u16,
        piece: &Piece,
        own: &[u8],
    ) -> Result<InboundPart, BadValue> {
        let mut tlvs = Vec::new();
        let too_long = |error: crate::wire::EncodeError| error.to_string();
        if piece.sar.is_some() {
            push_tlv(&mut tlvs, Tag::SAR_MSG_REF_NUM, &reference.to_be_bytes()).map_err(too_long)?;
            push_tlv(&mut tlvs, Tag::SAR_TOTAL_SEGMENTS, &[message.parts]).map_err(too_long)?;
            push_tlv(&mut tlvs, Tag::SAR_SEGMENT_SEQNUM, &[piece.number]).map_err(too_long)?;
        }
        let in_payload = piece.in_payload || self.data_sm;
        if in_payload {
            push_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, &piece.octets).map_err(too_long)?;
        }
        tlvs.extend_from_slice(own);
        let (from, to) = (is_number(&self.from), is_number(&self.to));
        let own = |given: Option<u8>, otherwise: u8| given.unwrap_or(otherwise);
        Ok(InboundPart {
            message: Arc::clone(message),
            number: piece.number,
            reference: (message.parts > 1).then_some(reference),
            source: OwnedAddress {
                ton: own(self.source_ton, if from { 1 } else { 5 }),
                npi: own(self.source_npi, u8::from(from)),
                addr: self.from.clone().into_bytes(),
            },
            destination: OwnedAddress {
                ton: own(self.dest_ton, u8::from(to && self.to.len() >= 7)),
                npi: own(self.dest_npi, 1),
                addr: self.to.clone().into_bytes(),
            },
            data_coding: self.data_coding.unwrap_or(piece.data_coding),
            esm_class: piece.esm_class | self.esm_class.unwrap_or(0),
            octets: piece.with_reference(message.parts, reference),
            service_type: self.service_type.clone().unwrap_or_default().into_bytes(),
            protocol_id: self.protocol_id.unwrap_or(0),
            priority_flag: self.priority_flag.unwrap_or(0),
            registered_delivery: self.registered_delivery.unwrap_or(0),
            in_payload,
            by_sar: piece.sar.is_some(),
            tlvs,
            as_data_sm: self.data_sm,
        })
    }

    /// Octets that are sent as they are, and what a handset would show of them.
    fn octets(&self, hex: &str) -> Result<(Vec<Piece>, String), BadValue> {
        let octets = from_hex(hex).map_err(|_| bad!("hex {hex:?} is not hexadecimal"))?;
        let data_coding = self.data_coding.unwrap_or(data_coding::BINARY);
        let has_header = self.esm_class.unwrap_or(0) & ESM_CLASS_UDHI != 0;
        let (_, text) = decode_with_header(data_coding, &octets, has_header, DefaultAlphabet::default());
        let in_payload = self.concat == Some(Concat::Payload) || octets.len() > SHORT_MESSAGE_MAX;
        Ok((vec![Piece { octets, data_coding, esm_class: 0, sar: None, in_payload, number: 1 }], text))
    }

    fn pieces(&self, reference: u16) -> Result<Vec<Piece>, BadValue> {
        let concat = self.concat.unwrap_or_default();
        let (choice, alphabet) = match self.alphabet.as_deref().unwrap_or("auto") {
            "auto" => (Choice::Auto, DefaultAlphabet::Gsm7),
            "gsm7" => (Choice::Gsm7, DefaultAlphabet::Gsm7),
            "gsm7-packed" => (Choice::Gsm7, DefaultAlphabet::Gsm7Packed),
            "ascii" => (Choice::Ascii, DefaultAlphabet::Gsm7),
            "latin1" => (Choice::Latin1, DefaultAlphabet::Gsm7),
            "ucs2" => (Choice::Ucs2, DefaultAlphabet::Gsm7),
            "cyrillic" => return self.pieces_of(ISO_8859_5, data_coding::CYRILLIC, concat, reference),
            "hebrew" => return self.pieces_of(ISO_8859_8, data_coding::HEBREW, concat, reference),
            "jis" => return self.pieces_of(SHIFT_JIS, data_coding::JIS, concat, reference),
            "korean" => return self.pieces_of(EUC_KR, 0x0E, concat, reference),
            other => {
                return Err(bad!(
                    "{other:?} is no alphabet; there are auto, gsm7, gsm7-packed, ascii, latin1, ucs2, cyrillic, hebrew, \
                     jis, korean"
                ));
            }
        };
        let policy = Policy { choice, concat, alphabet, ..Policy::default() };
        let words = |error: crate::message::text::TextError| error.to_string();
        let encoding: Encoding = segment(&self.text, policy).map_err(words)?.encoding;
        let reference = Reference::of(concat, i64::from(reference));
        let mut encoder = Encoder::new(&self.text, encoding, reference).map_err(words)?.with_alphabet(alphabet);
        let mut pieces = Vec::new();
        loop {
            let mut octets = Vec::new();
            let Some(header) = encoder.next_into(&mut octets) else { return Ok(pieces) };
            pieces.push(Piece {
                in_payload: header.whole || octets.len() > SHORT_MESSAGE_MAX,
                octets,
                data_coding: header.data_coding,
                esm_class: header.esm_class,
                sar: header.sar,
                number: header.number,
            });
        }
    }

    /// The parts of a text in an alphabet that handsets of some countries have; never cut inside a character.
    fn pieces_of(
        &self,
        encoding: &'static encoding_rs::Encoding,
        data_coding: u8,
        concat: Concat,
        reference: u16,
    ) -> Result<Vec<Piece>, BadValue> {
        let mut bodies: Vec<Vec<u8>> = vec![Vec::new()];
        let mut total = 0;
        for c in self.text.chars() {
            let mut buffer = [0; 4];
            let (octets, _, lacks) = encoding.encode(c.encode_utf8(&mut buffer));
            if lacks {
                return Err(bad!("{c:?} is not in {}", encoding.name()));
            }
            total += octets.len();
            match bodies.last_mut() {
                Some(body) if body.len() + octets.len() <= OCTETS_A_PART => body.extend_from_slice(&octets),
                _ => bodies.push(octets.into_owned()),
            }
        }
        if total <= OCTETS_SINGLE || concat == Concat::Payload {
            let in_payload = total > OCTETS_SINGLE;
            let octets = bodies.concat();
            return Ok(vec![Piece { octets, data_coding, esm_class: 0, sar: None, in_payload, number: 1 }]);
        }
        let parts = u8::try_from(bodies.len()).map_err(|_| "the text needs more than 255 parts".to_owned())?;
        let piece = |(number, body): (u8, Vec<u8>)| {
            let [high, low] = reference.to_be_bytes();
            let (header, sar) = match concat {
                Concat::Udh8 => (vec![5, 0, 3, low, parts, number], None),
                Concat::Udh16 => (vec![6, 8, 4, high, low, parts, number], None),
                Concat::Sar | Concat::Payload => (Vec::new(), Some(reference)),
            };
            let esm_class = if header.is_empty() { 0 } else { ESM_CLASS_UDHI };
            Piece { octets: [header, body].concat(), data_coding, esm_class, sar, in_payload: false, number }
        };
        Ok((1..=parts).zip(bodies).map(piece).collect())
    }
}

/// The tag of a name or number.
fn tag(name: &str) -> Result<Tag, BadValue> {
    let number = name.strip_prefix("0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
    number
        .map(Tag)
        .or_else(|| Tag::from_name(name))
        .ok_or_else(|| bad!("{name:?} is no TLV: write its number such as 0x1401, or its name such as source_port"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Pdu, decode};

    fn inbound(text: &str) -> Inbound {
        Inbound { from: "447700900001".to_owned(), to: "12345".to_owned(), text: text.to_owned(), ..Inbound::default() }
    }

    /// What a client makes of the parts: texts put together, and what they say of themselves.
    fn read(inbound: &Inbound) -> (String, Vec<(u8, u8)>) {
        let mut whole = String::new();
        let mut about = Vec::new();
        for part in inbound.parts(7).unwrap() {
            let mut frame = Vec::new();
            part.write(1, false, &mut frame).unwrap();
            let (data_coding, esm_class, octets) = match decode(&frame).unwrap().1 {
                Pdu::DeliverSm(sm) => (sm.data_coding, sm.esm_class, sm.text().to_vec()),
                Pdu::DataSm(data) => (data.data_coding, data.esm_class, data.text().to_vec()),
                other => panic!("{other:?}"),
            };
            let packed = inbound.alphabet.as_deref() == Some("gsm7-packed");
            let default = if packed { DefaultAlphabet::Gsm7Packed } else { DefaultAlphabet::Gsm7 };
            whole += &decode_with_header(data_coding, &octets, esm_class & ESM_CLASS_UDHI != 0, default).1;
            about.push((data_coding, esm_class));
        }
        (whole, about)
    }

    #[test]
    fn texts_of_any_alphabet_and_length_arrive() {
        let long = "Hello {world} € and so on. ".repeat(12);
        for (alphabet, text, data_coding) in [
            ("auto", "Hello", 0),
            ("auto", "Привет", 8),
            ("gsm7", "è €", 0),
            ("gsm7-packed", "packed text", 0),
            ("ascii", "plain", 1),
            ("latin1", "Grüße", 3),
            ("ucs2", "Hello 😀", 8),
            ("cyrillic", "Привет", 6),
            ("hebrew", "שלום", 7),
            ("jis", "こんにちは", 5),
            ("korean", "안녕하세요", 0x0E),
            ("auto", &long, 0),
            ("ucs2", &long, 8),
            ("gsm7-packed", &long, 0),
            ("cyrillic", &"Привет, как дела? ".repeat(20), 6),
            ("jis", &"こんにちは".repeat(40), 5),
        ] {
            for concat in [Concat::Udh8, Concat::Udh16, Concat::Sar, Concat::Payload] {
                let inbound = Inbound { alphabet: Some(alphabet.to_owned()), concat: Some(concat), ..inbound(text) };
                let (read, about) = read(&inbound);
                assert_eq!(read, text, "{alphabet} {concat:?}");
                assert!(about.iter().all(|(coding, _)| *coding == data_coding), "{alphabet}: {about:?}");
                let has_header = about.len() > 1 && matches!(concat, Concat::Udh8 | Concat::Udh16);
                assert!(about.iter().all(|(_, class)| *class == if has_header { 0x40 } else { 0 }));
            }
        }
        let data_sm = Inbound { data_sm: true, ..inbound(&long) };
        assert_eq!(read(&data_sm).0, long);
    }

    #[test]
    fn each_message_of_many_has_a_reference_of_its_own() {
        for concat in [Concat::Udh8, Concat::Udh16, Concat::Sar] {
            for alphabet in ["gsm7", "gsm7-packed", "ucs2", "cyrillic"] {
                let long = inbound(&"x".repeat(400));
                let long = Inbound { concat: Some(concat), alphabet: Some(alphabet.to_owned()), ..long };
                let prepared = long.prepare().unwrap();
                for (id, given) in [(1, None), (0x1234, None), (0x1_0007, None), (9, Some(0xBEEF))] {
                    let asked = Inbound { reference: given, ..long.clone() };
                    let parts = asked.prepare().unwrap().parts(id).unwrap();
                    let wanted = given.unwrap_or(id as u16);
                    if given.is_none() {
                        let octets = |part: &Arc<InboundPart>| (part.octets.clone(), part.tlvs.clone());
                        let again: Vec<_> = prepared.parts(id).unwrap().iter().map(octets).collect();
                        assert_eq!(again, parts.iter().map(octets).collect::<Vec<_>>());
                    }
                    assert!(parts.len() > 1);
                    for part in &parts {
                        let mut frame = Vec::new();
                        part.write(1, false, &mut frame).unwrap();
                        let Pdu::DeliverSm(sm) = decode(&frame).unwrap().1 else { panic!() };
                        let said = match concat {
                            Concat::Udh8 => u16::from(sm.short_message[3]),
                            Concat::Udh16 => u16::from_be_bytes([sm.short_message[3], sm.short_message[4]]),
                            _ => sm.tlvs.get_u16(Tag::SAR_MSG_REF_NUM).unwrap(),
                        };
                        let wanted = if concat == Concat::Udh8 { wanted & 0xFF } else { wanted };
                        assert_eq!((said, part.reference), (wanted, Some(given.unwrap_or(id as u16))), "{alphabet}");
                    }
                }
            }
        }
    }

    #[test]
    fn octets_and_fields_go_as_they_are() {
        let inbound = Inbound {
            text: String::new(),
            hex: Some("00ff10".to_owned()),
            esm_class: Some(0x80),
            dest_ton: Some(3),
            tlvs: [("0x1401".to_owned(), "0x0102".to_owned()), ("callback_num".to_owned(), "abc".to_owned())].into(),
            ..inbound("")
        };
        let parts = inbound.parts(1).unwrap();
        let mut frame = Vec::new();
        parts[0].write(9, false, &mut frame).unwrap();
        let Pdu::DeliverSm(sm) = decode(&frame).unwrap().1 else { panic!() };
        assert_eq!((sm.short_message, sm.data_coding, sm.esm_class), (&[0, 0xFF, 0x10][..], 4, 0x80));
        assert_eq!((sm.destination.ton, sm.source.ton, sm.source.npi), (3, 1, 1));
        assert_eq!((sm.tlvs.get(Tag(0x1401)), sm.tlvs.get(Tag::CALLBACK_NUM)), (Some(&[1, 2][..]), Some(&b"abc"[..])));
        // Without TLVs where the version has none.
        frame.clear();
        parts[0].write(9, true, &mut frame).unwrap();
        let Pdu::DeliverSm(sm) = decode(&frame).unwrap().1 else { panic!() };
        assert!(sm.tlvs.is_empty());
    }

    #[test]
    fn version_3_3_gets_no_payload() {
        let long = inbound(&"x".repeat(500));
        for (concat, fits) in [(Concat::Udh8, true), (Concat::Sar, false), (Concat::Payload, false)] {
            let parts = Inbound { concat: Some(concat), ..long.clone() }.parts(1).unwrap();
            assert_eq!(parts[0].write(1, true, &mut Vec::new()).is_ok(), fits, "{concat:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let hex = |hex: &str| Inbound { hex: Some(hex.to_owned()), ..inbound("") };
        let tlv =
            |name: &str, value: &str| Inbound { tlvs: [(name.to_owned(), value.to_owned())].into(), ..inbound("x") };
        for (wrong, named) in [
            (Inbound { from: String::new(), ..inbound("x") }, "from"),
            (Inbound { to: "1".repeat(30), ..inbound("x") }, "destination_addr"),
            (Inbound { text: "x".to_owned(), ..hex("00") }, "both"),
            (hex("0"), "hexadecimal"),
            (hex("zz"), "hexadecimal"),
            (Inbound { alphabet: Some("ascii".to_owned()), ..inbound("é") }, "é"),
            (Inbound { alphabet: Some("cyrillic".to_owned()), ..inbound("こ") }, "こ"),
            (Inbound { alphabet: Some("klingon".to_owned()), ..inbound("x") }, "klingon"),
            (inbound(&"x".repeat(50_000)), "255"),
            (Inbound { count: Some(0), ..inbound("x") }, "count"),
            (Inbound { rate: Some(0.0), ..inbound("x") }, "rate"),
            (Inbound { rate: Some(1e-300), ..inbound("x") }, "rate"),
            (Inbound { rate: Some(f64::NAN), ..inbound("x") }, "rate"),
            (tlv("meteor", "x"), "meteor"),
            (tlv("0x1401", "0xZZ"), "0x1401"),
            (Inbound { from: "a\0b".to_owned(), ..inbound("x") }, "source_addr"),
        ] {
            let error = wrong.parts(1).map(|_| ()).unwrap_err();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
