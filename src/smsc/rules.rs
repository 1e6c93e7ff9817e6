//! Outcomes by number, text or account: `to=*002: state=UNDELIV err=5 delay=2s`. The first rule that fits a message decides.
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::delay::Delay;
use super::pattern::Pattern;
use super::receipts::Fate;
use crate::wire::CommandStatus;
use crate::words::{BadValue, bad};

/// Numbers whose tries a rule with `first=N` counts; beyond it the count begins anew.
const COUNTED_MAX: usize = 100_000;

/// A rule: conditions, a colon, and what then becomes of the message.
///
/// Conditions, with a comma between them: `to=`, `from=`, `text=`, `account=`, each with a [`Pattern`]; a value may stand in
/// quotes. Actions, with a space between them: `status=0x0B` refuses; `state=UNDELIV`, `err=5` and `delay=2s` say what the
/// receipt tells and when; `answer=300ms` delays the answer; `silent` never answers, `drop` closes the connection instead;
/// `no-receipt`; `reply="Hello"` has the handset send a message back; `first=N` applies to the first N messages to a number
/// alone.
///
/// ```
/// use smppost::smsc::Rule;
/// let rule: Rule = "to=*002: state=UNDELIV err=5 delay=2s".parse()?;
/// assert_eq!(rule.to_string(), "to=*002: state=UNDELIV err=5 delay=2s");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    shown: String,
    conditions: Vec<(Field, Pattern)>,
    pub(super) action: Action,
    first: Option<u32>,
    counted: Arc<Mutex<HashMap<Vec<u8>, u32>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    To,
    From,
    Text,
    Account,
}

/// What becomes of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) status: Option<u32>,
    pub(super) fate: Option<Fate>,
    pub(super) error: Option<u16>,
    pub(super) receipt_delay: Option<Delay>,
    pub(super) answer_delay: Option<Delay>,
    pub(super) is_silent: bool,
    pub(super) drops: bool,
    pub(super) without_receipt: bool,
    pub(super) reply: Option<String>,
}

/// A message as rules see it. Its text is read only where a rule asks for it.
pub(super) struct Seen<'a> {
    pub(super) to: &'a [u8],
    pub(super) from: &'a [u8],
    pub(super) account: &'a [u8],
    pub(super) text: &'a dyn Fn() -> String,
}

/// The first rule that fits.
pub(super) fn find<'a>(rules: &'a [Rule], seen: &Seen<'_>) -> Option<&'a Rule> {
    let mut text = None;
    rules.iter().find(|rule| rule.fits(seen, &mut text))
}

impl Rule {
    fn fits(&self, seen: &Seen<'_>, text: &mut Option<String>) -> bool {
        let fits = self.conditions.iter().all(|(field, pattern)| match field {
            Field::To => pattern.fits(&String::from_utf8_lossy(seen.to)),
            Field::From => pattern.fits(&String::from_utf8_lossy(seen.from)),
            Field::Account => pattern.fits(&String::from_utf8_lossy(seen.account)),
            Field::Text => pattern.fits(text.get_or_insert_with(seen.text)),
        });
        let Some(first) = self.first.filter(|_| fits) else { return fits };
        let mut counted = self.counted.lock();
        if counted.len() >= COUNTED_MAX && !counted.contains_key(seen.to) {
            counted.clear();
        }
        let count = counted.entry_ref(seen.to).or_insert(0);
        *count = count.saturating_add(1);
        *count <= first
    }
}

impl Rule {
    /// Forgets whose first messages there were.
    pub(super) fn begin_anew(&self) {
        self.counted.lock().clear();
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for Rule {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut rest = text;
        let mut conditions = Vec::new();
        loop {
            let (name, after) = rest
                .split_once('=')
                .ok_or_else(|| bad!("{text:?} is no rule: write CONDITION: ACTION, such as to=*001: status=0x0B"))?;
            let field = match name.trim() {
                "to" => Field::To,
                "from" => Field::From,
                "text" => Field::Text,
                "account" => Field::Account,
                other => return Err(bad!("{other:?} is no condition; there are to, from, text, account")),
            };
            let (value, after) = value(after.trim_start(), &[',', ':'])?;
            conditions.push((field, value.parse()?));
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after
                        .strip_prefix(':')
                        .ok_or_else(|| bad!("{text:?}: behind the conditions stands a colon, then what to do"))?;
                    break;
                }
            }
        }
        let mut action = Action::default();
        let mut first = None;
        rest = rest.trim_start();
        if rest.is_empty() {
            return Err(bad!("{text:?}: behind the colon stands what to do, such as status=0x0B"));
        }
        while !rest.is_empty() {
            let end = rest.find([' ', '=']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let (given, after) = match after.strip_prefix('=') {
                None => (None, after),
                Some(after) => {
                    let (given, after) = value(after, &[' '])?;
                    (Some(given), after)
                }
            };
            rest = after.trim_start();
            action.set(name, given.as_deref(), &mut first)?;
        }
        action.check()?;
        Ok(Rule { shown: text.trim().to_owned(), conditions, action, first, counted: Arc::default() })
    }
}

/// A value at the beginning of a text, which ends at one of these characters: in quotes, between slashes (the slashes belong
/// to it), or bare.
fn value<'a>(text: &'a str, ends: &[char]) -> Result<(String, &'a str), BadValue> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '/'));
    let Some(quote) = quote else {
        let end = text.find(ends).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return Ok((value.trim_end().to_owned(), after));
    };
    let mut value = String::new();
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => {
                // In an expression the backslash is the expression's, but before a slash.
                if quote == '/' && c != '/' || quote == '"' && !matches!(c, '"' | '\\') {
                    value.push('\\');
                }
                value.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            _ if c == quote => {
                let value = if quote == '/' { format!("/{value}/") } else { value };
                return Ok((value, &text[at + 1..]));
            }
            _ => value.push(c),
        }
    }
    Err(bad!("{text:?}: the {quote} at its beginning is never closed"))
}

