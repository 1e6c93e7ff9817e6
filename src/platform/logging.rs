//! What is said besides data: which of it is shown on stderr, and what is kept in the file of `--log-file`.

use crate::platform::screen;
use crate::platform::screen::Outlet;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Whether a line is news, to a program that runs for months.
type IsNews = Box<dyn Fn(&str) -> bool + Send + Sync>;
static IS_NEWS: OnceLock<IsNews> = OnceLock::new();
/// Whether nothing is said of what goes as it should.
static QUIET: AtomicBool = AtomicBool::new(false);
/// Up to which level log lines are shown where `RUST_LOG` does not say.
static LEVEL: AtomicUsize = AtomicUsize::new(Level::Warn as usize);
/// The file of `--log-file`.
static FILE: OnceLock<Outlet> = OnceLock::new();

/// Shows warnings, or what `RUST_LOG` asks for: with it somebody looks for a fault, and wants moments and modules.
pub fn start() {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("trace"));
    builder.target(env_logger::Target::Pipe(Box::new(screen::stderr().clone())));
    if screen::may_colour() {
        builder.write_style(env_logger::WriteStyle::Always);
    }
    let by_environment = std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some();
    if !by_environment {
        builder.format(|out, record| writeln!(out, "{}", plain(record)));
    }
    let shown = builder.build();
    let most = if by_environment { shown.filter() } else { LevelFilter::Warn };
    // A second logger is an error of tests alone.
    if log::set_boxed_logger(Box::new(Lines { shown, by_environment })).is_ok() {
        log::set_max_level(most);
    }
    // A panic in a thread must not wait for a terminal either.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        screen::say(&format!("thread {}: {panic}", thread.name().unwrap_or("without a name")));
    }));
}

/// Applies what was typed. The file is opened for appending; one that is made is for this user's eyes only.
pub fn apply(quiet: bool, verbose: u8, file: Option<&Path>) -> io::Result<()> {
    QUIET.store(quiet, Ordering::Relaxed);
    let level = match verbose {
        0 => Level::Warn,
        1 => Level::Info,
        _ => Level::Debug,
    };
    LEVEL.store(level as usize, Ordering::Relaxed);
    if let Some(path) = file {
        // A pipe that nobody reads is an error, and no reason to wait.
        let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().append(true).create(true).mode(0o600).custom_flags(without_waiting).open(path)?;
        let _ = FILE.set(Outlet::start("log", Ok(file), false));
    }
    let kept = if file.is_some() { LevelFilter::Info } else { LevelFilter::Off };
    log::set_max_level(log::max_level().max(level.to_level_filter()).max(kept));
    Ok(())
}

/// From now on a line is said and kept where it is news, and of what is no warning nothing is kept that is not shown. Where
/// `RUST_LOG` says what is shown, all of that is.
pub fn say_only(is_news: IsNews) {
    let _ = IS_NEWS.set(is_news);
}

/// Whether nothing is to be said of what goes as it should.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Keeps words in the file, where there is one, each line with its moment. A disk that is full or fails costs lines of the
/// log, and nothing else; nobody waits for it.
pub fn keep(words: &str) {
    let Some(file) = FILE.get() else { return };
    let now = jiff::Timestamp::now();
    let lines: String = words.lines().map(|line| format!("{now:.3} {}\n", line.trim_end())).collect();
    file.say(&lines);
}

/// Waits for what is to be kept in the file, but no longer than `limit`.
pub fn flush(limit: Duration) {
    if let Some(file) = FILE.get() {
        file.flush(limit);
    }
}

/// A log line as the program itself says things.
fn plain(record: &Record<'_>) -> String {
    format!("{}: {}", record.level().as_str().to_lowercase().replace("warn", "warning"), record.args())
}

struct Lines {
    shown: env_logger::Logger,
    by_environment: bool,
}

impl Lines {
    fn is_shown(&self, metadata: &Metadata<'_>) -> bool {
        let is_typed = metadata.level() as usize <= LEVEL.load(Ordering::Relaxed);
        // What libraries say is worth a warning's place and no more.
        let is_ours = metadata.target().starts_with("smppost") || metadata.level() <= Level::Warn;
        if self.by_environment { self.shown.enabled(metadata) } else { is_typed && is_ours }
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.is_shown(metadata) || FILE.get().is_some() && metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        let is_shown = self.is_shown(record.metadata());
        if let Some(is_news) = IS_NEWS.get().filter(|_| !self.by_environment)
            && !(is_shown && is_news(&plain(record)))
        {
            return;
        }
        if is_shown {
            self.shown.log(record);
        }
        if is_shown || record.level() <= Level::Info && record.target().starts_with("smppost") {
            keep(&plain(record));
        }
    }

    fn flush(&self) {
        self.shown.flush();
    }
}
