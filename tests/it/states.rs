//! States that receipts tell: codes that nobody knows, and TLVs that say something else than the text.

use crate::common::scripted_smsc::{Said, ScriptedSmsc, tlv};
use crate::common::{Smppost, expected, rows, states};

/// An SMSC whose receipts have this `stat` and this message_state, where they are given.
fn smsc(stat: &'static str, state: Option<u8>) -> ScriptedSmsc {
    ScriptedSmsc::start(move |taken| {
        let id = format!("id{}", taken.nth);
        let stat = if stat.is_empty() { String::new() } else { format!(" stat:{stat}") };
        let mut tlvs = tlv(0x001E, format!("{id}\0"));
        tlvs.extend(state.map_or_else(Vec::new, |state| tlv(0x0427, [state])));
        let text =
            format!("id:{id} sub:001 dlvrd:000 submit date:2611290000 done date:2611290001{stat} err:042 text:x");
        Said::taken(&id, &[]).then(taken, &text, &tlvs)
    })
}

fn send(smppost: &Smppost, smsc: &ScriptedSmsc, more: &[&str]) -> crate::common::Ended {
    smppost.spawn_send(&rows(5), smsc.port(), &[&["--wait-receipts", "2s"], more].concat()).wait()
}

#[test]
fn a_code_that_nobody_knows_is_no_failure() {
    for (stat, state, shown) in
        [("10", Some(10), "10 042"), ("", Some(0x32), "50 042"), ("10", None, "10 042"), ("300", Some(200), "300 042")]
    {
        let smsc = smsc(stat, state);
        let smppost = Smppost::new();
        send(&smppost, &smsc, &[]).assert_code(0);
        assert_eq!(states(&smppost.journal(), "c"), expected([("accepted", 5)]), "{stat} {state:?}");
        let report = smppost.run(&["report", "c"]).stdout;
        let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(report.contains(&format!("5 UNKNOWN ({shown})")), "{stat} {state:?}: {report}");
        assert!(report.contains("--receipt-codes BLACKLST=REJECTED,10=EXPIRED"), "{report}");
        let receipts = smppost.run(&["report", "c", "--receipts", "--format", "csv"]).stdout;
        assert_eq!(receipts.matches(&format!(",UNKNOWN,{shown},")).count(), 5, "{receipts}");
        smppost.run(&["verify"]).assert_code(0);
    }
}

#[test]
fn a_table_says_what_a_code_means_wherever_it_stands() {
    for (stat, state) in [("10", None), ("", Some(10)), ("10", Some(10))] {
        let smsc = smsc(stat, state);
        let smppost = Smppost::new();
        send(&smppost, &smsc, &["--receipt-codes", "10=EXPIRED"]).assert_code(3);
        assert_eq!(states(&smppost.journal(), "c"), expected([("failed", 5)]), "{stat} {state:?}");
    }
}

#[test]
fn an_option_says_whether_tlv_or_text_holds_and_the_report_counts_where_they_differ() {
    for (more, state, counted, other, code) in [
        (&[][..], "delivered", "DELIVERED", "UNDELIVERABLE", 0),
        (&["--receipt-state", "tlv"], "delivered", "DELIVERED", "UNDELIVERABLE", 0),
        (&["--receipt-state", "text"], "failed", "UNDELIVERABLE", "DELIVERED", 3),
    ] {
        let smsc = smsc("UNDELIV", Some(2));
        let smppost = Smppost::new();
        send(&smppost, &smsc, more).assert_code(code);
        assert_eq!(states(&smppost.journal(), "c"), expected([(state, 5)]), "{more:?}");
        let report = smppost.run(&["report", "c"]).stdout;
        let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            report.contains("differing 5 receipts whose TLV message_state and text tell different states"),
            "{report}"
        );
        let json = smppost.run(&["report", "c", "--format", "json"]).stdout;
        assert!(json.contains("\"contradictory_receipts\":5"), "{json}");
        let table = smppost.run(&["report", "c", "--receipts"]).stdout;
        assert_eq!(table.matches(&format!("{counted} (also {other})")).count(), 5, "{table}");
        let csv = smppost.run(&["report", "c", "--receipts", "--format", "csv"]).stdout;
        assert_eq!(csv.matches(&format!(",{other},,0x001E")).count(), 5, "{csv}");
        smppost.run(&["verify"]).assert_code(0);
    }
    // From a profile; and where they agree there is nothing to say.
    let smsc = smsc("UNDELIV", Some(5));
    let smppost = Smppost::new();
    let profile =
        format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"me\"\nreceipt_state = \"text\"\n", smsc.port());
    smppost.file("smppost.toml", profile);
    smppost.run(&["profile", "check"]).assert_code(0);
    smppost.file("c.csv", rows(5));
    smppost.run(&["send", "c.csv", "--profile", "acme", "--wait-receipts", "2s"]).assert_code(3);
    let report = smppost.run(&["report", "c"]).stdout;
    assert!(!report.contains("differing") && !report.contains("also"), "{report}");
}
