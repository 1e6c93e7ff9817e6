//! A random operator: a service, five users who work at the same time, files that are dropped into a folder, an SMSC that comes
//! and goes; commands and service are killed, and some of the kills are power cuts. In the end the simulator's ledgers are held
//! against the journal: no message was taken twice, and of each the journal says what became of it.
//!
//! `SMPPOST_OPERATOR=600`: for as many seconds; `SMPPOST_SEED` repeats what was done, as far as processes can be repeated.

use crate::common::{Running, Smppost, one, open};
use crate::lab::{Ledger, Simulator, oracle, seed, setting};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Users who work at the same time.
const USERS: u64 = 5;
/// What goes wrong at the SMSC besides.
const FAULTS: [&str; 4] = ["--fault", "unbind=700", "--fault", "silence=900"];
/// What a command may end with since others are at work: an import was killed, a campaign cancelled, the service restarted.
const AS_IT_SHOULD_BE: [&str; 3] = ["no campaign", "was cancelled", "no service runs"];
/// Everything has to go in this time once nobody interferes any more.
const LAST_WAIT: Duration = Duration::from_secs(180);

/// What all of them share.
struct World {
    smppost: Smppost,
    port: u16,
    names: Mutex<Vec<String>>,
    next: AtomicU64,
    dropped: AtomicU64,
    is_over: AtomicBool,
    /// How commands ended.
    ends: Mutex<BTreeMap<String, u64>>,
}

impl World {
    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A block of numbers that nobody else has.
    fn block(&self) -> (u64, u64) {
        let block = self.next();
        (block, 447_000_000_000 + block * 1_000)
    }

    fn settings(&self, rate: u32, window: u32) {
        let settings = format!(
            "[default]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"test\"\nrate = {rate}\nwindow = {window}\n\
             connections = 2\nfrom = \"Test\"\nresponse_timeout = \"2s\"\n",
            self.port
        );
        let new = self.smppost.file(&format!("settings-{}", self.next()), settings);
        std::fs::rename(new, self.smppost.path("smppost.toml")).unwrap();
    }

    fn serve(&self) -> Running {
        self.smppost.spawn(&["run", "--create", "--watch", "in"])
    }

    /// A command, which may be interrupted or killed in the middle. Whatever becomes of it, it does not fail in an odd way.
    fn run(&self, rng: &mut Rng, arguments: &[&str]) -> Option<i32> {
        let mut running = self.smppost.spawn(arguments);
        let signal = match rng.u8(..20) {
            0 => "KILL",
            1 => "INT",
            _ => "",
        };
        if !signal.is_empty() {
            std::thread::sleep(Duration::from_millis(rng.u64(..300)));
            if running.is_running() {
                running.signal(signal);
            }
        }
        let ended = running.wait();
        let is_as_it_should_be =
            AS_IT_SHOULD_BE.iter().any(|words| ended.stderr.contains(words) || ended.stdout.contains(words));
        let is_odd = match ended.code {
            // Also of SIGINT, as long as it is not asked for.
            None => signal.is_empty(),
            Some(1) => !is_as_it_should_be,
            Some(code) => code == 101,
        };
        assert!(!is_odd && !ended.stderr.contains("panicked"), "{arguments:?}: {}", ended.said());
        let end = format!("{} {}{}", arguments[0], signal, ended.code.map_or("killed".into(), |code| code.to_string()));
        *self.ends.lock().unwrap().entry(end).or_default() += 1;
        ended.code
    }

    /// Some campaign that is there.
    fn some(&self, rng: &mut Rng) -> Option<String> {
        let names = self.names.lock().unwrap();
        if names.is_empty() { None } else { Some(names[rng.usize(..names.len())].clone()) }
    }

    fn import_and_send(&self, rng: &mut Rng, user: u64) {
        let (block, number) = self.block();
        let name = format!("u{user}c{block}");
        let long = if rng.u8(..4) == 0 { "x".repeat(200) } else { String::new() };
        let rows: String = (0..rng.u64(5..120)).map(|row| format!("{},Hello {row} {long}\n", number + row)).collect();
        self.smppost.file(&format!("{name}.csv"), format!("to,text\n{rows}"));
        let more: &[&str] = match rng.u8(..6) {
            0 => &["--priority", "urgent"],
            1 => &["--priority", "bulk"],
            2 => &["--campaign-rate", "20"],
            3 => &["--limit", "10"],
            _ => &[],
        };
        let file = format!("{name}.csv");
        self.run(rng, &[&["send", &file, "--detach", "--yes", "--campaign", &name], more].concat());
        self.names.lock().unwrap().push(name);
    }

