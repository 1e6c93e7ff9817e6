//! How rows are read by a campaign's options: as they are recorded, so that rows which are added later are read as its file was.

use super::{CampaignError, CampaignFile};
use crate::import::{NumberRules, Several, Strictness};
use crate::message::address::Country;
use crate::words::typed;
use std::time::Duration;

/// SMS that a text may come to where nothing else is said.
pub const MAX_PARTS_DEFAULT: u8 = 10;

impl CampaignFile {
    /// How numbers are read.
    pub(super) fn numbers(&self) -> Result<NumberRules, CampaignError> {
        let options = &self.options;
        let unknown = |option: &str, value: &str, use_: &str| {
            Err(CampaignError::Options(format!("{option} {value}: this smppost does not know that; {use_}")))
        };
        let country = match options.country.as_deref().map(|code| (code, code.parse::<Country>())) {
            None => None,
            Some((_, Ok(country))) => Some(country),
            Some((code, Err(words))) => return unknown("--country", code, &words),
        };
        let strictness = match options.numbers.as_deref() {
            None => Strictness::Likely,
            Some("strict") => Strictness::Strict,
            Some("any") => Strictness::Any,
            Some(other) => return unknown("--numbers", other, "use likely, strict or any"),
        };
        let several = match options.several_numbers.as_deref() {
            None => Several::Refuse,
            Some("first") => Several::First,
            Some("all") => Several::All,
            Some(other) => return unknown("--several-numbers", other, "use refuse, first or all"),
        };
        Ok(NumberRules { country, strictness, several, will_ask: self.reading.will_ask, is_guessed: false })
    }

    /// SMS that a text may come to.
    pub(super) fn max_parts(&self) -> u8 {
        self.options.max_parts.unwrap_or(MAX_PARTS_DEFAULT)
    }

    /// The time within which nobody is sent to again, and how it is written.
    pub(super) fn skip_sent_within(&self) -> Result<Option<(Duration, &str)>, CampaignError> {
        let Some(words) = self.options.skip_sent_within.as_deref() else { return Ok(None) };
        match typed::duration(words) {
            Ok(within) => Ok(Some((within, words))),
            Err(error) => Err(CampaignError::Options(format!("--skip-sent-within {words}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::CampaignOptions;

    fn with(options: CampaignOptions) -> CampaignFile {
        CampaignFile { path: "a.csv".into(), name: "a".into(), options, reading: Default::default() }
    }

    #[test]
    fn what_is_recorded_is_how_rows_are_read() {
        let nothing = with(CampaignOptions::default());
        let rules = nothing.numbers().unwrap();
        assert_eq!((rules.country, rules.strictness, rules.several), (None, Strictness::Likely, Several::Refuse));
        assert_eq!((nothing.max_parts(), nothing.skip_sent_within().unwrap()), (10, None));
        let all = with(CampaignOptions {
            country: Some("GB".into()),
            numbers: Some("strict".into()),
            several_numbers: Some("all".into()),
            max_parts: Some(2),
            skip_sent_within: Some("36h".into()),
            ..CampaignOptions::default()
        });
        let rules = all.numbers().unwrap();
        assert_eq!(
            (rules.country, rules.strictness, rules.several),
            ("GB".parse().ok(), Strictness::Strict, Several::All)
        );
        let within = Duration::from_secs(36 * 3_600);
        assert_eq!((all.max_parts(), all.skip_sent_within().unwrap()), (2, Some((within, "36h"))));
    }

    #[test]
    fn what_nobody_knows_is_no_default() {
        let some = |word: &str| Some(word.to_owned());
        for options in [
            CampaignOptions { country: some("XX"), ..Default::default() },
            CampaignOptions { numbers: some("mobile"), ..Default::default() },
            CampaignOptions { several_numbers: some("last"), ..Default::default() },
        ] {
            assert!(with(options.clone()).settings().is_err(), "{options:?}");
        }
        assert!(
            with(CampaignOptions { skip_sent_within: some("1 day"), ..Default::default() }).skip_sent_within().is_err()
        );
    }
}
