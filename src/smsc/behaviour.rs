//! What of a simulator can be changed while it runs, for all accounts or one: faults, outcomes, limits, rules, delays.
use crate::words::BadValue;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::delay::Delay;
use super::faults::Faults;
use super::limits::Limit;
use super::rules::Rule;
use super::settings::{Outcomes, Quirks, Settings};

/// How the SMSC treats an account at this moment.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) faults: Faults,
    pub(super) quirks: Quirks,
    pub(super) outcomes: Outcomes,
    pub(super) rate: Option<u32>,
    pub(super) rate_tolerance_percent: u32,
    pub(super) limits: Vec<Limit>,
    pub(super) rules: Vec<Rule>,
    pub(super) receipt_delay: Delay,
    pub(super) answer_delay: Delay,
    pub(super) congestion: Option<u8>,
    /// Whether anything above concerns single messages beyond the usual, so that the usual path can skip all of it at once.
    pub(super) is_special: bool,
}

/// A rate of messages a second, or none: in JSON and TOML a number or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit(pub Option<u32>);

/// Defines a structure that is read from JSON or TOML and holds what a [`Change`] does, each as a key of its own, besides other
/// keys. (serde's `flatten` would lose the lines of errors, and let unknown keys pass.)
macro_rules! with_change {
    ($(#[$about:meta])* $visible:vis struct $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        $visible struct $name {
            $($(#[$field_about])* pub $field: $type,)*
            /// What goes wrong, instead of what went wrong before; an empty list is nothing.
            #[serde(deserialize_with = "crate::smsc::behaviour::faults")]
            pub faults: Option<crate::smsc::faults::Faults>,
            /// How receipts deviate.
            #[serde(deserialize_with = "crate::smsc::behaviour::quirks")]
            pub receipts: Option<crate::smsc::settings::Quirks>,
            /// How the fates of messages are shared out.
            #[serde(deserialize_with = "crate::smsc::behaviour::text")]
            pub outcomes: Option<crate::smsc::settings::Outcomes>,
            /// Messages a second. A list of limits without it takes the rate away.
            pub rate: Option<crate::smsc::behaviour::RateLimit>,
            /// How far above the rate is tolerated, in per cent.
            pub rate_tolerance: Option<u32>,
            /// Limiters.
            #[serde(deserialize_with = "crate::smsc::behaviour::texts")]
            pub limits: Option<Vec<crate::smsc::limits::Limit>>,
            /// Outcomes by number and text.
            #[serde(deserialize_with = "crate::smsc::behaviour::texts")]
            pub rules: Option<Vec<crate::smsc::rules::Rule>>,
            /// From the answer to the receipt.
            #[serde(deserialize_with = "crate::smsc::behaviour::text")]
            pub receipt_delay: Option<crate::smsc::delay::Delay>,
            /// From the message to its answer.
            #[serde(deserialize_with = "crate::smsc::behaviour::text")]
            pub answer_delay: Option<crate::smsc::delay::Delay>,
            /// The congestion_state of answers in sessions of version 5.0, 0 to 100.
            #[serde(deserialize_with = "crate::smsc::behaviour::congestion")]
            pub congestion: Option<u8>,
        }

        impl $name {
            /// What it changes.
            #[allow(dead_code, reason = "a change itself needs it not")]
            pub(super) fn change(&self) -> crate::smsc::behaviour::Change {
                crate::smsc::behaviour::Change {
                    faults: self.faults.clone(),
                    receipts: self.receipts.clone(),
                    outcomes: self.outcomes,
                    rate: self.rate,
                    rate_tolerance: self.rate_tolerance,
                    limits: self.limits.clone(),
                    rules: self.rules.clone(),
                    receipt_delay: self.receipt_delay.clone(),
                    answer_delay: self.answer_delay.clone(),
                    congestion: self.congestion,
                }
            }
        }
    };
}
pub(super) use with_change;

with_change! {
    /// A change of what a simulator does. What is not named stays as it is.
    ///
    /// In JSON and TOML each of these is a key; lists are written as the options of the command: `"faults": ["silence=100"]`.
    pub struct Change {}
}

impl Behaviour {
    /// What the settings say for all accounts.
    pub(super) fn of(settings: &Settings) -> Behaviour {
        let mut behaviour = Behaviour {
            faults: settings.faults.clone(),
            quirks: settings.quirks.clone(),
            outcomes: settings.outcomes,
            rate: settings.rate,
            rate_tolerance_percent: settings.rate_tolerance_percent,
            limits: settings.limits.clone(),
            rules: settings.rules.clone(),
            receipt_delay: settings.receipt_delay.clone(),
            answer_delay: settings.answer_delay.clone(),
            congestion: settings.congestion,
            is_special: false,
        };
        behaviour.settle();
        behaviour
    }

    /// The same with a change.
    pub(super) fn with(&self, change: &Change) -> Behaviour {
        let mut new = self.clone();
        fn set<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *place = value.clone();
            }
        }
        set(&mut new.faults, &change.faults);
        set(&mut new.quirks, &change.receipts);
        set(&mut new.outcomes, &change.outcomes);
        set(&mut new.rate_tolerance_percent, &change.rate_tolerance);
        set(&mut new.limits, &change.limits);
        set(&mut new.rules, &change.rules);
        set(&mut new.receipt_delay, &change.receipt_delay);
        set(&mut new.answer_delay, &change.answer_delay);
        match change.rate {
            Some(RateLimit(rate)) => new.rate = rate,
            // A limiter beside the rate of before would hardly be seen.
            None if change.limits.as_ref().is_some_and(|limits| !limits.is_empty()) => new.rate = None,
            None => {}
        }
        new.congestion = change.congestion.or(new.congestion);
        new.settle();
        new
    }

    fn settle(&mut self) {
        self.is_special = self.faults.any_on_submit()
            || !self.limits.is_empty()
            || !self.rules.is_empty()
            || !self.answer_delay.is_none()
            || self.congestion.is_some();
    }

    /// As it is shown, in the words that change it.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            faults: self.faults.to_words(),
            receipts: self.quirks.to_words(),
            outcomes: self.outcomes.to_string(),
            rate: RateLimit(self.rate),
            rate_tolerance: self.rate_tolerance_percent,
            limits: self.limits.iter().map(ToString::to_string).collect(),
            rules: self.rules.iter().map(ToString::to_string).collect(),
            receipt_delay: self.receipt_delay.to_string(),
            answer_delay: self.answer_delay.to_string(),
            congestion: self.congestion,
        }
    }
}

