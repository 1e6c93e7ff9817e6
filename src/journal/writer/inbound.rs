//! Messages from handsets, and receipts that could not be read: stored, never answered with a message. One that is a stop
//! word puts its sender on the suppression list, when the operator said which words do.

use super::{JournalThread, stop_word};
use crate::journal::error::JournalError;
use crate::journal::model::events::{Batch, InboundEvent};
use crate::journal::store::octets::text_of;
use crate::journal::store::suppression::{self, OptedIn, Source, Why};
use crate::message::address::Destination;
use crate::message::text::{
    Concatenation, DefaultAlphabet, concatenation, decode, decode_with_header, split_udh, unfinished,
};
use crate::platform::clock::now_ms;
use crate::wire::tlv::Tag;
use crate::wire::values::esm_class;
use crate::wire::{Pdu, Tlvs};
use crate::words::escape::mask_number;
use rusqlite::OptionalExtension;

/// Parts of a long message that come further apart than this belong to different ones: references are used again.
const PARTS_APART_MAX_MS: i64 = 24 * 3_600_000;
/// Of the messages from one number with one reference that are not whole, a further part is looked for in so many of the
/// newest: whoever sends first parts only makes no others wait.
const UNFINISHED_MAX: i64 = 16;

/// Words from handsets that change the suppression list, as [`stop_word`] folds them.
#[derive(Debug, Default)]
pub(super) struct OptWords {
    /// They put the sender's number on it.
    pub(super) opt_out: Vec<String>,
    /// They take it off again.
    pub(super) opt_in: Vec<String>,
    /// What data_coding 0 means in messages from handsets.
    pub(super) default_alphabet: DefaultAlphabet,
}

impl JournalThread {
    pub(super) fn inbound(
        &mut self,
        session: i64,
        inbound: &InboundEvent,
        batch: &Batch,
        now: i64,
    ) -> Result<(), JournalError> {
        let pdu = batch.octets(&inbound.pdu);
        let none = Tlvs(&[]);
        let unreadable;
        let (source, destination, esm, data_coding, text, tlvs) = match crate::wire::decode(pdu) {
            Ok((_, Pdu::DeliverSm(sm))) => {
                (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text(), sm.tlvs)
            }
            Ok((_, Pdu::DataSm(sm))) => {
                (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text(), sm.tlvs)
            }
            Ok(_) => (&b""[..], &b""[..], 0, 1, &b"[neither a deliver_sm nor a data_sm]"[..], none),
            Err(error) => {
                unreadable = format!("[cannot be read: {error}]");
                (&b""[..], &b""[..], 0, 1, unreadable.as_bytes(), none)
            }
        };
        let (udh, decoded) =
            decode_with_header(data_coding, text, esm_class::has_udh(esm), self.words.default_alphabet);
        let place = concatenation(udh).or_else(|| sar(tlvs)).filter(|place| place.total > 1);
        let (source, destination) = (text_of(source), text_of(destination));
        let first = match &place {
            Some(place) => self.first_part(&source, &destination, place, now)?,
            None => None,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu,
                                      first_id, reference, parts, part)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(rusqlite::params![
                now,
                session,
                &*source,
                &*destination,
                esm,
                data_coding,
                decoded,
                pdu,
                first,
                place.as_ref().map(|place| place.reference),
                place.as_ref().map(|place| place.total),
                place.as_ref().map(|place| place.number),
            ])?;
        let whole = match first {
            Some(first) => self.join(first, &source)?,
            None => {
                self.status.inbound += 1;
                place.is_none().then_some(decoded)
            }
        };
        whole.map_or(Ok(()), |text| self.apply_opt_word(&source, &text))
    }

