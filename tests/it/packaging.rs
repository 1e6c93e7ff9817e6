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
    let command = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
        command.args(line.split(' ')).current_dir(smppost.path("")).env_clear();
        command.env("NOTIFY_SOCKET", smppost.path("notify"));
        command.env("CREDENTIALS_DIRECTORY", &credentials).env("STATE_DIRECTORY", &state);
        command
    };
    let mut child = command(&line).stderr(std::fs::File::create(smppost.path("said")).unwrap()).spawn().unwrap();
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
    let reload = command(&of_unit("ExecReload=/usr/bin/smppost ", &credentials)).output().unwrap();
    let words = String::from_utf8_lossy(&reload.stderr);
    assert!(reload.status.success() && words.contains("fixed at the start"), "{words}{}", said());
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
    for script in ["packaging/deb/build", "packaging/tarball", "packaging/container/build", ".ci/release", ".ci/run"] {
        for word in document(script).split(|c: char| !(c.is_ascii_alphanumeric() || "/._@-".contains(c))) {
            let is_path = ["packaging/", "samples/", ".ci/"].iter().any(|folder| word.starts_with(folder));
            if is_path && !word.ends_with('/') {
                assert!(root.join(word).exists(), "{script} names {word}");
            }
        }
    }
    // What is copied into the image is made for it, and not ignored.
    let (image, ignored) = (document("Containerfile"), document(".dockerignore"));
    let copied: Vec<&str> = image
        .lines()
        .filter(|line| line.starts_with("COPY "))
        .map(|line| line.split(' ').find(|word| word.starts_with("target/")).unwrap().trim_end_matches('/'))
        .collect();
    assert_eq!(copied, ["target/container/root", "target/container/own"]);
    for folder in copied {
        assert!(ignored.lines().any(|line| line == format!("!{folder}")), "{folder} is ignored");
        assert!(document("packaging/container/build").contains(&format!("={folder}\n")), "{folder} is not made");
    }
    // Whose is what a volume is made of, and who runs.
    assert!(image.contains("COPY --chown=10001:10001 target/container/own/ /\n") && image.contains("USER 10001:10001"));
    // What cannot fail says nothing.
    assert!(!image.contains("\nHEALTHCHECK"), "no check fits all that the image may run");
    let compose = document("compose.yaml");
    let images: Vec<&str> = compose.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert_eq!(images, ["localhost/smppost"; 2], "as buildah names it");
    assert!(document("packaging/container/build").contains("name=${1:-localhost/smppost}"));
    // The first release with its own part of the changelog, which the workflow cuts out.
    let version = env!("CARGO_PKG_VERSION");
    assert!(document("CHANGELOG.md").contains(&format!("\n## {version}")), "the changelog has no part for {version}");
}

