//! A journal thread without threads or sockets, for tests: what sessions would say is put straight into its transactions.

use crate::journal::files::answer_log::Answers;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::campaign::InDoubtPolicy;
use crate::journal::model::events::{
    Answer, Batch, InboundEvent, ReceiptEvent, Sent, SessionFacts, ToJournal, ToSession,
};
use crate::journal::model::key::State;
use crate::journal::model::retry_rules::{DELAYS_MS, RetryRules};
use crate::journal::open::open_existing;
use crate::journal::store::decisions::{Decision, request};
use crate::journal::store::intake::{Intake, Kept, NewMessage};
use crate::journal::store::number_index::key_of;
use crate::journal::store::shares::{self, Change};
use crate::journal::writer::service::{ServiceBoard, ServiceSettings};
use crate::journal::writer::{Board, Campaigns, JournalThread, Takeover, WriterSettings, takeover};
use crate::platform::clock::now_ms;
use crate::wire::MessageState;
use crossbeam_channel::{Receiver, bounded};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub const SENDER: &str = "Acme";

/// How long messages are waited for that are held back, or not there.
const FED_WITHIN: Duration = Duration::from_secs(2);

/// A journal with one campaign, and its thread.
pub struct Bench {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub thread: Option<JournalThread>,
    pub ids_in_memory: usize,
    pub opt_out_words: Vec<String>,
    pub opt_in_words: Vec<String>,
    pub rules: Arc<RetryRules>,
    pub receipt_horizon: Duration,
    /// How many campaigns there are: all of them are sent.
    pub campaigns: u32,
    /// Its sessions carry optional parameters.
    pub takes_tlvs: bool,
    /// It serves: what is released is sent, instead of all campaigns.
    pub serves: bool,
    /// What a service has to say.
    pub service: ServiceBoard,
    sessions: Vec<(i64, Receiver<ToSession>)>,
}

/// A receipt as it comes.
#[derive(Clone, Debug)]
pub struct FakeReceipt<'a> {
    pub id: &'a str,
    pub state: MessageState,
    pub is_final: bool,
    /// The handset's number.
    pub from: &'a str,
    pub reference: Option<u16>,
    /// The id in the text, where `id` is another one in the TLV.
    pub text_id: &'a str,
}

impl<'a> FakeReceipt<'a> {
    /// Final, unless its state is ENROUTE.
    pub fn new(id: &'a str, state: MessageState, from: &'a str) -> Self {
        Self { id, state, is_final: state != MessageState::Enroute, from, reference: None, text_id: "" }
    }

    pub fn with_reference(self, reference: impl Into<Option<u16>>) -> Self {
        Self { reference: reference.into(), ..self }
    }

    pub fn with_text_id(self, text_id: &'a str) -> Self {
        Self { text_id, ..self }
    }
}

fn import(path: &Path, name: &str, messages: &[(&str, u8)], options: &CampaignOptions) {
    let mut intake = Intake::begin(path, name, "test.csv", options).unwrap();
    let text = |parts: u8| if parts == 1 { "Hi".to_owned() } else { "x".repeat(153 * usize::from(parts)) };
    let texts: Vec<String> = (0..=u8::MAX).map(text).collect();
    let rows = messages.iter().enumerate().map(|(n, &(destination, parts))| {
        Kept::Message(NewMessage {
            line: n as u64 + 2,
            destination,
            number: key_of(destination),
            source: None,
            text: &texts[usize::from(parts)],
            encoding: 0,
            parts,
            fields: None,
            typed: None,
            suppressed: false,
        })
    });
    intake.store(rows).unwrap();
    intake.finish("").unwrap();
}

impl Bench {
    /// A campaign of messages of so many parts to these numbers.
    pub fn new(messages: &[(&str, u8)], in_doubt: InDoubtPolicy) -> Self {
        Self::with_options(messages, CampaignOptions { in_doubt, from: SENDER.into(), ..Default::default() })
    }

    /// As [`Self::new`], holding what is in doubt, with a session on which the first so many parts were sent.
    pub fn sending(messages: &[(&str, u8)], parts: usize) -> (Self, i64, Vec<Sent>) {
        let mut bench = Self::new(messages, InDoubtPolicy::Hold);
        let session = bench.open_session();
        let sent = bench.send(session, parts);
        (bench, session, sent)
    }

    pub fn with_options(messages: &[(&str, u8)], options: CampaignOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        import(&path, "test", messages, &options);
        let mut bench = Self {
            _folder: folder,
            path,
            thread: None,
            ids_in_memory: 1_000,
            opt_out_words: Vec::new(),
            opt_in_words: Vec::new(),
            // No test waits for what is tried again.
            rules: Arc::new(RetryRules { delays_ms: vec![0; DELAYS_MS.len()], ..RetryRules::default() }),
            receipt_horizon: crate::journal::writer::RECEIPT_HORIZON,
            campaigns: 1,
            takes_tlvs: true,
            serves: false,
            service: ServiceBoard::default(),
            sessions: Vec::new(),
        };
        bench.restart();
        bench
    }