impl Action {
    fn set(&mut self, name: &str, given: Option<&str>, first: &mut Option<u32>) -> Result<(), BadValue> {
        let needed = || given.filter(|given| !given.is_empty()).ok_or_else(|| bad!("{name} needs a value: {name}=…"));
        let flag = || match given {
            None => Ok(true),
            Some(_) => Err(bad!("{name} takes no value")),
        };
        let number = || {
            let given = needed()?;
            given.parse::<u16>().map_err(|_| bad!("{name}={given:?} is not a whole number up to 65535"))
        };
        match name {
            "status" => {
                let status = CommandStatus::parse(needed()?).map(|status| status.0).filter(|status| *status != 0);
                let wrong =
                    || format!("status={:?} is no status such as 0x0B or ESME_RINVDSTADR", given.unwrap_or_default());
                self.status = Some(status.ok_or_else(wrong)?);
            }
            "state" => self.fate = Some(Fate::from_word(needed()?)?),
            "err" => self.error = Some(number()?),
            "delay" => self.receipt_delay = Some(needed()?.parse()?),
            "answer" => self.answer_delay = Some(needed()?.parse()?),
            "silent" => self.is_silent = flag()?,
            "drop" => self.drops = flag()?,
            "no-receipt" => self.without_receipt = flag()?,
            "reply" => self.reply = Some(needed()?.to_owned()),
            "first" => *first = Some(u32::from(number()?)),
            _ => {
                return Err(bad!(
                    "{name:?} is nothing that a rule does; there are status, state, err, delay, answer, silent, drop, \
                     no-receipt, reply, first"
                ));
            }
        }
        Ok(())
    }

    /// Refuses what can never be: a message that is not accepted has no receipt.
    fn check(&self) -> Result<(), BadValue> {
        let of_receipt = self.fate.is_some() || self.error.is_some() || self.receipt_delay.is_some();
        if self.status.is_some() && (of_receipt || self.without_receipt || self.reply.is_some()) {
            return Err("a message that is refused with status has no receipt and no reply".into());
        }
        if self.without_receipt && of_receipt {
            return Err("state, err and delay are told by the receipt, which no-receipt leaves out".into());
        }
        if (self.is_silent || self.drops) && self.answer_delay.is_some() {
            return Err("silent and drop have no answer that could wait".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn found(rules: &[&str], to: &str, text: &'static str) -> Option<String> {
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let text = || text.to_owned();
        let seen = Seen { to: to.as_bytes(), from: b"Sender", account: b"acme", text: &text };
        find(&rules, &seen).map(ToString::to_string)
    }

    #[test]
    fn the_first_that_fits_decides() {
        let rules =
            ["to=*001: status=0x0B", "text=/STOP|a,b:c/, account=acme: state=UNDELIV", "from=Sender: state=EXPIRED"];
        assert_eq!(found(&rules, "44001", "STOP").as_deref(), Some(rules[0]));
        assert_eq!(found(&rules, "44002", "no, a,b:c").as_deref(), Some(rules[1]));
        assert_eq!(found(&rules, "44002", "other").as_deref(), Some(rules[2]));
        assert_eq!(found(&rules[..2], "44002", "other"), None);
    }

    #[test]
    fn actions_are_read() {
        let rule: Rule =
            "to = *002 : state=undelivered err=5 delay=1s..2s answer=300ms reply=\"Hi \\\"you\\\"\" ".parse().unwrap();
        let expected = Action {
            fate: Some(Fate::Undelivered),
            error: Some(5),
            receipt_delay: Some("1s..2s".parse().unwrap()),
            answer_delay: Some(Delay::Constant(Duration::from_millis(300))),
            reply: Some("Hi \"you\"".to_owned()),
            ..Action::default()
        };
        assert_eq!(rule.action, expected);
        let rule: Rule = r"text=/\d+\/\d+/: status=ESME_RTHROTTLED".parse().unwrap();
        assert_eq!(rule.action.status, Some(0x58));
        let text = || "at 12/24".to_owned();
        assert!(rule.fits(&Seen { to: b"", from: b"", account: b"", text: &text }, &mut None));
    }

    #[test]
    fn the_first_messages_to_each_number_are_counted() {
        let rules: Vec<Rule> = vec!["to=*: status=0x58 first=2".parse().unwrap()];
        let text = String::new;
        let fits = |to: &str| find(&rules, &Seen { to: to.as_bytes(), from: b"", account: b"", text: &text }).is_some();
        assert_eq!(
            [fits("1"), fits("2"), fits("1"), fits("1"), fits("2"), fits("2")],
            [true, true, true, false, true, false]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (rule, named) in [
            ("", "CONDITION: ACTION"),
            ("to=*001", "colon"),
            ("to=*001:", "what to do"),
            ("number=1: silent", "number"),
            ("text=/(/: silent", "/(/"),
            ("text=/STOP: silent", "never closed"),
            ("to=1: status=0", "status"),
            ("to=1: status=meteor", "meteor"),
            ("to=1: state=LOST", "LOST"),
            ("to=1: err=x", "err"),
            ("to=1: err", "err"),
            ("to=1: delay=5", "5"),
            ("to=1: silent=1", "silent"),
            ("to=1: dance", "dance"),
            ("to=1: status=0x0B state=DELIVRD", "receipt"),
            ("to=1: no-receipt err=5", "no-receipt"),
            ("to=1: silent answer=1s", "answer"),
        ] {
            let error = rule.parse::<Rule>().unwrap_err();
            assert!(error.contains(named), "{rule}: {error}");
        }
    }
}
