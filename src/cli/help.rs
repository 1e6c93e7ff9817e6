//! What the help says besides the options, and in which order it says them.

use super::Cli;
use clap::CommandFactory;

/// Below the options of `send`.
pub const SEND: &str = "\
Examples:
  smppost send samples/welcome.csv --simulate
      a rehearsal: no SMSC is needed, and nobody gets anything
  smppost send spring.csv --text 'Hi {name}!' --from ACME --host smpp.example.net --system-id acme --limit 1
      the first message only; `smppost resume spring` sends the rest
  smppost send spring.csv --profile acme --rate 100 --between 09:00-20:00
      the account as smppost.toml has it, within these hours

Exit codes:
  0    every message was accepted, and none failed as far as receipts were waited for
  1    an error; `smppost resume` goes on
  2    typed wrong; nothing was done
  3    finished, but some messages were rejected, failed, partly delivered, or are in doubt
  69   with --detach: no running service has taken it
  75   another process sends with this journal
  130  interrupted; `smppost resume` goes on";

/// Below the options of `run`.
pub const RUN: &str = "\
Beside it `send` and `resume` hand over instead of sending by themselves, and show how it goes; `pause`, `cancel`, `suppress` and
`resolve` are heard within half a second. It sends only what was released so: `import` releases nothing.

Exit codes:
  0    ended as it was told to, by SIGTERM or Ctrl-C
  1    an error
  2    typed wrong, or the journal that was named is not there (see --create), or the folder of --watch cannot be watched
  75   another process sends with this journal";

/// What most who send need: it stands before everything else.
const MOST_USED: [&str; 9] =
    ["name", "from", "text", "hosts", "system_id", "password_file", "rate", "limit", "simulate"];

/// The command line, with the options of `send` and `check` in the order in which they are needed.
pub fn command() -> clap::Command {
    ["send", "check"].into_iter().fold(Cli::command(), |command, name| {
        command.mut_subcommand(name, |command| {
            // What has no heading stands above all headings.
            MOST_USED
                .into_iter()
                .fold(command, |command, id| command.mut_arg(id, |option| option.help_heading(None::<&'static str>)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_send_begins_with_what_most_need() {
        let mut command = command();
        let help = command.find_subcommand_mut("send").unwrap().render_help().to_string();
        let place = |words: &str| help.find(words).unwrap_or_else(|| panic!("{words}\n{help}"));
        let first_heading = place("\nCampaign:");
        for option in ["--campaign", "--from", "--text ", "--host", "--system-id", "--rate", "--limit", "--simulate"] {
            assert!(place(option) < first_heading, "{option}\n{help}");
        }
        assert!(place("--concat") > first_heading && !help.contains("canary)"));
        assert!(place("Examples:") > place("--tls-ca") && place("Exit codes:") > place("Examples:"));
        command.debug_assert();
    }

    #[test]
    fn the_examples_can_be_typed() {
        let lines = SEND.lines().filter(|line| line.starts_with("  smppost send"));
        let mut examples = 0;
        for line in lines {
            let arguments = line.trim().replace("'Hi {name}!'", "Hi");
            command().try_get_matches_from(arguments.split(' ')).unwrap();
            examples += 1;
        }
        assert_eq!(examples, 3);
    }
}
