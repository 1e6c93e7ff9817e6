//! `run --watch DIR`: files that are put into a folder become campaigns. A thread of the service does with each what another
//! process would do beside it, by connections of its own: it imports, and asks for the release by a row of the journal. The
//! journal thread knows nothing of it.

mod claim;
mod folder;
mod outcome;
mod settings;
mod take;

use super::{Cli, CliError};
use crate::cli::config::file::Profile;
use crate::journal::store::identity;
use crate::report::progress::Display;
use crate::report::repeats::Repeats;
use crate::run::watch::judge::{Case, Stamp, Stood, Tail, Verdict, Why, judge, tail};
use crate::run::watch::names::{self, Kind};
use crate::run::watch::wake::Wake;
use crate::words::trouble::{shown, words as cannot};
use claim::{Claim, Note};
use folder::Folder;
use rustix::fs::OFlags;
use settings::Settings;
use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use take::{NotTaken, Taken};

/// The folder is looked at this often, whatever is heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// So often at most: what comes at once is seen at once.
const LOOK_LEAST: Duration = Duration::from_millis(100);
/// How often it is looked whether the service ends.
const SLICE: Duration = Duration::from_millis(200);
/// Files in a row that something keeps from being taken: then the others wait for the next look.
const TROUBLES_MAX: usize = 3;
/// Campaigns that one look asks whether they have ended.
const ENDINGS_PER_LOOK: usize = 200;
/// Campaigns that came lately may end soon: so long their ends are looked for this often.
const LIVELY: Duration = Duration::from_secs(60);
const ENDINGS_EVERY: Duration = Duration::from_secs(1);
/// A service that ends waits so long for an import that is running. One that is cut short counts for nothing, and begins anew.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A folder that can be watched.
pub(super) struct Watch {
    folder: Folder,
    /// The profile, as for an import that is typed.
    below: Option<Profile>,
    profile_option: String,
    journal: PathBuf,
    display: Display,
    repeats: Repeats,
    wake: Wake,
    stood: Stood,
    /// What was said to be left alone.
    told: HashSet<OsString>,
    left_over: VecDeque<Claim>,
    /// Campaigns whose results are to be written.
    ending: VecDeque<(PathBuf, Note)>,
    lively_until: Instant,
    ends: Arc<AtomicBool>,
}

