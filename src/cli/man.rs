//! `man`: the pages of the manual, made of what the help says.

use super::{CliError, exit, help};
use clap::Args;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder, which is made [default: the program's own page, to stdout]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What the program's own page says besides its options: a section, and its terms with what they mean.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "EXIT STATUS",
        &[
            ("0", "Every message was accepted and, where receipts were waited for, none failed."),
            ("1", "An error; `smppost resume` goes on."),
            ("2", "Typed wrong; nothing was done."),
            ("3", "Finished, but some messages were rejected, failed, went out only in part, or are in doubt."),
            ("69", "With --detach: no running service has taken it."),
            ("75", "Another sender, or another import, holds the journal."),
            ("130", "Interrupted, or --stop-at has come; `smppost resume` goes on."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("SMPPOST_PASSWORD", "The password of the account (--password-env names another variable)."),
            ("SMPPOST_RX_PASSWORD", "That of a receiver elsewhere."),
            ("SMPPOST_HOST, SMPPOST_PORT, SMPPOST_SYSTEM_ID", "The account."),
            ("SMPPOST_JOURNAL, SMPPOST_CONFIG, SMPPOST_PROFILE, SMPPOST_ACCOUNT", "As the options of these names."),
            (
                "STATE_DIRECTORY, CREDENTIALS_DIRECTORY",
                "Set by systemd for a service: where its journals lie, and its password.",
            ),
            ("RUST_LOG", "As in smppost=debug: more is said, with dates and modules."),
        ],
    ),
    (
        "FILES",
        &[
            (
                "./smppost.toml, ~/.config/smppost/smppost.toml, /etc/smppost/smppost.toml",
                "Profiles: one table for each account.",
            ),
            (
                "~/.local/share/smppost/SYSTEM_ID@HOST.db",
                "The journal of an account, where no ./smppost.db is and none is named.",
            ),
            ("~/.local/state/smppost/journals", "What is noted of journals."),
        ],
    ),
];

impl ManArgs {
    /// Writes the page, or all of them.
    pub fn run(&self, out: &mut dyn Write) -> Result<u8, CliError> {
        let mut command = help::command().disable_help_subcommand(true);
        command.build();
        match &self.out {
            None => write(&command, out)?,
            Some(folder) => {
                let at = |error: std::io::Error| CliError::Words(format!("{}: {error}", folder.display()));
                fs::create_dir_all(folder).map_err(at)?;
                write_all(&command, folder).map_err(at)?;
            }
        }
        Ok(exit::OK)
    }
}

/// One page for each command, and each below it.
fn write_all(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    let mut page = Vec::new();
    write(command, &mut page)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs::write(folder.join(format!("{name}.1")), page)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write_all(below, folder))
}

fn write(command: &clap::Command, mut out: &mut dyn Write) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let is_whole = name == command.get_name() && command.has_subcommands();
    let version = concat!("smppost ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name).section("1").source(version).manual("smppost").render(&mut out)?;
    if !is_whole {
        return Ok(());
    }
    let mut roff = Roff::new();
    for (section, terms) in SECTIONS {
        roff.control("SH", [section]);
        for (term, means) in terms {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*means)]);
        }
    }
    roff.to_writer(&mut out)
}
