//! Delivery receipts: what is kept of a message until its receipt is due, the queue over time, and the PDU.
//!
//! Millions may wait, so a receipt is one flat value of under 100 octets that holds no allocation. The PDU is written by
//! hand and not by the codec, because a simulator must be able to send what the codec rightly refuses to.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::clock::MinuteText;
use super::ids::{IdForm, ReceiptIdForm, write_dec};
use super::inbound::InboundPart;
use super::settings::Outcomes;
use crate::wire::values::esm_class;
use crate::wire::{CommandId, Tag};
use crate::words::{BadValue, bad};

/// Octets of an address that are kept (the limit of a v3.4 address without its NUL).
const ADDRESS_OCTETS: usize = 20;
/// Octets of the message text that a receipt quotes.
const TEXT_OCTETS: usize = 20;
/// Due times are rounded up to this, so that receipts travel in batches rather than in a system call each.
const TICK: Duration = Duration::from_millis(1);

// What millions of waiting receipts cost: this, plus the slack of the deques that hold them.
const _: () = assert!(size_of::<Receipt>() <= 96);

/// A message's fate, as its receipt tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Enroute,
    Delivered,
    Expired,
    Deleted,
    Undelivered,
    Accepted,
    Unknown,
    Rejected,
}

impl Fate {
    /// Draws one by its weight.
    pub(super) fn draw(outcomes: &Outcomes, random: &mut fastrand::Rng) -> Fate {
        let Outcomes { delivered, undelivered, expired, rejected } = *outcomes;
        if undelivered | expired | rejected == 0 {
            return Fate::Delivered;
        }
        let drawn = random.u32(..delivered + undelivered + expired + rejected);
        if drawn < delivered {
            Fate::Delivered
        } else if drawn < delivered + undelivered {
            Fate::Undelivered
        } else if drawn < delivered + undelivered + expired {
            Fate::Expired
        } else {
            Fate::Rejected
        }
    }

    /// The message_state of v3.4 section 5.2.28.
    pub(super) fn message_state(self) -> u8 {
        match self {
            Fate::Enroute => 1,
            Fate::Delivered => 2,
            Fate::Expired => 3,
            Fate::Deleted => 4,
            Fate::Undelivered => 5,
            Fate::Accepted => 6,
            Fate::Unknown => 7,
            Fate::Rejected => 8,
        }
    }

    /// The word after `stat:`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Fate::Enroute => "ENROUTE",
            Fate::Delivered => "DELIVRD",
            Fate::Expired => "EXPIRED",
            Fate::Deleted => "DELETED",
            Fate::Undelivered => "UNDELIV",
            Fate::Accepted => "ACCEPTD",
            Fate::Unknown => "UNKNOWN",
            Fate::Rejected => "REJECTD",
        }
    }

    /// The reference provider's code.
    fn provider_code(self) -> u8 {
        match self {
            Fate::Enroute | Fate::Accepted => 0,
            Fate::Delivered => 2,
            Fate::Rejected => 5,
            Fate::Expired | Fate::Deleted | Fate::Undelivered | Fate::Unknown => 1,
        }
    }

    /// The three digits after `err:`. They are this simulator's own, as they are every SMSC's own.
    fn error(self) -> u16 {
        match self {
            Fate::Enroute | Fate::Delivered | Fate::Accepted => 0,
            Fate::Expired => 27,
            Fate::Deleted => 30,
            Fate::Undelivered => 1,
            Fate::Unknown => 255,
            Fate::Rejected => 8,
        }
    }

    /// The fate of a name: the word in a receipt, or the one of [`Outcomes`], in any case.
    pub(super) fn from_word(word: &str) -> Result<Fate, BadValue> {
        const ALL: [Fate; 8] = [
            Fate::Enroute,
            Fate::Delivered,
            Fate::Expired,
            Fate::Deleted,
            Fate::Undelivered,
            Fate::Accepted,
            Fate::Unknown,
            Fate::Rejected,
        ];
        let is_it = |fate: &Fate| word.eq_ignore_ascii_case(fate.word()) || word.eq_ignore_ascii_case(fate.name());
        ALL.into_iter().find(is_it).ok_or_else(|| {
            let words = ALL.map(Fate::word).join(", ");
            bad!("{word:?} is no state; there are {words}")
        })
    }

    /// The state's name, as reports and the control have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Fate::Enroute => "enroute",
            Fate::Delivered => "delivered",
            Fate::Expired => "expired",
            Fate::Deleted => "deleted",
            Fate::Undelivered => "undelivered",
            Fate::Accepted => "accepted",
            Fate::Unknown => "unknown",
            Fate::Rejected => "rejected",
        }
    }
}

