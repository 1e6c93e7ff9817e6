//! What was found, in the words of the field, and what to set.

use super::Findings;
use crate::wire::CommandStatus;
use crate::words::format::{count, rate};

/// Differences of the limit that are worth a word, as a share of it.
const MOVED: f64 = 0.15;

impl Findings {
    /// What is to be said now that was not when it stood as `before`.
    pub fn news(&self, before: &Self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(limit) = self.limit
            && before.limit.is_none_or(|before| (before - limit).abs() > MOVED * before)
            && !self.held
        {
            words.push(match self.drops > before.drops {
                true => format!("the SMSC ends connections that send more than about {}/s: going slower", rate(limit)),
                false => format!("refusals stop at about {}/s: that is what the SMSC takes", rate(limit)),
            });
        }
        if self.window != before.window
            && let Some(window) = self.window
        {
            words.push(self.window_words(window));
        }
        if self.background.is_some() && before.background.is_none() {
            words.extend(self.background_words());
        }
        for &code in self.throttling.iter().filter(|code| !before.throttling.contains(code)) {
            words.push(throttling_words(code));
        }
        if self.held && !before.held {
            words.push(
                "the SMSC accepts nothing at all: waiting, and trying single messages at growing intervals".into(),
            );
        }
        if before.held && !self.held {
            words.push("the SMSC accepts messages again".into());
        }
        words
    }

    /// All that was found, at the end of a run for which so much was asked.
    pub fn summary(&self, asked: &str) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(limit) = self.limit {
            let set = limit.floor().max(1.0);
            words.push(format!(
                "the SMSC takes about {}/s of the {asked} asked for (--rate {set} avoids refusals); the next run starts \
                 from there",
                rate(limit)
            ));
        }
        words.extend(self.window.map(|window| self.window_words(window)));
        words.extend(self.background_words());
        words.extend(self.throttling.iter().map(|&code| throttling_words(code)));
        if self.boxes > 0 {
            words.push(format!(
                "{} the SMSC accepted nothing at all for some seconds or longer, as it does after too many messages or \
                 refusals: a lower --rate avoids it",
                if self.boxes == 1 { "once".into() } else { count(i64::from(self.boxes), "time") }
            ));
        }
        if self.drops > 0 {
            words.push(format!(
                "{} while more was sent than the SMSC takes: a lower --rate avoids it",
                match self.drops {
                    1 => "a connection was lost".into(),
                    drops => format!("{drops} connections were lost"),
                }
            ));
        }
        words
    }

    fn window_words(&self, window: usize) -> String {
        let beyond = if self.silent { "answers nothing" } else { "refuses what is" };
        format!(
            "the SMSC {beyond} beyond {} outstanding on a connection: --window {window}",
            count(window as i64, "message")
        )
    }

    fn background_words(&self) -> Option<String> {
        let share = self.background?;
        let which = match &self.independent[..] {
            [] => String::new(),
            codes => format!(
                " ({})",
                codes.iter().map(|&code| CommandStatus(code).to_string()).collect::<Vec<_>>().join(", ")
            ),
        };
        Some(format!(
            "{:.1} % is refused however slowly messages go{which}: the reason is not the rate, and it is not lowered for that",
            100.0 * share
        ))
    }
}

fn throttling_words(code: u32) -> String {
    let status = CommandStatus(code);
    format!(
        "{status} is refused less the slower messages go: it means throttling here (--status 0x{code:02X}=throttled)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_said_once_with_what_to_set() {
        let none = Findings::default();
        assert_eq!(none.news(&none), Vec::<String>::new());
        assert_eq!(none.summary("unlimited"), Vec::<String>::new());
        let found = Findings {
            limit: Some(98.5),
            window: Some(2),
            background: Some(0.021),
            throttling: vec![0x45],
            ..Findings::default()
        };
        let news = found.news(&none);
        assert_eq!(
            news,
            [
                "refusals stop at about 98.5/s: that is what the SMSC takes",
                "the SMSC refuses what is beyond 2 messages outstanding on a connection: --window 2",
                "2.1 % is refused however slowly messages go: the reason is not the rate, and it is not lowered for that",
                "0x45 ESME_RSUBMITFAIL is refused less the slower messages go: it means throttling here (--status \
                 0x45=throttled)",
            ]
        );
        assert_eq!(found.news(&found), Vec::<String>::new());
        let closer = Findings { limit: Some(103.0), ..found.clone() };
        assert_eq!(closer.news(&found), Vec::<String>::new());
        assert_eq!(found.summary("150/s").len(), 4);
        assert!(found.summary("150/s")[0].contains("--rate 98 avoids refusals"), "{:?}", found.summary("150/s"));
    }

    #[test]
    fn a_pause_and_its_end_are_said() {
        let none = Findings::default();
        let held = Findings { held: true, boxes: 1, ..none.clone() };
        assert!(held.news(&none)[0].contains("accepts nothing at all"));
        assert!(none.news(&held)[0].contains("accepts messages again"));
        assert!(held.summary("100/s")[0].starts_with("once the SMSC accepted nothing"));
    }
}
