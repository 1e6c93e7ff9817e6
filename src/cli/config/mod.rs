//! Settings that come from elsewhere than the command line.

pub mod file;
pub mod flat;
pub mod owner;
pub mod presets;
pub mod zone;

use crate::client::Secret;
use crate::platform::private_files::check_private;
use crate::words::trouble::{shown, words as cannot_open};
use crate::words::{BadValue, bad};
use std::path::Path;
use std::sync::Arc;

/// Octets that a password can have.
const PASSWORD_OCTETS_MAX: usize = 64;
/// Octets that the specification allows (SMPP v3.4, 4.1.1: nine with the NUL).
const PASSWORD_OCTETS_SPECIFIED: usize = 8;

/// Where the password is looked for when nothing else is said.
pub const PASSWORD_VARIABLE: &str = "SMPPOST_PASSWORD";

/// The password: from the file, else from the environment variable (as a rule [`PASSWORD_VARIABLE`]), else from a prompt.
/// `strict`: no more of it than SMPP allows.
pub fn password(file: Option<&Path>, variable: &str, strict: bool) -> Result<Secret, BadValue> {
    let password = match file {
        Some(path) => from_file(path, "--password-file")?,
        // A variable that is set to nothing is as good as one that is not: a script meant to fill it.
        None => match std::env::var(variable).and_then(|password| match password.is_empty() {
            true => Err(std::env::VarError::NotPresent),
            false => Ok(password),
        }) {
            Ok(password) => password,
            Err(std::env::VarError::NotUnicode(_)) => return Err(bad!("{variable} is not UTF-8")),
            // One that runs in the background has nobody to ask.
            Err(std::env::VarError::NotPresent) if crate::cli::ask::on_terminal() => {
                crate::platform::screen::stderr().flush(crate::platform::screen::FAREWELL);
                crate::platform::signals::while_asking(|| rpassword::prompt_password("Password: ")).map_err(
                    |error| match error.kind() {
                        // By Ctrl-C, which the prompt reads as a character.
                        std::io::ErrorKind::Interrupted => crate::platform::signals::end(),
                        _ => format!("no password could be read: {}", cannot_open(&error)),
                    },
                )?
            }
            Err(std::env::VarError::NotPresent) => {
                return Err(bad!(
                    "the password is missing: set {variable}, or name a file with --password-file (no option takes the \
                     password itself, since other users could read it)"
                ));
            }
        },
    };
    check(&password, strict)?;
    Ok(kept(password, file, strict))
}

/// A password, which is read anew where it came from a file.
fn kept(password: String, file: Option<&Path>, strict: bool) -> Secret {
    let Some(file) = file.map(Path::to_path_buf) else { return Secret::new(password) };
    let read = move || {
        let is_sound = |password: &String| octets_of(password, strict).is_ok();
        from_file(&file, "--password-file").ok().filter(is_sound)
    };
    Secret::with_source(password, Arc::new(read))
}

/// Whether there is a password that nobody has to be asked for.
pub fn has_password(file: Option<&Path>, variable: &str) -> bool {
    file.is_some() || std::env::var_os(variable).is_some_and(|password| !password.is_empty())
}

/// Where the password of a receiver elsewhere is looked for when nothing else is said.
pub const RECEIVER_PASSWORD_VARIABLE: &str = "SMPPOST_RX_PASSWORD";

/// Whether the environment has a password for a receiver elsewhere.
pub fn has_receiver_password() -> bool {
    std::env::var_os(RECEIVER_PASSWORD_VARIABLE).is_some_and(|password| !password.is_empty())
}

/// The password of a receiver elsewhere: from its variable, else from its file. `None`: it has none of its own. A variable
/// that is named and not set is an error where no file is named.
pub fn own_password(file: Option<&Path>, variable: Option<&str>, strict: bool) -> Result<Option<Secret>, BadValue> {
    let name = variable.unwrap_or(RECEIVER_PASSWORD_VARIABLE);
    let mut source = None;
    let password = match (std::env::var(name), file) {
        (Ok(password), _) if !password.is_empty() => password,
        (Err(std::env::VarError::NotUnicode(_)), _) => return Err(bad!("{name} is not UTF-8")),
        (_, Some(path)) => {
            source = Some(path);
            from_file(path, "password_file")?
        }
        (_, None) if variable.is_some() => return Err(bad!("the password is missing: set {name} (password_env)")),
        (_, None) => return Ok(None),
    };
    check(&password, strict)?;
    Ok(Some(kept(password, source, strict)))
}

fn check(password: &str, strict: bool) -> Result<(), BadValue> {
    octets_of(password, strict)?;
    if password.len() > PASSWORD_OCTETS_SPECIFIED {
        log::warn!(
            "the password has {} octets, SMPP specifies at most {PASSWORD_OCTETS_SPECIFIED}: sent as it is; if the SMSC \
             refuses it, ask the provider for a shorter one",
            password.len()
        );
    }
    Ok(())
}

fn octets_of(password: &str, strict: bool) -> Result<(), BadValue> {
    if password.contains('\0') {
        return Err("the password holds a NUL".into());
    }
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(bad!("the password has {} octets; at most {PASSWORD_OCTETS_MAX} can be sent", password.len()));
    }
    if password.len() > PASSWORD_OCTETS_SPECIFIED && strict {
        return Err(bad!(
            "the password has {} octets, SMPP specifies at most {PASSWORD_OCTETS_SPECIFIED} (--strict-password): ask the \
             provider to change the account's password rule",
            password.len()
        ));
    }
    Ok(())
}

/// The first line of a file that nobody else may read.
fn from_file(path: &Path, option: &str) -> Result<String, BadValue> {
    let at = |words: &dyn std::fmt::Display| format!("{option} {}: {words}", shown(path));
    check_private(path).map_err(|words| bad!("{option} {words}"))?;
    let text = std::fs::read_to_string(path).map_err(|error| at(&cannot_open(&error)))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn f14_a_secret_file_that_others_can_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "s3cr3t\nmore").unwrap();
        assert_eq!(password(Some(file.path()), PASSWORD_VARIABLE, false).unwrap().reveal(), "s3cr3t");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let words = password(Some(file.path()), PASSWORD_VARIABLE, false).unwrap_err();
        assert!(words.contains("chmod 600") && !words.contains("s3cr3t"), "{words}");
        let words = password(Some(Path::new("no/such")), PASSWORD_VARIABLE, false).unwrap_err();
        assert_eq!(&*words, "--password-file no/such: there is no such file: check the name and the folder");
    }

    #[test]
    fn f13_long_passwords_go_up_to_64_octets() {
        assert!(check(&"x".repeat(64), false).is_ok());
        assert!(check(&"x".repeat(65), false).unwrap_err().contains("65"));
        assert!(check(&"x".repeat(8), true).is_ok());
        assert!(check(&"x".repeat(9), true).unwrap_err().contains("--strict-password"));
    }
}
