//! A folder with files in it, the program run there, and what it left in its journal.

use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A folder of its own for each test, and a home beside it.
pub struct Desk(tempfile::TempDir, tempfile::TempDir);

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Ended with this code, and these words are on stderr.
    #[track_caller]
    pub fn says(self, code: i32, words: &[&str]) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        for words in words {
            assert!(self.err.contains(words), "{words:?} is not in {self:?}");
        }
        self
    }

    /// Refused with exit code 1, in one breath, with these words among others.
    #[track_caller]
    pub fn refused(self, words: &[&str]) {
        assert!(self.out.is_empty() && self.err.starts_with("smppost: "), "{self:?}");
        self.says(1, words);
    }

    /// A usage error that names the option.
    #[track_caller]
    pub fn usage(self, words: &[&str]) {
        assert!(self.out.is_empty(), "{self:?}");
        self.says(2, words);
    }
}

impl Desk {
    pub fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file into the folder; returns the desk, so that the run can follow.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> &Desk {
        fs::write(self.path(name), contents).unwrap();
        // A file that was changed a moment ago is looked at again, which takes 2 s.
        let file = fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).unwrap();
        self
    }

    /// Names in the folder, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smppost"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for name in
            ["SMPPOST_JOURNAL", "SMPPOST_HOST", "SMPPOST_PORT", "SMPPOST_SYSTEM_ID", "SMPPOST_PASSWORD", "RUST_LOG"]
        {
            command.env_remove(name);
        }
        for name in ["XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "STATE_DIRECTORY"] {
            command.env_remove(name);
        }
        command.env("HOME", self.1.path());
        if !arguments.contains(&"--simulate") {
            command.env("SMPPOST_JOURNAL", self.path("smppost.db"));
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What a query on the journal `smppost.db` finds: columns by `|`, rows in order.
    pub fn sql(&self, query: &str) -> Vec<String> {
        self.sql_in("smppost.db", query)
    }

    pub fn sql_in(&self, journal: &str, query: &str) -> Vec<String> {
        let connection = Connection::open_with_flags(self.path(journal), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => Ok("-".to_owned()),
                rusqlite::types::ValueRef::Integer(number) => Ok(number.to_string()),
                value => Ok(value.as_str()?.to_owned()),
            });
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        };
        statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The simulator on a free port, which is returned. Ends when it is dropped.
    pub fn simulator(&self) -> (Simulator, String) {
        let mut child = self
            .command(&["smsc", "--port", "0", "--rate", "unlimited"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = Vec::new();
        let mut stdout = child.stdout.take().unwrap();
        let mut octet = [0];
        while !line.ends_with(b"\n") && stdout.read(&mut octet).unwrap() == 1 {
            line.push(octet[0]);
        }
        let line = String::from_utf8(line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().to_owned();
        (Simulator(child), port)
    }
}

/// A simulator that runs.
pub struct Simulator(Child);

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
