//! Messages from handsets, and receipts that could not be read: stored, never answered with a message. One that is a stop
//! word puts its sender on the suppression list, when the operator said which words do.

use super::came::text_of;
use super::events::{Batch, InboundEvent};
use super::keeper::{Keeper, stop_word};
use super::{JournalError, now_ms, suppression};
use crate::address::Destination;
use crate::text::{Concatenation, concatenation, decode_with_header};
use crate::wire::tlv::Tag;
use crate::wire::values::esm_class;
use crate::wire::{Pdu, Tlvs};
use rusqlite::OptionalExtension;

/// Parts of a long message that come further apart than this belong to different ones: references are used again.
const PARTS_APART_MAX_MS: i64 = 24 * 3_600_000;

impl Keeper {
    pub(super) fn inbound(
        &mut self,
        session: i64,
        inbound: &InboundEvent,
        batch: &Batch,
        now: i64,
    ) -> Result<(), JournalError> {
        self.status.inbound += 1;
        let pdu = batch.octets(&inbound.pdu);
        let none = Tlvs(&[]);
        let (source, destination, esm, data_coding, text, tlvs) = match crate::wire::decode(pdu) {
            Ok((_, Pdu::DeliverSm(sm))) => {
                (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text(), sm.tlvs)
            }
            Ok((_, Pdu::DataSm(sm))) => {
                (sm.source.addr, sm.destination.addr, sm.esm_class, sm.data_coding, sm.text(), sm.tlvs)
            }
            _ => (&b""[..], &b""[..], 0, 0, &b""[..], none),
        };
        let (udh, decoded) = decode_with_header(data_coding, text, esm_class::has_udh(esm), self.default_alphabet);
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
        self.heed_stop_word(&source, &decoded)
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
                "SELECT i.id FROM inbound i
                  WHERE i.source = ?1 AND i.reference = ?2 AND i.destination = ?3 AND i.parts = ?4
                    AND i.first_id IS NULL AND i.received_at > ?5 AND i.part <> ?6
                    AND NOT EXISTS (SELECT 1 FROM inbound j
                                     WHERE j.source = ?1 AND j.reference = ?2 AND j.first_id = i.id AND j.part = ?6)
                  ORDER BY i.id DESC LIMIT 1",
            )?
            .query_row(
                (source, place.reference, destination, place.total, now - PARTS_APART_MAX_MS, place.number),
                |row| row.get(0),
            )
            .optional()?)
    }

    fn heed_stop_word(&mut self, source: &str, text: &str) -> Result<(), JournalError> {
        if self.stop_words.is_empty() {
            return Ok(());
        }
        let folded = stop_word(text);
        if !self.stop_words.contains(&folded) {
            return Ok(());
        }
        let Ok(number) = Destination::parse(source) else {
            log::warn!("a stop word came from an address that is no number: nothing to suppress");
            return Ok(());
        };
        suppression::add(&self.connection, number, &format!("it sent {folded}"), now_ms())?;
        self.suppressed.insert(number.key());
        self.status.stopped += 1;
        Ok(())
    }
}

/// The place of a part, where TLVs say it (v3.4, 5.3.2.22 to 24).
fn sar(tlvs: Tlvs<'_>) -> Option<Concatenation> {
    let reference = tlvs.get_u16(Tag::SAR_MSG_REF_NUM)?;
    let total = tlvs.get_u8(Tag::SAR_TOTAL_SEGMENTS)?;
    let number = tlvs.get_u8(Tag::SAR_SEGMENT_SEQNUM)?;
    (1..=total).contains(&number).then_some(Concatenation { reference, total, number })
}
