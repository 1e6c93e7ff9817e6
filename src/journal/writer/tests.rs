use super::*;
use crate::journal::beside::beside;
use crate::journal::error::JournalError;
use crate::journal::model::campaign::InDoubtPolicy::Hold;
use crate::journal::open::open_existing;
use crate::journal::testkit::bench::Bench;
use crossbeam_channel::bounded;

fn bench() -> Bench {
    Bench::new(&[("447700900001", 1), ("447700900002", 1)], Hold)
}

#[test]
fn a_file_beside_the_journal_that_is_not_what_it_was_ends_it() {
    let mut bench = bench();
    let wal = beside(&bench.path, "-wal");
    bench.thread().files.look().unwrap();
    std::fs::rename(&wal, bench.path.with_extension("kept")).unwrap();
    let gone = |bench: &mut Bench| match bench.thread().files.look() {
        Err(JournalError::Replaced { gone, .. }) => gone,
        other => panic!("{other:?}"),
    };
    assert_eq!(gone(&mut bench), wal);
    std::fs::write(&wal, "").unwrap();
    assert_eq!(gone(&mut bench), wal);
    std::fs::rename(bench.path.with_extension("kept"), &wal).unwrap();
    bench.thread().files.look().unwrap();
    // A sender has a lock besides.
    let _lock = crate::journal::files::lock::SenderLock::take(&bench.path).unwrap();
    bench.restart();
    bench.thread().files.look().unwrap();
    std::fs::remove_file(beside(&bench.path, "-lock")).unwrap();
    assert_eq!(gone(&mut bench), beside(&bench.path, "-lock"));
}

#[test]
fn a_reader_does_not_hold_up_the_end() {
    let mut bench = bench();
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    let reader = crate::journal::open::open_read_only(&bench.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM message").unwrap();
    bench.answer(session, sent[0], 0, "1");
    let thread = bench.thread.take().unwrap();
    let (events, received) = bounded(1);
    drop(events);
    let begun = Instant::now();
    thread.run(received).unwrap();
    assert!(begun.elapsed() < 5 * LAST_CHECKPOINT_WAIT, "{:?}", begun.elapsed());
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(bench.states(), ["accepted", "sending"]);
}

#[test]
fn it_waits_for_whoever_keeps_the_journal_from_being_written() {
    let mut bench = bench();
    let session = bench.open_session();
    let sent = bench.send(session, 2);
    let thread = bench.thread.take().unwrap();
    thread.connection.busy_timeout(Duration::from_millis(20)).unwrap();
    let board = Arc::clone(&thread.board);
    let other = open_existing(&bench.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (events, received) = bounded(8);
    let thread = std::thread::spawn(move || thread.run(received));
    let closed = |unanswered| ToJournal::Closed { session, reason: "cut".into(), unanswered, unwritten: Vec::new() };
    events.send(closed(sent)).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let blocked = || board.lock().blocked.clone();
    while blocked().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let words = blocked().unwrap();
    assert!(words.starts_with(&format!("process {} (", std::process::id())), "{words}");
    other.execute_batch("COMMIT").unwrap();
    drop(events);
    thread.join().unwrap().unwrap();
    assert_eq!(blocked(), None);
    assert_eq!(bench.states(), ["in_doubt", "in_doubt"]);
}