/// The thread that watches.
pub(super) struct Watching {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watching {
    /// Ends it, and waits for it as long as that is worth it.
    pub(super) fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        let until = Instant::now() + END_WITHIN;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Watch {
    /// Sees whether the folder can be watched, and its settings are right.
    pub(super) fn open(path: &Path, journal: &Path, cli: &Cli) -> Result<Self, CliError> {
        let below = super::profile::of(cli)?;
        let folder = Folder::open(path)?;
        Settings::read(folder.path(), below.as_ref())?;
        let left = |error: io::Error| CliError::Usage(format!("--watch {}: {}", shown(folder.path()), cannot(&error)));
        // Before it is read what is there: what is renamed from now on is heard of.
        let wake = Wake::new(folder.path().into());
        let found = claim::left_over(&folder).map_err(left)?;
        let own = match journal.exists() {
            true => identity::id_so_far(&crate::journal::open_read_only(journal)?)?,
            false => None,
        };
        if let Some(campaign) = found.of_another(own.as_deref()) {
            return Err(CliError::Usage(format!(
                "--watch {0}: {1} has what belongs to another journal (campaign {2}), and would be sent by both: start the service \
                 with that journal; if there is none any more, move what is in {1} away, and its files back into {0} if they are \
                 to be imported anew",
                shown(folder.path()),
                shown(&folder.join("work")),
                crate::words::format::argument(&campaign)
            )));
        }
        let profile_option = cli
            .profile
            .as_ref()
            .map_or_else(String::new, |name| format!(" --profile={}", crate::words::format::argument(name)));
        Ok(Self {
            below,
            profile_option,
            journal: journal.into(),
            display: Display::new(),
            repeats: Repeats::new(Instant::now()),
            wake,
            stood: Stood::default(),
            told: HashSet::new(),
            left_over: found.claims.into(),
            ending: found.notes.into(),
            lively_until: Instant::now() + LIVELY,
            ends: Arc::default(),
            folder,
        })
    }

    /// Watches from now on.
    pub(super) fn start(mut self) -> io::Result<Watching> {
        let ends = self.ends.clone();
        self.display.say(&format!("watching {}", shown(self.folder.path())));
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
            // A service that takes nothing any more, and does not say so, would be taken for one that has nothing to take.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.watch())).is_err() {
                self.display
                    .must_say("the folder is not watched any more, by a fault of this program: restart the service");
            }
        })?;
        Ok(Watching { ends, thread })
    }

    fn watch(&mut self) {
        while !self.is_ending() {
            let (looked, next) = (Instant::now(), self.look());
            std::thread::sleep(LOOK_LEAST);
            let mut results = Instant::now();
            while !self.is_ending() && looked.elapsed() < next {
                if results.elapsed() >= ENDINGS_EVERY && Instant::now() < self.lively_until {
                    self.write_results();
                    results = Instant::now();
                }
                if self.wake.wait(SLICE.min(next.saturating_sub(looked.elapsed()))) {
                    break;
                }
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// What may be said again and again.
    fn say_state(&mut self, words: &str) {
        let now = Instant::now();
        if let Some(repeated) = self.repeats.summary(now) {
            self.display.must_say(&repeated);
        }
        if self.repeats.is_news(words) {
            self.display.must_say(words);
        }
    }

    /// Looks once at all that is there. Returns when to look again.
    fn look(&mut self) -> Duration {
        self.wake.take_in();
        let settings = match Settings::read(self.folder.path(), self.below.as_ref()) {
            Ok(settings) => settings,
            Err(error) => {
                self.say_state(&format!("nothing is taken from the watched folder: {error}"));
                return LOOK_EVERY;
            }
        };
        let mut troubles = 0;
        for _ in 0..self.left_over.len() {
            let Some(claim) = self.left_over.pop_front() else { break };
            if self.is_ending() || troubles == TROUBLES_MAX {
                self.left_over.push_front(claim);
                return LOOK_EVERY;
            }
            troubles += usize::from(!self.bring_in(claim, &settings));
        }
        let next = match self.there() {
            Ok(files) => self.take_from(files, &settings, troubles),
            Err(error) => {
                self.say_state(&format!("watched folder {}: {}", shown(self.folder.path()), cannot(&error)));
                LOOK_EVERY
            }
        };
        self.write_results();
        next
    }

    /// The files that are there, the oldest first, and what stands beside them.
    fn there(&mut self) -> io::Result<Vec<(OsString, Stamp)>> {
        let (mut files, mut names, mut odd) = (Vec::new(), HashSet::new(), Vec::new());
        for entry in fs::read_dir(self.folder.path())? {
            let name = entry?.file_name();
            // One that is gone meanwhile was nobody's.
            let Ok(meta) = fs::symlink_metadata(self.folder.join(&name)) else { continue };
            names.insert(name.clone());
            if names::kind(&name) != Kind::Campaign {
                continue;
            }
            match () {
                () if !meta.is_file() => odd.push((name, "is no file, and is left alone: put the file itself there")),
                // It may lead to a file that whoever put it here may not read; whoever is at work there is not done.
                () if meta.nlink() > 1 => {
                    odd.push((name, "has other names as well (hard links): it waits until it has one"))
                }
                () => files.push((name, Stamp::of(&meta))),
            }
        }
        self.told.retain(|name| names.contains(name));
        self.stood.keep(|name| names.contains(name));
        self.wake.keep(|name| names.contains(name));
        for (name, words) in odd {
            self.say_once(&name, words);
        }
        files.sort_by(|a, b| (a.1.modified(), &a.0).cmp(&(b.1.modified(), &b.0)));
        Ok(files)
    }

    fn say_once(&mut self, name: &OsStr, words: &str) {
        if self.told.insert(name.to_owned()) {
            self.display.must_say(&format!("{}: {words}", outcome::shown(name)));
        }
    }

    /// Takes what is to be taken now. Returns when to look again.
    fn take_from(&mut self, files: Vec<(OsString, Stamp)>, settings: &Settings, mut troubles: usize) -> Duration {
        let mut next = LOOK_EVERY;
        for (name, stamp) in files {
            if self.is_ending() || troubles >= TROUBLES_MAX {
                break;
            }
            let case = Case {
                is_renamed: self.wake.is_renamed(&name, stamp.file()),
                is_ready: names::ready(&name).iter().any(|ready| self.folder.join(ready).is_file()),
                still: self.stood.still(&name, stamp, Instant::now()),
                releases: settings.release,
                settle: settings.settle,
            };
            let (path, stood) = (self.folder.join(&name), &mut self.stood);
            let is_settled = match judge(&case, &mut || stood.tail(&name, || tail_of(&path))) {
                Verdict::Take(why) => why != Why::Still || case.releases,
                Verdict::Later(wait) => {
                    next = next.min(wait);
                    continue;
                }
                Verdict::Broken => {
                    if self.stood.is_news(&name) {
                        self.display.must_say(&format!(
                            "{0}: stands still, and its last line has no end: is the upload broken off? It is left alone; if it \
                             is whole, put {0}.ready beside it, or rename it",
                            outcome::shown(&name)
                        ));
                    }
                    continue;
                }
            };
            if let Err(error) = open_regular(&path) {
                // Whoever put it there can put that right: it is asked again at each look.
                self.say_once(&name, &format!("{}; it waits", cannot(&error)));
                continue;
            }
            match Claim::take(&self.folder, &name, stamp, is_settled) {
                Ok(Some(claim)) => {
                    self.wake.forget(&name);
                    troubles += usize::from(!self.bring_in(claim, settings));
                }
                Ok(None) => {}
                Err(error) => {
                    troubles += 1;
                    self.say_state(&format!("{}: it cannot be taken: {}", outcome::shown(&name), cannot(&error)));
                }
            }
        }
        next
    }

    /// Makes a campaign of a file that was taken, or puts it aside; false: something keeps it from that, and it is tried again.
    fn bring_in(&mut self, claim: Claim, settings: &Settings) -> bool {
        let name = outcome::shown(&claim.name);
        let put = match take::take(&claim, settings, self.below.as_ref(), &self.journal, &self.display) {
            Ok(taken) => return self.bring_home(claim, &taken),
            Err(NotTaken::Wrong(why, file)) => outcome::failed(&self.folder, &claim, &why, file.as_deref()),
            Err(NotTaken::Again(repeated)) => {
                outcome::again(&self.folder, &claim, &repeated, (&self.journal, &self.profile_option))
            }
            Err(NotTaken::Moving) => {
                self.wake.forget(&claim.name);
                let why = CliError::Words(format!("{name}: it was changed while it was read"));
                match claim.put_back(&self.folder) {
                    Ok(()) => Ok(format!("{why}: it waits until it stands still")),
                    // Another one has come under its name.
                    Err(_) => outcome::failed(&self.folder, &claim, &why, None),
                }
            }
            Err(NotTaken::Later(why)) => Err(io::Error::other(why)),
        };
        match put {
            Ok(words) => {
                self.display.must_say(&words);
                true
            }
            Err(error) => self.later(claim, &error.to_string()),
        }
    }

    /// Moves the file of a campaign that is in the journal to where it stays.
    fn bring_home(&mut self, claim: Claim, taken: &Taken) -> bool {
        match outcome::done(&self.folder, &claim, taken, &self.journal) {
            Ok((words, note)) => {
                self.display.say(&words);
                self.ending.push_back((claim.folder, note));
                self.lively_until = Instant::now() + LIVELY;
                true
            }
            Err(error) => self.later(claim, &error.to_string()),
        }
    }

    fn later(&mut self, claim: Claim, why: &str) -> bool {
        let name = outcome::shown(&claim.name);
        self.say_state(&format!("{name}: {why}; it is tried again every {} s", LOOK_EVERY.as_secs()));
        self.left_over.push_back(claim);
        false
    }

    /// Writes the results of campaigns that have ended, as many as one look asks about.
    fn write_results(&mut self) {
        for _ in 0..self.ending.len().min(ENDINGS_PER_LOOK) {
            let Some((own, mut note)) = self.ending.pop_front() else { break };
            if let Some(words) = outcome::changed(&self.folder, &note, &self.journal) {
                self.display.must_say(&words);
                // Once.
                note.stamp = None;
            }
            match outcome::result(&self.folder, &own, &note, &self.journal) {
                Ok(true) => self.lively_until = Instant::now() + LIVELY,
                Ok(false) => self.ending.push_back((own, note)),
                Err(error) => {
                    self.say_state(&format!(
                        "the result of campaign {}: {error}",
                        outcome::shown(note.campaign.as_ref())
                    ));
                    self.ending.push_back((own, note));
                }
            }
            if self.is_ending() {
                break;
            }
        }
    }
}

/// Opens a file, and nothing else: a pipe would wait for its other end, and a link leads elsewhere.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// How a file ends; one that cannot be read does not end.
fn tail_of(path: &Path) -> Tail {
    open_regular(path).and_then(tail).unwrap_or(Tail::Open)
}
