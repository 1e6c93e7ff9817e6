use super::*;
use crate::import::numbers::{NumberRules, Strictness};
use crate::message::text::transliterate::Transliterate;
use crate::message::text::{Choice, Policy, ShiftTables};

/// A line of words for each event, and what was found out besides.
fn read(file: &str, settings: Settings) -> Result<(Vec<String>, Facts), ImportError> {
    let mut reader = RowReader::open(file.as_bytes(), settings)?;
    let mut events = Vec::new();
    while let Some(event) = reader.next()? {
        events.push(match event {
            Event::Row(row) => format!("{} {} {}", row.line, row.destination.digits(), row.text),
            Event::Rejected(rejected) => format!("{} rejected {}", rejected.line, rejected.reason.code()),
            Event::Duplicate(duplicate) => format!("{} duplicate {}", duplicate.line, duplicate.destination.digits()),
        });
    }
    Ok((events, reader.facts()))
}

fn numbers(rules: NumberRules) -> Settings {
    Settings { numbers: rules, ..Settings::default() }
}

fn file(header: &str, rows: impl IntoIterator<Item = String>) -> String {
    let rows: String = rows.into_iter().map(|number| format!("{number},hi\n")).collect();
    format!("{header}\n{rows}")
}

#[test]
fn f53_a_column_that_nobody_named_has_no_short_codes() {
    let running =
        |header: &str| read(&file(header, (998..1_003).map(|n| n.to_string())), Settings::default()).unwrap().0;
    for header in ["No,text", "Number,text", "Nummer,text", "Phone,text"] {
        let found = running(header);
        assert!(found.iter().all(|event| event.ends_with("rejected to_short")), "{header}: {found:?}");
    }
    // Where it was named they are what they are.
    assert_eq!(running("to,text")[2..4], ["4 1000 hi", "5 1001 hi"]);
    let named = Settings { to_column: "No".into(), ..Settings::default() };
    assert_eq!(read("no,text\n60777,hi\n", named).unwrap().0, ["2 60777 hi"]);
    let any = numbers(NumberRules { strictness: Strictness::Any, ..NumberRules::default() });
    assert_eq!(read("No,text\n60777,hi\n", any).unwrap().0, ["2 60777 hi"]);
    assert_eq!(read("Phone,text\n447700900123,hi\n", Settings::default()).unwrap().0, ["2 447700900123 hi"]);
}

#[test]
fn f53_a_tick_for_those_who_want_sms_is_no_text() {
    for name in ["SMS", "messages", "СМС"] {
        let refused = read(&format!("to,{name}\n447700900123,yes\n"), Settings::default());
        assert!(matches!(refused, Err(ImportError::NoColumn { .. })), "{name}: {refused:?}");
    }
}

/// Numbers as North America has them, without the 1: some begin with codes of other countries.
fn american(n: u64) -> String {
    let areas = [202, 205, 212, 305, 310, 404, 415, 503, 602, 650, 703, 718, 801, 917];
    format!("{}{}", areas[n as usize % areas.len()], 5_550_100 + n / areas.len() as u64)
}

#[test]
fn f53_national_numbers_that_pass_for_another_countrys_are_told() {
    let found = |rows: Vec<String>, rules: NumberRules| {
        read(&file("to,text", rows), numbers(rules)).unwrap().1.numbers.by_chance().map(|(count, _)| count)
    };
    let plain = NumberRules::default();
    let americans = || (0..280).map(american).collect::<Vec<_>>();
    let count = found(americans(), plain).unwrap();
    assert!(count > 20, "{count}");
    assert!(
        found((0..40).map(|n| american(14 * n)).collect(), plain).is_some(),
        "all of one area, which looks Egyptian"
    );
    assert_eq!(found(americans().iter().map(|number| format!("+1{number}")).collect(), plain), None);
    let signed = americans().iter().map(|number| format!("1{number}")).collect();
    assert_eq!(found(signed, plain), None);
    assert!(found(americans(), NumberRules { will_ask: true, ..plain }).is_some());
    assert_eq!(found(americans(), NumberRules { strictness: Strictness::Any, ..plain }), None);
    assert_eq!(found(americans(), NumberRules { country: "US".parse().ok(), ..plain }), None);
    // Numbers with their code, among which a few are mistyped.
    let singapore = (0..400).map(|n| if n % 100 == 7 { format!("07{n:08}") } else { format!("65{}", 81_230_000 + n) });
    assert_eq!(found(singapore.collect(), plain), None);
    let mistyped = (0..400).map(|n| if n % 100 == 7 { format!("77{n:08}") } else { format!("65{}", 81_230_000 + n) });
    assert_eq!(found(mistyped.collect(), plain), None);
}

#[test]
fn f53_the_strict_take_no_impossible_number() {
    let strict = |number: &str| {
        let rules = NumberRules { strictness: Strictness::Strict, ..NumberRules::default() };
        read(&file("to,text", [number.to_owned()]), numbers(rules)).unwrap().0
    };
    assert_eq!(strict("2025550123"), ["2 rejected to_impossible"]);
    assert_eq!(strict("+2025550123"), ["2 rejected to_impossible"]);
    assert_eq!(strict("12025550123"), ["2 12025550123 hi"]);
    assert_eq!(strict("60777"), ["2 60777 hi"]);
}