/// A [`Behaviour`] in words: what is given as a [`Change`] makes the same.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    faults: Vec<String>,
    receipts: Vec<String>,
    outcomes: String,
    rate: RateLimit,
    rate_tolerance: u32,
    limits: Vec<String>,
    rules: Vec<String>,
    receipt_delay: String,
    answer_delay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    congestion: Option<u8>,
}

/// How all accounts are treated, and those that are treated in a way of their own. A version tells readers when to look anew.
#[derive(Debug)]
pub(super) struct Behaviours {
    version: AtomicU64,
    all: Mutex<Known>,
    first: Known,
}

#[derive(Clone, Debug)]
struct Known {
    base: Arc<Behaviour>,
    accounts: HashMap<Vec<u8>, Arc<Behaviour>>,
}

impl Behaviours {
    /// As the settings say.
    pub(super) fn new(settings: &Settings) -> Behaviours {
        let base = Arc::new(Behaviour::of(settings));
        let own = |account: &super::settings::AccountSettings| {
            (account.system_id.clone().into_bytes(), Arc::new(base.with(&account.change)))
        };
        let accounts =
            settings.accounts.iter().filter(|account| account.change != Change::default()).map(own).collect();
        let first = Known { base: Arc::clone(&base), accounts };
        Behaviours { version: AtomicU64::new(1), all: Mutex::new(first.clone()), first }
    }

    /// Counts up with each change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// How an account is treated; before a bind, as all are.
    pub(super) fn of(&self, system_id: &[u8]) -> Arc<Behaviour> {
        let known = self.all.lock();
        Arc::clone(known.accounts.get(system_id).unwrap_or(&known.base))
    }

    /// Changes it for all accounts, or one.
    pub(super) fn change(&self, system_id: Option<&[u8]>, change: &Change) {
        let mut known = self.all.lock();
        match system_id {
            Some(system_id) => {
                let new = known.accounts.get(system_id).unwrap_or(&known.base).with(change);
                known.accounts.insert(system_id.to_vec(), Arc::new(new));
            }
            None => {
                known.base = Arc::new(known.base.with(change));
                known.accounts.values_mut().for_each(|own| *own = Arc::new(own.with(change)));
            }
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// How all are treated, and those that are treated in a way of their own, in words.
    pub(super) fn shown(&self) -> (Shown, Vec<(String, Shown)>) {
        let known = self.all.lock();
        let accounts = known.accounts.iter();
        let accounts = accounts.map(|(system_id, own)| (super::message::latin1(system_id), own.shown())).collect();
        (known.base.shown(), accounts)
    }

    /// Goes back to what the settings say.
    pub(super) fn reset(&self) {
        *self.all.lock() = self.first.clone();
        for behaviour in self.first.accounts.values().chain([&self.first.base]) {
            behaviour.rules.iter().for_each(super::rules::Rule::begin_anew);
        }
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u32),
            Word(String),
        }
        let wrong = || D::Error::custom("a rate is a whole number above 0, or \"unlimited\"");
        match Given::deserialize(deserializer).map_err(|_| wrong())? {
            Given::Number(rate) if rate > 0 => Ok(RateLimit(Some(rate))),
            Given::Word(word) if word == "unlimited" => Ok(RateLimit(None)),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(rate) => serializer.serialize_u32(rate),
            None => serializer.serialize_str("unlimited"),
        }
    }
}

