//! What is said where a peer cannot be had, or does not answer.

use crate::peers::{Peer, arguments, install, install_into, node, not_checked};
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

/// A folder of programs that has the shell's usual ones, and neither npm nor any other package manager.
fn bare_path() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bash", "basename", "cat", "cksum", "dirname", "flock", "mkdir", "rm", "id"] {
        let found = ["/usr/bin", "/bin"].iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
        symlink(found.unwrap_or_else(|| panic!("there is no {name}")), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn an_installer_says_what_is_missing_and_fails() {
    let path = bare_path();
    for (name, words) in [
        ("npm", "there is no npm here"),
        ("python", "there is no python3 here"),
        ("perl", "there is no perl here"),
        ("rust", "there is no cargo here"),
        ("kannel", "there is no python3 here, in which what talks to Kannel is written"),
        ("tshark", "there is neither tshark nor apt-get here"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let said = install_into(cache.path(), name, Some(path.path())).unwrap_err();
        assert_eq!(said.trim(), words, "{name}");
        // Nor is it taken for installed the next time.
        assert!(install_into(cache.path(), name, Some(path.path())).is_err(), "{name}");
    }
}

#[test]
fn two_at_a_time_install_one_after_the_other() {
    let cache = tempfile::tempdir().unwrap();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let install = || scope.spawn(|| install_into(cache.path(), "perl", None));
        let both = [install(), install()];
        both.into_iter().map(|each| each.join().unwrap()).collect()
    });
    if let Some(Err(why)) = outcomes.iter().find(|outcome| outcome.is_err()) {
        return not_checked("two installations at a time", why);
    }
    let packages = cache.path().join("perl/root/usr/share/perl5");
    let loads = Command::new("perl").env("PERL5LIB", packages).args(["-MNet::SMPP", "-e", "1"]).status();
    assert!(loads.unwrap().success());
}

#[test]
fn a_port_that_is_closed_fails_and_names_the_peer() {
    let Some(packages) = install("npm smpp with a closed port", "npm") else { return };
    // Bound, so that nobody else gets it, and then closed.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "[]").unwrap();
    let client = arguments(node(&packages, "client.js"), [port.to_string().into(), OsString::from(file.path())]);
    let failed = catch_unwind(AssertUnwindSafe(|| Peer::start("npm smpp", &mut { client }).wait())).unwrap_err();
    let words = failed.downcast_ref::<String>().unwrap();
    assert!(words.contains("npm smpp said") && words.contains("ECONNREFUSED"), "{words}");
    assert!(words.contains(&port.to_string()), "{words}");
}
