use super::*;
use crate::journal::query::{
    Bar, Counts, FirstLine, Rejection, Share, Shares, campaign_page, campaigns, operation_counts,
};
use crate::journal::testkit::story::{START, Story};
use crate::message::prices::PriceList;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

const HOSTILE: &str =
    "</bdi></title></style><script>alert('x')</script>\"'&<img src=x onerror=y>`${1}`\u{202e}\u{1b}[2J";
/// What a page is made of.
const TAGS: [&str; 43] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "main",
    "footer",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "span",
    "dl",
    "dt",
    "dd",
    "ul",
    "li",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "details",
    "summary",
    "svg",
    "path",
    "rect",
    "code",
    "bdi",
    "small",
    "b",
    "em",
    "i",
    "ol",
    "br",
];
const ATTRIBUTES: [&str; 22] = [
    "lang",
    "charset",
    "name",
    "content",
    "http-equiv",
    "class",
    "style",
    "viewBox",
    "preserveAspectRatio",
    "role",
    "aria-label",
    "aria-hidden",
    "scope",
    "tabindex",
    "x",
    "y",
    "width",
    "height",
    "d",
    "open",
    "id",
    "title",
];

fn around() -> Around {
    Around {
        sender_running: Some(false),
        now: Stamp(START + 60_000),
        clock: Clock::new(TimeZone::get("Europe/Paris").unwrap(), "Europe/Paris (--time-zone)"),
        journal_option: String::new(),
        currency: "EUR".into(),
        max_cost: None,
    }
}

fn facts(story: &Story, name: &str) -> CampaignPage {
    let prices = PriceList::parse("44,0.03,EUR").unwrap();
    campaign_page(&story.connection, name, Some(&prices), 0).unwrap()
}