    /// Reads the parts of a long message anew where a character begins in one of them and ends in the next. Returns its text
    /// when all of them are there.
    fn join(&self, first: i64, source: &str) -> Result<Option<String>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT i.id, i.part, i.data_coding, i.pdu, i.text, i.parts FROM inbound i
              WHERE i.source = ?2 AND i.reference = (SELECT j.reference FROM inbound j WHERE j.id = ?1)
                AND i.id >= ?1 AND coalesce(i.first_id, i.id) = ?1 ORDER BY i.part",
        )?;
        let mut rows = statement.query((first, source))?;
        let mut parts: Vec<InboundPart> = Vec::new();
        let mut total = 0;
        while let Some(row) = rows.next()? {
            total = row.get::<_, u8>(5)?;
            let body = body_of(row.get_ref(3)?.as_blob().unwrap_or_default());
            parts.push(InboundPart {
                id: row.get(0)?,
                number: row.get(1)?,
                data_coding: row.get(2)?,
                body,
                text: row.get(4)?,
                is_changed: false,
            });
        }
        for n in 1..parts.len() {
            let (before, after) = parts.split_at_mut(n);
            let (Some(before), Some(after)) = (before.last_mut(), after.first_mut()) else { continue };
            let open = unfinished(before.data_coding, &before.body, self.words.default_alphabet);
            if open == 0 || before.number + 1 != after.number || before.data_coding != after.data_coding {
                continue;
            }
            let begun = before.body.split_off(before.body.len() - open);
            after.body.splice(0..0, begun);
            (before.is_changed, after.is_changed) = (true, true);
        }
        for part in parts.iter_mut().filter(|part| part.is_changed) {
            part.text = decode(part.data_coding, &part.body, self.words.default_alphabet);
            self.connection
                .prepare_cached("UPDATE inbound SET text = ?2 WHERE id = ?1")?
                .execute((part.id, &part.text))?;
        }
        Ok((parts.len() == usize::from(total)).then(|| parts.into_iter().map(|part| part.text).collect()))
    }

    /// The first stored part of the long message that this one is a part of, where it is not the first itself.
    fn first_part(
        &self,
        source: &str,
        destination: &str,
        place: &Concatenation,
        now: i64,
    ) -> Result<Option<i64>, JournalError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT i.id
                   FROM (SELECT id, part FROM inbound
                          WHERE source = ?1 AND reference = ?2 AND destination = ?3 AND parts = ?4
                            AND first_id IS NULL AND received_at > ?5 ORDER BY id DESC LIMIT ?7) i
                  WHERE i.part <> ?6
                    AND NOT EXISTS (SELECT 1 FROM inbound j
                                     WHERE j.source = ?1 AND j.reference = ?2 AND j.first_id = i.id AND j.part = ?6
                                       AND j.id > i.id)
                  ORDER BY i.id DESC LIMIT 1",
            )?
            .query_row(
                (
                    source,
                    place.reference,
                    destination,
                    place.total,
                    now - PARTS_APART_MAX_MS,
                    place.number,
                    UNFINISHED_MAX,
                ),
                |row| row.get(0),
            )
            .optional()?)
    }

    /// Puts a number on the suppression list, or takes it off, where the message says so and nothing else.
    fn apply_opt_word(&mut self, source: &str, text: &str) -> Result<(), JournalError> {
        if self.words.opt_out.is_empty() && self.words.opt_in.is_empty() {
            return Ok(());
        }
        let folded = stop_word(text);
        if self.words.opt_in.contains(&folded) {
            return self.opt_in(source, &folded);
        }
        if !self.words.opt_out.contains(&folded) {
            return Ok(());
        }
        let Ok(number) = Destination::parse(source) else {
            log::warn!("an opt-out word came from an address that is no number: nothing to suppress");
            return Ok(());
        };
        if number.looks_national() {
            log::warn!(
                "an opt-out word came from {}, which has no country code: the number is suppressed as it came, and messages \
                 to it in international format are still sent; `smppost suppress list` has it",
                mask_number(number.digits())
            );
        }
        let why = Why { source: Source::OptOutWord, reason: &format!("it sent {folded}") };
        suppression::add(&self.connection, number, why, now_ms())?;
        if self.claimer.suppressed.insert(number.same_key()) {
            self.sessions.barred.numbers.insert(number.same_key());
        }
        self.status.stopped += 1;
        Ok(())
    }

    /// Takes a number off the list that an opt-out word put there. What was left out because of it stays left out.
    fn opt_in(&mut self, source: &str, folded: &str) -> Result<(), JournalError> {
        let Ok(number) = Destination::parse(source) else { return Ok(()) };
        match suppression::opt_in(&self.connection, number, &format!("it sent {folded}"), now_ms())? {
            OptedIn::Removed => {
                self.claimer.suppressed.remove(number.same_key());
                self.sessions.barred.numbers.remove(&number.same_key());
                self.status.opted_in += 1;
            }
            OptedIn::Stays(put_by) => log::warn!(
                "an opt-in word came from {}: the number stays on the suppression list, since no opt-out word put it there \
                 ({}); `smppost suppress remove` takes it off",
                mask_number(number.digits()),
                put_by.name()
            ),
            OptedIn::NotThere => {}
        }
        Ok(())
    }
}

/// A stored part of a long message.
struct InboundPart {
    id: i64,
    number: u8,
    data_coding: u8,
    body: Vec<u8>,
    text: String,
    is_changed: bool,
}

/// The text's octets of a stored PDU, without its user data header.
fn body_of(pdu: &[u8]) -> Vec<u8> {
    let (esm, text) = match crate::wire::decode(pdu) {
        Ok((_, Pdu::DeliverSm(sm))) => (sm.esm_class, sm.text()),
        Ok((_, Pdu::DataSm(sm))) => (sm.esm_class, sm.text()),
        _ => return Vec::new(),
    };
    if esm_class::has_udh(esm) { split_udh(text).1.to_vec() } else { text.to_vec() }
}

/// The place of a part, where TLVs say it (v3.4, 5.3.2.22 to 24).
fn sar(tlvs: Tlvs<'_>) -> Option<Concatenation> {
    let reference = tlvs.get_u16(Tag::SAR_MSG_REF_NUM)?;
    let total = tlvs.get_u8(Tag::SAR_TOTAL_SEGMENTS)?;
    let number = tlvs.get_u8(Tag::SAR_SEGMENT_SEQNUM)?;
    (1..=total).contains(&number).then_some(Concatenation { reference, total, number })
}
