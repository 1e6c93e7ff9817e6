//! The patterns.

use crate::flood::{self, Flood};
use crate::place::{Figures, Place};

pub struct Pattern {
    pub name: &'static str,
    pub words: &'static str,
    /// Messages.
    pub size: u64,
    pub run: fn(&Place, u64) -> Figures,
}

pub const PATTERNS: &[Pattern] = &[
    Pattern { name: "plain", words: "plain", size: 500_000, run: plain },
    Pattern { name: "doubts", words: "doubts to one number", size: 100_000, run: doubts },
    Pattern { name: "strays", words: "receipts of unknown ids to one number", size: 100_000, run: strays },
    Pattern { name: "referenced", words: "receipts matched by their reference alone", size: 500_000, run: referenced },
    Pattern { name: "foreign", words: "receipts of foreign ids and numbers", size: 1_000_000, run: foreign },
    Pattern {
        name: "inbound",
        words: "as many messages from handsets, half of them parts",
        size: 100_000,
        run: inbound,
    },
    Pattern { name: "outstanding", words: "beside six times as many outstanding", size: 500_000, run: outstanding },
    Pattern {
        name: "suppressed",
        words: "1 million suppressed, imports and suppress add",
        size: 500_000,
        run: suppressed,
    },
    Pattern { name: "campaigns", words: "10,000 campaigns in the journal", size: 500_000, run: campaigns },
    Pattern { name: "senders", words: "a sender in every row", size: 500_000, run: senders },
    Pattern { name: "retried", words: "every part tried four times", size: 100_000, run: retried },
    Pattern { name: "decided", words: "doubts resolved while it sends", size: 1_000_000, run: decided },
    Pattern { name: "at-once", words: "beside it twice as many given up at once", size: 500_000, run: at_once },
    Pattern { name: "lost", words: "every session lost again and again", size: 200_000, run: lost },
];

const HEAD: &str = "to,text";

/// Where nobody listens: for a run that has nothing to send.
const NOWHERE: [&str; 6] = ["--host", "127.0.0.1", "--port", "1", "--system-id", "bench"];

fn text(n: u64) -> String {
    format!("Your parcel {n:010} comes today between 10 and 12. Thank you.")
}

fn rows(from: u64, count: u64) -> impl Iterator<Item = String> {
    (from..from + count).map(|n| format!("{},{}", 447_000_000_000 + n, text(n)))
}

fn to_one(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("447000000000,{}", text(n)))
}

fn nothing(_: &Place) {}

fn plain(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    place.send("bench", &[], &[], nothing)
}

fn doubts(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, to_one(size), &["--allow-duplicates"]);
    let more = ["--window", "5000", "--response-timeout", "1s", "--wait-receipts", "3s"];
    place.send("bench", &["--fault", "silence=2", "--receipt", "text-only"], &more, nothing)
}

fn strays(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, to_one(size), &["--allow-duplicates"]);
    let flood = Flood::start(size, flood::foreign_to_one);
    place.send_to(&flood.port, "bench", &["--wait-receipts", "3s"], nothing)
}

fn foreign(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    let before = place.octets();
    let flood = Flood::start(size, flood::foreign);
    let figures = place.send_to(&flood.port, "bench", &["--wait-receipts", "3s"], nothing);
    // Their numbers fall.
    let tenth = |from: u64, to: u64| {
        let at = |n: u64| format!("(SELECT received_at FROM receipt WHERE id <= -{n} ORDER BY id DESC LIMIT 1)");
        let took = place.ask(&format!("SELECT {} - {}", at(to), at(from.max(1))))[0];
        (to - from) * 1_000 / took.max(1) as u64
    };
    println!(
        "foreign receipts: the first tenth {} a second, the last tenth {}; {} octets each, message included",
        tenth(0, size / 10),
        tenth(size - size / 10, size),
        (place.octets() - before) / size
    );
    figures
}

fn inbound(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    let flood = Flood::start(size, flood::inbound);
    let figures = place.send_to(&flood.port, "bench", &["--wait-receipts", "3s"], nothing);
    let found = place.ask("SELECT count(*) FROM inbound");
    assert_eq!(found[0] as u64, size, "messages from handsets");
    figures
}

fn referenced(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    place.send("bench", &["--receipt-id", "random-hex"], &["--wait-receipts", "3s"], nothing)
}

fn outstanding(place: &Place, size: u64) -> Figures {
    place.import("old", HEAD, rows(0, 6 * size), &[]);
    place.send("old", &["--receipt-delay", "10h"], &["--wait-receipts", "100ms"], nothing);
    place.import("bench", HEAD, rows(0, size), &["--allow-duplicates"]);
    // No id of a receipt ever matches, and some attempts stay in doubt.
    let more = ["--response-timeout", "1s", "--wait-receipts", "3s"];
    place.send("bench", &["--fault", "silence=1000", "--receipt-id", "random-hex"], &more, nothing)
}

fn suppressed(place: &Place, size: u64) -> Figures {
    place.write("list", "to", (0..2 * size).map(|n| (448_000_000_000 + n).to_string()));
    place.run(&["suppress", "import", "list.csv"]);
    place.import("bench", HEAD, rows(0, size), &[]);
    for n in 0..10 {
        place.write(&format!("beside{n}"), HEAD, rows((n + 1) * size, (size / 50).max(1)));
    }
    place.send("bench", &[], &[], |place| {
        for n in 0..100 {
            let number = (449_000_000_000_u64 + n).to_string();
            place.run(&["suppress", "add", &number]);
            if n % 10 == 0 {
                place.run(&["import", &format!("beside{}.csv", n / 10)]);
            }
        }
    })
}

