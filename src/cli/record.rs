//! Options for a record of all that is sent and received.

use super::CliError;
use crate::record::{Options, Recorder, parse_size};
use clap::Args;
use std::path::{Path, PathBuf};

/// Octets of a file of the record, and how many older ones are kept, where nothing is said.
const SIZE: u64 = 100_000_000;
const KEEP: u32 = 5;

/// What is recorded, and where.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Record")]
pub struct RecordArgs {
    /// Record every PDU with its time in this file, to be shown to the provider: for Wireshark where its name ends in .pcapng,
    /// as text otherwise. Passwords are covered, and texts and numbers unless --record-texts is given
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Record texts and numbers as they are
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    record_texts: Option<bool>,
    /// Begin another file at this size; the one before is FILE with .1 in its name [default: 100MB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    record_size: Option<u64>,
    /// Keep so many earlier files [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    record_keep: Option<u32>,
}

impl RecordArgs {
    /// What was asked for; `None`: nothing.
    pub fn options(&self) -> Result<Option<Options>, CliError> {
        let Some(path) = &self.record else {
            let idle = [
                ("--record-texts", self.record_texts == Some(true)),
                ("--record-size", self.record_size.is_some()),
                ("--record-keep", self.record_keep.is_some()),
            ];
            return match idle.iter().find(|(_, is_given)| *is_given) {
                Some((option, _)) => Err(CliError::Usage(format!("{option} does nothing without --record FILE"))),
                None => Ok(None),
            };
        };
        Ok(Some(self.in_file(path, false)))
    }

    /// As asked for, or in this file, and each message on disk before it is on the wire.
    pub fn certain(&self, default: &Path) -> Options {
        self.in_file(self.path(default), true)
    }

    /// The file, or another where none was named.
    pub fn path<'a>(&'a self, default: &'a Path) -> &'a Path {
        self.record.as_deref().unwrap_or(default)
    }

    /// Whether it was asked for.
    pub fn is_asked_for(&self) -> bool {
        self.record.is_some()
    }

    fn in_file(&self, path: &Path, is_certain: bool) -> Options {
        Options {
            path: path.into(),
            size: self.record_size.unwrap_or(SIZE),
            keep: self.record_keep.unwrap_or(KEEP),
            texts: self.record_texts == Some(true),
            is_certain,
        }
    }

    /// Opens the record, if one was asked for.
    pub fn start(&self) -> Result<Option<Recorder>, CliError> {
        self.options()?
            .map(|options| Recorder::start(&options).map_err(|error| CliError::Words(error.into())))
            .transpose()
    }
}
