//! What `check` shows of a campaign that was not imported.

use crate::import::campaign::Taken;
use crate::import::{Facts, FieldColumn, Format, Saving, SentBy, Tally};
use crate::journal::model::campaign::{CampaignOptions, Via};
use crate::journal::query::Stamp;
use crate::message::fields::{FIELD_NAMES, Field, SubmitFields};
use crate::message::text::{Concat, Encoding};
use crate::words::escape::{escape_terminal, name_value};
use crate::words::format::{count, moment, number};
use crate::words::near::distance;
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// Names that are shown of what there may be many of.
const SHOWN: usize = 5;
/// Characters that are shown: whoever corrects a text wants to see all of its own.
const CHARACTERS_SHOWN: usize = 20;
const COLUMNS_SHOWN: usize = 20;

/// For a person. `rate` is in parts a second; `None`: unlimited.
pub fn table(
    name: &str,
    options: &CampaignOptions,
    (tally, taken): (&Tally, &Taken),
    rate: Option<f64>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{}: {}, {} to send in {}",
        escape_terminal(name),
        many(tally.rows, "row"),
        many(tally.messages, "message"),
        many(tally.parts, "part")
    )?;
    for line in tally.facts.taken() {
        writeln!(out, "  {line}")?;
    }
    for encoding in Encoding::all() {
        let counted = tally.encoding(encoding);
        if counted.messages == 0 {
            continue;
        }
        writeln!(out, "  {encoding}: {}, {}", many(counted.messages, "message"), many(counted.parts, "part"))?;
        if let Some((sample, forced_by)) = &counted.sample {
            write!(out, "    for example: {}", escape_terminal(&excerpt(sample)))?;
            match forced_by {
                Some(character) => writeln!(out, " (UCS2 because of {})", named(*character))?,
                None => writeln!(out)?,
            }
        }
    }
    if tally.by_parts.len() > 1 {
        let counts: Vec<String> =
            tally.by_parts.iter().map(|(parts, messages)| format!("{messages} of {parts}")).collect();
        writeln!(out, "  messages by parts: {}", counts.join(", "))?;
    }
    if tally.sms > tally.messages || options.concat.needs_tlvs() || options.via == Via::DataSm {
        writeln!(out, "  long texts: {}; by {}", travel(options.concat), options.via.name())?;
    }
    if tally.sms > tally.parts {
        let sms = number(tally.sms as i64);
        writeln!(out, "  the SMSC makes about {sms} SMS of them, which is what providers bill")?;
    }
    if let Some(longest) = tally.longest().filter(|longest| longest.sms > 1) {
        writeln!(
            out,
            "  longest: line {}, {} {} ({} {})",
            longest.line,
            longest.sms,
            if options.concat == Concat::Payload { "SMS" } else { "parts" },
            longest.units,
            longest.encoding.unit_name()
        )?;
    }
    let forcing = tally.forcing_characters();
    if !forcing.is_empty() {
        let words: Vec<String> = forcing
            .iter()
            .take(CHARACTERS_SHOWN)
            .map(|(character, messages)| format!("{} ({messages})", named(*character)))
            .collect();
        let alphabet = options.default_alphabet;
        let what = match alphabet.is_gsm() {
            true => "characters outside GSM 7-bit".into(),
            false => format!("characters that force UCS2 (not in both GSM 7-bit and {})", alphabet.name()),
        };
        writeln!(
            out,
            "  {what}, which more than double the parts of long texts: {}{}",
            words.join(", "),
            more(forcing.len(), CHARACTERS_SHOWN)
        )?;
    }
    for (saving, level) in tally.savings.iter().zip(["punctuation", "all"]) {
        // `all` is told where it does more.
        if saving.messages == 0 || level == "all" && saving.messages == tally.savings[0].messages {
            continue;
        }
        writeln!(out, "  {}", saving_words(tally, saving, level))?;
    }
    let senders = tally.senders();
    let words: Vec<String> = senders
        .iter()
        .take(SHOWN)
        .map(|(sender, messages)| match *sender {
            "" => format!("the SMSC's default ({messages})"),
            sender => format!("{} ({messages})", escape_terminal(sender)),
        })
        .collect();
    if !words.is_empty() {
        writeln!(out, "  senders: {}{}", words.join(", "), more(senders.len(), SHOWN))?;
    }
    let (general, columns_of_fields) = travelling(options, tally);
    if !general.is_empty() {
        let words: Vec<_> = general.iter().map(|(name, value)| set_to(name, value)).collect();
        writeln!(out, "  fields of all messages: {}", words.join(", "))?;
    }
    for of in columns_of_fields {
        writeln!(out, "  {}", column_words(of, &general))?;
    }
    let unused = &tally.unused_columns;
    if !unused.is_empty() {
        writeln!(out, "  columns not used: {}", columns(unused))?;
    }
    if tally.messages > 0 {
        writeln!(out, "  numbers: {}", tally.facts.numbers.words())?;
    }
    for warning in tally.facts.numbers.warnings() {
        writeln!(out, "  {warning}")?;
    }
    if tally.suppressed > 0 {
        writeln!(out, "  {} to suppressed numbers will not be sent", many(tally.suppressed, "message"))?;
    }
    if !tally.sent_lately.is_empty() {
        writeln!(out, "  {}", sent_lately(&tally.sent_lately))?;
    }
    if tally.duplicates.count > 0 {
        writeln!(
            out,
            "  {} will be left out ({}): --allow-duplicates sends them",
            many(tally.duplicates.count, "duplicate row"),
            tally.duplicates.shown()
        )?;
    }
    if tally.rejected_rows() > 0 {
        writeln!(out, "  {} will be refused:", many(tally.rejected_rows(), "row"))?;
        for (_, words, rejections) in tally.rejections() {
            writeln!(out, "    {}: {}", rejections.words(), escape_terminal(words))?;
        }
    }
    let doubts = &tally.facts.doubts;
    for line in doubts.said() {
        writeln!(out, "  warning: {line}")?;
    }
    if doubts.asked_about() > 0 {
        writeln!(out, "  `send` and `import` ask about that, or refuse it without --allow-placeholders")?;
    }
    match taken {
        Taken::No => {}
        Taken::Same(messages) => {
            let messages = count(*messages, "message");
            writeln!(out, "  in the journal already, with {messages}: `send` goes on with it")?;
        }
        Taken::Differs { words, .. } => {
            writeln!(out, "  the name is taken, and `send` would refuse this:")?;
            words.lines().try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    if !tally.has_messages() {
        return writeln!(out, "  no row can be sent: nothing would be imported");
    }
    match rate.and_then(|rate| tally.seconds_at(rate).map(|seconds| (rate, seconds))) {
        Some((rate, seconds)) => writeln!(out, "  sending takes {} at {rate} parts/s", span(seconds)),
        None => writeln!(out, "  sending takes as long as the SMSC takes"),
    }
}

/// For a program. `hours`: when messages may be sent; null: at any time.
pub fn json(
    name: &str,
    options: &CampaignOptions,
    (tally, taken): (&Tally, &Taken),
    rate: Option<f64>,
    hours: &serde_json::Value,
    out: &mut dyn Write,
) -> io::Result<()> {
    let is_shown = |encoding: &Encoding| {
        matches!(encoding, Encoding::Gsm7 | Encoding::Ucs2) || tally.encoding(*encoding).messages > 0
    };
    let encodings = Encoding::all().filter(is_shown).map(|encoding| {
        let counted = tally.encoding(encoding);
        json!({ "encoding": encoding.name(), "messages": counted.messages, "parts": counted.parts })
    });
    let encodings: Vec<_> = encodings.collect();
    let rejected: Vec<_> = tally
        .rejections()
        .iter()
        .map(|(code, words, rejections)| {
            json!({ "code": code, "reason": words, "rows": rejections.count, "lines": rejections.lines })
        })
        .collect();
    let in_journal = match taken {
        Taken::No => serde_json::Value::Null,
        Taken::Same(messages) => json!({ "same": true, "messages": messages }),
        Taken::Differs { differences, .. } => json!({
            "same": false,
            "differences": differences.iter().map(|(option, recorded, wanted)| json!({
                "option": option, "recorded": recorded, "wanted": wanted })).collect::<Vec<_>>(),
        }),
    };
    let value = json!({
        "campaign": name,
        "rows": tally.rows,
        "messages": tally.messages,
        "parts": tally.parts,
        "sms": tally.sms,
        "concat": options.concat.name(),
        "via": options.via.name(),
        "default_alphabet": options.default_alphabet.name(),
        "encodings": encodings,
        "messages_by_parts": tally.by_parts,
        "unused_columns": tally.unused_columns,
        "read_as": reading_json(&tally.facts),
        "doubtful": tally.facts.doubts.kinds().map(|(doubt, of)| json!({
            "code": doubt.code(), "messages": of.rows.count, "lines": of.rows.lines, "sample": of.sample })).collect::<Vec<_>>(),
        "fields": travelling(options, tally).0.iter().map(|(name, value)| json!({
            "field": name, "value": value })).collect::<Vec<_>>(),
        "field_columns": tally.field_columns.iter().map(|of| json!({
            "field": of.field.to_string(), "messages": of.set, "empty": of.empty, "sample": of.sample })).collect::<Vec<_>>(),
        "forced_to_ucs2_by": tally.forcing_characters().iter().map(|(character, messages)| json!({
            "character": character, "messages": messages })).collect::<Vec<_>>(),
        "transliterate": tally.savings.iter().zip(["punctuation", "all"]).map(|(saving, level)| json!({
            "level": level, "messages": saving.messages, "parts_saved": saving.parts, "sms_saved": saving.sms,
            "amount_saved": tally.prices.as_ref().map(|_| saving.amount.plain()),
            "characters": saving.characters.iter().map(|(character, lines)| json!({
                "character": character, "lines": lines })).collect::<Vec<_>>() })).collect::<Vec<_>>(),
        "cost": tally.prices.as_ref().map(|prices| json!({
            "currency": prices.currency, "amount": tally.bill.total.plain(),
            "countries": tally.bill.by_country().iter().map(|line| json!({
                "country": line.country, "messages": line.messages, "sms": line.sms,
                "amount": line.amount.plain() })).collect::<Vec<_>>(),
            "unpriced_messages": tally.bill.unpriced, "unpriced_numbers": tally.bill.unpriced_numbers })),
        "senders": tally.senders().iter().map(|(sender, messages)| json!({
            "sender": sender, "messages": messages })).collect::<Vec<_>>(),
        "numbers": tally.facts.numbers.groups().iter().map(|group| json!({
            "beginning": group.beginning, "digits": group.digits, "numbers": group.numbers,
            "looks_national": group.is_doubtful })).collect::<Vec<_>>(),
        "fixed_lines": tally.facts.numbers.fixed.count,
        "service_numbers": tally.facts.numbers.services.count,
        "numbers_rewritten": tally.facts.numbers.rewritten,
        "duplicate_rows": tally.duplicates.count,
        "duplicate_lines": tally.duplicates.lines,
        "suppressed": tally.suppressed,
        "sent_lately": tally.sent_lately.iter().map(|sent| json!({
            "campaign": sent.campaign, "numbers": sent.numbers, "last": Stamp(sent.last).to_string() })).collect::<Vec<_>>(),
        "rejected_rows": tally.rejected_rows(),
        "rejected": rejected,
        "in_journal": in_journal,
        "seconds": rate.and_then(|rate| tally.seconds_at(rate)),
        "sending_hours": hours,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

/// How the file was taken.
fn reading_json(facts: &Facts) -> serde_json::Value {
    json!({
        "format": facts.format.map_or("text", Format::name),
        "sheet": facts.sheet.as_ref().map(|sheet| &sheet.name),
        "encoding": facts.guessed.as_ref().map(|reading| reading.encoding.name()),
        "encoding_words": facts.guessed.as_ref().map(|reading| &reading.words),
        "header_line": facts.header_line,
        "to_column": facts.to_column,
        "text_column": facts.text_column,
        "mentioned_columns": facts.mentioned,
        "short_rows": facts.short_rows.count,
    })
}

/// What `--transliterate` would save, in words.
fn saving_words(tally: &Tally, saving: &Saving, level: &str) -> String {
    let price = match &tally.prices {
        Some(prices) if saving.sms > 0 => format!(", {} {}", saving.amount, prices.currency),
        _ => String::new(),
    };
    let characters: Vec<String> = saving
        .characters
        .iter()
        .take(CHARACTERS_SHOWN)
        .map(|(character, lines)| {
            let s = if lines.len() == 1 { "" } else { "s" };
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            format!("{} in line{s} {}", named(*character), lines.join(", "))
        })
        .collect();
    format!(
        "--transliterate {level} would make {} GSM 7-bit and save {} ({} SMS{price}): {}{}",
        many(saving.messages, "message"),
        many(saving.parts, "part"),
        number(saving.sms as i64),
        characters.join("; "),
        more(saving.characters.len(), CHARACTERS_SHOWN)
    )
}

/// The fields and TLVs that all messages of a campaign travel with, by name with their values, and the columns that set
/// more.
fn travelling<'t>(options: &CampaignOptions, tally: &'t Tally) -> (Vec<(String, String)>, &'t [FieldColumn]) {
    let fields: Option<SubmitFields> = options.fields.clone().and_then(|fields| serde_json::from_value(fields).ok());
    (fields.map(|fields| fields.entries()).unwrap_or_default(), &tally.field_columns)
}

fn set_to(name: &str, value: &str) -> String {
    format!("{name} = {}", escape_terminal(&excerpt(value)))
}

/// What a column of a field's name sets, in words.
fn column_words(of: &FieldColumn, general: &[(String, String)]) -> String {
    let name = of.field.to_string();
    let sample = of.sample.as_deref().map_or_else(String::new, |value| match &of.understood {
        Some(understood) => format!(" (the first: {}, which is {understood})", escape_terminal(&excerpt(value))),
        None => format!(" (the first: {})", escape_terminal(&excerpt(value))),
    });
    let mut words = format!("{name} by its column: {}{sample}", many(of.set, "message"));
    if of.empty > 0 {
        let (have, go) = if of.empty == 1 { ("has", "goes") } else { ("have", "go") };
        // In the fields of all messages a C-octet string is an optional parameter as any other.
        let is_it = |known: &str| match of.field.tag() {
            Some(tag) => known == Field::Tlv(tag).to_string(),
            None => known == name,
        };
        let instead = match general.iter().find(|(known, _)| is_it(known)) {
            Some((_, value)) => format!("{go} with {}", escape_terminal(&excerpt(value))),
            None => format!("{go} without it"),
        };
        words += &format!("; {} {have} an empty cell there, and {instead}", number(of.empty as i64));
    }
    words
}

/// Names of columns that are not used, the first of them where there are many, and what may have been meant by one.
pub fn columns(names: &[String]) -> String {
    let named = |name: &String| match meant(name) {
        Some(field) => format!("{} (did you mean {field}?)", name_value(name)),
        None => name_value(name).into_owned(),
    };
    let words: Vec<_> = names.iter().take(COLUMNS_SHOWN).map(named).collect();
    format!("{}{}", words.join(", "), more(names.len(), COLUMNS_SHOWN))
}

/// The field whose name a column's is but for a letter or two.
fn meant(column: &str) -> Option<&'static str> {
    const EDITS_MAX: usize = 2;
    let folded = column.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    let near = FIELD_NAMES.iter().map(|(name, _)| (distance(&folded, name), *name)).min()?;
    (near.0 <= EDITS_MAX).then_some(near.1)
}

/// Which campaigns sent to numbers of a file in the last 24 hours, in words.
pub fn sent_lately(sent: &[SentBy]) -> String {
    let numbers = sent.iter().map(|sent| sent.numbers).sum();
    let its = if numbers == 1 { "was" } else { "were" };
    format!("{} of it {its} sent to in the last 24 hours: {}", count(numbers, "number"), sent_by(sent))
}

/// Campaigns with how many numbers each was the last to send to, and when.
pub fn sent_by(sent: &[SentBy]) -> String {
    let words: Vec<_> = sent
        .iter()
        .take(SHOWN)
        .map(|sent| {
            let (numbers, last) = (number(sent.numbers), moment(Stamp(sent.last)));
            format!("{numbers} by {} (the last at {last} UTC)", escape_terminal(&sent.campaign))
        })
        .collect();
    format!("{}{}", words.join(", "), more(sent.len(), SHOWN))
}

/// How long texts travel, in words.
fn travel(concat: Concat) -> &'static str {
    match concat {
        Concat::Udh8 => "in parts with a UDH, 8-bit reference (153 septets or 67 UCS2 units each)",
        Concat::Udh16 => "in parts with a UDH, 16-bit reference (152 septets or 66 UCS2 units each)",
        Concat::Sar => "in parts numbered by SAR TLVs (153 septets or 67 UCS2 units each)",
        Concat::Payload => "whole in message_payload, one part each",
    }
}

/// The beginning of a text, enough to know it by.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let mut short: String = text.chars().take(CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn named(character: char) -> String {
    format!("{} U+{:04X}", escape_terminal(character.encode_utf8(&mut [0; 4])), u32::from(character))
}

/// What is said instead of the rest of a list.
fn more(all: usize, shown: usize) -> String {
    if all > shown { format!(" and {} more", all - shown) } else { String::new() }
}

fn many(n: u64, what: &str) -> String {
    count(n as i64, what)
}

/// A time span as a person says it.
fn span(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    match whole {
        0 => "less than a second".into(),
        1..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, words) in
            [(0.4, "less than a second"), (90.0, "90 s"), (125.0, "2 min 5 s"), (7_260.0, "2 h 1 min")]
        {
            assert_eq!(span(seconds), words);
        }
    }
}
