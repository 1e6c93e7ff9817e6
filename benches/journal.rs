//! The journal thread by itself: claims, answers and receipts of 20,000 messages through the real thread on the real disk,
//! with a session made of channels instead of sockets.

// Whatever goes wrong ends a benchmark, with its words. criterion's macro documents nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, Sender, bounded};
use smppost::testing::journal::files::lock::SenderLock;
use smppost::testing::journal::model::campaign::CampaignOptions;
use smppost::testing::journal::model::events::{Answer, Batch, ReceiptEvent, Sent, SessionFacts, ToJournal, ToSession};
use smppost::testing::journal::model::retry_rules::RetryRules;
use smppost::testing::journal::now_ms;
use smppost::testing::journal::store::intake::{Intake, Kept, NewMessage};
use smppost::testing::journal::writer::{Board, Campaigns, JournalThread, Takeover, WriterSettings, start};
use smppost::wire::MessageState;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

const MESSAGES: usize = 20_000;
/// Events of one read.
const BATCH: usize = 400;
const RECEIPT: &[u8] =
    b"id:0195f3c2 sub:001 dlvrd:001 submit date:2611230622 done date:2611230623 stat:DELIVRD err:000 text:Your parcel";

/// How far the messages are brought.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Until {
    Claimed,
    Answered,
    Receipted,
}

/// A journal thread with a session.
struct Journal {
    _folder: tempfile::TempDir,
    events: Sender<ToJournal>,
    session: Receiver<ToSession>,
    number: i64,
    thread: JoinHandle<()>,
    random: fastrand::Rng,
}

fn journal() -> Journal {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("journal.db");
    import(&path);
    let lock = SenderLock::take(&path).unwrap();
    let rules = RetryRules::default();
    let takeover = Takeover { path: &path, account: None, rules: &rules, campaigns: Campaigns::Unfinished };
    let own = start(&lock, &takeover).unwrap().own;
    let settings = WriterSettings {
        limit: None,
        ids_in_memory: 1_800_000,
        references: std::sync::Arc::default(),
        opt_out_words: Vec::new(),
        opt_in_words: Vec::new(),
        receipt_horizon: smppost::testing::journal::writer::RECEIPT_HORIZON,
        default_alphabet: smppost::testing::message::text::DefaultAlphabet::Gsm7,
        rules: std::sync::Arc::default(),
        ignore_hours: false,
        stop_when: Vec::new(),
        canaries: Vec::new(),
        gather: Duration::ZERO,
        service: None,
    };
    let thread = JournalThread::new(own, settings, Board::default()).unwrap();
    let (events, inbox) = bounded(1_024);
    let thread = std::thread::spawn(move || thread.run(inbox).unwrap());
    let (to_session, session) = bounded(72);
    let (reply, number) = bounded(1);
    let facts = SessionFacts {
        peer: "peer".into(),
        system_id: "bench".into(),
        bind: "trx",
        smpp_version: "3.4",
        sends_reference: true,
        takes_tlvs: true,
    };
    events.send(ToJournal::Open { facts, session: to_session, reply }).unwrap();
    let number = number.recv().unwrap().id;
    Journal { _folder: folder, events, session, number, thread, random: fastrand::Rng::with_seed(1) }
}

fn import(path: &Path) {
    let mut intake = Intake::begin(path, "bench", "bench.csv", &CampaignOptions::default()).unwrap();
    let numbers: Vec<String> = (0..MESSAGES).map(|n| (447_700_000_000 + n).to_string()).collect();
    let rows = numbers.iter().map(|destination| {
        Kept::Message(NewMessage {
            line: 2,
            destination,
            // Its digits behind a 1.
            number: format!("1{destination}").parse().unwrap_or(0),
            source: None,
            text: "Your parcel 0000000042 comes today between 10 and 12. Thank you.",
            encoding: 0,
            parts: 1,
            fields: None,
            typed: None,
            suppressed: false,
        })
    });
    intake.store(rows).unwrap();
    intake.finish("digest").unwrap();
}

