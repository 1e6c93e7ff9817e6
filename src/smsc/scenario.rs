//! A scenario: a TOML file that says how a simulator is to behave, to be kept beside the tests that need it and shared.
use std::path::{Path, PathBuf};
use std::time::Duration;

use hashbrown::HashSet;
use serde::Deserialize;
use toml::Spanned;

use super::behaviour::{Text, with_change};
use super::ids::{IdForm, ReceiptIdForm};
use super::inbound::{Inbound, InboundFile, RATE_MAX};
use super::rate::checked;
use super::settings::{AccountSettings, Password, Settings};
use super::steps::{Step, duration};
use crate::words::trouble::{self, shown};
use crate::words::{BadValue, bad};

with_change! {
    /// The file as it is written. Each key is the option of that name.
    struct File {
        seed: Option<u64>,
        system_id: Option<String>,
        password: Option<Password>,
        max_connections: Option<usize>,
        smpp_version: Option<Version>,
        #[serde(deserialize_with = "duration")]
        bind_timeout: Option<Duration>,
        #[serde(deserialize_with = "duration")]
        enquire_link_interval: Option<Duration>,
        #[serde(deserialize_with = "duration")]
        response_timeout: Option<Duration>,
        #[serde(deserialize_with = "duration")]
        redelivery_delay: Option<Duration>,
        deliver_window: Option<usize>,
        #[serde(deserialize_with = "super::behaviour::text")]
        message_id: Option<IdForm>,
        #[serde(deserialize_with = "super::behaviour::text")]
        receipt_id: Option<ReceiptIdForm>,
        first_message_id: Option<u64>,
        steps_from: Option<From>,
        inbound_rate: Option<InboundRate>,
        account: Vec<Spanned<Account>>,
        step: Vec<Spanned<Step>>,
        inbound: Vec<Spanned<Inbound>>,
    }
}

with_change! {
    struct Account {
        system_id: String,
        password: Option<Password>,
        max_connections: Option<usize>,
    }
}

/// Messages from handsets a second; none: all at once.
#[derive(Clone, Copy, Debug, PartialEq)]
struct InboundRate(Option<f64>);

impl<'de> Deserialize<'de> for InboundRate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(f64),
            Word(String),
        }
        match Given::deserialize(deserializer) {
            Ok(Given::Number(rate)) => checked(rate, RATE_MAX).map(|rate| InboundRate(Some(rate))),
            Ok(Given::Word(word)) if word == "unlimited" => Ok(InboundRate(None)),
            _ => Err("neither a number nor \"unlimited\"".into()),
        }
        .map_err(|reason| serde::de::Error::custom(format!("inbound_rate: {reason}")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Start,
    Bind,
}

/// The highest version that the simulator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u8);

impl std::str::FromStr for Version {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "3.4" => Ok(Version(0x34)),
            "5.0" => Ok(Version(0x50)),
            _ => Err(bad!("{text:?} is neither 3.4 nor 5.0")),
        }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text::<Version>::deserialize(deserializer)?.0)
    }
}

/// What is wrong with a scenario, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scenario {}{}: {reason}", shown(path), line.map_or_else(String::new, |line| format!(", line {line}")))]
pub struct ScenarioError {
    path: PathBuf,
    line: Option<usize>,
    reason: String,
}