/// Reads a page as strictly as XML: every tag and attribute is one of those that a page is made of, and what is opened is
/// closed. Returns its headings, and its words without markup.
fn read(html: &str) -> (Vec<String>, String) {
    let (mut open, mut headings, mut words) = (Vec::<String>::new(), Vec::new(), String::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        let (text, after) = rest.split_at(at);
        let is_style = open.last().is_some_and(|tag| tag == "style");
        assert!(is_style || !text.contains('>'), "{text}");
        if open.last().is_some_and(|tag| tag == "h2") {
            headings.push(unescaped(text));
        }
        if !is_style {
            words += &unescaped(text);
            words.push(' ');
        }
        let end = after.find('>').unwrap();
        let (tag, next) = (&after[1..end], &after[end + 1..]);
        rest = next;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{words}");
            continue;
        }
        let (name, mut attributes) =
            tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
        assert!(TAGS.contains(&name), "<{tag}>");
        while !attributes.trim().is_empty() {
            let (attribute, value) = attributes.trim_start().split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
            assert!(ATTRIBUTES.contains(&attribute), "{tag}");
            let (value, more) = value.split_once('"').unwrap();
            assert!(!value.contains('<') && !value.contains("javascript"), "{tag}");
            attributes = more;
        }
        if !tag.ends_with('/') && name != "meta" {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    (headings, words.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[test]
fn every_kind_of_message_has_its_place() {
    let story = Story::all_kinds();
    let (headings, words) = read(&page(&facts(&story, "spring"), &around()));
    assert_eq!(
        headings,
        [
            "How the messages stand",
            "What can be done",
            "Over time",
            "In doubt",
            "Refused, by the SMSC’s reason",
            "Not delivered, by receipt",
            "How long it took",
            "By country and sender",
            "Cost",
            "Receipts",
            "Answers of all attempts",
            "How it was sent"
        ]
    );
    for expected in [
        "Stopped before it was finished: ",
        "3 of 30 messages wait to be sent and 2 are on the way. So far 6 were delivered (20.0 %), 6 wait for their receipts",
        "smppost resume spring goes on.",
        "2026-03-29 03:59:59 +02:00",
        "smppost resolve spring --resend|--assume-sent|--abandon",
        "ESME_RINVDSTADR",
        "The first messages in doubt",
        "no answer \\u{1b}within",
        "EXPIRED, error 044",
        "not reached",
        "+44 GB",
        "ACME",
        "+441",
        "line 5 ( 447700900004 )",
        "GB 26 40 1.20 EUR",
        "exact id",
        "no digits",
        "Europe/Paris (--time-zone)",
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
    let (_, words) = read(&page(&facts(&story, "second, cancelled"), &around()));
    assert!(words.contains("replace_sm") && words.contains("Cancelled"), "{words}");
}

#[test]
fn what_strangers_wrote_is_no_markup_wherever_it_stands() {
    let mut story = Story::all_kinds();
    story
        .connection
        .execute("UPDATE campaign SET name = ?1, file = ?1, source = ?1 WHERE name = 'spring'", [HOSTILE])
        .unwrap();
    story.connection.execute("UPDATE message SET source = ?1 WHERE source IS NOT NULL", ["<b>x</b>"]).unwrap();
    for sql in [
        "UPDATE skipped_row SET reason = ?1, row = ?1",
        "UPDATE receipt SET error = ?1 WHERE error IS NOT NULL AND state <> 8",
        "UPDATE verdict SET reason = ?1",
        "UPDATE answer_tlv SET reason = ?1",
        "UPDATE message SET destination = ?1 WHERE id % 2 = 0",
        "UPDATE error_name SET meaning = ?1",
        "INSERT INTO run (started_at, account, host, port, tls, bind, connections, window, rate)
             VALUES (1, ?1, ?1, 1, 0, ?1, 1, 1, ?1)",
        "INSERT INTO run_campaign SELECT 1, 1 WHERE ?1 <> ''",
        "INSERT INTO campaign_field (campaign_id, at, fields) VALUES (1, 1, json_object('service_type', ?1))",
    ] {
        story.connection.execute(sql, [HOSTILE]).unwrap();
    }
    story.settle();
    let mut facts = facts(&story, HOSTILE);
    facts.operations = operation_counts(&story.connection, &campaigns(&story.connection).unwrap()[1]).unwrap();
    facts.operations[0].operation = HOSTILE.into();
    facts.report.not_final = facts.report.failures.clone();
    facts.report.not_final[0].state = HOSTILE.into();
    facts.report.failures[0].state = HOSTILE.into();
    let around = Around {
        journal_option: format!(" --journal {HOSTILE}"),
        currency: HOSTILE.into(),
        clock: Clock::new(TimeZone::UTC, HOSTILE),
        ..around()
    };
    let html = page(&facts, &around);
    let (headings, words) = read(&html);
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(!html.contains(['\u{202e}', '\u{1b}']), "{html}");
    assert!(words.contains("alert('x')") && headings.len() == 12, "{headings:?}");
    assert!(html.contains("<bdi>&lt;b&gt;x&lt;/b&gt;</bdi>"), "{html}");
}

#[test]
fn arabic_names_and_quotes_stand_as_they_are() {
    let story = Story::all_kinds();
    for name in ["حملة الربيع", "it's \"spring\" & more", "-x", "a`b", "`it's` `"] {
        story.connection.execute("UPDATE campaign SET name = ?1 WHERE id = 1", [name]).unwrap();
        let html = page(&facts(&story, name), &around());
        let (_, words) = read(&html);
        assert!(words.contains(name), "{words}");
        assert!(html.contains("<h1><bdi>"));
        // The command that is suggested is whole, whatever is in the name.
        let command = unescaped(html.split("<code>").nth(1).unwrap().split("</code>").next().unwrap());
        assert_eq!(command, crate::words::format::command("smppost resume", name, ""), "{words}");
    }
    let unknown = Around { sender_running: None, ..around() };
    let (_, words) = read(&page(&facts(&story, "`it's` `"), &unknown));
    assert!(words.contains("Not finished: ") && words.contains("Where no sender is running, smppost"), "{words}");
}

#[test]
fn nothing_one_message_and_no_sending_make_a_page_too() {
    let mut story = Story::new();
    story.campaign("empty").settle();
    let (headings, words) = read(&page(&facts(&story, "empty"), &around()));
    assert!(words.contains("This campaign has no messages."), "{words}");
    assert!(!headings.contains(&"Over time".to_owned()), "{headings:?}");
    story.campaign("one");
    let id = story.message(1, "x");
    story.settle();
    let (headings, words) = read(&page(&facts(&story, "one"), &around()));
    assert!(words.contains("Nothing has been sent yet: 1 message waits."), "{words}");
    assert!(words.contains("smppost resume one sends it."), "{words}");
    assert!(!headings.contains(&"Over time".to_owned()), "{headings:?}");
    use crate::journal::model::key::{Attempt, Outcome};
    story.claim(id, 1, 0, 1_000).answer(id, 0, 0, Outcome::Accepted, 1_010);
    story.receipt(Attempt::new(id, 0).receipt(0), 2, None, 2_000).settle();
    let (headings, words) = read(&page(&facts(&story, "one"), &around()));
    assert!(words.contains("The message was delivered."), "{words}");
    assert!(headings.contains(&"Over time".to_owned()) && !words.contains("No sender is running"), "{words}");
}

#[test]
fn a_page_is_short_whatever_the_campaign() {
    let story = Story::all_kinds();
    let mut facts = facts(&story, "spring");
    let long = HOSTILE.repeat(200);
    let counts = Counts([1_000_000; 10]);
    let shares =
        |n| Shares { each: (0..n).map(|n| Share { name: format!("{n}{long}"), counts }).collect(), others: counts };
    (facts.countries, facts.senders) = (shares(300), shares(3_000));
    facts.report.rejections = (0..200)
        .map(|status| {
            let reasons = facts.report.rejections.iter().flat_map(|kind| kind.reasons.clone()).collect();
            Rejection { reasons, first: vec![1, 2, 3, 4, 5], ..Rejection::new(status, 7) }
        })
        .collect();
    let failure = facts.report.failures[0].clone();
    facts.report.failures = vec![crate::journal::query::Failure { error: Some(long.clone()), ..failure }; 1_000];
    facts.report.not_final = facts.report.failures.clone();
    (1..6).for_each(|n| {
        facts.lines.insert(n, FirstLine { line: i64::MAX, destination: long.clone() });
    });
    facts.answers = (0..60).map(|n| Bar { below_ms: 1 << n, count: u64::MAX >> 8 }).collect();
    for at in 0..100_000 {
        facts.series.add(at as usize % 3, at * 3_600_000, 1_000_000_007);
    }
    let html = page(&facts, &around());
    let (_, words) = read(&html);
    assert!(html.len() < 500_000, "{}", html.len());
    assert!(words.contains("2960 others and more") || words.contains("2,960 others and more"), "{words}");
    assert!(words.contains("for 150 other reasons"), "{words}");
}

#[test]
fn the_verdict_says_how_it_stands() {
    use crate::journal::model::campaign::Receipts;
    let story = Story::all_kinds();
    let mut summary = campaigns(&story.connection).unwrap().remove(0);
    let mut said = |counts: &[(State, i64)], running, receipts| {
        let by_state: BTreeMap<_, _> = counts.iter().copied().collect();
        summary.counts = Counts(std::array::from_fn(|n| by_state.get(&State::ALL[n]).copied().unwrap_or(0)));
        summary.messages = summary.counts.total();
        summary.receipts_asked = receipts;
        let verdict = verdict::verdict(&summary, running);
        format!("{:?}: {}", verdict.tone, verdict.words)
    };
    use State::{Accepted, Cancelled, Delivered, Failed, InDoubt, Queued, Rejected, Sending};
    for (counts, running, receipts, expected) in [
        (&[][..], None, Receipts::All, "Still: This campaign has no messages."),
        (&[(Queued, 5)], Some(true), Receipts::All, "Busy: Nothing has been sent yet: 5 messages wait."),
        (&[(Delivered, 5_000)], None, Receipts::All, "Good: All 5,000 messages were delivered."),
        (
            &[(Delivered, 90), (Failed, 10)],
            None,
            Receipts::All,
            "Trouble: 90 of 100 messages were delivered (90.0 %), and 10 were not delivered.",
        ),
        (
            &[(Delivered, 90), (Accepted, 6), (Rejected, 3), (InDoubt, 1)],
            None,
            Receipts::All,
            "Trouble: 90 of 100 messages were delivered (90.0 %); 6 wait for their receipts, 3 were refused and 1 is in doubt.",
        ),
        (
            &[(Delivered, 10), (Queued, 80), (Sending, 10)],
            Some(true),
            Receipts::All,
            "Busy: Being sent: 80 of 100 messages wait to be sent and 10 are on the way. So far 10 were delivered (10.0 %).",
        ),
        (
            &[(Delivered, 10), (Queued, 80), (Sending, 10)],
            Some(false),
            Receipts::All,
            "Trouble: Stopped before it was finished: 80 of 100 messages wait to be sent and 10 are on the way. So far 10 were \
             delivered (10.0 %).",
        ),
        // Where it cannot be told whether a sender runs.
        (
            &[(Delivered, 10), (Queued, 80), (Sending, 10)],
            None,
            Receipts::All,
            "Still: Not finished: 80 of 100 messages wait to be sent and 10 are on the way. So far 10 were delivered (10.0 %).",
        ),
        (
            &[(Failed, 10), (Queued, 90)],
            None,
            Receipts::All,
            "Trouble: Not finished: 90 of 100 messages wait to be sent. So far 10 were not delivered.",
        ),
        (
            &[(Accepted, 4)],
            None,
            Receipts::None,
            "Good: 4 of 4 messages were taken by the SMSC (no receipts were asked for).",
        ),
        (
            &[(Cancelled, 4)],
            None,
            Receipts::All,
            "Still: 0 of 4 messages were delivered (0.0 %), and 4 were cancelled.",
        ),
    ] {
        assert_eq!(said(counts, running, receipts), expected);
    }
}
