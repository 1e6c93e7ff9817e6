//! From a file that was taken to a campaign: exactly what `import`, and then `resume`, would do beside the service, by a
//! connection of their own and a row for the service.

use super::claim::{Claim, Note};
use super::settings::Settings;
use crate::cli::CliError;
use crate::cli::config::file::Profile;
use crate::cli::import::in_turn;
use crate::import::campaign::{self, Again, CampaignError, CampaignFile, Imported, Prepared};
use crate::import::{Facts, ImportError};
use crate::journal::model::command::{Request, Terms, ToRelease};
use crate::journal::store::commands;
use crate::journal::store::identity;
use crate::journal::store::intake::existing;
use crate::journal::store::release::Released;
use crate::journal::store::twins::Twin;
use crate::journal::{self, JournalError};
use crate::platform::failpoint::reach;
use crate::report::progress::Display;
use crate::run::watch::names::stem;
use crate::words::escape::hex;
use std::fs::File;
use std::io;
use std::path::Path;

/// What came of a file.
#[derive(Debug)]
pub struct Taken {
    /// The campaign's name.
    pub campaign: String,
    /// Its messages.
    pub messages: i64,
    /// Rows that were refused.
    pub refused: i64,
    /// What keeps it from being released; `None`: nothing, it is.
    pub kept: Option<String>,
}

/// Why a file is not a campaign.
#[derive(Debug)]
pub enum NotTaken {
    /// What keeps it may end: it is tried again.
    Later(String),
    /// It is not right.
    Wrong(Box<CliError>, Option<Box<CampaignFile>>),
    /// It is the same again.
    Again(Box<Repeated>),
    /// It was changed while it was read.
    Moving,
}

/// A file whose messages another campaign has brought, or will bring.
#[derive(Debug)]
pub struct Repeated {
    /// In words.
    pub why: CliError,
    /// The name that it would have.
    pub campaign: String,
    /// How it would be imported.
    pub settings: Settings,
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Later(crate::words::trouble::words(&error))
    }
}

impl From<crate::platform::failpoint::Failed> for NotTaken {
    fn from(_: crate::platform::failpoint::Failed) -> Self {
        Self::Later("made to fail".into())
    }
}

impl From<JournalError> for NotTaken {
    fn from(error: JournalError) -> Self {
        Self::Later(error.to_string())
    }
}

/// Nobody is there to be asked: what would be asked about is refused.
struct Nobody {
    takes_doubtful: bool,
}

impl campaign::Operator for Nobody {
    fn progress(&mut self, _: u64, _: u64) {}

    fn facts(&mut self, facts: &Facts) -> Again {
        match () {
            () if facts.numbers.by_chance().is_some() => Again::National,
            () if facts.doubts.asked_about() > 0 && !self.takes_doubtful => Again::Refuse,
            () => Again::GoOn,
        }
    }

    fn twins(&mut self, twins: &[Twin]) -> Again {
        if twins.iter().any(Twin::repeats) { Again::Refuse } else { Again::GoOn }
    }
}

/// Imports a file, and has the service release it where that is wanted.
pub fn take(
    claim: &Claim,
    folder: &Settings,
    below: Option<&Profile>,
    journal: &Path,
    display: &Display,
) -> Result<Taken, NotTaken> {
    let wrong = |error: CliError| NotTaken::Wrong(Box::new(error), None);
    reach("watch-claimed")?;
    let settings = match claim.sidecar() {
        Some(path) => folder.narrowed(&path).map_err(wrong)?,
        None => folder.clone(),
    };
    let digest = hex(&crate::import::digest_of(File::open(claim.file())?)?);
    let note = match claim.note() {
        Some(note) => note,
        None => {
            let opened = journal::open_existing(journal)?;
            let name = stem(&claim.name).to_string_lossy().into_owned();
            let note = Note {
                campaign: free_name(&opened, if name.trim().is_empty() { "file" } else { &name })?,
                release: settings.release && claim.is_settled(),
                journal: identity::id_so_far(&opened)?,
                done: None,
                stamp: None,
                mode: claim.mode(),
            };
            claim.set_note(&note)?;
            note
        }
    };
    reach("watch-named")?;
    let args = settings.arguments(&note.campaign, &claim.file(), below).map_err(wrong)?;
    let file = args.campaign().map_err(wrong)?;
    let hours = args.own_hours().map_err(wrong)?;
    let recorded = existing(&journal::open_existing(journal)?, &note.campaign)?;
    let is_imported = recorded.is_some_and(|recorded| recorded.digest == digest);
    if !is_imported {
        let mut nobody = Nobody { takes_doubtful: args.allowed().takes_doubtful() };
        let prepared = in_turn(&file, journal, display, || campaign::prepare(&file, journal, None, &mut nobody));
        let prepared = prepared.map_err(|error| not_taken(error, &file, &note, &settings))?;
        if let Prepared::New(pending) = prepared {
            let kept = || -> Result<Imported, CampaignError> {
                pending.share(args.share.change())?;
                if let Some(hours) = &hours {
                    pending.hours(hours)?;
                }
                pending.release()
            };
            kept().map_err(|error| not_taken(error, &file, &note, &settings))?;
        }
    }
    reach("watch-imported")?;
    let opened = journal::open_existing(journal)?;
    let summary = journal::query::campaign(&opened, &note.campaign)?;
    let kept = match settings.release_up_to {
        _ if !(note.release && settings.release) => Some("not released".to_owned()),
        Some(most) if summary.messages > most => Some(format!(
            "not released: these are more messages than release_up_to ({})",
            crate::words::format::number(most)
        )),
        _ => None,
    };
    // What somebody has decided of it meanwhile holds.
    if kept.is_none() && Released::load(&opened)?.of(summary.id).is_none() {
        let to_release =
            ToRelease { id: summary.id, name: note.campaign.clone(), end: Some(summary.end_id), decisions: Vec::new() };
        let request = Request::Release { campaigns: vec![to_release], terms: Terms::default() };
        let options = serde_json::to_string(&request).map_err(io::Error::from)?;
        let who = format!("smppost run --watch (file {:?})", claim.name.to_string_lossy());
        // The same key is the same command, however often it is written.
        let key = key(summary.id, &digest);
        commands::write(&opened, &key, request.what(), &who, &options)?;
    }
    reach("watch-released")?;
    Ok(Taken { campaign: note.campaign, messages: summary.messages, refused: summary.rejected_rows, kept })
}

fn key(campaign: i64, digest: &str) -> String {
    format!("watch {campaign} {digest}")
}

/// The file's name where no campaign has it, else one like it.
fn free_name(opened: &journal::Journal, name: &str) -> Result<String, JournalError> {
    match existing(opened, name)? {
        None => Ok(name.to_owned()),
        Some(_) => campaign::free_name(opened, name),
    }
}

/// What an import's refusal means to a file of which nobody is there to decide.
fn not_taken(error: CampaignError, file: &CampaignFile, note: &Note, settings: &Settings) -> NotTaken {
    match error {
        CampaignError::Journal(error) => error.into(),
        CampaignError::Open(_, error) | CampaignError::Import(_, ImportError::Io(error)) => error.into(),
        CampaignError::Moving(_) => NotTaken::Moving,
        same @ CampaignError::Same { .. } => {
            let (campaign, settings) = (note.campaign.clone(), settings.clone());
            NotTaken::Again(Box::new(Repeated { why: same.into(), campaign, settings }))
        }
        bad @ CampaignError::NothingGood { .. } => NotTaken::Wrong(Box::new(bad.into()), Some(Box::new(file.clone()))),
        other => NotTaken::Wrong(Box::new(other.into()), None),
    }
}
