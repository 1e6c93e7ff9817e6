//! What the packages bring: the unit is as hardened as it says, and what its files name is there. The packages themselves are
//! built and tried by `.ci/release`.

use crate::common::{PATIENCE, Smppost, skipped};
use crate::readme::document;
use crate::simulator::Simulator;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

#[test]
fn the_unit_exposes_less_than_two_of_ten() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/smppost@.service");
    // Tenths: this fails from 2.0 on.
    let arguments = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(_) => skipped("how exposed the unit is: systemd-analyze is not here"),
    }
}

/// What a unit's line says, as systemd would have it for the profile acme.
fn of_unit(key: &str, credentials: &str) -> String {
    let unit = document("packaging/systemd/smppost@.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
    line.replace("%i", "acme").replace("%d", credentials)
}

#[test]
fn the_unit_starts_is_ready_and_ends_in_order() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &[]);
    let folder = |name: &str| {
        std::fs::create_dir(smppost.path(name)).unwrap();
        smppost.path(name).display().to_string()
    };
    let (credentials, state) = (folder("credentials"), folder("state"));
    // As systemd shows a credential: readable for the service alone, and not by its mode.
    smppost.file("credentials/password", "secret\n");
    smppost.file(
        "smppost.toml",
        format!("[acme]\nhost = \"127.0.0.1\"\nport = {}\nsystem_id = \"acme\"\n", simulator.port),
    );
    let socket = UnixDatagram::bind(smppost.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let line = of_unit("ExecStart=/usr/bin/smppost ", &credentials);
    let mut child = Command::new(env!("CARGO_BIN_EXE_smppost"))
        .args(line.split(' '))
        .current_dir(smppost.path(""))
        .env_clear()
        .env("NOTIFY_SOCKET", smppost.path("notify"))
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .env("STATE_DIRECTORY", &state)
        .stderr(std::fs::File::create(smppost.path("said")).unwrap())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(smppost.path("said")).unwrap_or_default();
    let mut told = String::new();
    while !told.contains("READY=1") {
        let mut octets = [0; 4096];
        let length = socket.recv(&mut octets).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("{error}: {told} {}", said())
        });
        told += &String::from_utf8_lossy(&octets[..length]);
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", said());
    let journals = std::fs::read_dir(&state).unwrap().filter_map(Result::ok);
    let is_journal = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".db");
    assert_eq!(journals.filter(is_journal).count(), 1, "the journal lies in the state folder");
    simulator.end();
}

#[test]
fn what_the_files_of_the_packages_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in ["packaging/deb/build", "packaging/tarball", "packaging/container/build", ".ci/release"] {
        for word in document(script).split(|c: char| !(c.is_ascii_alphanumeric() || "/._@-".contains(c))) {
            let is_path = ["packaging/", "samples/", ".ci/"].iter().any(|folder| word.starts_with(folder));
            if is_path && !word.ends_with('/') {
                assert!(root.join(word).exists(), "{script} names {word}");
            }
        }
    }
    let ignored = document(".dockerignore");
    assert!(
        document("Containerfile").contains("COPY target/container/root/") && ignored.contains("!target/container/root")
    );
    assert!(document("compose.yaml").contains("image: smppost"));
    // The first release with its own part of the changelog, which the workflow cuts out.
    let version = env!("CARGO_PKG_VERSION");
    assert!(document("CHANGELOG.md").contains(&format!("\n## {version}")), "the changelog has no part for {version}");
}