impl Settings {
    /// These settings with what a scenario says. What it does not say stays.
    ///
    /// ```no_run
    /// use smppost::smsc::{Settings, Smsc};
    /// let smsc = Smsc::start(Settings::for_tests().with_scenario("tests/throttled.toml".as_ref())?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or the first thing that is wrong in it, with its line.
    pub fn with_scenario(self, path: &Path) -> Result<Settings, ScenarioError> {
        let fail = |line, reason| ScenarioError { path: path.to_owned(), line, reason };
        let text = std::fs::read(path).map_err(|error| fail(None, trouble::words(&error)))?;
        let text = String::from_utf8(text).map_err(|_| fail(None, "it is not UTF-8".to_owned()))?;
        self.with(&text).map_err(|(at, reason)| {
            let line =
                at.map(|at| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|octet| **octet == b'\n').count());
            fail(line, reason)
        })
    }

    /// The same with the text of a scenario; an error is told with the octet where it is.
    fn with(mut self, text: &str) -> Result<Settings, (Option<usize>, String)> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| span.start);
            (at, error.message().to_owned())
        })?;
        let at = |span: std::ops::Range<usize>| Some(span.start);
        for (name, is_zero) in
            [("max_connections", file.max_connections == Some(0)), ("deliver_window", file.deliver_window == Some(0))]
        {
            if is_zero {
                return Err((text.find(name), format!("{name} must be at least 1")));
            }
        }
        let mut names = HashSet::new();
        for account in &file.account {
            let (span, own) = (account.span(), account.get_ref());
            if own.system_id.is_empty() {
                return Err((at(span), "an account needs a system_id".to_owned()));
            }
            if own.max_connections == Some(0) {
                return Err((at(span), "max_connections must be at least 1".to_owned()));
            }
            if !names.insert(own.system_id.clone()) {
                return Err((at(span), format!("the account {:?} stands there twice", own.system_id)));
            }
        }
        for step in &file.step {
            step.get_ref().check().map_err(|error| (at(step.span()), error.into()))?;
        }
        for inbound in &file.inbound {
            inbound.get_ref().parts(1).map_err(|error| (at(inbound.span()), error.into()))?;
        }
        self.take(file);
        Ok(self)
    }

    fn take(&mut self, file: File) {
        let change = file.change();
        let base = super::behaviour::Behaviour::of(self).with(&change);
        self.faults = base.faults;
        self.quirks = base.quirks;
        self.outcomes = base.outcomes;
        self.rate = base.rate;
        self.rate_tolerance_percent = base.rate_tolerance_percent;
        self.limits = base.limits;
        self.rules = base.rules;
        self.receipt_delay = base.receipt_delay;
        self.answer_delay = base.answer_delay;
        self.congestion = base.congestion;
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut self.seed, file.seed);
        set(&mut self.system_id, file.system_id.map(Some));
        set(&mut self.password, file.password.map(Some));
        set(&mut self.max_connections, file.max_connections);
        set(&mut self.sc_interface_version, file.smpp_version.map(|Version(version)| Some(version)));
        set(&mut self.bind_timeout, file.bind_timeout);
        set(&mut self.enquire_link_interval, file.enquire_link_interval.map(Some));
        set(&mut self.response_timeout, file.response_timeout);
        set(&mut self.redelivery_delay, file.redelivery_delay);
        set(&mut self.deliver_window, file.deliver_window);
        set(&mut self.message_id, file.message_id);
        set(&mut self.receipt_id, file.receipt_id.map(Some));
        set(&mut self.first_message_id, file.first_message_id.map(Some));
        set(&mut self.steps_from_bind, file.steps_from.map(|from| from == From::Bind));
        let account = |account: Spanned<Account>| {
            let account = account.into_inner();
            AccountSettings {
                change: account.change(),
                system_id: account.system_id,
                password: account.password,
                max_connections: account.max_connections,
            }
        };
        self.accounts.extend(file.account.into_iter().map(account));
        self.steps.extend(file.step.into_iter().map(Spanned::into_inner));
        let of_a_file = || InboundFile { messages: Vec::new(), rate: InboundFile::RATE };
        if !file.inbound.is_empty() {
            let inbound = self.inbound.get_or_insert_with(of_a_file);
            inbound.messages.extend(file.inbound.into_iter().map(Spanned::into_inner));
        }
        if let Some(InboundRate(rate)) = file.inbound_rate {
            self.inbound.get_or_insert_with(of_a_file).rate = rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
# All that there is.
seed = 7
rate = 100
rate_tolerance = 0
limits = ["token:100:5@0x14"]
rules = ["to=*001: status=0x0B", "to=*002: state=UNDELIV err=5 delay=2s"]
outcomes = "delivered=95,undelivered=5"
receipt_delay = "lognormal:1s:5s"
answer_delay = "5ms..20ms"
faults = ["silence=100"]
receipts = ["late=10"]
congestion = 30
max_connections = 4
smpp_version = "5.0"
bind_timeout = "5s"
enquire_link_interval = "10s"
response_timeout = "3s"
redelivery_delay = "100ms"
deliver_window = 10
message_id = "dec"
receipt_id = "hex"
first_message_id = 1
steps_from = "bind"
inbound_rate = 2.5

[[account]]
system_id = "acme"
password = "secret"
rate = 5

[[account]]
system_id = "other"
max_connections = 1
rules = ["to=*: state=EXPIRED"]

[[inbound]]
from = "447700900001"
to = "12345"
text = "STOP"

[[step]]
at = "10s"
drop = "all"

[[step]]
at = "20s"
system_id = "acme"
rate = "unlimited"
faults = []
inbound = { from = "447700900002", to = "12345", text = "Hi" }
"#;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, text).unwrap();
        let read = Settings::default().with_scenario(&path);
        read.map_err(|error| error.to_string().rsplit_once("s.toml").unwrap().1.to_owned())
    }

    #[test]
    fn every_key_reaches_the_settings() {
        let settings = read(WHOLE).unwrap();
        assert_eq!((settings.rate, settings.limits.len(), settings.rules.len()), (Some(100), 1, 2));
        assert_eq!((settings.seed, settings.max_connections, settings.congestion), (7, 4, Some(30)));
        assert_eq!((settings.sc_interface_version, settings.deliver_window), (Some(0x50), 10));
        assert_eq!(settings.receipt_delay.to_string(), "lognormal:1s:5s");
        assert_eq!(settings.answer_delay.to_string(), "5ms..20ms");
        assert_eq!((settings.faults.silence.0, settings.quirks.late.0), (100, 10));
        assert_eq!((settings.accounts.len(), settings.accounts[1].max_connections), (2, Some(1)));
        assert!(settings.accounts[0].password.as_ref().unwrap().is(b"secret"));
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!((settings.steps.len(), settings.steps_from_bind), (2, true));
        assert_eq!(settings.inbound.unwrap().rate, Some(2.5));
        assert_eq!(settings.bind_timeout, Duration::from_secs(5));
        assert_eq!(read("").unwrap().rate, Some(30), "what is not said stays");
        let rate = |text: &str| read(text).unwrap().inbound.unwrap().rate;
        assert_eq!(rate("[[inbound]]\nfrom = \"1\"\nto = \"2\"\n"), Some(10.0), "as of a file");
        assert_eq!((rate("inbound_rate = 5\n"), rate("inbound_rate = \"unlimited\"\n")), (Some(5.0), None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("rate = 5\nrates = 6\n", ", line 2: unknown field `rates`"),
            ("\n\nrate = 0\n", ", line 3: a rate is"),
            ("rate = \n", ", line 1: "),
            ("rules = [\n  \"to=*1: silent\", 5 ]\n", ", line 2: invalid type"),
            ("[[step]]\nat = \"1s\"\nlimits = [\n\"fixed:5\",\n\n\"fixed:0\"]\n", ", line 6: \"fixed:0\""),
            ("inbound_rate = \"slow\"\n", ", line 1: inbound_rate"),
            ("rules = [\n  \"to=*1: silent\",\n  \"to=*2: dance\",\n]\n", ", line 3: \"dance\""),
            ("limits = [\"meteor:5\"]\n", ", line 1: \"meteor\""),
            ("[[account]]\nsystem_id = \"a\"\nfaults = [\n\"reorder\",\n\"meteor\"]\n", ", line 5: \"meteor\""),
            ("[[account]]\nrate = 5\n", ", line 1: an account needs"),
            ("[[account]]\nsystem_id = \"a\"\n\n[[account]]\nsystem_id = \"a\"\n", ", line 4: the account \"a\""),
            ("[[step]]\ndrop = \"all\"\n", ", line 1: a step needs a time"),
            ("seed = 1\n[[step]]\nat = \"5s\"\n", ", line 2: a step needs something"),
            ("[[step]]\nat = \"5\"\ndrop = \"all\"\n", ", line 2: \"5\" has no unit"),
            ("[[inbound]]\nfrom = \"1\"\n", ", line 1: a message from a handset needs"),
            ("seed = 1\nmax_connections = 0\n", ", line 2: max_connections"),
            ("inbound_rate = -1.0\n", ", line 1: inbound_rate"),
            ("\ninbound_rate = 1e-300\n", ", line 2: inbound_rate"),
            ("[[inbound]]\nfrom = \"1\"\nto = \"2\"\nrate = 1e-300\n", ", line 1: a rate"),
            ("smpp_version = \"4.0\"\n", ", line 1: \"4.0\" is neither"),
            ("message_id = \"roman\"\n", ", line 1: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let missing = Settings::default().with_scenario(Path::new("/nowhere/s.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("the scenario /nowhere/s.toml: "), "{missing}");
    }
}