/// An address with its type, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party {
    ton: u8,
    npi: u8,
    length: u8,
    octets: [u8; ADDRESS_OCTETS],
}

impl Party {
    /// Keeps an address; what is beyond 20 octets (possible in data_sm) is cut off.
    pub(super) fn new(ton: u8, npi: u8, address: &[u8]) -> Party {
        let mut octets = [0; ADDRESS_OCTETS];
        let length = address.len().min(ADDRESS_OCTETS);
        octets[..length].copy_from_slice(&address[..length]);
        Party { ton, npi, length: length as u8, octets }
    }

    /// The octets of the address.
    pub(super) fn address(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.ton, self.npi]);
        out.extend_from_slice(self.address());
        out.push(0);
    }
}

/// A receipt that is due some time. `source` and `destination` are those of the message; the receipt swaps them.
/// The fields of the deliver_sm that it becomes.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) number: u64,
    pub(super) submitted_s: u32,
    /// When it was sent first, in seconds since 1970: what comes again says the same. 0: not yet.
    done_s: u32,
    pub(super) user_message_reference: Option<u16>,
    pub(super) source: Party,
    pub(super) destination: Party,
    pub(super) fate: Fate,
    /// What stands after `err:`, where it is not what goes with the fate.
    pub(super) error: Option<u16>,
    pub(super) without_text: bool,
    pub(super) without_tlvs: bool,
    pub(super) as_data_sm: bool,
    pub(super) provider_codes: bool,
    text_length: u8,
    text: [u8; TEXT_OCTETS],
}

impl Receipt {
    /// A receipt for message `number`, which went from `source` to `destination`.
    pub(super) fn new(number: u64, submitted_s: u32, source: Party, destination: Party, fate: Fate) -> Receipt {
        Receipt {
            number,
            submitted_s,
            done_s: 0,
            user_message_reference: None,
            source,
            destination,
            fate,
            error: None,
            without_text: false,
            without_tlvs: false,
            as_data_sm: false,
            provider_codes: false,
            text_length: 0,
            text: [0; TEXT_OCTETS],
        }
    }

    /// When its message came to its end: `now_s` where it is sent for the first time.
    pub(super) fn done_s(&mut self, now_s: u64) -> u64 {
        if self.done_s == 0 {
            self.done_s = now_s as u32;
        }
        u64::from(self.done_s)
    }

    /// Quotes the beginning of the message. An escape at the cut, whose character would be missing, is left out: there are
    /// clients that read no receipt which ends so.
    pub(super) fn quote(&mut self, text: &[u8]) {
        let mut length = text.len().min(TEXT_OCTETS);
        if length < text.len() && text[..length].ends_with(b"\x1B") {
            length -= 1;
        }
        self.text[..length].copy_from_slice(&text[..length]);
        self.text_length = length as u8;
    }
}

/// What is delivered to a client: a receipt, or a message from a handset.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Receipt(Receipt),
    Inbound(Arc<InboundPart>),
}

// Millions may wait.
const _: () = assert!(size_of::<Delivery>() <= 96);

impl Delivery {
    /// Whether it is for one session, and stays with it as long as that is there.
    pub(super) fn is_for_one(&self) -> bool {
        match self {
            Delivery::Receipt(_) => false,
            Delivery::Inbound(part) => part.message.is_for_one(),
        }
    }
}

/// Deliveries in the order in which they are due. Times are since the simulator's start.
#[derive(Debug, Default)]
pub(super) struct DeliveryQueue {
    ticks: BTreeMap<u64, VecDeque<Delivery>>,
    spare: Vec<VecDeque<Delivery>>,
    length: usize,
}

impl DeliveryQueue {
    /// Adds a delivery and says whether it is due before everything that was there.
    pub(super) fn push(&mut self, due: Duration, delivery: Delivery) -> bool {
        let tick = due.as_nanos().div_ceil(TICK.as_nanos()) as u64;
        let first = self.ticks.first_key_value().is_none_or(|(first, _)| tick < *first);
        let spare = &mut self.spare;
        self.ticks.entry(tick).or_insert_with(|| spare.pop().unwrap_or_default()).push_back(delivery);
        self.length += 1;
        first
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.ticks.first_key_value().map(|(tick, _)| TICK * u32::try_from(*tick).unwrap_or(u32::MAX))
    }