/// A value that is written as text, so that a file's error says where.
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: std::str::FromStr<Err = BadValue>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By a visitor, so that what reads a file knows at which text it went wrong, also in a list.
        struct Reads<T>(PhantomData<T>);
        impl<T: std::str::FromStr<Err = BadValue>> Visitor<'_> for Reads<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reads(PhantomData))
    }
}

pub(super) fn text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = BadValue>,
{
    Ok(Some(Text::deserialize(deserializer)?.0))
}

pub(super) fn texts<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = BadValue>,
{
    Ok(Some(Vec::<Text<T>>::deserialize(deserializer)?.into_iter().map(|text| text.0).collect()))
}

pub(super) fn faults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Faults>, D::Error> {
    let faults = Vec::<Text<Faults>>::deserialize(deserializer)?;
    let mut all = Faults::default();
    for word in faults.iter().flat_map(|Text(faults)| faults.to_words()) {
        all.set(&word).map_err(D::Error::custom)?;
    }
    Ok(Some(all))
}

pub(super) fn quirks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quirks>, D::Error> {
    let quirks = Vec::<Text<Quirks>>::deserialize(deserializer)?;
    let mut all = Quirks::default();
    for word in quirks.iter().flat_map(|Text(quirks)| quirks.to_words()) {
        all.set(&word).map_err(D::Error::custom)?;
    }
    Ok(Some(all))
}

pub(super) fn congestion<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let percent = u8::deserialize(deserializer)?;
    if percent > 100 {
        return Err(D::Error::custom("congestion is from 0 to 100"));
    }
    Ok(Some(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> Result<Change, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_makes_the_same() {
        let given = r#"{"faults": ["silence=100", "reorder"], "receipts": ["late=3"], "outcomes": "delivered=95,rejected=5",
            "rate": "unlimited", "rate_tolerance": 0, "limits": ["token:100:5@0x14"], "rules": ["to=*001: status=0x0B"],
            "receipt_delay": "1s..2s", "answer_delay": "lognormal:20ms:80ms", "congestion": 40}"#;
        let behaviour = Behaviour::of(&Settings::default()).with(&change(given).unwrap());
        let shown = serde_json::to_string(&behaviour.shown()).unwrap();
        let again = Behaviour::of(&Settings::default()).with(&change(&shown).unwrap());
        assert_eq!(serde_json::to_string(&again.shown()).unwrap(), shown);
        assert!(shown.contains(r#""faults":["silence=100","reorder"]"#), "{shown}");
        assert!(behaviour.is_special && !Behaviour::of(&Settings::default()).is_special);
    }

    #[test]
    fn limits_take_the_rate_away_unless_it_is_named() {
        let behaviour = Behaviour::of(&Settings::default());
        assert_eq!(behaviour.with(&change(r#"{"limits": ["fixed:5"]}"#).unwrap()).rate, None);
        assert_eq!(behaviour.with(&change(r#"{"limits": ["fixed:5"], "rate": 10}"#).unwrap()).rate, Some(10));
        assert_eq!(behaviour.with(&change(r#"{"limits": []}"#).unwrap()).rate, Some(30));
    }

    #[test]
    fn a_change_for_all_reaches_accounts_of_their_own() {
        let account = super::super::settings::AccountSettings {
            system_id: "a".to_owned(),
            change: change(r#"{"rate": 5}"#).unwrap(),
            ..Default::default()
        };
        let behaviours = Behaviours::new(&Settings { accounts: vec![account], ..Settings::default() });
        assert_eq!((behaviours.of(b"a").rate, behaviours.of(b"b").rate), (Some(5), Some(30)));
        behaviours.change(None, &change(r#"{"faults": ["reorder"]}"#).unwrap());
        assert!(behaviours.of(b"a").faults.reorder && behaviours.of(b"b").faults.reorder);
        assert_eq!(behaviours.of(b"a").rate, Some(5));
        behaviours.change(Some(b"b"), &change(r#"{"rate": 7}"#).unwrap());
        assert_eq!((behaviours.of(b"b").rate, behaviours.of(b"c").rate), (Some(7), Some(30)));
        behaviours.reset();
        assert_eq!((behaviours.of(b"a").rate, behaviours.of(b"b").rate), (Some(5), Some(30)));
        assert_eq!(behaviours.version(), 4);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, named) in [
            (r#"{"fault": []}"#, "fault"),
            (r#"{"faults": ["meteor"]}"#, "meteor"),
            (r#"{"rate": 0}"#, "rate"),
            (r#"{"rate": "fast"}"#, "rate"),
            (r#"{"rules": ["to=1"]}"#, "colon"),
            (r#"{"limits": ["box"]}"#, "box"),
            (r#"{"congestion": 101}"#, "100"),
            (r#"{"answer_delay": "5"}"#, "5"),
        ] {
            let error = change(json).unwrap_err();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