#[test]
fn f53_several_numbers_are_cut_between_them_only() {
    let all = |cell: &str| {
        let rules = NumberRules { several: Several::All, ..NumberRules::default() };
        read(&format!("to;text\n\"{cell}\";hi\n"), numbers(rules)).unwrap().0
    };
    let two = ["2 447700900111 hi", "2 447700900112 hi"];
    for cell in [
        "+44/7700/900111; +44/7700/900112",
        "+44/7700/900111, +44/7700/900112",
        "+44/7700/900111 | +44/7700/900112",
        "+44/7700/900111\n+44/7700/900112",
        "+447700900111/+447700900112",
        "+447700900111 / 00447700900112",
        "+44 7700 900111 +44 7700 900112",
        "447,700,900,111; 447,700,900,112",
    ] {
        assert_eq!(all(cell), two, "{cell}");
    }
    // A piece that is no number of its own leaves the cell whole, and whole it is none.
    for cell in ["+447700900111; 60777; +447700900112", "+44/7700/900111; 12/34; +44/7700/900112"] {
        assert_eq!(all(cell), ["2 rejected to_several"], "{cell}");
    }
    // What is wrong with the row is said once, what is wrong with a number for each.
    let rules = NumberRules { several: Several::All, ..NumberRules::default() };
    let empty = read("to;text\n+447700900111/+447700900112;\n+447700900113;hi\n", numbers(rules)).unwrap().0;
    assert_eq!(empty, ["2 rejected text_empty", "3 447700900113 hi"]);
}

#[test]
fn f53_flash_and_a_column_of_codings_contradict_each_other() {
    let settings = Settings { flash: true, ..Settings::default() };
    let refused = read("to,text,data_coding\n447700900123,hi,0\n", settings);
    assert!(matches!(refused, Err(ImportError::FlashBesideCoding(_))), "{refused:?}");
}

#[test]
fn f53_a_texts_own_letters_are_kept_wherever_a_table_has_them() {
    let made = |text: &str, choice, level| {
        let policy = Policy { choice, shift_tables: ShiftTables::Auto, ..Policy::default() };
        let settings = Settings { policy, transliterate: level, ..Settings::default() };
        let (events, _) = read(&format!("to,text\n447700900123,{text}\n"), settings).unwrap();
        events[0].splitn(3, ' ').last().unwrap().to_owned()
    };
    assert_eq!(made("São Paulo’s", Choice::Auto, Transliterate::All), "São Paulo's");
    assert_eq!(made("São Paulo’s", Choice::Auto, Transliterate::Punctuation), "São Paulo's");
    assert_eq!(made("güneş…", Choice::Auto, Transliterate::All), "güneş...");
    // More letters than any table has: the one that loses least.
    assert_eq!(made("ş São João", Choice::Auto, Transliterate::All), "s São João");
    // What is to be GSM 7-bit alone is made so, though tables have it.
    assert_eq!(made("São Paulo", Choice::Gsm7, Transliterate::All), "Sao Paulo");
}

#[test]
fn f53_a_text_has_no_header_of_the_row_before() {
    let file = "to,text,udh:hex,hex\n447700900001,,05040B8423F0,0A06\n447700900002,hi,,\n";
    let mut reader = RowReader::open(file.as_bytes(), Settings::default()).unwrap();
    let mut fields = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        let Event::Row(row) = event else { panic!("{event:?}") };
        fields.push(row.fields.map(str::to_owned));
    }
    assert!(
        fields[0].as_ref().is_some_and(|fields| fields.contains("05040b8423f0")) && fields[1].is_none(),
        "{fields:?}"
    );
}

#[test]
fn a_file_of_octets_alone_needs_no_column_of_texts() {
    for file in [
        "to,udh:hex,hex\n447700900001,05040B8423F0,0A06\n",
        "Sent by Ann;;\nMobile;hex;udh:hex\n447700900001;0A06;05040B8423F0\n",
        "to,hex\n447700900001,0A06\n",
    ] {
        assert_eq!(read(file, Settings::default()).unwrap().0.len(), 1, "{file}");
        assert!(read(file, Settings::default()).unwrap().0[0].contains(" 447700900001 0a06"), "{file}");
    }
    // Whoever names a column means it.
    let named = Settings { text: TextSource::Column("words".into()), ..Settings::default() };
    for (file, settings, missing) in
        [("to,colour\n1,0A\n", Settings::default(), "text"), ("to,hex\n1,0A\n", named, "words")]
    {
        let refused = read(file, settings).unwrap_err().to_string();
        assert!(refused.contains(&format!("there is no column `{missing}`")), "{refused}");
    }
}

#[test]
fn f53_a_column_of_colours_is_not_sent_as_octets() {
    let found = read("to,text,hex\n447700900001,,FF0000\n447700900002,hi,00FF00\n", Settings::default()).unwrap().0;
    assert_eq!(found, ["2 rejected text_empty", "3 447700900002 hi"]);
    let meant = "to,text,hex,data_coding\n447700900001,,FF0000,4\n447700900002,hi,,0\n";
    assert_eq!(read(meant, Settings::default()).unwrap().0, ["2 447700900001 ff0000", "3 447700900002 hi"]);
}