impl Journal {
    /// Brings all messages as far as `until`. Each answer's id is `id` of a number that only rises, or of a random one.
    fn bring(mut self, until: Until, random_ids: bool) -> Self {
        let (mut claimed, mut answered) = (0, 0);
        let mut given: Vec<(Sent, u64)> = Vec::new();
        self.want();
        while claimed < MESSAGES {
            let ToSession::Send(runs) = self.session.recv().unwrap() else { panic!("parts were asked for") };
            self.want();
            for run in runs {
                for (k, item) in run.chunk.items[run.items].iter().enumerate() {
                    let sent = Sent {
                        attempt: item.attempt,
                        message: item.message,
                        sequence_number: run.first_sequence_number + k as u32,
                        campaign: item.campaign,
                        plain: item.is_plain(),
                        refused: item.refused,
                        late: false,
                        referenced: false,
                        generation: run.generation,
                        destination: item.destination,
                    };
                    claimed += 1;
                    let id = if random_ids { self.random.u64(..) } else { 0x0195_0000 + claimed as u64 };
                    given.push((sent, id));
                }
            }
            while until >= Until::Answered
                && (given.len() - answered >= BATCH || claimed == MESSAGES && answered < claimed)
            {
                let end = given.len().min(answered + BATCH);
                self.came(answers(&given[answered..end]));
                answered = end;
            }
        }
        if until == Until::Receipted {
            for some in given.chunks(BATCH) {
                self.came(receipts(some));
                // As a reader with its credits would: not too far ahead of what is committed.
                while let Ok(ToSession::Stored(_)) = self.session.try_recv() {}
            }
        }
        self
    }

    fn want(&self) {
        self.events.send(ToJournal::Want { session: self.number, parts: 1_000 }).unwrap();
    }

    fn came(&self, batch: Batch) {
        self.events.send(ToJournal::Came { session: self.number, batch }).unwrap();
    }

    /// Waits until all is committed.
    fn end(self) {
        drop(self.events);
        while self.session.recv().is_ok() {}
        self.thread.join().unwrap();
    }
}

fn answers(given: &[(Sent, u64)]) -> Batch {
    let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
    for &(sent, id) in given {
        let message_id = batch.keep(format!("{id:08x}").as_bytes());
        batch.answers.push(Answer {
            sent,
            excused: false,
            command_status: 0,
            waited: Duration::from_millis(3),
            message_id,
            tlvs: 0..0,
        });
    }
    batch
}

fn receipts(given: &[(Sent, u64)]) -> Batch {
    let mut batch = Batch { came_at: now_ms(), ..Batch::default() };
    for &(sent, id) in given {
        let event = ReceiptEvent {
            text_id: 0..0,
            other: None,
            message_id: batch.keep(format!("{id:08x}").as_bytes()),
            state: Some(MessageState::Delivered),
            is_final: true,
            error: batch.keep(b"000"),
            text: batch.keep(RECEIPT),
            tlvs: 0..0,
            source: batch.keep(b"447700900001"),
            destination: batch.keep(b"ACME"),
        };
        batch.receipts.push(event);
        batch.acknowledge.deliver.push(sent.sequence_number);
    }
    batch
}

fn lives(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    group.throughput(Throughput::Elements(MESSAGES as u64)).sample_size(10).warm_up_time(Duration::from_millis(500));
    for (name, until, random_ids) in [
        ("claims", Until::Claimed, false),
        ("claims_answers", Until::Answered, false),
        ("claims_answers_receipts", Until::Receipted, false),
        ("claims_answers_receipts_random_ids", Until::Receipted, true),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched(journal, |journal| journal.bring(until, random_ids).end(), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn import_rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    group.throughput(Throughput::Elements(MESSAGES as u64)).sample_size(10).warm_up_time(Duration::from_millis(500));
    group.bench_function("import", |b| {
        b.iter_batched(
            || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            |folder| {
                import(&folder.path().join("journal.db"));
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, lives, import_rows);
criterion_main!(benches);
