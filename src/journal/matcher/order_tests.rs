//! The matcher by itself, on a journal in memory: no thread, no file, no socket, and a clock that the test sets. Thousands of
//! stories in random orders are told to it, and to a naive model.

use super::{Matcher, Tx};
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::model::events::{Batch, ReceiptEvent, Sent};
use crate::journal::model::key::{Attempt, State, Verdict};
use crate::journal::open::SCHEMA;
use crate::journal::store::claims::{self, Claimed};
use crate::journal::store::counts::Counts;
use crate::journal::store::verdicts::insert_verdict;
use crate::journal::testkit::bench::SENDER;
use crate::journal::testkit::orders::{Fate, IDS, NUMBERS, Step, Story, compare};
use crate::message::address::Destination;
use crate::wire::MessageState::{Delivered, Undeliverable};
use rusqlite::Connection;

const IDS_IN_MEMORY: usize = 1_000;
/// When the stories begin.
const BEGINNING: i64 = 1_700_000_000_000;

/// A matcher, and the journal that it is told of.
struct World {
    connection: Connection,
    counts: Counts,
    matcher: Matcher,
    now: i64,
    claimed: i64,
    sent: Vec<Sent>,
    late: usize,
    budget: (u64, i64),
}

impl World {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(200);
        connection.execute_batch(SCHEMA).unwrap();
        let matcher = Matcher::open(&connection, IDS_IN_MEMORY).unwrap();
        let counts = Counts::load(&connection).unwrap();
        Self {
            connection,
            counts,
            matcher,
            now: BEGINNING,
            claimed: 0,
            sent: Vec::new(),
            late: 0,
            budget: (1_000, 1_000),
        }
    }

    /// A campaign of messages to these numbers, and a session. All of it is undone by [`Self::forget`].
    fn begin(&mut self, story: &Story) {
        let options = CampaignOptions { allow_duplicates: true, from: SENDER.into(), ..Default::default() };
        let count = story.messages.len() as i64;
        self.connection.execute_batch("BEGIN").unwrap();
        self.connection
            .execute(
                "INSERT INTO campaign (id, name, file, options, source, first_id, end_id, created_at, imported_at)
                 VALUES (1, 'test', 'test.csv', ?1, ?2, 1, ?3, 0, 0)",
                (serde_json::to_string(&options).unwrap(), SENDER, story.part(story.messages.len()) as i64),
            )
            .unwrap();
        self.connection
            .execute(
                "INSERT INTO campaign_count (campaign_id, messages, parts, queued) VALUES (1, ?1, ?1, ?1)",
                [count],
            )
            .unwrap();
        for (n, message) in story.messages.iter().enumerate() {
            self.connection
                .execute(
                    "INSERT INTO message (id, line, destination, text, encoding, parts) VALUES (?1, ?2, ?3, 'Hi', 0, 1)",
                    (story.part(n) as i64, n as i64 + 2, NUMBERS[message.number]),
                )
                .unwrap();
        }
        (self.now, self.claimed, self.late, self.budget) = (BEGINNING, 0, 0, story.budget);
        self.sent.clear();
        self.open_session();
        self.load();
    }

    fn open_session(&mut self) {
        self.connection
            .execute(
                "INSERT INTO session (opened_at, boot_id, first_serial, peer, system_id, bind, smpp_version, sends_reference)
                 VALUES (?1, '', ?2, '', '', 'trx', '3.4', 1)",
                [self.now, self.claimed + 1],
            )
            .unwrap();
        self.matcher.doubts.note_clock(self.now);
    }

    /// As a sender that starts.
    fn load(&mut self) {
        self.counts = Counts::load(&self.connection).unwrap();
        self.matcher = Matcher::open(&self.connection, IDS_IN_MEMORY).unwrap();
        self.matcher.load_judging(&self.connection).unwrap();
        (self.matcher.work.steps_per_commit, self.matcher.work.rows_per_commit) = self.budget;
    }

    fn forget(&self) {
        self.connection.execute_batch("ROLLBACK").unwrap();
    }

    fn matching(&mut self) -> (&mut Matcher, Tx<'_>) {
        let tx = Tx {
            connection: &self.connection,
            counts: &mut self.counts,
            next_serial: self.claimed + 1,
            late_answers: self.late > 0,
        };
        (&mut self.matcher, tx)
    }

    /// The end of a transaction.
    fn settle(&mut self) {
        let now = self.now;
        let (matcher, mut tx) = self.matching();
        matcher.judge_strays(&mut tx, now).unwrap();
        self.counts.settle(&self.connection).unwrap();
        self.now += 2;
    }

    fn rest(&mut self) {
        while self.matcher.is_waking() || self.matcher.has_to_judge() {
            self.settle();
        }
    }

    fn claim(&mut self, part: usize, number: &str) {
        self.claimed += 1;
        let (part, serial) = (part as i64, self.claimed);
        let attempt = Attempt::new(part, 0);
        let sequence_number = 70_000 + serial as u32;
        let session = self.connection.query_row("SELECT max(id) FROM session", [], |row| row.get(0)).unwrap();
        let claimed =
            Claimed { first: attempt, parts: 1, message: part, serial, sequence_number, session, at: self.now };
        claims::insert(&self.connection, &claimed).unwrap();
        self.counts.shift(0, State::Queued, State::Sending, 1);
        let generation = self.matcher.outstanding.begin();
        self.matcher.outstanding.claimed(1);
        self.sent.push(Sent {
            attempt,
            message: part,
            sequence_number,
            campaign: 0,
            plain: true,
            refused: 0,
            late: false,
            referenced: true,
            generation,
            destination: Destination::parse(number).unwrap().same_key(),
        });
    }

    fn expire(&mut self, n: usize) {
        let sent = self.sent[n];
        self.counts.touch(&self.connection, sent.attempt.part(), State::Sending).unwrap();
        insert_verdict(&self.connection, sent.attempt, Verdict::InDoubt, "").unwrap();
        self.sent[n].late = true;
        self.late += 1;
        let (matcher, tx) = self.matching();
        matcher.note_unanswered(&tx, &sent).unwrap();
    }

    fn answer(&mut self, n: usize, id: &str) {
        let (sent, now) = (self.sent[n], self.now);
        self.connection
            .prepare_cached("INSERT INTO answer VALUES (?1, ?2, 0, 0, 0, ?3)")
            .unwrap()
            .execute((sent.attempt.0, now, id))
            .unwrap();
        let key = Some(self.matcher.ids.key(id.as_bytes()));
        self.late -= usize::from(sent.late);
        let (matcher, tx) = self.matching();
        matcher.note_answer(&tx, key, &sent).unwrap();
        match sent.late {
            true => self.counts.touch(&self.connection, sent.attempt.part(), State::Sending).unwrap(),
            false => self.counts.shift(0, State::Sending, State::Accepted, 1),
        }
        let (matcher, mut tx) = self.matching();
        matcher.note_accepted(&mut tx, key, &sent, !sent.late, now).unwrap();
    }

    fn receipt(&mut self, id: &str, text_id: &str, from: &str, is_delivered: bool, reference: Option<u16>) {
        let reference = reference.map(|reference| [&[0x02, 0x04, 0, 2][..], &reference.to_be_bytes()].concat());
        let mut batch = Batch { came_at: self.now, ..Batch::default() };
        let event = ReceiptEvent {
            message_id: batch.keep(id.as_bytes()),
            text_id: batch.keep(text_id.as_bytes()),
            state: Some(if is_delivered { Delivered } else { Undeliverable }),
            is_final: true,
            other: None,
            error: 0..0,
            text: batch.keep(b"text"),
            tlvs: batch.keep(&reference.unwrap_or_default()),
            source: batch.keep(from.as_bytes()),
            destination: batch.keep(if from.is_empty() { b"" } else { SENDER.as_bytes() }),
        };
        batch.receipts.push(event);
        let (matcher, mut tx) = self.matching();
        matcher.receipts(&mut tx, &batch).unwrap();
    }

    fn tell(&mut self, story: &Story) -> Vec<Fate> {
        self.begin(story);
        for step in &story.steps {
            match *step {
                Step::Claim(n) => self.claim(story.part(n), NUMBERS[story.messages[n].number]),
                Step::Expire(n) => self.expire(n),
                Step::Answer(n) => self.answer(n, IDS[story.messages[n].id]),
                Step::Receipt(n) => {
                    let said = story.receipts[n];
                    let (id, text_id) = said.ids();
                    let reference = said.reference.map(|n| story.part(n) as u16);
                    self.receipt(id, text_id, said.from, said.delivered, reference);
                }
                Step::Restart | Step::Kill => {
                    if *step == Step::Restart {
                        self.rest();
                    }
                    self.load();
                    self.open_session();
                }
            }
            self.settle();
        }
        self.rest();
        let fates = self.fates();
        self.agree();
        self.forget();
        fates
    }

    fn fates(&self) -> Vec<Fate> {
        let mut statement =
            self.connection.prepare_cached("SELECT rule, line FROM receipt_log ORDER BY received_at").unwrap();
        let fates = statement
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(|line| line as usize - 2))))
            .unwrap();
        fates.collect::<Result<_, _>>().unwrap()
    }

    /// What was counted as things came is what follows from the facts.
    fn agree(&self) {
        let mut statement = self.connection.prepare_cached("SELECT state FROM message_status").unwrap();
        let states: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        for state in State::ALL {
            let found = states.iter().filter(|found| *found == state.name()).count();
            assert_eq!(self.counts.campaigns[0].counts[state as usize], found as i64, "{} {states:?}", state.name());
        }
        let count = |sql: &str| -> i64 { self.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        let unlisted = "SELECT count(*) FROM receipt_log
                         WHERE line IS NULL AND rule <> 'unmatched' AND receipt NOT IN (SELECT receipt FROM stray)";
        assert_eq!(count(unlisted), 0, "what several fit, or the number of another, is listed");
        let ownerless = "SELECT count(*) FROM receipt_log JOIN stray USING (receipt) WHERE rule = 'unmatched'";
        assert_eq!(count(ownerless), 0, "what has no owner is not");
    }
}

