//! Files that nobody else may read: keys and passwords.

use crate::words::format::path_argument;
use crate::words::trouble::{shown, words as cannot_open};
use crate::words::{BadValue, bad};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Refuses a file that others can read or write, saying what to type. What the service manager has put into the folder of
/// the service's credentials is taken as it is there: no other service can get at it, and the mode cannot be changed.
pub fn check_private(path: &Path) -> Result<(), BadValue> {
    let at = |words: &dyn std::fmt::Display| bad!("{}: {words}", shown(path));
    if is_credential(path, std::env::var_os("CREDENTIALS_DIRECTORY").as_deref().map(Path::new)) {
        return std::fs::metadata(path).map(|_| ()).map_err(|error| at(&cannot_open(&error)));
    }
    let mode = std::fs::metadata(path).map_err(|error| at(&cannot_open(&error)))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(at(&format_args!(
            "others can read it (mode {:03o}); make it yours alone: chmod 600 {}",
            mode & 0o777,
            path_argument(path)
        )));
    }
    Ok(())
}

fn is_credential(path: &Path, folder: Option<&Path>) -> bool {
    let folder = folder.filter(|folder| folder.is_absolute()).map(std::fs::canonicalize);
    let (Some(Ok(folder)), Ok(path)) = (folder, std::fs::canonicalize(path)) else { return false };
    // Links that lead out of it lead to files of which nothing is known.
    path.parent() == Some(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_taken_with_the_mode_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let [credential, outside] = ["credentials/password", "password"].map(|name| folder.path().join(name));
        let credentials = folder.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        std::fs::write(&credential, "secret").unwrap();
        std::fs::write(&outside, "secret").unwrap();
        std::os::unix::fs::symlink(&outside, credentials.join("link")).unwrap();
        assert!(is_credential(&credential, Some(&credentials)));
        for (path, folder) in
            [(&outside, Some(&*credentials)), (&credentials.join("link"), Some(&credentials)), (&credential, None)]
        {
            assert!(!is_credential(path, folder), "{path:?}");
        }
        assert!(!is_credential(&credential, Some(Path::new(""))));
    }
}