    /// Moves up to `most` deliveries that are due at `now` to `taken`, the longest due first.
    pub(super) fn take_due(&mut self, now: Duration, most: usize, taken: &mut Vec<Delivery>) {
        let now = (now.as_nanos() / TICK.as_nanos()) as u64;
        let mut room = most;
        while room > 0 {
            let Some(mut entry) = self.ticks.first_entry() else { break };
            if *entry.key() > now {
                break;
            }
            let count = room.min(entry.get().len());
            taken.extend(entry.get_mut().drain(..count));
            room -= count;
            self.length -= count;
            if entry.get().is_empty() {
                let emptied = entry.remove();
                // A few are kept, so that a steady flow allocates nothing; more would pin a peak's memory.
                if self.spare.len() < 16 && emptied.capacity() <= 4_096 {
                    self.spare.push(emptied);
                }
            }
        }
    }

    /// Moves all of them to `taken`, due or not.
    pub(super) fn take_all(&mut self, taken: &mut Vec<Delivery>) {
        std::mem::take(&mut self.ticks).into_values().for_each(|queue| taken.extend(queue));
        self.length = 0;
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.ticks.clear();
        self.length = 0;
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }
}

/// Writes receipts as PDUs.
#[derive(Debug)]
pub(super) struct ReceiptWriter {
    /// The shape of ids in answers.
    pub(super) answer_id: IdForm,
    /// The shape of ids in receipts, where it differs.
    pub(super) receipt_id: Option<ReceiptIdForm>,
    /// v3.3 has no TLVs and no data_sm.
    pub(super) v33: bool,
    /// A service_type over its limit.
    pub(super) long_service_type: bool,
    submitted: MinuteText,
    done: MinuteText,
    scratch: Vec<u8>,
}

impl ReceiptWriter {
    /// A writer of usual receipts.
    pub(super) fn new(
        answer_id: IdForm,
        receipt_id: Option<ReceiptIdForm>,
        v33: bool,
        long_service_type: bool,
    ) -> Self {
        let (submitted, done) = (MinuteText::default(), MinuteText::default());
        ReceiptWriter { answer_id, receipt_id, v33, long_service_type, submitted, done, scratch: Vec::new() }
    }

    /// Appends the id as receipts spell it.
    pub(super) fn write_id(&self, number: u64, out: &mut Vec<u8>) {
        match self.receipt_id {
            None => self.answer_id.write(number, out),
            Some(form) => form.write(number, self.answer_id, out),
        }
    }

    /// Appends the deliver_sm or data_sm of a receipt, done at `done_s` (seconds since 1970).
    pub(super) fn write(&mut self, receipt: &Receipt, sequence_number: u32, done_s: u64, out: &mut Vec<u8>) {
        let as_data_sm = receipt.as_data_sm && !self.v33;
        let command = if as_data_sm { CommandId::DATA_SM } else { CommandId::DELIVER_SM };
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&command.0.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&sequence_number.to_be_bytes());
        out.extend_from_slice(if self.long_service_type { b"FIFTEEN-OCTETS!\0" } else { b"\0" });
        receipt.destination.write(out);
        receipt.source.write(out);
        let class = if receipt.fate == Fate::Enroute { esm_class::TYPE_INTERMEDIATE } else { esm_class::TYPE_RECEIPT };
        out.push(class);
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        if !receipt.without_text || self.v33 {
            self.write_text(receipt, done_s, &mut text);
        }
        if as_data_sm {
            // registered_delivery, data_coding.
            out.extend_from_slice(&[0, 0]);
            write_tlv(Tag::MESSAGE_PAYLOAD, &text, out);
        } else {
            // protocol_id, priority_flag, schedule_delivery_time, validity_period, registered_delivery,
            // replace_if_present, data_coding, sm_default_msg_id, sm_length.
            out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
            out.extend_from_slice(&text);
        }
        if !receipt.without_tlvs && !self.v33 {
            text.clear();
            self.write_id(receipt.number, &mut text);
            text.push(0);
            write_tlv(Tag::RECEIPTED_MESSAGE_ID, &text, out);
            let fate = receipt.fate;
            let state = if receipt.provider_codes { fate.provider_code() } else { fate.message_state() };
            write_tlv(Tag::MESSAGE_STATE, &[state], out);
            if let Some(reference) = receipt.user_message_reference {
                write_tlv(Tag::USER_MESSAGE_REFERENCE, &reference.to_be_bytes(), out);
            }
        }
        self.scratch = text;
        let length = (out.len() - start) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn write_text(&mut self, receipt: &Receipt, done_s: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"id:");
        self.write_id(receipt.number, out);
        out.extend_from_slice(b" sub:001 dlvrd:");
        out.extend_from_slice(if receipt.fate == Fate::Delivered { b"001" } else { b"000" });
        out.extend_from_slice(b" submit date:");
        out.extend_from_slice(self.submitted.of(u64::from(receipt.submitted_s)));
        out.extend_from_slice(b" done date:");
        out.extend_from_slice(self.done.of(done_s));
        out.extend_from_slice(b" stat:");
        if receipt.provider_codes {
            out.push(b'0' + receipt.fate.provider_code());
        } else {
            out.extend_from_slice(receipt.fate.word().as_bytes());
        }
        out.extend_from_slice(b" err:");
        write_dec(u64::from(receipt.error.unwrap_or_else(|| receipt.fate.error())), 3, out);
        out.extend_from_slice(b" text:");
        out.extend_from_slice(&receipt.text[..usize::from(receipt.text_length)]);
    }
}