fn campaigns(place: &Place, size: u64) -> Figures {
    place.import("first", HEAD, rows(0, 1), &[]);
    // As if so many had been imported and sent, without waiting for so many commands.
    place.change(
        "INSERT INTO campaign (name, file, digest, options, source, first_id, end_id, created_at, imported_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             SELECT 'old' || i, file, digest, options, source, end_id, end_id, created_at, imported_at
               FROM n, campaign WHERE name = 'first';
         INSERT OR IGNORE INTO campaign_count (campaign_id) SELECT id FROM campaign;",
    );
    place.import("bench", HEAD, rows(1, size), &[]);
    println!("with 10,000 campaigns: list {:?}", place.run(&["list"]));
    let figures = place.send("bench", &[], &[], nothing);
    place.run(&["cancel", "first"]);
    println!(
        "with 10,000 campaigns: resume with nothing left {:?}",
        place.ended(&[&["resume"], &NOWHERE[..]].concat(), &[0])
    );
    // As if each had a message that is not sent.
    place.change(
        "UPDATE campaign_count SET queued = 1, messages = 1 WHERE campaign_id IN (SELECT id FROM campaign WHERE name LIKE 'old%')",
    );
    println!("with 10,000 unfinished ones: resume {:?}", place.ended(&[&["resume"], &NOWHERE[..]].concat(), &[2]));
    figures
}

fn senders(place: &Place, size: u64) -> Figures {
    let rows = (0..size).map(|n| format!("{},S{n:08},{}", 447_000_000_000 + n, text(n)));
    place.import("bench", "to,from,text", rows, &[]);
    place.send("bench", &[], &[], nothing)
}

fn retried(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    place.send("bench", &["--fault", "error=0x08"], &["--retry-delays", "1s,1s,1s"], nothing)
}

fn decided(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &[]);
    let more = ["--window", "20000", "--response-timeout", "1s", "--wait-receipts", "1s"];
    place.send("bench", &["--fault", "silence=1"], &more, |place| {
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(500));
            place.run(&["resolve", "bench", "--abandon"]);
        }
        place.beside(&["cancel", "bench"]).wait().expect("the program");
    })
}

/// A million messages in doubt in another campaign are given up, then a million rejected ones are to be tried again, then
/// that is cancelled: all while this one sends.
fn at_once(place: &Place, size: u64) -> Figures {
    place.import("old", HEAD, rows(0, 2 * size), &[]);
    place.import("refused", HEAD, rows(2 * size, 2 * size), &[]);
    place.import("bench", HEAD, rows(4 * size, size), &[]);
    place.change(&format!(
        "INSERT INTO session (opened_at, closed_at, boot_id, first_serial, peer, system_id, bind, smpp_version)
             VALUES (1, 1, '', 1, '', 'bench', 'trx', '3.4');
         INSERT INTO claim
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1000 FROM n WHERE i + 1000 < 1 + {both})
             SELECT i, 0, i, min(1000, 1 + {both} - i), i, 1, i + 65536, 1 FROM n;
         INSERT INTO verdict (attempt, at, kind, reason) SELECT id << 12, 1, 1, 'made' FROM message WHERE id < 1 + {each};
         INSERT INTO message_state (message, state) SELECT id, {in_doubt} FROM message WHERE id < 1 + {each};
         INSERT INTO answer (attempt, answered_at, answer_ms, command_status, outcome)
             SELECT id << 12, 1, 1, 11, 2 FROM message WHERE id >= 1 + {each} AND id < 1 + {both};
         UPDATE campaign_count SET queued = 0, in_doubt = messages
          WHERE campaign_id = (SELECT id FROM campaign WHERE name = 'old');
         UPDATE campaign_count SET queued = 0, rejected = messages
          WHERE campaign_id = (SELECT id FROM campaign WHERE name = 'refused');",
        each = 2 * size,
        both = 4 * size,
        in_doubt = place.ask("SELECT id FROM state WHERE name = 'in_doubt'")[0],
    ));
    let figures = place.send("bench", &[], &[], |place| {
        // As the commands would, each of which waits for nobody.
        for (kind, campaign) in [("abandon", "old"), ("retry-rejected", "refused"), ("cancel", "refused")] {
            place.change(&format!(
                "INSERT INTO control (at, campaign_id, kind, detail)
                     SELECT 1, id, '{kind}', '{{}}' FROM campaign WHERE name = '{campaign}'"
            ));
        }
    });
    // What the run did not come to, the next one does, and says how long that takes.
    println!(
        "decisions about {} messages, the rest of them without a run beside: {:?}",
        4 * size,
        place.ended(&[&["resume", "refused"], &NOWHERE[..]].concat(), &[0, 3])
    );
    let left = place.ask("SELECT count(*) FROM control WHERE applied_at IS NULL");
    assert_eq!(left[0], 0, "decisions that are not applied");
    place.run(&["verify"]);
    figures
}

fn lost(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &["--in-doubt", "resend"]);
    let cut = format!("drop-after-answer={}", (size / 10).max(1));
    place.send("bench", &["--fault", &cut], &["--connections", "4", "--wait-receipts", "3s"], nothing)
}
