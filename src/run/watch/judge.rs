//! When a file is taken. An upload that has stalled looks as one that is whole: only whoever puts the file there knows, by
//! renaming it or by `NAME.ready`. Where nobody says so, time has to do, and more of it where its messages would leave at once.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// A file whose size and time have stood still for so long may be imported, if its last record is whole.
pub const STILL: Duration = Duration::from_secs(5);
/// And after so long it may be released, unless the settings say otherwise.
pub const SETTLE: Duration = Duration::from_secs(60);

/// Which file it is, and how far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// That of a file.
    pub fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }

    /// Which file it is, however far it has come.
    pub fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// When it was changed last, for an order.
    pub fn modified(&self) -> (i64, i64) {
        self.modified
    }
}

/// How a file ends, as far as that can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// With a whole record.
    Whole,
    /// In the midst of one, or before the first.
    Open,
    /// It is packed, or a spreadsheet: nobody can say.
    Unseen,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// It was renamed to its name.
    pub is_renamed: bool,
    /// `NAME.ready` is there.
    pub is_ready: bool,
    /// So long size and time have stood still.
    pub still: Duration,
    /// Its messages would be released.
    pub releases: bool,
    /// So long it has to stand still for that.
    pub settle: Duration,
}

/// Why a file is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It was renamed to its name.
    Renamed,
    /// `NAME.ready` was there.
    Ready,
    /// It stood still.
    Still,
}

/// What becomes of a file now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is taken.
    Take(Why),
    /// It is looked at again after this time.
    Later(Duration),
    /// It stands still in the midst of a record: it waits for whoever knows.
    Broken,
}

/// Decides. `tail` is asked only where it matters, as it reads the file.
pub fn judge(case: &Case, tail: &mut dyn FnMut() -> Tail) -> Verdict {
    match () {
        () if case.is_renamed => return Verdict::Take(Why::Renamed),
        () if case.is_ready => return Verdict::Take(Why::Ready),
        () if case.still < STILL => return Verdict::Later(STILL - case.still),
        () => {}
    }
    let tail = tail();
    let wanted = match tail {
        _ if case.releases => case.settle.max(STILL),
        // What is damaged is known only when it is unpacked.
        Tail::Unseen => SETTLE,
        Tail::Whole | Tail::Open => STILL,
    };
    match tail {
        Tail::Open if case.still >= wanted.max(SETTLE) => Verdict::Broken,
        Tail::Open => Verdict::Later(wanted.max(SETTLE) - case.still),
        _ if case.still < wanted => Verdict::Later(wanted - case.still),
        _ => Verdict::Take(Why::Still),
    }
}

/// How a file ends. A quote opens a cell where one begins, and what stands in quotes may have line ends.
pub fn tail(mut file: impl Read) -> io::Result<Tail> {
    const PACKED: [&[u8]; 3] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK"];
    let mut chunk = vec![0; 1 << 16];
    let (mut is_first, mut is_wide) = (true, false);
    let (mut quoted, mut before, mut last) = (false, b'\n', [0u8; 2]);
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let octets = &chunk[..read];
        if std::mem::take(&mut is_first) {
            if PACKED.iter().any(|packed| octets.starts_with(packed)) {
                return Ok(Tail::Unseen);
            }
            is_wide = octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff");
        }
        for &octet in octets {
            if octet == b'"' {
                // Two of them in quotes are one: the second opens them again.
                quoted = !quoted && matches!(before, b'\n' | b'\r' | b',' | b';' | b'\t' | b'|' | b'"' | 0xbf);
            }
            before = octet;
            last = [last[1], octet];
        }
    }
    let ends = match is_wide {
        // UTF-16, of either order.
        true => matches!(last, [b'\n', 0] | [0, b'\n']),
        false => !quoted && matches!(last[1], b'\n' | b'\r'),
    };
    Ok(if !is_first && ends { Tail::Whole } else { Tail::Open })
}

/// Since when files have stood still, by what was seen of them: their own times are whoever's who wrote them.
#[derive(Debug, Default)]
pub struct Stood(HashMap<OsString, Seen>);

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    since: Instant,
    tail: Option<Tail>,
    is_told: bool,
}

impl Stood {
    /// So long it has stood still, as it is now.
    pub fn still(&mut self, name: &OsStr, stamp: Stamp, now: Instant) -> Duration {
        match self.0.get(name) {
            Some(seen) if seen.stamp == stamp => now.saturating_duration_since(seen.since),
            _ => {
                self.0.insert(name.to_owned(), Seen { stamp, since: now, tail: None, is_told: false });
                Duration::ZERO
            }
        }
    }