#[test]
fn thousands_of_orders_lead_to_what_a_look_at_everything_says() {
    let mut world = World::new();
    compare(3_000, None, |story| world.tell(story));
}

/// Receipts of ids that nobody gave cost what the first did, counted in steps, and are all there.
#[test]
fn receipts_of_others_cost_each_the_same() {
    let mut world = World::new();
    let story = crate::journal::testkit::orders::invent(&mut fastrand::Rng::with_seed(1));
    world.begin(&story);
    let mut steps = Vec::new();
    for round in 0..4 {
        let before = world.matcher.work.done();
        for n in 0..500 {
            world.receipt(&format!("foreign-{round}-{n}"), "", "447700900555", true, None);
            if n % 100 == 0 {
                world.settle();
            }
        }
        world.rest();
        steps.push(world.matcher.work.done() - before);
    }
    assert!(steps[3] <= steps[0] + steps[0] / 4, "{steps:?}");
    assert_eq!(world.fates().len(), 2_000);
    assert_eq!(world.matcher.unmatched, 2_000);
    // None of them is listed or remembered, and the next sender judges none again.
    let listed = |world: &World| -> i64 {
        world.connection.query_row("SELECT count(*) FROM stray", [], |row| row.get(0)).unwrap()
    };
    assert_eq!((listed(&world), world.matcher.strays.len()), (0, 0));
    world.load();
    world.rest();
    assert_eq!((world.matcher.work.done(), world.matcher.strays.len()), (0, 0));
    // One that came while an attempt was outstanding waits, over a start too, and is then judged.
    world.claim(story.part(0), NUMBERS[story.messages[0].number]);
    world.receipt("foreign-last", "", "447700900555", true, None);
    world.settle();
    assert_eq!(world.matcher.strays.len(), 1);
    world.load();
    assert!(world.matcher.strays.has_left_out());
    world.rest();
    assert_eq!((listed(&world), world.matcher.strays.len(), world.fates().len()), (0, 0, 2_001));
    world.forget();
}
