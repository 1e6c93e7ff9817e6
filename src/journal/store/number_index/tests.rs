use super::*;
use crate::journal::store::notes::in_transaction;
use crate::journal::store::number_index::upkeep::{Indexer, catch_up, forget, forget_from, sweep, tidy};

/// Messages of a campaign, each of so many parts, without a run. Returns the id behind them.
fn campaign(connection: &Connection, numbers: &[u64], parts: i64) -> i64 {
    let first: i64 =
        connection.query_row("SELECT coalesce(max(end_id), 1) FROM campaign", [], |row| row.get(0)).unwrap();
    let end = first + numbers.len() as i64 * parts;
    in_transaction(connection, || {
        connection.execute(
            "INSERT INTO campaign (name, file, options, first_id, end_id, created_at, imported_at)
             VALUES (hex(randomblob(8)), 'f', '{}', ?1, ?2, 0, 0)",
            [first, end],
        )?;
        for (n, number) in numbers.iter().enumerate() {
            let digits = crate::message::address::digits_of_key(*number);
            connection.execute(
                "INSERT INTO message (id, line, destination, text, encoding, parts) VALUES (?1, 1, ?2, 'x', 0, ?3)",
                (first + n as i64 * parts, digits, parts),
            )?;
        }
        Ok(())
    })
    .unwrap();
    end
}

/// A run of the messages from this one on, as an import writes it.
fn write_run(connection: &Connection, first: i64, numbers: &[u64], parts: u8) {
    in_transaction(connection, || {
        let mut indexer = Indexer::new(connection, first)?;
        for (n, number) in numbers.iter().enumerate() {
            indexer.add(first + n as i64 * i64::from(parts), parts, *number);
        }
        indexer.write(connection)
    })
    .unwrap();
}

fn journal() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(crate::journal::open::SCHEMA).unwrap();
    connection
}

const ALL: Range<i64> = 0..i64::MAX;

fn to(connection: &Connection, number: u64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut note = |id| {
        found.push(id);
        Ok(ControlFlow::Continue(()))
    };
    Numbers::load(connection).unwrap().messages_to(connection, number, &ALL, &mut note).unwrap();
    found
}

