//! Settings that come from elsewhere than the command line.

use crate::session::Secret;
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Octets that a password can have.
const PASSWORD_OCTETS_MAX: usize = 64;
/// Octets that the specification allows (SMPP v3.4, 4.1.1: nine with the NUL).
const PASSWORD_OCTETS_SPECIFIED: usize = 8;

/// The password: from the file, else from `SMPPOST_PASSWORD`, else from a prompt.
pub fn password(file: Option<&Path>) -> Result<Secret, String> {
    let password = match file {
        Some(path) => from_file(path)?,
        None => match std::env::var("SMPPOST_PASSWORD") {
            Ok(password) => password,
            Err(std::env::VarError::NotUnicode(_)) => return Err("SMPPOST_PASSWORD is not UTF-8".into()),
            Err(std::env::VarError::NotPresent) if std::io::stdin().is_terminal() => {
                rpassword::prompt_password("Password: ")
                    .map_err(|error| format!("no password could be read: {error}"))?
            }
            Err(std::env::VarError::NotPresent) => {
                return Err("the password is missing: set SMPPOST_PASSWORD, or name a file with --password-file \
                            (no option takes the password itself, since other users could read it)"
                    .into());
            }
        },
    };
    check(&password)?;
    Ok(Secret::new(password))
}

fn check(password: &str) -> Result<(), String> {
    if password.contains('\0') {
        return Err("the password holds a NUL".into());
    }
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(format!("the password has {} octets; at most {PASSWORD_OCTETS_MAX} can be sent", password.len()));
    }
    if password.len() > PASSWORD_OCTETS_SPECIFIED {
        log::warn!(
            "the password has {} octets, SMPP specifies at most {PASSWORD_OCTETS_SPECIFIED}: sent as it is; if the SMSC \
             refuses it, ask the provider for a shorter one",
            password.len()
        );
    }
    Ok(())
}

/// The first line of a file that nobody else may read.
fn from_file(path: &Path) -> Result<String, String> {
    let at = |words: &dyn std::fmt::Display| format!("--password-file {}: {words}", path.display());
    let mode = std::fs::metadata(path).map_err(|error| at(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(at(&format_args!(
            "others can read it (mode {:03o}); make it yours alone: chmod 600 {}",
            mode & 0o777,
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn f14_a_secret_file_that_others_can_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "s3cr3t\nmore").unwrap();
        assert_eq!(password(Some(file.path())).unwrap().reveal(), "s3cr3t");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let words = password(Some(file.path())).unwrap_err();
        assert!(words.contains("chmod 600") && !words.contains("s3cr3t"), "{words}");
    }

    #[test]
    fn f13_long_passwords_go_up_to_64_octets() {
        assert!(check(&"x".repeat(64)).is_ok());
        assert!(check(&"x".repeat(65)).unwrap_err().contains("65"));
    }
}