/// A script of the repository, in its root.
fn script(words: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("SMPPOST_ALL_REQUIRED");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_release_is_the_same_octets_twice_or_none() {
    let smppost = Smppost::new();
    let folder = |name: &str| {
        std::fs::create_dir(smppost.path(name)).unwrap();
        smppost.path(name).display().to_string()
    };
    let (one, other) = (folder("one"), folder("other"));
    let same = || script(&["packaging/same", &one, &other], &[]).0;
    assert_eq!(same(), Some(1), "nothing at all was built");
    for name in ["a.tar.xz", "b.sha256"] {
        smppost.file(&format!("one/{name}"), name);
        smppost.file(&format!("other/{name}"), name);
    }
    assert_eq!(same(), Some(0));
    // The first of them: those after it are the same.
    smppost.file("other/a.tar.xz", "something else");
    assert_eq!(same(), Some(1));
    smppost.file("other/a.tar.xz", "a.tar.xz");
    smppost.file("other/c.deb", "in one alone");
    assert_eq!(same(), Some(1));
}

#[test]
fn what_was_not_checked_fails_a_release_and_nothing_else() {
    let smppost = Smppost::new();
    let path = smppost.path("skipped").display().to_string();
    let ends = |skipped: &str, required: &[(&str, &str)]| {
        smppost.file("skipped", skipped);
        script(&[".ci/not-checked", &path], required)
    };
    let required = [("SMPPOST_ALL_REQUIRED", "1")];
    assert_eq!(ends("", &required).0, Some(0));
    let (code, said) = ends("NOT CHECKED: the container\nthere is no tshark\n", &[]);
    assert!(code == Some(0) && said.contains("NOT CHECKED") && said.contains("there is no tshark"), "{said}");
    assert_eq!(ends("NOT CHECKED: the container\n", &required).0, Some(1));
    // What root cannot check is checked for every change.
    assert_eq!(ends("SKIPPED: permissions do not hold for root\n", &required).0, Some(0));
    let (code, said) = ends("SKIPPED: permissions do not hold for root\nthere is no tshark\n", &required);
    assert!(code == Some(1) && said.ends_with("for a release:\nthere is no tshark\n"), "{said}");
    let workflow = document(".github/workflows/release.yml");
    for part in ["SMPPOST_ALL_REQUIRED: \"1\"", " .ci/run\n", " .ci/release\n", "needs: [run, check]", ".ci/notes"] {
        assert!(workflow.contains(part), "a release goes without {part}");
    }
}

#[test]
fn a_tag_is_the_version_and_has_its_notes() {
    let smppost = Smppost::new();
    std::fs::create_dir(smppost.path(".ci")).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/notes"), smppost.path(".ci/notes")).unwrap();
    smppost.file("Cargo.toml", "[package]\nversion = \"1.2.3\"\n[dependencies]\nversion = \"9\"\n");
    let notes = |tag: &str, changelog: &str| {
        smppost.file("CHANGELOG.md", changelog);
        script(&[&smppost.path(".ci/notes").display().to_string(), tag], &[])
    };
    let changelog = "# Changes\n\n## 1.2.30\n\nnot this\n\n## 1.2.3\n\nThis.\n\n## 1.2.2\n\nnor this\n";
    let (code, said) = notes("v1.2.3", changelog);
    assert!(code == Some(0) && said.trim() == "This.", "{said}");
    assert_eq!(notes("v1.2.4", changelog).0, Some(1));
    assert_eq!(notes("1.2.3", changelog).0, Some(1));
    assert_eq!(notes("v1.2.3", "## 1.2.3\n\n## 1.2.2\n\nx\n").0, Some(1), "nothing about it");
    assert_eq!(notes("v1.2.3", "## 1.2.3 (not released)\n\nThis.\n").0, Some(1));
}

#[test]
fn a_tool_that_is_not_what_is_pinned_is_no_tool_that_cannot_be_had() {
    let smppost = Smppost::new();
    // A package of nothing, as pip takes it.
    smppost.file(
        "make.py",
        "import hashlib, zipfile\n\
         with zipfile.ZipFile('thing-1.0-py3-none-any.whl', 'w') as wheel:\n\
         \x20   of = 'thing-1.0.dist-info/'\n\
         \x20   wheel.writestr(of + 'METADATA', 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n')\n\
         \x20   wheel.writestr(of + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         \x20   wheel.writestr(of + 'RECORD', '')\n\
         print(hashlib.sha256(open('thing-1.0-py3-none-any.whl', 'rb').read()).hexdigest())\n",
    );
    let made = Command::new("python3").arg("make.py").current_dir(smppost.path("")).output();
    let Ok(made) = made.map(|output| String::from_utf8(output.stdout).unwrap()) else {
        return skipped("tools by pip: python3 is not here");
    };
    let (folder, list) = (smppost.path("").display().to_string(), smppost.path("list").display().to_string());
    let into = smppost.path("tools").display().to_string();
    // Nothing is asked of a registry.
    let environment = [("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", &*folder), ("PIP_NO_CACHE_DIR", "1")];
    let install = |version: &str, hash: &str| {
        smppost.file("list", format!("thing=={version} --hash=sha256:{hash}\n"));
        script(&[".ci/tools", &list, &into], &environment)
    };
    let (code, said) = install("1.0", made.trim());
    if code == Some(75) && said.contains("ensurepip") {
        return skipped("tools by pip: python3 has no venv here");
    }
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(install("1.0", made.trim()).0, Some(0), "it is there");
    let (code, said) = install("1.0", &"0".repeat(64));
    assert!(code == Some(1) && said.contains("HASH"), "{code:?} {said}");
    assert_eq!(install("2.0", made.trim()).0, Some(75), "it cannot be had");
}

#[test]
fn links_of_the_site_lead_to_a_page_and_its_heading() {
    let smppost = Smppost::new();
    std::fs::create_dir(smppost.path("site")).unwrap();
    smppost.file("site/b.html", "<h2 id='a-heading'>x</h2>");
    let links = |page: &str| {
        smppost.file("site/a.html", page);
        script(&[".ci/links", &smppost.path("site").display().to_string()], &[])
    };
    let (code, said) = links("<a href='b.html#a-heading'>x</a> <a href='https://example.net/#x'>x</a>");
    assert_eq!(code, Some(0), "{said}");
    for wrong in ["<a href='b.html#another'>x</a>", "<a href='c.html'>x</a>", "<a href='#x'>x</a>", "<img src='c.png'>"]
    {
        let (code, said) = links(wrong);
        assert!(code == Some(1) && said.contains("nowhere"), "{wrong}: {said}");
    }
}

#[test]
fn a_static_program_keeps_to_what_is_in_it() {
    // Else it loads modules of the machine that it runs on, and is ended by SIGFPE: packaging/check-static looks at the program.
    let program = document("packaging/program");
    assert!(program.contains("+crt-static") && program.contains("-C link-arg=target/static/$target.o"), "{program}");
    assert!(document("packaging/static.c").contains("__nss_configure_lookup(\"hosts\", \"files dns\")"));
    assert!(document(".ci/release").contains("packaging/check-static"));
}

#[test]
fn nobody_is_sent_to_an_address_that_is_nobodys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<std::path::PathBuf> =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "Cargo.toml", "book.toml"]
            .map(Into::into)
            .into();
    let mut folders = vec!["docs", "packaging", "packaging/deb", "packaging/container", ".github", ".github/workflows"];
    folders.push(".github/ISSUE_TEMPLATE");
    for folder in folders {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.is_file()));
    }
    for file in files {
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        for address in ["github.com/example", "@example.org", "github.io/example"] {
            assert!(!text.contains(address), "{}: {address}", file.display());
        }
    }
}