/// All that the look-up says, against a scan of the messages.
fn agrees(connection: &Connection, numbers: &[u64]) {
    let look_up = Numbers::load(connection).unwrap();
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let asked = look_up.sorted(numbers.clone());
    let mut found = Vec::new();
    look_up
        .hits(connection, &asked, &[ALL], &mut |hits| {
            found.extend(hits.iter().map(|hit| (asked[hit.asked as usize].number, hit.message)));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let mut statement = connection.prepare("SELECT destination, id FROM message").unwrap();
    let there = statement.query_map([], |row| Ok((key_of(&row.get::<_, String>(0)?), row.get(1)?))).unwrap();
    let mut expected: Vec<(u64, i64)> =
        there.map(Result::unwrap).filter(|(number, _)| numbers.binary_search(number).is_ok()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    for number in numbers.iter().step_by(numbers.len().div_ceil(50)) {
        let expected: Vec<i64> = expected.iter().filter(|(other, _)| other == number).map(|(_, id)| *id).collect();
        assert_eq!(to(connection, *number), expected, "{number}");
    }
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn random(random: &mut fastrand::Rng, count: usize, spread: u64) -> Vec<u64> {
    (0..count).map(|_| 1_447_700_000_000 + random.u64(..spread)).collect()
}

#[test]
fn f95_messages_are_found_by_their_number_in_runs_and_without() {
    let connection = journal();
    let mut rng = fastrand::Rng::with_seed(11);
    let mut all = Vec::new();
    let mut first = 1;
    // Without a run at first, in the middle and at the end; one number very often, so that hashes are not spread evenly.
    for (n, parts) in [1, 1, 3, 2, 1, 1].into_iter().enumerate() {
        let mut numbers = random(&mut rng, 4_000, 20_000);
        for n in 0..1_500 {
            numbers[n * 2] = 1_447_999_999_999;
        }
        let end = campaign(&connection, &numbers, parts);
        if ![0, 3, 5].contains(&n) {
            write_run(&connection, first, &numbers, parts as u8);
        }
        first = end;
        all.append(&mut numbers);
    }
    all.extend(random(&mut rng, 4_000, 1_000_000_000));
    let gaps = Numbers::load(&connection).unwrap().not_covered();
    assert_eq!(gaps, 4_000 + 8_000 + 4_000);
    agrees(&connection, &all);
    // Some numbers only, far apart; and one range of ids.
    agrees(&connection, &all[..40]);
    let mut within = Vec::new();
    let mut note = |id| {
        within.push(id);
        Ok(if within.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let look_up = Numbers::load(&connection).unwrap();
    look_up.messages_to(&connection, 1_447_999_999_999, &(4_003..6_000), &mut note).unwrap();
    assert_eq!(within, [4_003, 4_005, 4_007]);

    // Bounded steps lead to the same.
    catch_up(&connection, 5_000).unwrap();
    let left = Numbers::load(&connection).unwrap().not_covered();
    assert!(0 < left && left < gaps, "{left} of {gaps}");
    agrees(&connection, &all);
    tidy(&connection).unwrap();
    assert_eq!(Numbers::load(&connection).unwrap().not_covered(), 0);
    agrees(&connection, &all);
}

#[test]
fn f95_small_runs_become_few_and_nothing_is_lost() {
    let connection = journal();
    let mut rng = fastrand::Rng::with_seed(12);
    let mut all = Vec::new();
    let mut first = 1;
    for n in 0..300 {
        let many = if n % 50 == 0 { 3_000 } else { 1 + n % 7 };
        let mut numbers = random(&mut rng, many, 5_000);
        let end = campaign(&connection, &numbers, 1);
        write_run(&connection, first, &numbers, 1);
        tidy(&connection).unwrap();
        first = end;
        all.append(&mut numbers);
    }
    let runs = count(&connection, "number_run");
    assert!(runs < 60, "{runs} runs of 300");
    let entries: i64 = connection.query_row("SELECT sum(entries) FROM number_run", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, all.len() as i64);
    agrees(&connection, &all);
    // Chunks that a merge which was cut short left behind say nothing, and go.
    let chunks = count(&connection, "number_chunk");
    connection
        .execute("INSERT INTO number_chunk SELECT (900 << 24) + id % 1000, entries FROM number_chunk LIMIT 5", [])
        .unwrap();
    agrees(&connection, &all);
    sweep(&connection).unwrap();
    assert_eq!(count(&connection, "number_chunk"), chunks);
}

#[test]
fn f95_what_is_purged_is_not_found_and_leaves_nothing() {
    let connection = journal();
    let mut rng = fastrand::Rng::with_seed(13);
    let numbers = random(&mut rng, 9_000, 1_000_000);
    let middle = campaign(&connection, &numbers[..3_000], 1);
    let end = campaign(&connection, &numbers[3_000..6_000], 1);
    campaign(&connection, &numbers[6_000..], 1);
    write_run(&connection, 1, &numbers, 1);
    // A number taken out of its message, and messages that are gone: right before anything is forgotten.
    let once = numbers.iter().position(|one| numbers.iter().filter(|other| *other == one).count() == 1).unwrap();
    connection.execute("UPDATE message SET destination = '' WHERE id = ?1", [once as i64 + 1]).unwrap();
    connection.execute("DELETE FROM message WHERE id >= ?1 AND id < ?2", [middle, end]).unwrap();
    assert_eq!(to(&connection, numbers[once]), [] as [i64; 0]);
    assert!(to(&connection, numbers[4_000]).iter().all(|id| !(middle..end).contains(id)));
    // And nothing is left of them.
    forget(&connection, &(middle..end)).unwrap();
    forget(&connection, &(once as i64 + 1..once as i64 + 2)).unwrap();
    let entries: i64 = connection.query_row("SELECT sum(entries) FROM number_run", [], |row| row.get(0)).unwrap();
    assert_eq!((entries, count(&connection, "number_chunk")), (5_999, 12));
    let look_up = Numbers::load(&connection).unwrap();
    let asked = look_up.sorted(numbers[3_000..6_000].to_vec());
    let mut hits = 0;
    let mut note = |found: &mut Vec<Hit>| {
        hits += found.iter().filter(|hit| (middle..end).contains(&hit.message)).count();
        Ok(ControlFlow::Continue(()))
    };
    look_up.hits(&connection, &asked, &[ALL], &mut note).unwrap();
    assert_eq!(hits, 0);
    forget_from(&connection, 1).unwrap();
    assert_eq!((count(&connection, "number_run"), count(&connection, "number_chunk")), (0, 0));
}

#[test]
fn f95_a_chunk_is_a_page_and_a_message_costs_eight_octets() {
    let connection = journal();
    let numbers = random(&mut fastrand::Rng::with_seed(14), 100_000, 1_000_000_000);
    campaign(&connection, &numbers, 1);
    let pages = || connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = pages();
    write_run(&connection, 1, &numbers, 1);
    let octets = (pages() - before) * 4_096;
    assert!(octets < 100_000 * 84 / 10, "{octets} octets for 100,000 messages");
}
