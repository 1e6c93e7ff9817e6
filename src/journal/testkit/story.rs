//! A journal with every kind of message, made by plain inserts: what the tests of reports and checks rest on.

use crate::journal::model::key::{Attempt, Outcome, State, Verdict};
use crate::journal::open::open_or_create;
use crate::journal::query::{Counts, campaigns};
use crate::journal::store::history::MessageFacts;
use rusqlite::{Connection, params};
use std::path::PathBuf;

/// When the first campaign was imported.
pub(crate) const START: i64 = 1_774_749_599_250;

/// A journal that gets fact after fact.
pub(crate) struct Story {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    campaign: i64,
    next_id: i64,
    line: i64,
    serial: i64,
}

impl Story {
    /// An empty journal.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let connection = open_or_create(&path).unwrap();
        connection
            .execute(
                "INSERT INTO session (id, opened_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
                 VALUES (1, ?1, 'b', 1, 'localhost:2775', 'me', 'trx', '3.4')",
                [START],
            )
            .unwrap();
        Self { _folder: folder, path, connection, campaign: 0, next_id: 1, line: 2, serial: 1 }
    }

    /// Begins a campaign.
    pub(crate) fn campaign(&mut self, name: &str) -> &mut Self {
        self.connection
            .execute(
                "INSERT INTO campaign (name, file, options, source, first_id, end_id, created_at, imported_at, duplicate_rows,
                                       rejected_rows)
                 VALUES (?1, ?1 || '.csv', '{\"to_column\":\"to\"}', 'ACME', ?2, ?2, ?3, ?3 + 500, 1, 2)",
                (name, self.next_id, START),
            )
            .unwrap();
        self.campaign = self.connection.last_insert_rowid();
        self.connection.execute("INSERT INTO campaign_count (campaign_id) VALUES (?1)", [self.campaign]).unwrap();
        for (duplicate, reason) in [(1, "447700900001 stands in line 2 already"), (0, "no digits"), (0, "\u{1b}[31m")] {
            self.connection
                .execute(
                    "INSERT INTO skipped_row (campaign_id, line, duplicate, reason, row) VALUES (?1, 90, ?2, ?3, '=x,\"y\"')",
                    params![self.campaign, duplicate, reason],
                )
                .unwrap();
        }
        self.line = 2;
        self
    }

    /// Adds a message; returns its number.
    pub(crate) fn message(&mut self, parts: i64, text: &str) -> i64 {
        let id = self.next_id;
        self.connection
            .execute(
                "INSERT INTO message (id, line, destination, source, text, encoding, parts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    self.line,
                    format!("4477009{:05}", id),
                    (id % 2 == 0).then_some("+441"),
                    text,
                    id % 2,
                    parts
                ],
            )
            .unwrap();
        self.line += 1;
        self.next_id += parts;
        self.connection
            .execute("UPDATE campaign SET end_id = ?2 WHERE id = ?1", [self.campaign, self.next_id])
            .unwrap();
        id
    }

    /// Claims parts, `after` milliseconds after the import.
    pub(crate) fn claim(&mut self, part: i64, parts: i64, tried: u16, after: i64) -> &mut Self {
        self.connection
            .execute(
                "INSERT INTO claim (first_serial, try, first_part, parts, first_message, session_id, first_sequence_number,
                                    claimed_at)
                 VALUES (?1, ?2, ?3, ?4, (SELECT max(id) FROM message WHERE id <= ?3), 1, 65535 + ?1, ?5)",
                params![self.serial, tried, part, parts, START + after],
            )
            .unwrap();
        self.serial += parts;
        self
    }

    /// Answers an attempt.
    pub(crate) fn answer(&mut self, part: i64, tried: u16, status: u32, outcome: Outcome, after: i64) -> &mut Self {
        let id = (outcome == Outcome::Accepted).then(|| format!("id{part}.{tried}"));
        self.connection
            .execute(
                "INSERT INTO answer (attempt, answered_at, answer_ms, command_status, outcome, message_id)
                 VALUES (?1, ?2, ?2 - coalesce((SELECT claimed_at FROM claim WHERE try = ?6 AND first_part <= ?7
                                               ORDER BY first_part DESC LIMIT 1), ?2), ?3, ?4, ?5)",
                params![Attempt::new(part, tried).0, START + after, status, outcome as u8, id, tried, part],
            )
            .unwrap();
        self
    }

    /// A receipt under a number of its own.
    pub(crate) fn receipt(&mut self, number: i64, state: i64, error: Option<&str>, after: i64) -> &mut Self {
        let stray = number < 0;
        self.connection
            .execute(
                "INSERT INTO receipt (id, received_at, state, final, rule, error, message_id, source, destination, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
                params![
                    number,
                    START + after,
                    state,
                    state != 1,
                    i64::from(!stray),
                    error,
                    stray.then(|| format!("stray{number}")),
                    stray.then_some("447"),
                    "id:1 stat:X"
                ],
            )
            .unwrap();
        self
    }

    /// Says that a receipt belongs to an attempt, or to none.
    pub(crate) fn matched(&mut self, receipt: i64, attempt: Option<Attempt>, rule: i64) -> &mut Self {
        self.connection
            .execute(
                "INSERT INTO receipt_match (receipt_id, attempt, rule, at) VALUES (?1, ?2, ?3, ?4)",
                params![receipt, attempt.map(|attempt| attempt.0), rule, START],
            )
            .unwrap();
        self
    }

    /// Says something of an attempt.
    pub(crate) fn verdict(&mut self, part: i64, tried: u16, verdict: Verdict, reason: &str) -> &mut Self {
        self.connection
            .execute(
                "INSERT INTO verdict (attempt, at, kind, reason) VALUES (?1, ?2, ?3, ?4)",
                params![Attempt::new(part, tried).0, START + 9_000, verdict as u8, reason],
            )
            .unwrap();
        self
    }

    /// Stores the states of messages whose story is not plain, and the counts.
    pub(crate) fn settle(&mut self) -> &mut Self {
        let campaigns = campaigns(&self.connection).unwrap();
        for campaign in &campaigns {
            let mut counts = Counts::default();
            let mut statement = self
                .connection
                .prepare("SELECT id, parts FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id")
                .unwrap();
            let messages: Vec<(i64, u8)> = statement
                .query_map([campaign.first_id, campaign.end_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            for &(message, parts) in &messages {
                let state = self.state_of(message, parts, campaign.cancelled_at.is_some());
                counts.0[state as usize] += 1;
            }
            self.connection
                .execute(
                    "UPDATE campaign_count SET messages = ?2, parts = ?3, queued = ?4, sending = ?5, accepted = ?6,
                            delivered = ?7, partly_delivered = ?8, failed = ?9, rejected = ?10, in_doubt = ?11,
                            cancelled = ?12, suppressed = ?13,
                            first_sent_at = (SELECT min(claimed_at) FROM claim WHERE first_part >= ?14 AND first_part < ?15),
                            last_sent_at = (SELECT max(claimed_at) FROM claim WHERE first_part >= ?14 AND first_part < ?15)
                      WHERE campaign_id = ?1",
                    params![
                        campaign.id,
                        messages.len() as i64,
                        campaign.end_id - campaign.first_id,
                        counts.0[0],
                        counts.0[1],
                        counts.0[2],
                        counts.0[3],
                        counts.0[4],
                        counts.0[5],
                        counts.0[6],
                        counts.0[7],
                        counts.0[8],
                        counts.0[9],
                        campaign.first_id,
                        campaign.end_id,
                    ],
                )
                .unwrap();
        }
        self
    }

    fn state_of(&self, message: i64, parts: u8, cancelled: bool) -> State {
        if let Some(State::Suppressed) =
            crate::journal::store::history::stored_state(&self.connection, message).unwrap()
        {
            return State::Suppressed;
        }
        let facts = MessageFacts::load(&self.connection, message, parts).unwrap();
        let campaign =
            campaigns(&self.connection).unwrap().into_iter().find(|campaign| message < campaign.end_id).unwrap();
        let state = facts.state(cancelled, campaign.awaited);
        let unusual: bool = self
            .connection
            .query_row(
                "SELECT ?2 > 1 OR EXISTS (SELECT 1 FROM claim WHERE try > 0 AND first_part <= ?1 AND first_part + parts > ?1)
                     OR EXISTS (SELECT 1 FROM verdict WHERE attempt >> 12 = ?1)
                     OR EXISTS (SELECT 1 FROM answer WHERE attempt >> 12 = ?1 AND outcome = 1)
                     OR EXISTS (SELECT 1 FROM receipt_match WHERE attempt >> 12 = ?1 OR receipt_id >> 20 = ?1)
                     OR (SELECT count(*) + sum(final = 0) > 1 FROM receipt WHERE id >= (?1 << 20) AND id < ((?1 + 1) << 20))",
                (message, parts),
                |row| Ok(row.get::<_, Option<bool>>(0)?.unwrap_or(false)),
            )
            .unwrap();
        if unusual {
            self.connection
                .execute(
                    "INSERT OR REPLACE INTO message_state (message, state) VALUES (?1, ?2)",
                    (message, state as u8),
                )
                .unwrap();
        }
        state
    }

    /// Optional parameters of all shapes with answers and receipts, and a profile's words for some errors.
    fn parameters(&mut self) {
        let tlv =
            |tag: u16, value: &[u8]| [&tag.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
        let all = [
            tlv(0x0423, &[3, 0, 27]),
            tlv(0x0423, &[9, 255, 255]),
            tlv(0x1403, b"26207\0"),
            tlv(0x1404, b"0.0045"),
            tlv(0x0204, b"12"),
            tlv(0x1405, b""),
            tlv(0x1406, b"\0"),
            tlv(0x1407, &[0, 234]),
            tlv(0x1408, &[0x62, 0xf2, 0x20]),
            tlv(0x1409, b"a\0b"),
            tlv(0x140A, "\u{e9}t\u{e9}".as_bytes()),
            tlv(0x140B, &[0xff, 0xff, 0xff, 0xff]),
            tlv(0x0424, b"a payload"),
            tlv(0x0427, &[50]),
            vec![0, 1, 0, 200, 5],
        ]
        .concat();
        let many = tlv(0x1400, b"").repeat(100);
        for (attempt, tlvs, reason) in [(4, &all, Some("T \u{e9} \u{1b}")), (3, &many, None), (5, &many, Some("no"))] {
            self.connection
                .execute(
                    "INSERT INTO answer_tlv (attempt, tlvs, reason) VALUES (?1, ?2, ?3)",
                    params![Attempt::new(attempt, 0).0, tlvs, reason],
                )
                .unwrap();
        }
        self.connection.execute("UPDATE receipt SET tlvs = ?1 WHERE id % 3 <> 0", [&all]).unwrap();
        self.connection.execute("UPDATE receipt SET other_state = 5 WHERE id % 4 = 0 AND state = 2", []).unwrap();
        self.connection
            .execute_batch(
                "INSERT INTO error_name VALUES ('44', 'not reached'), ('3', 'three'), ('LATE', 'too late'), ('0', 'none');
                 INSERT INTO tlv_name VALUES ('0x1403', 'mcc_mnc', 0);",
            )
            .unwrap();
    }

    /// Two campaigns with every kind of message.
    pub(crate) fn all_kinds() -> Self {
        use Outcome::{Accepted, Rejected, Retry};
        let mut story = Story::new();
        let s = &mut story;
        s.campaign("spring");
        // Delivered, failed, accepted, rejected, rejected otherwise, sending, queued: the plain ones, of one claim.
        let id = s.message(1, "plain, delivered");
        for text in ["=1+1", "accepted", "rejected \u{1b}[2J", "rejected by an unknown status", "sending"] {
            s.message(1, text);
        }
        s.claim(id, 6, 0, 1_000);
        s.answer(id, 0, 0, Accepted, 1_010).receipt(Attempt::new(id, 0).receipt(0), 2, Some("000"), 3_000);
        s.answer(id + 1, 0, 0, Accepted, 1_020).receipt(Attempt::new(id + 1, 0).receipt(0), 5, Some("\u{1b}7"), 4_000);
        s.answer(id + 2, 0, 0, Accepted, 1_030);
        s.answer(id + 3, 0, 0x0B, Rejected, 1_040);
        s.answer(id + 4, 0, 0x4321, Rejected, 1_050);
        s.message(1, "queued");
        // Three parts: delivered, partly delivered, failed, rejected, in doubt, sending.
        for (fates, text) in
            [("ddd", "d"), ("dfa", "df"), ("dfd", "p"), ("fff", "f"), ("arr", "r"), ("d?d", "?"), ("ac-", "c")]
        {
            let id = s.message(3, text);
            s.claim(id, fates.matches(|c| c != '-').count() as i64, 0, 2_000);
            for (part, fate) in (id..).zip(fates.chars()) {
                let number = Attempt::new(part, 0).receipt(0);
                match fate {
                    'd' => s.answer(part, 0, 0, Accepted, 2_010).receipt(number, 2, None, 5_000 + part),
                    'f' => s.answer(part, 0, 0, Accepted, 2_020).receipt(number, 3, Some("044"), 5_000),
                    'a' => s.answer(part, 0, 0, Accepted, 2_030 + part),
                    'r' => s.answer(part, 0, 0x12F, Rejected, 2_040),
                    '?' => s.verdict(part, 0, Verdict::InDoubt, "the line was cut"),
                    _ => s,
                };
            }
        }
        // Retried, then accepted; throttled and to be retried; retried until it was rejected.
        let id = s.message(1, "retried");
        s.claim(id, 1, 0, 3_000)
            .answer(id, 0, 0x58, Retry, 3_010)
            .claim(id, 1, 1, 3_500)
            .answer(id, 1, 0, Accepted, 3_512);
        s.receipt(Attempt::new(id, 1).receipt(0), 2, None, 9_000);
        let id = s.message(1, "throttled");
        s.claim(id, 1, 0, 3_000).answer(id, 0, 0x14, Retry, 3_011);
        let id = s.message(1, "rejected at last");
        s.claim(id, 1, 0, 3_000)
            .answer(id, 0, 0x08, Retry, 3_010)
            .claim(id, 1, 1, 4_000)
            .answer(id, 1, 0x08, Rejected, 4_010);
        // In doubt: held, resent and accepted, assumed sent, abandoned, settled by a late answer, by a receipt; not written.
        let held = s.message(1, "in doubt");
        s.claim(held, 7, 0, 6_000);
        s.verdict(held, 0, Verdict::InDoubt, "no answer \u{1b}within");
        let id = s.message(1, "resent");
        s.verdict(id, 0, Verdict::InDoubt, "no answer").verdict(id, 0, Verdict::Resend, "--in-doubt resend");
        s.claim(id, 1, 1, 7_000).answer(id, 1, 0, Accepted, 7_010);
        let id = s.message(1, "assumed");
        s.verdict(id, 0, Verdict::InDoubt, "no answer").verdict(id, 0, Verdict::AssumeSent, "--in-doubt assume-sent");
        let id = s.message(1, "abandoned");
        s.verdict(id, 0, Verdict::InDoubt, "no answer").verdict(id, 0, Verdict::Abandon, "resolve --abandon");
        let id = s.message(1, "late answer");
        s.verdict(id, 0, Verdict::InDoubt, "no answer").answer(id, 0, 0, Accepted, 20_000);
        let id = s.message(1, "settled by a receipt");
        s.verdict(id, 0, Verdict::InDoubt, "no answer").receipt(-1, 2, None, 21_000).matched(
            -1,
            Some(Attempt::new(id, 0)),
            4,
        );
        let id = s.message(1, "not written");
        s.verdict(id, 0, Verdict::NotWritten, "the sender died before it was written");
        // Receipts: on the way and then delivered, twice, contradictory, ahead of the answer, taken back.
        let id = s.message(1, "on its way");
        s.claim(id, 5, 0, 8_000);
        s.answer(id, 0, 0, Accepted, 8_010).receipt(Attempt::new(id, 0).receipt(0), 1, None, 8_500);
        s.receipt(Attempt::new(id, 0).receipt(1), 2, None, 8_600);
        let id = s.message(1, "twice");
        s.answer(id, 0, 0, Accepted, 8_020).receipt(Attempt::new(id, 0).receipt(0), 5, Some("1"), 8_500);
        s.receipt(Attempt::new(id, 0).receipt(1), 5, Some("2"), 8_700);
        let id = s.message(1, "first failed, then delivered");
        s.answer(id, 0, 0, Accepted, 8_030).receipt(Attempt::new(id, 0).receipt(0), 8, Some("3"), 8_500);
        s.receipt(Attempt::new(id, 0).receipt(1), 2, None, 8_800);
        let id = s.message(1, "ahead of its answer");
        s.receipt(-2, 100, Some("late"), 8_005).answer(id, 0, 0, Accepted, 8_040);
        s.matched(-2, None, 0).matched(-2, Some(Attempt::new(id, 0)), 1);
        let id = s.message(1, "taken back");
        let taken_back = Attempt::new(id, 0).receipt(0);
        s.answer(id, 0, 0, Accepted, 8_050).receipt(taken_back, 5, Some("foreign"), 8_900).matched(taken_back, None, 0);
        let id = s.message(1, "suppressed");
        s.connection.execute("INSERT INTO message_state (message, state) VALUES (?1, 9)", [id]).unwrap();
        // Unmatched and ambiguous ones, of the account.
        s.receipt(-3, 2, None, 9_500).receipt(-4, 2, None, 9_600);
        s.connection.execute("UPDATE receipt SET rule = 6, text = x'ff00' WHERE id = -4", []).unwrap();
        s.connection
            .execute(
                "INSERT INTO inbound (received_at, session_id, source, destination, esm_class, data_coding, text, pdu)
                 VALUES (?1, 1, '447', '60777', 0, 0, 'STOP \u{202e}', x'00')",
                [START],
            )
            .unwrap();
        s.parameters();
        s.campaign("second, cancelled");
        let id = s.message(2, "begun");
        s.claim(id, 1, 0, 10_000).answer(id, 0, 0, Accepted, 10_010);
        s.connection
            .execute(
                "INSERT INTO operation (attempt, kind, message_id, text, asked_at)
                 VALUES (?1 << 12, 'replace_sm', '7', '=1\u{202e}', ?2)",
                [id, START + 10_500],
            )
            .unwrap();
        s.message(1, "never sent");
        s.connection
            .execute("UPDATE campaign SET cancelled_at = ?1 WHERE id = ?2", [START + 11_000, s.campaign])
            .unwrap();
        // An import that is not whole is nowhere to be seen.
        s.settle().campaign("hidden").message(1, "hidden");
        s.connection.execute("UPDATE campaign SET imported_at = NULL WHERE id = ?1", [s.campaign]).unwrap();
        story
    }
}