    /// Another campaign, which is sent from the next start on.
    pub fn import(&mut self, name: &str, messages: &[(&str, u8)], share: Change) {
        import(&self.path, name, messages, &CampaignOptions::default());
        shares::set_by_name(&open_existing(&self.path).unwrap(), name, share).unwrap();
        self.campaigns += 1;
    }

    /// As after kill -9 without write marks: everything claimed and not answered is in doubt.
    pub fn restart(&mut self) {
        self.thread = None;
        self.sessions.clear();
        let takeover =
            Takeover { path: &self.path, account: None, rules: &self.rules, campaigns: Campaigns::Unfinished };
        let mut own = takeover::open(&takeover).unwrap().own;
        own.active = if self.serves { Vec::new() } else { (0..self.campaigns).collect() };
        let settings = WriterSettings {
            limit: None,
            ids_in_memory: self.ids_in_memory,
            references: Arc::new(AtomicBool::new(true)),
            opt_out_words: self.opt_out_words.clone(),
            opt_in_words: self.opt_in_words.clone(),
            default_alphabet: crate::message::text::DefaultAlphabet::default(),
            rules: Arc::clone(&self.rules),
            ignore_hours: false,
            stop_when: Vec::new(),
            canaries: Vec::new(),
            gather: Duration::ZERO,
            service: self.serves.then(|| ServiceSettings { run: 1, board: Arc::clone(&self.service) }),
            receipt_horizon: self.receipt_horizon,
        };
        self.thread = Some(JournalThread::new(own, settings, Board::default()).unwrap());
    }

    pub fn thread(&mut self) -> &mut JournalThread {
        self.thread.as_mut().unwrap()
    }

    pub fn tell(&mut self, event: ToJournal) {
        self.thread().transact(&mut vec![event], true).unwrap();
    }

    pub fn open_session(&mut self) -> i64 {
        let (session, from_journal) = bounded(1_024);
        let (reply, number) = bounded(1);
        let facts = SessionFacts {
            peer: "test".into(),
            system_id: "test".into(),
            bind: "trx",
            smpp_version: "3.4",
            sends_reference: true,
            takes_tlvs: self.takes_tlvs,
        };
        self.tell(ToJournal::Open { facts, session, reply });
        let id = number.recv().unwrap().id;
        self.sessions.push((id, from_journal));
        id
    }

    /// Has up to `parts` parts claimed and "written".
    pub fn send(&mut self, session: i64, parts: usize) -> Vec<Sent> {
        self.send_within(session, parts, FED_WITHIN)
    }

