//! The patterns.

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
    Pattern { name: "foreign", words: "receipts of foreign ids", size: 1_000_000, run: foreign },
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
    Pattern { name: "lost", words: "every session lost again and again", size: 200_000, run: lost },
];

const HEAD: &str = "to,text";

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
    place.send("bench", &["--receipt-id", "random-hex"], &["--wait-receipts", "3s"], nothing)
}

fn foreign(place: &Place, size: u64) -> Figures {
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
    println!("list with 10,000 campaigns: {:?}", place.run(&["list"]));
    place.send("bench", &[], &[], nothing)
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

fn lost(place: &Place, size: u64) -> Figures {
    place.import("bench", HEAD, rows(0, size), &["--in-doubt", "resend"]);
    let cut = format!("drop-after-answer={}", (size / 10).max(1));
    place.send("bench", &["--fault", &cut], &["--connections", "4", "--wait-receipts", "3s"], nothing)
}