/// Appends a TLV; values are far below the 64 KiB that its length can say.
fn write_tlv(tag: Tag, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag.0.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: u64, fate: Fate) -> Receipt {
        let mut receipt = Receipt::new(number, 0, Party::new(5, 0, b"Sender"), Party::new(1, 1, b"491700000001"), fate);
        receipt.quote(b"Hello, this text is longer than twenty octets");
        receipt
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_queue_gives_what_is_due_in_order() {
        let mut queue = DeliveryQueue::default();
        let receipt = |number| Delivery::Receipt(receipt(number, Fate::Delivered));
        assert!(queue.push(ms(20), receipt(2)));
        assert!(queue.push(ms(10), receipt(1)));
        assert!(!queue.push(ms(20), receipt(3)));
        assert!(!queue.push(ms(30), receipt(4)));
        assert_eq!((queue.next_due(), queue.len()), (Some(ms(10)), 4));
        let mut taken = Vec::new();
        queue.take_due(ms(9), 10, &mut taken);
        assert!(taken.is_empty());
        queue.take_due(ms(29), 2, &mut taken);
        queue.take_due(ms(29), 10, &mut taken);
        let number = |delivery: &Delivery| match delivery {
            Delivery::Receipt(receipt) => receipt.number,
            Delivery::Inbound(_) => 0,
        };
        assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((queue.next_due(), queue.len()), (Some(ms(30)), 1));
    }

    #[test]
    fn due_times_are_rounded_up_to_a_tick() {
        let mut queue = DeliveryQueue::default();
        queue.push(Duration::from_micros(1), Delivery::Receipt(receipt(1, Fate::Delivered)));
        assert_eq!(queue.next_due(), Some(ms(1)));
    }

    #[test]
    fn fates_follow_their_weights() {
        let outcomes = Outcomes { delivered: 50, undelivered: 30, expired: 20, rejected: 0 };
        let mut random = fastrand::Rng::with_seed(7);
        let drawn: Vec<Fate> = (0..10_000).map(|_| Fate::draw(&outcomes, &mut random)).collect();
        let count = |fate| drawn.iter().filter(|f| **f == fate).count();
        assert!((4_700..5_300).contains(&count(Fate::Delivered)));
        assert!((2_700..3_300).contains(&count(Fate::Undelivered)));
        assert_eq!(count(Fate::Rejected), 0);
    }

    #[test]
    fn a_quotation_ends_with_a_whole_character() {
        let mut quoting = receipt(1, Fate::Delivered);
        for (text, quoted) in [
            (&b"1 \x1B<\x1Be\x1B> \x1B(\x1B=\x1B) \x1B/ \x1B@"[..], &b"1 \x1B<\x1Be\x1B> \x1B(\x1B=\x1B) \x1B/ "[..]),
            (b"0123456789 of 18 \x1Be and more", b"0123456789 of 18 \x1Be "),
            (b"short \x1Be", b"short \x1Be"),
        ] {
            quoting.quote(text);
            assert_eq!(&quoting.text[..usize::from(quoting.text_length)], quoted);
        }
    }

    #[test]
    fn the_text_has_the_usual_form() {
        let mut writer = ReceiptWriter::new(IdForm::Hex, None, false, false);
        let mut text = Vec::new();
        let mut again = receipt(0xB8BE19, Fate::Undelivered);
        assert_eq!([again.done_s(60), again.done_s(120)], [60, 60], "what comes again says the same");
        writer.write_text(&receipt(0xB8BE19, Fate::Undelivered), 60, &mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "id:00b8be19 sub:001 dlvrd:000 submit date:7001010000 done date:7001010001 stat:UNDELIV err:001 \
             text:Hello, this text is "
        );
    }
}
