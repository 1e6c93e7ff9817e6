//! A clock that is set beside a service: its hours follow, its rate and its timers do not notice.

use crate::common::{PATIENCE, Smppost, one, rows};
use crate::lab::fault::Shim;
use crate::lab::{Ledger, Simulator, connect, oracle};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const RATE: usize = 100;
const DAY: i64 = 86_400;

/// Waits until no message has come for a second.
#[track_caller]
fn wait_until_still(ledger: &mut Ledger, path: &Path) -> usize {
    let until = Instant::now() + PATIENCE;
    loop {
        ledger.read_on(path);
        let before = ledger.submits.len();
        if !ledger.wait_for(path, before + 1, Duration::from_secs(1)) {
            return before;
        }
        assert!(Instant::now() < until, "it goes on");
    }
}

/// The most messages of any second, by the clock of the simulator, which nobody sets.
fn most_in_a_second(ledger: &Path) -> usize {
    let lines = BufReader::new(std::fs::File::open(ledger).unwrap()).lines().map(Result::unwrap);
    let times: Vec<f64> = lines
        .filter(|line| line.contains("\"kind\":\"submit\""))
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            let time = value["time"].as_str().unwrap();
            // Of one hour, as far as a test takes: minutes and seconds.
            let part = |range: std::ops::Range<usize>| time[range].trim_end_matches('Z').parse::<f64>().unwrap();
            3_600.0 * part(11..13) + 60.0 * part(14..16) + part(17..26)
        })
        .collect();
    times.iter().map(|start| times.iter().filter(|time| (*start..start + 1.0).contains(*time)).count()).max().unwrap()
}

#[test]
fn hours_follow_a_clock_that_is_set_by_a_day_and_rate_and_timers_do_not_notice() {
    let Some(shim) = Shim::make() else { return };
    // The hours of the service, and those of a campaign.
    for is_service in [true, false] {
        let smppost = Smppost::new();
        let simulator = Simulator::start(&smppost.path(""), &["--receipt-delay", "10ms"]);
        // It is noon on a Wednesday for it: 1970 began on a Thursday.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let wednesday = now - now % (7 * DAY) + 6 * DAY + DAY / 2;
        let off = smppost.file("off", (wednesday - now).to_string());
        let set = |days: i64| {
            std::fs::write(smppost.path("off-next"), (wednesday - now + days * DAY).to_string()).unwrap();
            std::fs::rename(smppost.path("off-next"), &off).unwrap();
        };
        let environment = shim.clock(&off);
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let hours = ["--days", "wed", "--time-zone", "UTC"];
        let rate = RATE.to_string();
        let mut run = connect("run", simulator.port, &["--create", "--rate", &rate, "--enquire-link-interval", "1s"]);
        let import = ["import", "c.csv", "--campaign", "c", "--from", "Test", "--receipts", "all"].to_vec();
        let import = if is_service { import } else { [&import[..], &hours].concat() };
        if is_service {
            run = run.with(&hours);
        }
        smppost.file("c.csv", rows(900));
        smppost.run_with(&import, &environment).assert_code(0);
        let mut service = smppost.spawn_with(&run.each(), &environment);
        service.wait_for_words("bound to");
        smppost.run_with(&["resume", "c", "--detach"], &environment).assert_code(0);
        let mut ledger = Ledger::default();
        let mut sent = 0;
        for days in [1, -1, 1, -1] {
            assert!(ledger.wait_for(&simulator.ledger, sent + 80, PATIENCE), "{days}: {} {}", sent, service.stderr());
            set(days);
            sent = wait_until_still(&mut ledger, &simulator.ledger);
            assert!(sent < 900 && service.is_running(), "{days}: {}", service.stderr());
            set(0);
        }
        assert!(ledger.wait_for(&simulator.ledger, 900, PATIENCE), "{}", service.stderr());
        let until = Instant::now() + PATIENCE;
        let done = || one(&smppost.journal(), "SELECT delivered FROM campaign_summary") == 900;
        while !done() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        service.signal("TERM");
        let ended = service.wait();
        ended.assert_code(0);
        let most = most_in_a_second(&simulator.ledger);
        println!("service's hours: {is_service}; {most} in a second at the most");
        // Nobody's clock runs as evenly as a pacer counts; a day's credit would be a thousandfold.
        assert!(most <= RATE * 3 / 2, "{most}");
        let ledger = simulator.read();
        assert_eq!(ledger.submits.len(), 900, "none twice");
        // A service that its own hours forbid to send for long leaves its connections; nothing else does.
        assert!(is_service || ledger.binds == 1, "{} binds: {}", ledger.binds, ended.stderr);
        assert!(!ended.stderr.contains("silent") && !ended.stderr.contains("timeout"), "{}", ended.stderr);
        oracle::assert_kept("a clock that is set", &smppost.journal(), &ledger);
    }
}
