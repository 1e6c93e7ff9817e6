use super::*;
use jiff::civil::date;
use std::collections::BTreeSet;

fn hours(between: &str, days: &str, zone: &str) -> Hours {
    Hours {
        between: (!between.is_empty()).then(|| between.parse().unwrap()),
        days: (!days.is_empty()).then(|| days.parse().unwrap()),
        zone: TimeZone::get(zone).unwrap(),
        ..Hours::default()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn hours_and_days_open_and_close() {
    for (between, days, zone, now, expected) in [
        // 2026-11-23 is a Monday.
        ("09:00-20:00", "", "UTC", "2026-11-23T08:59:59Z", Some("2026-11-23T09:00Z")),
        ("09:00-20:00", "", "UTC", "2026-11-23T09:00Z", None),
        ("09:00-20:00", "", "UTC", "2026-11-23T20:00Z", Some("2026-11-24T09:00Z")),
        ("09:00-20:00", "mon-fri", "UTC", "2026-11-27T20:00Z", Some("2026-11-30T09:00Z")),
        ("", "sat,sun", "UTC", "2026-11-23T12:00Z", Some("2026-11-28T00:00Z")),
        ("", "sat-mon", "UTC", "2026-11-23T12:00Z", None),
        ("22:00-06:00", "fri", "UTC", "2026-11-28T03:00Z", None),
        ("22:00-06:00", "fri", "UTC", "2026-11-28T06:00Z", Some("2026-12-04T22:00Z")),
        ("00:00-24:00", "", "UTC", "2026-11-23T23:59:59Z", None),
        // Summer time, and the nights in which it begins and ends.
        ("09:00-20:00", "", "Europe/London", "2026-07-01T07:30Z", Some("2026-07-01T08:00Z")),
        ("01:30-03:00", "", "Europe/London", "2026-03-29T00:00Z", Some("2026-03-29T01:00Z")),
        ("09:00-20:00", "", "America/New_York", "2026-11-01T12:00Z", Some("2026-11-01T14:00Z")),
    ] {
        let expected = expected.map_or(Verdict::Open, |moment| Verdict::Closed(at(moment)));
        assert_eq!(hours(between, days, zone).at(at(now)), expected, "{between} {days} {zone} at {now}");
    }
}

/// The first of the openings after `now`, in UTC.
#[track_caller]
fn opens(hours: &Hours, now: &str, expected: (&str, &str)) {
    let opening = hours.openings(at(now), 1)[0];
    assert_eq!((opening.opens, opening.closes), (at(expected.0), Some(at(expected.1))), "{:?}", hours.zone);
}

#[test]
fn an_hour_that_is_skipped_or_comes_twice() {
    let paris = |between: &str| hours(between, "", "Europe/Paris");
    // On 2026-03-29 Paris has no time from 02:00 to 03:00, which is 01:00Z.
    opens(&paris("00:30-02:30"), "2026-03-28T23:00Z", ("2026-03-28T23:30Z", "2026-03-29T01:00Z"));
    opens(&paris("02:30-04:00"), "2026-03-29T00:00Z", ("2026-03-29T01:00Z", "2026-03-29T02:00Z"));
    opens(&paris("22:00-02:30"), "2026-03-28T12:00Z", ("2026-03-28T21:00Z", "2026-03-29T01:00Z"));
    opens(&paris("02:10-02:50"), "2026-03-29T00:00Z", ("2026-03-30T00:10Z", "2026-03-30T00:50Z"));
    opens(&paris("02:00-03:00"), "2026-03-29T00:00Z", ("2026-03-30T00:00Z", "2026-03-30T01:00Z"));
    // One day a week, and that one is skipped: a week later.
    let sundays = hours("02:10-02:50", "sun", "Europe/Paris");
    opens(&sundays, "2026-03-23T00:00Z", ("2026-04-05T00:10Z", "2026-04-05T00:50Z"));
    // On 2026-10-25 the time from 02:00 to 03:00 comes twice, from 00:00Z and from 01:00Z on.
    opens(&paris("00:30-02:30"), "2026-10-24T22:00Z", ("2026-10-24T22:30Z", "2026-10-25T00:30Z"));
    opens(&paris("02:30-04:00"), "2026-10-24T22:00Z", ("2026-10-25T00:30Z", "2026-10-25T03:00Z"));
    opens(&paris("22:00-02:30"), "2026-10-24T12:00Z", ("2026-10-24T20:00Z", "2026-10-25T00:30Z"));
    opens(&paris("02:10-02:50"), "2026-10-24T22:00Z", ("2026-10-25T00:10Z", "2026-10-25T00:50Z"));
    // Half an hour only.
    let lord_howe = |between: &str| hours(between, "", "Australia/Lord_Howe");
    opens(&lord_howe("02:10-02:20"), "2026-10-03T14:00Z", ("2026-10-04T15:10Z", "2026-10-04T15:20Z"));
    opens(&lord_howe("01:00-02:15"), "2026-10-03T14:00Z", ("2026-10-03T14:30Z", "2026-10-03T15:30Z"));
    // Midnight itself, and a day of 24 hours that begins at 01:00.
    let beirut = hours("", "sun", "Asia/Beirut");
    opens(&beirut, "2026-03-28T12:00Z", ("2026-03-28T22:00Z", "2026-03-29T21:00Z"));
    // A whole day: 2011-12-30, a Friday, was not in Samoa.
    let apia = |between: &str, days: &str| hours(between, days, "Pacific/Apia");
    opens(&apia("09:00-20:00", ""), "2011-12-30T08:00Z", ("2011-12-30T19:00Z", "2011-12-31T06:00Z"));
    opens(&apia("09:00-20:00", "fri"), "2011-12-28T12:00Z", ("2012-01-05T19:00Z", "2012-01-06T06:00Z"));
    opens(&apia("22:00-06:00", "thu"), "2011-12-29T12:00Z", ("2011-12-30T08:00Z", "2011-12-30T10:00Z"));
    // Offsets with seconds, as they were before 1972.
    let monrovia = hours("00:20-08:00", "", "Africa/Monrovia");
    opens(&monrovia, "1972-01-06T12:00Z", ("1972-01-07T00:44:30Z", "1972-01-07T08:00Z"));
}

#[test]
fn openings_are_joined_and_cut() {
    let list = |hours: &Hours, now: &str| -> Vec<(Timestamp, Option<Timestamp>)> {
        hours.openings(at(now), 7).into_iter().map(|opening| (opening.opens, opening.closes)).collect()
    };
    let week = hours("09:00-20:00", "mon-fri", "UTC");
    let found = list(&week, "2026-11-26T12:00Z");
    assert_eq!(found.len(), 7);
    assert_eq!(found[0], (at("2026-11-26T12:00Z"), Some(at("2026-11-26T20:00Z"))));
    assert_eq!(found[2], (at("2026-11-30T09:00Z"), Some(at("2026-11-30T20:00Z"))));
    // Days that follow one another are one opening, and days without end have none.
    let found = list(&hours("", "sat-mon", "UTC"), "2026-11-26T12:00Z");
    assert_eq!(found[0], (at("2026-11-28T00:00Z"), Some(at("2026-12-01T00:00Z"))));
    assert_eq!(list(&hours("00:00-24:00", "", "UTC"), "2026-11-26T12:00Z"), [(at("2026-11-26T12:00Z"), None)]);
    let mut limited = week;
    (limited.start_at, limited.stop_at) = (Some(at("2026-11-27T10:00Z")), Some(at("2026-11-30T12:00Z")));
    assert_eq!(
        list(&limited, "2026-11-26T12:00Z"),
        [
            (at("2026-11-27T10:00Z"), Some(at("2026-11-27T20:00Z"))),
            (at("2026-11-30T09:00Z"), Some(at("2026-11-30T12:00Z")))
        ]
    );
    assert_eq!(
        limited.openings_words(at("2026-11-27T11:00Z"), 1),
        ["open now, closes Fri 2026-11-27 20:00:00 UTC".to_owned()]
    );
    limited.zone_words = "UTC (from TZ)".into();
    assert_eq!(
        limited.words(),
        "09:00-20:00 on mon,tue,wed,thu,fri from Fri 2026-11-27 10:00:00 UTC until Mon 2026-11-30 12:00:00 UTC; time zone \
         UTC (from TZ)"
    );
    assert!(
        list(&Hours { stop_at: Some(at("2026-11-26T12:00Z")), ..Hours::default() }, "2026-11-26T12:00Z").is_empty()
    );
    assert_eq!(Hours::default().words(), "");
}

#[test]
fn a_first_and_a_last_moment() {
    let mut hours = hours("09:00-20:00", "", "UTC");
    (hours.start_at, hours.stop_at) = (Some(at("2026-11-24T10:00Z")), Some(at("2026-11-25T09:00Z")));
    assert_eq!(hours.at(at("2026-11-23T12:00Z")), Verdict::Closed(at("2026-11-24T10:00Z")));
    assert_eq!(hours.at(at("2026-11-24T10:00Z")), Verdict::Open);
    assert_eq!(hours.at(at("2026-11-24T20:00Z")), Verdict::Over, "it would not open again before the end");
    assert_eq!(hours.at(at("2026-11-26T10:00Z")), Verdict::Over);
    assert!(hours.limit() && !Hours::default().limit());
}

#[test]
fn what_is_no_time_is_refused() {
    for text in ["", "9-20", "09:00", "09:00-09:00", "25:00-26:00", "09:60-10:00", "-1:00-2:00", "aa:bb-cc:dd"] {
        assert!(text.parse::<Between>().is_err(), "{text}");
    }
    for text in ["", "monday", "mon-", "mon;tue", "1-5"] {
        assert!(text.parse::<Days>().is_err(), "{text}");
    }
    assert_eq!("9:00-24:00".parse::<Between>().unwrap().to_string(), "09:00-24:00");
}

#[test]
fn moments_have_the_zone_that_is_set_or_one_of_their_own() {
    let london = TimeZone::get("Europe/London").unwrap();
    let named = |name: &str| TimeZone::get(name).map_err(|_| bad!("no {name}"));
    for (text, utc) in [
        ("2026-07-01T09:00", "2026-07-01T08:00Z"),
        (" 2026-07-01 09:00 ", "2026-07-01T08:00Z"),
        ("2026-07-01T09:00:30Z", "2026-07-01T09:00:30Z"),
        ("2026-07-01T09:00+01:00", "2026-07-01T08:00Z"),
        ("2026-07-01T09:00+14:00", "2026-06-30T19:00Z"),
        ("2026-07-01T09:00-14:00", "2026-07-01T23:00Z"),
        ("2026-12-24T09:00[America/New_York]", "2026-12-24T14:00Z"),
        ("2026-12-24T09:00-05:00[America/New_York]", "2026-12-24T14:00Z"),
        ("2026-12-24T09:00Z[America/New_York]", "2026-12-24T09:00Z"),
        // Skipped: when it is; twice: the first.
        ("2026-03-29T01:30", "2026-03-29T01:00Z"),
        ("2026-10-25T01:30", "2026-10-25T00:30Z"),
        ("2026-03-29T02:30[Europe/Paris]", "2026-03-29T01:00Z"),
    ] {
        assert_eq!(moment(text, &london, &named), Ok(at(utc)), "{text}");
        assert_eq!(is_local(text), !text.contains(['[', 'Z', '+']) && !text.contains("0-14"), "{text}");
    }
    for (text, words) in [
        ("tomorrow", "is no moment"),
        ("", "is no moment"),
        ("2026-02-31T09:00", "is no moment"),
        ("2026-07-01T09:00+14:01", "offsets go from -14:00 to +14:00"),
        ("2026-07-01T09:00+15:00", "offsets go from -14:00 to +14:00"),
        ("2026-12-24T09:00[Mars]", "no Mars"),
        ("2026-12-24T09:00+01:00[America/New_York]", "the offset of America/New_York is -05 then"),
    ] {
        let said = moment(text, &london, &named).unwrap_err();
        assert!(said.contains(words), "{text}: {said}");
    }
}

// Every change of the clocks in every zone, against a walk from minute to minute -------------------------------------------

/// Days that are walked on each side of a change.
const WALKED_DAYS: i64 = 4;

/// What the clocks of a zone show around a change, minute by minute: for each minute the latest that they have shown so far.
struct Walk {
    first: Timestamp,
    latest: Vec<DateTime>,
}

impl Walk {
    fn around(zone: &TimeZone, change: Timestamp) -> Self {
        let first = change - jiff::SignedDuration::from_hours(24 * WALKED_DAYS);
        let mut latest: Vec<DateTime> = Vec::new();
        for minute in 0..2 * WALKED_DAYS * 1_440 {
            let shown = zone.to_datetime(first + jiff::SignedDuration::from_mins(minute));
            latest.push(latest.last().map_or(shown, |latest| shown.max(*latest)));
        }
        Self { first, latest }
    }

    /// The minute at which the clocks show this or later for the first time.
    fn minute_of(&self, wanted: DateTime) -> usize {
        self.latest.partition_point(|shown| *shown < wanted)
    }

    /// The spans of minutes in which it is open, joined.
    fn spans(&self, between: Between, day: Option<Weekday>) -> Vec<(usize, usize)> {
        let (mut spans, mut date) = (Vec::<(usize, usize)>::new(), self.latest[0].date());
        while date < self.latest[self.latest.len() - 1].date() {
            let end_day = if between.1 > between.0 { date } else { date.tomorrow().unwrap() };
            let (start, end) =
                (self.minute_of(date.to_datetime(between.0)), self.minute_of(end_day.to_datetime(between.1)));
            if start < end && day.is_none_or(|day| date.weekday() == day) {
                match spans.last_mut() {
                    Some(last) if start <= last.1 => last.1 = end,
                    _ => spans.push((start, end)),
                }
            }
            date = date.tomorrow().unwrap();
        }
        spans
    }

    fn minute(&self, n: usize) -> Timestamp {
        self.first + jiff::SignedDuration::from_mins(n as i64)
    }
}

/// Hours that begin, end or lie around the time of a change: `minute` of the day.
fn betweens(minute: i64) -> Vec<Between> {
    let time = |minute: i64| {
        let minute = minute.rem_euclid(1_440);
        Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).unwrap()
    };
    let around = [(-30, 15), (10, 20), (15, 200), (-200, 1), (0, 60), (-60, 0), (-15, 45), (-700, 30)];
    let mut found: Vec<Between> =
        around.iter().map(|(from, to)| Between(time(minute + from), time(minute + to))).collect();
    found.extend(
        ["22:00-06:00", "23:30-00:30", "00:00-24:00", "09:00-20:00"].map(|text| text.parse::<Between>().unwrap()),
    );
    found.retain(|between| between.0 != between.1 || *between == Between::WHOLE_DAY);
    found
}

/// Compares all openings around a change with the walk. Returns how many were compared.
fn compare(name: &str, zone: &TimeZone, change: Timestamp) -> usize {
    let walk = Walk::around(zone, change);
    let shown = zone.to_datetime(change - jiff::SignedDuration::from_mins(1));
    let minute = i64::from(shown.hour()) * 60 + i64::from(shown.minute()) + 1;
    let mut compared = 0;
    for between in betweens(minute) {
        for day in [None, Some(shown.weekday()), Some(shown.weekday().next())] {
            let days = day.map(|day| Days(std::array::from_fn(|n| n == index(day))));
            let hours = Hours { between: Some(between), days, zone: zone.clone(), ..Hours::default() };
            // What begins before the walk, or ends after it, the walk does not know.
            let inner = 1_440 * 2..2 * WALKED_DAYS as usize * 1_440 - 1_440 * 2;
            for (start, end) in walk.spans(between, day) {
                if !inner.contains(&start) || !inner.contains(&end) {
                    continue;
                }
                let told = format!("{name}: {between} on {days:?}, the clocks change at {change}");
                let opening = Opening { opens: walk.minute(start), closes: Some(walk.minute(end)) };
                assert_eq!(hours.openings(walk.minute(start - 1), 1), [opening], "{told}");
                let nearly = jiff::SignedDuration::from_nanos(1);
                assert_eq!(hours.at(opening.opens), Verdict::Open, "{told}");
                assert_eq!(hours.at(opening.opens - nearly), Verdict::Closed(opening.opens), "{told}");
                assert_eq!(hours.at(walk.minute(end) - nearly), Verdict::Open, "{told}");
                assert!(matches!(hours.at(walk.minute(end)), Verdict::Closed(_)), "{told}");
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn all_zones_open_and_close_as_their_clocks_show_it_for_ten_years_back_and_ahead() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    let of_year = |year: i16| date(year, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let this_year = Timestamp::now().to_zoned(TimeZone::UTC).year();
    let (first, last) = (of_year(this_year - 10), of_year(this_year + 11));
    let (mut seen, mut zones, mut compared) = (BTreeSet::new(), 0, 0);
    for name in bundled.available() {
        let zone = bundled.get(name.as_str()).unwrap();
        zones += 1;
        for change in zone.following(first).take_while(|change| change.timestamp() < last) {
            let moment = change.timestamp();
            // Zones that change alike around that moment need to be walked once.
            let days = jiff::SignedDuration::from_hours(24 * (WALKED_DAYS + 10));
            let mut offsets = vec![(moment - days, zone.to_offset(moment - days))];
            let near = zone.following(moment - days).take_while(|change| change.timestamp() < moment + days);
            offsets.extend(near.map(|change| (change.timestamp(), change.offset())));
            if seen.insert((moment, offsets)) {
                compared += compare(name.as_str(), &zone, moment);
            }
        }
    }
    assert!(zones > 500 && seen.len() > 500 && compared > 10_000, "{zones} zones, {} changes, {compared}", seen.len());
}

#[test]
fn hours_within_others() {
    for (own, all, expected) in [
        ("09:00-20:00", "09:00-20:00", true),
        ("10:00-11:00", "09:00-20:00", true),
        ("08:59-11:00", "09:00-20:00", false),
        ("19:00-20:01", "09:00-20:00", false),
        ("20:00-09:00", "09:00-20:00", false),
        ("23:00-01:00", "22:00-06:00", true),
        ("22:00-06:00", "22:00-06:00", true),
        // Of a night that began the day before, which the days may not have.
        ("01:00-05:00", "22:00-06:00", false),
        ("23:00-07:00", "22:00-06:00", false),
        ("00:00-24:00", "09:00-20:00", false),
        ("00:00-24:00", "00:00-24:00", true),
        ("20:00-24:00", "00:00-24:00", true),
        ("20:00-24:00", "18:00-24:00", true),
        // It goes into the next day.
        ("22:00-02:00", "00:00-24:00", false),
    ] {
        let parse = |text: &str| text.parse::<Between>().unwrap();
        assert_eq!(parse(own).is_within(&parse(all)), expected, "{own} in {all}");
    }
    let days = |text: &str| text.parse::<Days>().unwrap();
    assert!(days("mon,wed").are_within(&days("mon-fri")) && !days("fri-sat").are_within(&days("mon-fri")));
}