    /// How it ends; read once for as long as it stands still.
    pub fn tail(&mut self, name: &OsStr, read: impl FnOnce() -> Tail) -> Tail {
        match self.0.get_mut(name) {
            Some(seen) => *seen.tail.get_or_insert_with(read),
            None => read(),
        }
    }

    /// Whether something is to be said of it: once for as long as it stands still.
    pub fn is_news(&mut self, name: &OsStr) -> bool {
        self.0.get_mut(name).is_some_and(|seen| !std::mem::replace(&mut seen.is_told, true))
    }

    /// Forgets all that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&OsStr) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_when() {
        use Tail::{Open, Unseen, Whole};
        use Verdict::{Broken, Later, Take};
        let s = Duration::from_secs;
        // renamed, ready, still, releases, settle, how it ends
        let table: &[(bool, bool, u64, bool, u64, Tail, Verdict)] = &[
            (true, false, 0, true, 60, Open, Take(Why::Renamed)),
            (false, true, 0, true, 60, Open, Take(Why::Ready)),
            (false, false, 0, false, 60, Whole, Later(s(5))),
            (false, false, 4, true, 60, Whole, Later(s(1))),
            // Imported only.
            (false, false, 5, false, 60, Whole, Take(Why::Still)),
            // A stalled upload looks whole.
            (false, false, 5, true, 60, Whole, Later(s(55))),
            (false, false, 60, true, 60, Whole, Take(Why::Still)),
            (false, false, 100, true, 600, Whole, Later(s(500))),
            // No settling is shorter than the least stillness.
            (false, false, 4, true, 1, Whole, Later(s(1))),
            (false, false, 5, true, 1, Whole, Take(Why::Still)),
            // What is packed shows nothing of its end.
            (false, false, 5, false, 60, Unseen, Later(s(55))),
            (false, false, 60, false, 60, Unseen, Take(Why::Still)),
            (false, false, 5, false, 60, Open, Later(s(55))),
            (false, false, 60, false, 60, Open, Broken),
            (false, false, 9_999, true, 60, Open, Broken),
            (false, true, 9_999, true, 60, Open, Take(Why::Ready)),
        ];
        for &(is_renamed, is_ready, still, releases, settle, tail, expected) in table {
            let case = Case { is_renamed, is_ready, still: s(still), releases, settle: s(settle) };
            let mut asked = 0;
            let verdict = judge(&case, &mut || {
                asked += 1;
                tail
            });
            assert_eq!(verdict, expected, "{case:?} {tail:?}");
            assert!(asked == 0 || still >= 5, "{case:?}: a file that is written is not read");
        }
    }

    #[test]
    fn how_files_end() {
        let utf16 = |text: &str| -> Vec<u8> {
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        };
        let table: &[(&[u8], Tail)] = &[
            (b"", Tail::Open),
            (b"to,text\n", Tail::Whole),
            (b"to,text\r\n4477,Hi\r\n", Tail::Whole),
            (b"to,text\n4477,H", Tail::Open),
            (b"to,text\n4477,\"Hi\n", Tail::Open),
            (b"to,text\n4477,\"Hi\nyou\"\n", Tail::Whole),
            (b"to,text\n4477,\"say \"\"hi\"\"\n", Tail::Open),
            (b"to,text\n4477,\"say \"\"hi\"\"\"\n", Tail::Whole),
            // An inch is no quote.
            (b"to,text\n4477,Pipe 5\" wide\n", Tail::Whole),
            (b"\xef\xbb\xbf\"to\",\"text\"\n", Tail::Whole),
            (b"\x1f\x8b\x08\x00\n", Tail::Unseen),
            (b"PK\x03\x04", Tail::Unseen),
            (&utf16("to,text\n"), Tail::Whole),
            (&utf16("to,text"), Tail::Open),
        ];
        for (octets, expected) in table {
            assert_eq!(tail(*octets).unwrap(), *expected, "{:?}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn whatever_changes_begins_to_stand_still_anew() {
        let (start, name) = (Instant::now(), OsStr::new("a.csv"));
        let s = Duration::from_secs;
        let stamp = |inode, length, at| Stamp { device: 1, inode, length, modified: (at, 0) };
        let mut stood = Stood::default();
        assert_eq!(stood.still(name, stamp(1, 10, 0), start), s(0));
        assert_eq!(stood.still(name, stamp(1, 10, 0), start + s(4)), s(4));
        assert!(stood.is_news(name) && !stood.is_news(name));
        for changed in [stamp(1, 11, 0), stamp(1, 11, 1), stamp(2, 11, 1)] {
            assert_eq!(stood.still(name, changed, start + s(9)), s(0), "{changed:?}");
            assert!(stood.is_news(name));
        }
        stood.keep(|_| false);
        assert_eq!(stood.still(name, stamp(2, 11, 1), start + s(20)), s(0));
    }
}
