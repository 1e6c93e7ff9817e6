//! What can go wrong with a campaign's file, in words.

use crate::import::{Facts, ImportError};
use crate::journal::JournalError;
use crate::journal::model::key::State;
use crate::journal::query::Counts;
use crate::journal::store::twins::Twin;
use crate::words::escape::escape_terminal;
use crate::words::format::{argument, command, count, moment, number};
use crate::words::trouble::{shown, words as cannot_open};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a campaign's file.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The file cannot be opened.
    #[error("{}: {}", shown(.0), cannot_open(.1))]
    Open(PathBuf, io::Error),
    /// The file cannot be read as a campaign.
    #[error("{a0}: {1}", a0 = shown(.0))]
    Import(PathBuf, ImportError),
    /// The journal.
    #[error("{0}")]
    Journal(JournalError),
    /// A campaign of that name exists and differs.
    #[error("{0}")]
    Differs(Box<Differs>),
    /// It was imported, and its file is wanted again and is not there.
    #[error("{}: {}. Campaign {name:?} was imported and needs its file no more: `{resume}` goes on with it", shown(.path), cannot_open(.error))]
    Gone {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why it cannot be opened.
        error: io::Error,
        /// What goes on with it, as it is typed.
        resume: String,
    },
    /// All rows of the file are bad.
    #[error("{}: no row can be sent, so nothing was imported: {} refused, the first for this: line {line}: {}", shown(.path), count(*.rows, "row"), escape_terminal(.reason))]
    NothingGood {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: i64,
        /// The line of the first.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It is changed while it is read, or was a moment before.
    #[error("{}: the file is being written: it was changed less than 2 s ago, or while it was read. Nothing was \
                 imported. Run the same command again when it is whole", shown(.0))]
    Moving(PathBuf),
    /// Another campaign has brought, or will bring, the same message to everybody.
    #[error(fmt = fmt_same)]
    Same {
        /// The file.
        path: PathBuf,
        /// That campaign.
        twin: Box<Twin>,
        /// Somebody was asked and said no.
        asked: bool,
        /// What goes on with that campaign, as it is typed.
        resume: String,
    },
    /// Numbers look national, and whoever was asked did not want them sent to as they are.
    #[error("{}: nothing was imported. --country, as in --country GB, reads such numbers as that country's", shown(.0))]
    National(PathBuf),
    /// Numbers look national that would go to other countries, and nobody was there to be asked.
    #[error("{}: {}; --numbers any sends to them as they are. Nothing was imported", shown(.path), .words)]
    ByChance {
        /// The file.
        path: PathBuf,
        /// Which, and how many.
        words: String,
    },
    /// Texts of it may not be meant as they are.
    #[error(fmt = fmt_doubtful)]
    Doubtful {
        /// The file.
        path: PathBuf,
        /// What was found out about it.
        facts: Box<Facts>,
        /// Somebody was asked and said no.
        asked: bool,
    },
    /// Its rows cannot be added to a campaign.
    #[error("{0}")]
    Append(String),
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
}

fn fmt_doubtful(path: &Path, facts: &Facts, asked: &bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let texts = count(facts.doubts.asked_about() as i64, "text");
    write!(f, "{}: {texts} may not be meant to go out so. Nothing was imported", shown(path))?;
    match asked {
        true => Ok(()),
        false => {
            for line in facts.doubts.said() {
                write!(f, "\n  {line}")?;
            }
            f.write_str(
                "\nPut them right in the file (or, with --text, write {column} for a column's value); what is meant as it \
                 stands goes with --allow-placeholders",
            )
        }
    }
}

/// A campaign that is in the journal, and differs from one of its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Differs {
    /// Its name.
    pub name: String,
    /// In what: option, recorded and wanted value.
    pub differences: Vec<(String, String, String)>,
    /// How the messages of the recorded one stand.
    pub counts: Counts,
    /// A name like it that is free.
    pub free: String,
    /// What cancels the recorded one, and what sends this under that name, as they are typed.
    pub commands: Option<(String, String)>,
}

/// A twin, in words: its name, when it was imported, and how many of it were sent.
pub fn twin_words(twin: &Twin) -> String {
    format!(
        "campaign {} (imported {}, {} of {} sent{})",
        argument(&twin.name),
        moment(crate::journal::query::Stamp(twin.imported_at)),
        number(twin.sent),
        count(twin.messages, "message"),
        if twin.queued > 0 { format!(", {} queued", number(twin.queued)) } else { String::new() }
    )
}

fn fmt_same(path: &Path, twin: &Twin, asked: &bool, resume: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{}: these are the messages of {}: everybody would get the same message a second time. Nothing was \
                     imported",
        shown(path),
        twin_words(twin)
    )?;
    match asked {
        true => Ok(()),
        false => {
            write!(f, ". To go on with that one: `{resume}`. To send all of it again: --allow-same-file")
        }
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, differences, counts, free, commands } = self;
        write!(f, "campaign {name:?} is in the journal already, and differs:")?;
        for (option, recorded, wanted) in differences {
            let (recorded, wanted) = (escape_terminal(recorded), escape_terminal(wanted));
            write!(f, "\n  {option}: was {recorded}, is now {wanted}")?;
        }
        write!(f, "\nNothing was changed. Of the recorded one: {}.", standing(counts))?;
        // About the same journal as the command that cancels.
        let resume = match commands {
            Some((cancel, _)) => cancel.replacen("cancel", "resume", 1),
            None => command("smppost resume", name, ""),
        };
        let (cancel, again) = match commands {
            Some((cancel, again)) => (cancel.clone(), format!("\n  {again}")),
            None => (command("smppost cancel", name, ""), format!(" --campaign {}", argument(free))),
        };
        if counts.of(State::Queued) + counts.of(State::Sending) > 0 {
            write!(
                f,
                "\nIf this is to go instead of what is left of it, cancel that first (what was sent stays sent):\n  \
                 {cancel}\nthen send this under another name:{again}\nTo go on with the recorded one: `{resume}`"
            )
        } else {
            write!(f, "\nTo send this as another campaign, also to whoever got the recorded one:{again}")
        }
    }
}

/// How the messages of a campaign stand, in words.
fn standing(counts: &Counts) -> String {
    let taken = [State::Accepted, State::Delivered, State::PartlyDelivered, State::Failed];
    let sent: i64 = taken.iter().map(|&state| counts.of(state)).sum();
    let left = counts.of(State::Queued) + counts.of(State::Sending);
    let mut words = vec![format!("{} sent", count(sent, "message")), format!("{} queued", number(left))];
    for (state, word) in [
        (State::InDoubt, "in doubt"),
        (State::Rejected, "rejected"),
        (State::Cancelled, "cancelled"),
        (State::Suppressed, "suppressed"),
    ] {
        if counts.of(state) > 0 {
            words.push(format!("{} {word}", number(counts.of(state))));
        }
    }
    words.join(", ")
}

impl From<JournalError> for CampaignError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