    fn drop_file(&self, rng: &mut Rng) {
        let (block, number) = self.block();
        let rows: String = (0..rng.u64(1..60)).map(|row| format!("{},N{row}\n", number + row)).collect();
        let part = self.smppost.file(&format!("in/w{block}.part"), format!("to,name\n{rows}"));
        std::fs::rename(part, self.smppost.path(&format!("in/w{block}.csv"))).unwrap();
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The same alert up to three times by the same key: it goes once.
    fn alert(&self, rng: &mut Rng) {
        let (block, number) = self.block();
        let (to, id) = (format!("+{number}"), format!("key-{block}"));
        let detach: &[&str] = if rng.bool() { &["--detach"] } else { &[] };
        for _ in 0..rng.u8(1..4) {
            let alert = ["send", "--to", &to, "--text", "Pump 3 stopped", "--from", "Pump", "--id", &id];
            self.run(rng, &[&alert, detach].concat());
        }
    }

    fn work(&self, rng: &mut Rng, user: u64) {
        while !self.is_over.load(Ordering::Relaxed) {
            let known = self.some(rng);
            let known = known.as_deref();
            match (rng.u8(..100), known) {
                (0..25, _) => self.import_and_send(rng, user),
                (25..35, _) => self.drop_file(rng),
                (35..50, _) => self.alert(rng),
                (50..60, Some(name)) => _ = self.run(rng, &["pause", name]),
                (60..72, Some(name)) => _ = self.run(rng, &["resume", name, "--detach", "--yes"]),
                (72..75, _) => {
                    self.run(rng, &["pause"]);
                    self.run(rng, &["resume"]);
                }
                (75..80, Some(name)) => {
                    let class = ["urgent", "normal", "bulk"][rng.usize(..3)];
                    self.run(rng, &["priority", name, class]);
                }
                (80..84, Some(name)) => {
                    let more: &[&str] = if rng.bool() { &["--at-smsc"] } else { &[] };
                    self.run(rng, &[&["cancel", name], more].concat());
                }
                (84..88, Some(name)) => {
                    let line = rng.u8(2..10).to_string();
                    self.run(rng, &["query", name, "--line", &line]);
                }
                (88..92, _) => {
                    self.settings([100, 300, 500][rng.usize(..3)], [5, 20, 50][rng.usize(..3)]);
                    self.run(rng, &["reload"]);
                }
                (92..97, _) => {
                    let look = ["status", "list"][rng.usize(..2)];
                    self.run(rng, &[look]);
                }
                (_, Some(name)) => _ = self.run(rng, &["report", name]),
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(rng.u64(..1_500)));
        }
    }
}

/// The machine has started anew, as the journal sees it: nothing that is not on disk counts.
fn cut_power(journal: &Path) {
    if let Ok(connection) = rusqlite::Connection::open(journal) {
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        let _ = connection.execute("UPDATE session SET boot_id = 'the boot before the power cut'", []);
    }
}

#[test]
fn whatever_is_done_to_it_no_message_goes_twice_and_the_journal_knows_of_each() {
    let (seed, seconds) = (seed("operator"), setting("SMPPOST_OPERATOR", 15));
    let mut rng = Rng::with_seed(seed);
    let smppost = Smppost::new().deadline(Duration::from_secs(300));
    let more = [&["--receipt-delay", "100ms..2s"], &FAULTS[..]].concat();
    let ledger_of = |folder: &Smppost, n: usize| folder.path(&format!("ledger-{n}"));
    let mut simulator = Some(Simulator::start_at(0, ledger_of(&smppost, 0), &more));
    let port = simulator.as_ref().unwrap().port;
    std::fs::create_dir(smppost.path("in")).unwrap();
    let watched = "text = \"Hi {name}\"\nfrom = \"ACME\"\nrelease = true\nsettle = \"6s\"\n";
    std::fs::write(smppost.path("in/smppost-watch.toml"), watched).unwrap();
    let world = World {
        smppost,
        port,
        names: Mutex::default(),
        next: AtomicU64::new(1),
        dropped: AtomicU64::default(),
        is_over: AtomicBool::default(),
        ends: Mutex::default(),
    };
    world.settings(300, 20);
    let mut ledgers = 1;
    let mut begin = |world: &World, more: &[&str]| {
        ledgers += 1;
        Simulator::start_at(port, ledger_of(&world.smppost, ledgers - 1), more)
    };
    let mut service = world.serve();
    service.wait_for_words("bound to");
    let (mut kills, mut cuts, mut outages) = (0, 0, 0);
    let mut service = std::thread::scope(|scope| {
        let mut service = service;
        for user in 0..USERS {
            let (world, mut rng) = (&world, Rng::with_seed(seed ^ (user + 1)));
            scope.spawn(move || world.work(&mut rng, user));
        }
        // Also where something panics here, the users come to their end.
        let _over = Over(&world.is_over);
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(rng.u64(1_500..6_000)));
            match rng.u8(..20) {
                0..9 => {
                    let is_cut = rng.u8(..3) == 0;
                    service.signal("KILL");
                    service.wait();
                    kills += 1;
                    if is_cut {
                        cut_power(&world.smppost.journal());
                        cuts += 1;
                    }
                    std::thread::sleep(Duration::from_millis([0, 500, 2_000][rng.usize(..3)]));
                    service = world.serve();
                }
                9..12 => {
                    service.signal("TERM");
                    let ended = service.wait();
                    // A command that sent by itself may have had the lock when it started; and it may not have come as far as to
                    // hear of signals.
                    let had_begun = ended.stderr.contains("bound to") || ended.stderr.contains("next try");
                    assert!(
                        matches!(ended.code, Some(0 | 75)) || ended.code.is_none() && !had_begun,
                        "{}",
                        ended.said()
                    );
                    service = world.serve();
                }
                12..16 => {
                    drop(simulator.take());
                    outages += 1;
                    std::thread::sleep(Duration::from_millis(rng.u64(..3_000)));
                    simulator = Some(begin(&world, &more));
                }
                _ => {}
            }
            // A command may have had the lock when it started.
            if !service.is_running() {
                let ended = service.wait();
                assert_eq!(ended.code, Some(75), "{}", ended.said());
                service = world.serve();
            }
        }
        service
    });
    // Nobody interferes any more, and the SMSC is well.
    drop(simulator.take());
    let simulator = begin(&world, &["--receipt-delay", "100ms"]);
    if !service.is_running() {
        service = world.serve();
    }
    world.settings(500, 50);
    let ended = world.smppost.run(&["reload"]);
    ended.assert_code(0);
    world.smppost.run(&["resume"]).assert_code(0);
    settle(&world, &mut service);
    service.signal("TERM");
    service.wait().assert_code(0);
    crate::lab::verify(&world.smppost);
    let mut ledger = Ledger::default();
    drop(simulator);
    for n in 0..ledgers {
        let mut one = Ledger::default();
        one.read_on(&ledger_of(&world.smppost, n));
        ledger.add(one);
    }
    let journal = world.smppost.journal();
    println!(
        "{} messages taken of {}, {kills} kills and {cuts} of them power cuts, {outages} outages, {} in doubt; {:?}",
        ledger.submits.len(),
        one(&journal, "SELECT count(*) FROM message"),
        one(&journal, "SELECT sum(in_doubt) FROM campaign_summary"),
        world.ends.lock().unwrap()
    );
    oracle::assert_kept("random operator", &journal, &ledger);
    let (done, failed) = (count(&world.smppost.path("in/done")), count(&world.smppost.path("in/failed")));
    assert_eq!((done, failed), (world.dropped.into_inner(), 0), "each file is imported once");
}

/// Ends what the users do.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has all that is left go.
fn settle(world: &World, service: &mut Running) {
    let until = Instant::now() + LAST_WAIT;
    loop {
        let left = unsent(&world.smppost.journal());
        let files = std::fs::read_dir(world.smppost.path("in")).unwrap();
        let waiting =
            files.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "csv")).count();
        if left.is_empty() && waiting == 0 {
            return;
        }
        assert!(Instant::now() < until && service.is_running(), "{left:?}, {waiting} files left: {}", service.stderr());
        for name in left.iter().take(20) {
            let ended = world.smppost.run(&["resume", name, "--detach", "--yes"]);
            assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.said());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Campaigns of which something is queued or on its way.
fn unsent(journal: &Path) -> Vec<String> {
    let connection = open(journal);
    let mut query = connection.prepare("SELECT campaign FROM campaign_summary WHERE queued + sending > 0").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// CSV files in a folder.
fn count(folder: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    let is_file =
        |path: &Path| path.extension().is_some_and(|end| end == "csv") && !path.to_string_lossy().contains(".result.");
    files.filter(|entry| is_file(&entry.as_ref().unwrap().path())).count() as u64
}
