use super::*;
use crate::journal::query::series::{ACCEPTED, DELIVERED, SENT};
use crate::journal::query::{MessageRow, campaign_report, campaigns, messages};
use crate::journal::testkit::story::{START, Story};
use hashbrown::HashSet;

fn page(story: &Story, name: &str) -> CampaignPage {
    campaign_page(&story.connection, name, None, 0).unwrap()
}

fn rows(story: &Story, name: &str) -> Vec<MessageRow> {
    let mut rows = Vec::new();
    messages::<JournalError>(&story.connection, name, &[], |row| {
        rows.push(row.clone());
        Ok(())
    })
    .unwrap();
    rows
}

fn all(shares: &Shares) -> Counts {
    let mut sum = shares.others;
    shares.each.iter().for_each(|share| sum.add(&share.counts));
    sum
}

#[test]
fn a_page_agrees_with_the_report_and_with_the_messages() {
    let story = Story::all_kinds();
    for summary in campaigns(&story.connection).unwrap() {
        let page = page(&story, &summary.campaign);
        let report = campaign_report(&story.connection, &summary.campaign).unwrap();
        assert_eq!(serde_json::to_value(&page.report).unwrap(), serde_json::to_value(&report).unwrap());
        assert_eq!((all(&page.countries), all(&page.senders)), (summary.counts, summary.counts));
        let rows = rows(&story, &summary.campaign);
        for share in &page.senders.each {
            let mut counts = Counts::default();
            rows.iter().filter(|row| row.source == share.name).for_each(|row| counts.0[row.state as usize] += 1);
            assert_eq!(share.counts, counts, "{}", share.name);
        }
        let accepted: i64 =
            report.statuses.iter().filter(|status| status.command_status == 0).map(|status| status.attempts).sum();
        assert_eq!(page.series.total()[SENT], report.attempts);
        assert_eq!(page.series.total()[ACCEPTED], accepted);
        assert_eq!(page.series.total()[DELIVERED], report.latency.delivery_s.count as i64);
        assert_eq!(page.answers.iter().map(|bar| bar.count).sum::<u64>(), report.latency.answer_ms.count);
        assert_eq!(page.deliveries.iter().map(|bar| bar.count).sum::<u64>(), report.latency.delivery_s.count);
        // Every kind of trouble has lines, and they are messages in that state.
        let lines: HashSet<i64> = rows.iter().map(|row| row.line).collect();
        for part in report
            .rejections
            .iter()
            .flat_map(|kind| &kind.first)
            .chain(report.failures.iter().flat_map(|kind| &kind.first))
        {
            assert!(lines.contains(&page.lines[part].line));
        }
        for rejection in &report.rejections {
            assert_eq!(rejection.first.len() as i64, rejection.messages.min(5));
        }
    }
}

#[test]
fn what_was_never_sent_and_what_is_empty_has_a_page() {
    let mut story = Story::new();
    story.campaign("empty").settle();
    let empty = page(&story, "empty");
    assert_eq!((empty.series.buckets().len(), all(&empty.countries).total()), (0, 0));
    story.campaign("queued");
    story.message(1, "a");
    story.message(3, "b");
    story.settle();
    let queued = page(&story, "queued");
    assert_eq!(queued.countries.each.len(), 1);
    assert_eq!(queued.countries.each[0].name, "+44 GB");
    assert_eq!(queued.countries.each[0].counts.of(State::Queued), 2);
    assert!(matches!(campaign_page(&story.connection, "none", None, 0), Err(JournalError::NoCampaign { .. })));
}

#[test]
fn a_page_is_of_one_moment_and_costs_what_the_messages_cost() {
    let story = Story::all_kinds();
    let prices = PriceList::parse("44,0.03,EUR\n1,0.01,EUR").unwrap();
    let snapshot = snapshot(&story.connection).unwrap();
    let page = campaign_page(&story.connection, "spring", Some(&prices), 0).unwrap();
    drop(snapshot);
    let (mut sent, mut left) = (0, 0);
    for row in rows(&story, "spring") {
        match row.state {
            State::Cancelled | State::Suppressed => {}
            State::Queued => left += row.parts,
            _ => sent += row.parts,
        }
    }
    let (of_sent, of_left) = page.bills.unwrap();
    assert_eq!((of_sent.total.0, of_left.total.0), (sent * 30_000, left * 30_000));
}

#[test]
fn countries_and_senders_are_counted_in_bounded_memory() {
    let mut tally = Tally::default();
    for n in 0..SHARES_MAX + 10 {
        tally.count(&format!("sender {n}"), State::Delivered);
    }
    tally.count("sender 3", State::Failed);
    let shares = tally.into_shares();
    assert_eq!((shares.each.len(), shares.others.total()), (SHARES_MAX, 10));
    assert_eq!(shares.each[0].name, "sender 3");
    let mut countries = Countries::default();
    for (destination, n) in
        [("447700900123", 3), ("12025550123", 2), ("16135550123", 1), ("99", 1), ("0012", 1), ("881612345678", 1)]
    {
        (0..n).for_each(|_| countries.count(destination, State::Queued));
    }
    let shares = countries.into_shares();
    let names: Vec<_> = shares.each.iter().map(|share| (share.name.as_str(), share.counts.total())).collect();
    assert_eq!(names, [("+44 GB", 3), ("", 2), ("+1 US", 2), ("+1 CA", 1), ("+881", 1)]);
}

#[test]
fn what_never_left_is_not_counted_as_sent_then() {
    let mut story = Story::new();
    story.campaign("c");
    let id = story.message(1, "a");
    story.claim(id, 1, 0, 1_000).verdict(id, 0, crate::journal::model::key::Verdict::NotWritten, "it died");
    story.claim(id, 1, 1, 120_000).answer(id, 1, 0, crate::journal::model::key::Outcome::Accepted, 120_010);
    story.settle();
    let page = page(&story, "c");
    let sent: Vec<_> = page.series.buckets().filter(|(_, counted)| counted[SENT] != 0).collect();
    assert_eq!(sent, [(START / 1_000 * 1_000 + 120_750 - 750, [1, 1, 0])]);
}