    /// The feeder reads on a thread of its own, which a busy machine can keep waiting: that is waited for in any case.
    fn send_within(&mut self, session: i64, parts: usize, within: Duration) -> Vec<Sent> {
        let mut sent = Vec::new();
        let until = Instant::now() + within;
        loop {
            let (before, was_reading) = (sent.len(), self.thread().claimer.is_reading());
            self.tell(ToJournal::Want { session, parts: parts - sent.len() });
            let (_, from_journal) = self.sessions.iter().find(|(id, _)| *id == session).unwrap();
            for message in from_journal.try_iter() {
                let ToSession::Send(runs) = message else { continue };
                for run in runs {
                    for (n, item) in run.chunk.items[run.items.clone()].iter().enumerate() {
                        sent.push(Sent {
                            attempt: item.attempt,
                            message: item.message,
                            sequence_number: run.first_sequence_number + n as u32,
                            campaign: item.campaign,
                            plain: item.is_plain(),
                            refused: item.refused,
                            late: false,
                            referenced: true,
                            generation: run.generation,
                            destination: item.destination,
                        });
                    }
                }
            }
            let claimer = &self.thread().claimer;
            // What was read is claimed with the next question.
            let may_come = was_reading || claimer.is_reading() || sent.len() > before;
            let is_late = Instant::now() > until && !may_come;
            if sent.len() >= parts || claimer.is_through() || is_late {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.tell(ToJournal::Want { session, parts: 0 });
        sent
    }

    /// As [`Self::send`], without waiting long for what is not there.
    pub fn send_at_once(&mut self, session: i64, parts: usize) -> Vec<Sent> {
        self.send_within(session, parts, Duration::from_millis(20))
    }

    /// What the journal said to a session.
    pub fn said(&self, session: i64) -> Vec<ToSession> {
        self.sessions.iter().filter(|(id, _)| *id == session).flat_map(|(_, said)| said.try_iter()).collect()
    }

    pub fn answer(&mut self, session: i64, sent: Sent, command_status: u32, id: &str) {
        self.answer_with(session, (sent, false), command_status, id);
    }

    /// A temporary refusal that is laid to the pace.
    pub fn answer_excused(&mut self, session: i64, sent: Sent, command_status: u32) {
        self.answer_with(session, (sent, true), command_status, "");
    }

    fn answer_with(&mut self, session: i64, (sent, excused): (Sent, bool), command_status: u32, id: &str) {
        let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
        let message_id = batch.keep(id.as_bytes());
        let waited = Duration::ZERO;
        batch.answers.push(Answer { sent, command_status, excused, message_id, waited, tlvs: 0..0 });
        self.tell(ToJournal::Came { session, batch });
    }

    /// Answers that are noted, and of which the journal thread never hears: each with its status and id.
    pub fn note(&mut self, session: i64, answers: &[(Sent, u32, &str)]) {
        let run: Vec<String> = self.query("SELECT value FROM meta WHERE key = 'run'", |row| row.get(0));
        let run = u64::from_str_radix(&run[0], 16).unwrap();
        let mut notes = Answers::open(&self.path).unwrap().begin(session, run);
        for &(sent, command_status, id) in answers {
            let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
            let message_id = batch.keep(id.as_bytes());
            batch.answers.push(Answer {
                sent,
                command_status,
                excused: false,
                message_id,
                waited: Duration::ZERO,
                tlvs: 0..0,
            });
            notes.note(&mut batch, &RetryRules::default()).unwrap();
        }
    }

    pub fn receipt(&mut self, session: i64, told: &FakeReceipt<'_>) {
        self.receipts(session, std::slice::from_ref(told), SENDER);
    }

    /// Receipts that come together, for messages from this sender.
    pub fn receipts(&mut self, session: i64, told: &[FakeReceipt<'_>], sender: &str) {
        let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
        for told in told {
            let tlvs = told
                .reference
                .map_or_else(Vec::new, |reference| [&[0x02, 0x04, 0, 2][..], &reference.to_be_bytes()].concat());
            let event = ReceiptEvent {
                message_id: batch.keep(told.id.as_bytes()),
                text_id: batch.keep(told.text_id.as_bytes()),
                state: Some(told.state),
                is_final: told.is_final,
                other: None,
                error: batch.keep(b""),
                text: batch.keep(b"text"),
                tlvs: batch.keep(&tlvs),
                source: batch.keep(told.from.as_bytes()),
                destination: batch.keep(sender.as_bytes()),
            };
            batch.receipts.push(event);
        }
        batch.acknowledge.deliver.push(1);
        self.tell(ToJournal::Came { session, batch });
    }

    /// Has the journal thread do what it left to its next transactions.
    pub fn rest(&mut self) {
        while self.thread().matcher.is_waking() || self.thread().matcher.has_to_judge() {
            self.thread().transact(&mut Vec::new(), true).unwrap();
        }
    }

    /// A final receipt.
    pub fn delivered(&mut self, session: i64, id: &str, from: &str) {
        self.receipt(session, &FakeReceipt::new(id, MessageState::Delivered, from));
    }

    /// A deliver_sm that is no receipt.
    pub fn inbound(&mut self, session: i64, pdu: &[u8]) {
        let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
        let pdu = batch.keep(pdu);
        batch.inbound.push(InboundEvent { pdu });
        self.tell(ToJournal::Came { session, batch });
    }

    /// A response timer expires.
    pub fn time_out(&mut self, session: i64, sent: Sent) -> Sent {
        self.tell(ToJournal::TimedOut { session, sent: vec![sent] });
        Sent { late: true, ..sent }
    }

    /// The session is lost with these unanswered.
    pub fn lose(&mut self, session: i64, unanswered: Vec<Sent>) {
        let reason = "cut".into();
        self.tell(ToJournal::Closed { session, reason, unanswered, unwritten: Vec::new() });
    }

    /// As another process would, while this one sends.
    pub fn decide(&mut self, decision: &Decision) {
        let other = open_existing(&self.path).unwrap();
        request(&other, "test", decision).unwrap();
        self.thread().transact(&mut Vec::new(), true).unwrap();
    }

    /// The states of all messages, as everybody sees them; checks that counts and stored states agree with them.
    pub fn states(&self) -> Vec<String> {
        let connection = crate::journal::open::open_read_only(&self.path).unwrap();
        let mut statement = connection.prepare("SELECT state FROM message_status ORDER BY line").unwrap();
        let states: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        for state in State::ALL {
            let sql = format!("SELECT {} FROM campaign_summary", state.name());
            let counted: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(counted as usize, states.iter().filter(|found| *found == state.name()).count(), "{states:?}");
        }
        states
    }

    /// The receipts' rules, in order of arrival.
    pub fn rules(&self) -> Vec<(String, Option<i64>)> {
        self.query("SELECT rule, line FROM receipt_log ORDER BY received_at", |row| Ok((row.get(0)?, row.get(1)?)))
    }

    pub fn query<T>(&self, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let connection = crate::journal::open::open_read_only(&self.path).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| read(row)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.query(sql, |row| row.get(0))[0]
    }
}
