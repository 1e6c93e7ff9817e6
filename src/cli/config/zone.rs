//! Time zones: by name from the system's tzdata, else from the program's own; the system's zone from `TZ` or
//! `/etc/localtime`. Each comes with words that say which it is and where it came from.

use crate::policy::hours::OFFSET_MAX_SECONDS;
use crate::words::near::distance;
use crate::words::{BadValue, bad};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

/// Octets of a zone's file that are read at most; the largest in tzdata has 4 KiB.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// Where the system says which zone it is in.
const LOCALTIME: &str = "/etc/localtime";

/// A zone, and where it came from.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its rules.
    pub rules: TimeZone,
    /// Its name and where it came from, as in `Europe/Paris (from TZ)`.
    pub words: String,
}

impl Default for Zone {
    fn default() -> Self {
        Self { rules: TimeZone::UTC, words: "UTC".into() }
    }
}

/// Reads a zone that an option names: a name of tzdata, an offset such as `+02:00`, or a POSIX rule with its changes, such
/// as `CET-1CEST,M3.5.0,M10.5.0/3`. `option` is where it stands. Fails in words that name it.
pub fn named(name: &str, option: &str) -> Result<Zone, BadValue> {
    named_in(name, option, &Sources::here())
}

/// The zone of this system: what `TZ` names, else `/etc/localtime`, else UTC. Fails in words where one of them is there
/// and cannot be read: nobody knows then which zone is meant.
pub fn of_system() -> Result<Zone, BadValue> {
    of_system_in(std::env::var_os("TZ"), Path::new(LOCALTIME), &Sources::here())
}

/// Where the rules of zones are looked for, in this order.
struct Sources {
    system: TimeZoneDatabase,
    own: TimeZoneDatabase,
}

impl Sources {
    fn here() -> Self {
        Self { system: jiff::tz::db().clone(), own: TimeZoneDatabase::bundled() }
    }

    /// Whether the system has tzdata of its own: without it jiff hands out the bundled one.
    fn has_system(&self) -> bool {
        !self.system.is_definitively_empty() && !format!("{:?}", self.system).contains("Bundled")
    }

    /// The rules of a name, and what is to be said of their source.
    fn get(&self, name: &str) -> Option<(TimeZone, &'static str)> {
        if self.has_system() {
            if let Ok(zone) = self.system.get(name) {
                return Some((zone, ""));
            }
            return self.own.get(name).ok().map(|zone| (zone, "; by the program's own tzdata, the system's lacks it"));
        }
        self.own.get(name).ok().map(|zone| (zone, "; by the program's own tzdata, this system has none"))
    }

    /// Why a name is no zone, and what was perhaps meant.
    fn unknown(&self, name: &str) -> String {
        let folded = name.trim().to_ascii_lowercase();
        let near = self.own.available().map(|known| (distance(&folded, &known.as_str().to_ascii_lowercase()), known));
        let near = near.min_by(|one, other| one.0.cmp(&other.0).then_with(|| one.1.as_str().cmp(other.1.as_str())));
        let mut words = format!("{name:?} is no time zone");
        match near {
            Some((far, near)) if far <= 1 + folded.len() / 6 => words += &format!("; did you mean {}?", near.as_str()),
            _ => words += ": write a name such as Europe/London",
        }
        if !self.has_system() {
            words += " (this system has no tzdata; the program's own was asked)";
        }
        words
    }
}

fn named_in(name: &str, option: &str, sources: &Sources) -> Result<Zone, BadValue> {
    if let Some(offset) = offset(name) {
        let offset = offset.map_err(|words| bad!("{option}: {name:?}: {words}"))?;
        return Ok(Zone { rules: TimeZone::fixed(offset), words: format!("{name} ({option})") });
    }
    if let Some((rules, more)) = sources.get(name) {
        return Ok(Zone { words: format!("{} ({option}{more})", rules.iana_name().unwrap_or(name)), rules });
    }
    match TimeZone::posix(name) {
        Ok(rules) if name.contains(',') => Ok(Zone { rules, words: format!("{name} ({option})") }),
        // In POSIX's form the sign is the other way round, and hardly anybody who types it here knows.
        Ok(_) => Err(bad!(
            "{option}: {name:?} is understood differently by different programs: write an offset such as +02:00 or a name \
             such as Europe/London"
        )),
        Err(_) => Err(bad!("{option}: {}", sources.unknown(name))),
    }
}

/// Reads `+02:00`, `-03:30` or `+14`; `None`: it is not of that form.
fn offset(text: &str) -> Option<Result<Offset, BadValue>> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "00"));
    let number = |text: &str| match text.len() {
        2 if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse::<i32>().ok(),
        _ => None,
    };
    let seconds = match (number(hours), number(minutes)) {
        (Some(hours), Some(minutes)) if minutes < 60 => hours * 3_600 + minutes * 60,
        _ => return Some(Err("write an offset such as +02:00".into())),
    };
    if seconds > OFFSET_MAX_SECONDS {
        return Some(Err("offsets go from -14:00 to +14:00".into()));
    }
    Some(Offset::from_seconds(sign * seconds).map_err(|error| error.to_string().into()))
}

fn of_system_in(tz: Option<OsString>, localtime: &Path, sources: &Sources) -> Result<Zone, BadValue> {
    let Some(tz) = tz else { return of_localtime(localtime, sources) };
    let Some(text) = tz.to_str() else { return Err("TZ is not UTF-8, and so no time zone".into()) };
    // The colon is POSIX's, before a name.
    let name = text.strip_prefix(':').unwrap_or(text);
    if name.is_empty() {
        return Ok(Zone { rules: TimeZone::UTC, words: "UTC (TZ is set and empty)".into() });
    }
    if name.starts_with('/') {
        return of_file(Path::new(name), "from TZ", sources).map_err(|words| bad!("TZ: {words}"));
    }
    let plain = name.strip_prefix("posix/").unwrap_or(name);
    if let Some((rules, more)) = sources.get(plain) {
        return Ok(Zone { words: format!("{} (from TZ{more})", rules.iana_name().unwrap_or(plain)), rules });
    }
    match TimeZone::posix(name) {
        Ok(rules) => Ok(Zone { rules, words: format!("{name} (from TZ)") }),
        Err(_) => Err(bad!("TZ: {}", sources.unknown(name))),
    }
}

fn of_localtime(path: &Path, sources: &Sources) -> Result<Zone, BadValue> {
    match path.symlink_metadata() {
        Ok(_) => of_file(path, &format!("this system's, from {}", path.display()), sources),
        // As the C library has it.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Zone { rules: TimeZone::UTC, words: format!("UTC (neither TZ nor {} says otherwise)", path.display()) })
        }
        Err(error) => Err(bad!("{}: {error}", path.display())),
    }
}

/// A zone's file. One below a folder `zoneinfo`, or a link there, has that name, and need not be there: its rules may come
/// from elsewhere.
fn of_file(path: &Path, from: &str, sources: &Sources) -> Result<Zone, BadValue> {
    let link = std::fs::read_link(path).ok();
    let whole = path.canonicalize().ok();
    for place in [Some(path.to_path_buf()), link, whole].into_iter().flatten() {
        let Some((_, name)) = place.to_str().and_then(|place| place.rsplit_once("/zoneinfo/")) else { continue };
        if let Some((rules, more)) = sources.get(name.strip_prefix("posix/").unwrap_or(name)) {
            return Ok(Zone { words: format!("{} ({from}{more})", rules.iana_name().unwrap_or(name)), rules });
        }
    }
    let at = |words: &dyn std::fmt::Display| format!("{}: {words}", path.display());
    let facts = path.metadata().map_err(|error| at(&crate::words::trouble::words(&error)))?;
    if !facts.is_file() || facts.len() > FILE_OCTETS_MAX {
        return Err(at(&"this is no file of a time zone").into());
    }
    let octets = std::fs::read(path).map_err(|error| at(&crate::words::trouble::words(&error)))?;
    let rules = TimeZone::tzif("", &octets).map_err(|_| at(&"this is no file of a time zone"))?;
    Ok(Zone { rules, words: format!("the zone of {} ({from})", path.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn without_system() -> Sources {
        Sources { system: TimeZoneDatabase::none(), own: TimeZoneDatabase::bundled() }
    }

    /// The offset in summer, in minutes.
    fn summer(zone: &Zone) -> i32 {
        zone.rules.to_offset("2026-07-01T00:00Z".parse::<Timestamp>().unwrap()).seconds() / 60
    }

    #[test]
    fn an_option_names_a_zone_an_offset_or_a_rule() {
        let sources = without_system();
        for (name, minutes, words) in [
            ("Europe/Paris", 120, "Europe/Paris (--time-zone; by the program's own tzdata, this system has none)"),
            ("europe/paris", 120, "Europe/Paris (--time-zone; by the program's own tzdata, this system has none)"),
            ("+02:00", 120, "+02:00 (--time-zone)"),
            ("-03:30", -210, "-03:30 (--time-zone)"),
            ("+14", 840, "+14 (--time-zone)"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 120, "CET-1CEST,M3.5.0,M10.5.0/3 (--time-zone)"),
        ] {
            let zone = named_in(name, "--time-zone", &sources).unwrap();
            assert_eq!((summer(&zone), zone.words.as_str()), (minutes, words));
        }
        for (name, words) in [
            ("Europe/Pairs", "did you mean Europe/Paris? (this system has no tzdata"),
            ("Europe/Paris ", "did you mean Europe/Paris?"),
            ("Mars", "\"Mars\" is no time zone"),
            ("", "\"\" is no time zone"),
            ("+15:00", "offsets go from -14:00 to +14:00"),
            ("+2:00", "write an offset such as +02:00"),
            ("UTC+2", "write an offset such as +02:00"),
        ] {
            let said = named_in(name, "--time-zone", &sources).unwrap_err();
            assert!(said.starts_with("--time-zone: ") && said.contains(words), "{name}: {said}");
        }
        let said = named_in("Europe/Pairs", "--time-zone", &with_a_folder().1).unwrap_err();
        assert!(!said.contains("tzdata"), "{said}");
    }

    /// A system whose tzdata holds one zone, with rules of its own.
    fn with_a_folder() -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("zoneinfo/Europe")).unwrap();
        for (name, octets) in [("Europe/Paris", paris()), ("UTC", utc())] {
            std::fs::write(folder.path().join("zoneinfo").join(name), octets).unwrap();
        }
        let system = TimeZoneDatabase::from_dir(folder.path().join("zoneinfo")).unwrap();
        (folder, Sources { system, own: TimeZoneDatabase::bundled() })
    }

    /// A TZif file without transitions: a fixed offset of so many seconds.
    fn fixed_file(seconds: i32, name: &str) -> Vec<u8> {
        let mut octets = Vec::new();
        for _ in 0..2 {
            octets.extend(b"TZif2");
            octets.extend([0; 15]);
            for count in [0u32, 0, 0, 0, 1, name.len() as u32 + 1] {
                octets.extend(count.to_be_bytes());
            }
            octets.extend(seconds.to_be_bytes());
            octets.extend([0, 0]);
            octets.extend(name.as_bytes());
            octets.push(0);
        }
        octets.extend(format!("\n{name}{}\n", -seconds / 3_600).as_bytes());
        octets
    }

    fn paris() -> Vec<u8> {
        fixed_file(5 * 3_600, "PAR")
    }

    fn utc() -> Vec<u8> {
        fixed_file(0, "UTC")
    }

    #[test]
    fn the_systems_rules_win_and_what_they_lack_comes_from_the_programs_own() {
        let (_folder, sources) = with_a_folder();
        let zone = named_in("Europe/Paris", "--time-zone", &sources).unwrap();
        assert_eq!((summer(&zone), zone.words.as_str()), (300, "Europe/Paris (--time-zone)"));
        let zone = named_in("Europe/Oslo", "--time-zone", &sources).unwrap();
        assert_eq!(summer(&zone), 120);
        assert!(zone.words.contains("the system's lacks it"), "{}", zone.words);
    }

    #[test]
    fn tz_is_read_as_the_c_library_reads_it_and_what_it_cannot_be_is_refused() {
        let (folder, sources) = with_a_folder();
        let file = folder.path().join("somewhere");
        std::fs::write(&file, fixed_file(3 * 3_600, "SOM")).unwrap();
        let (file, nowhere) = (file.to_str().unwrap(), Path::new("/nowhere/localtime"));
        let below = folder.path().join("zoneinfo/Europe/Paris");
        for (tz, minutes, words) in [
            ("Europe/Paris", 300, "Europe/Paris (from TZ)"),
            (":Europe/Paris", 300, "Europe/Paris (from TZ)"),
            ("posix/Europe/Paris", 300, "Europe/Paris (from TZ)"),
            ("", 0, "UTC (TZ is set and empty)"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 120, "CET-1CEST,M3.5.0,M10.5.0/3 (from TZ)"),
            ("XYZ+2", -120, "XYZ+2 (from TZ)"),
            (file, 180, &format!("the zone of {file} (from TZ)")),
            (below.to_str().unwrap(), 300, "Europe/Paris (from TZ)"),
        ] {
            let zone = of_system_in(Some(tz.into()), nowhere, &sources).unwrap();
            assert_eq!((summer(&zone), zone.words.as_str()), (minutes, words), "{tz}");
        }
        for (tz, words) in [
            ("Europe/Pairs", "TZ: \"Europe/Pairs\" is no time zone; did you mean Europe/Paris?"),
            ("Europe/Paris ", "TZ: \"Europe/Paris \" is no time zone; did you mean Europe/Paris?"),
            ("/no/such", "TZ: /no/such: there is no such file"),
            ("/dev/null", "TZ: /dev/null: this is no file of a time zone"),
            ("/etc/passwd", "TZ: /etc/passwd: this is no file of a time zone"),
        ] {
            let said = of_system_in(Some(tz.into()), nowhere, &sources).unwrap_err();
            assert!(said.starts_with(words), "{tz}: {said}");
        }
    }

    #[test]
    fn localtime_is_a_link_a_copy_or_not_there() {
        let (folder, sources) = with_a_folder();
        let place = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(place("zoneinfo/Europe/Paris"), place("linked")).unwrap();
        // tzdata was removed, and the link was not.
        std::os::unix::fs::symlink("../usr/share/zoneinfo/Europe/Oslo", place("dangling")).unwrap();
        std::os::unix::fs::symlink("../usr/share/zoneinfo/Europe/Nowhere", place("lost")).unwrap();
        std::fs::write(place("copied"), fixed_file(3_600, "ONE")).unwrap();
        std::fs::write(place("garbage"), "Europe/Paris\n").unwrap();
        for (name, minutes, words) in [
            ("linked", 300, "Europe/Paris (this system's, from "),
            ("dangling", 120, "Europe/Oslo (this system's, from "),
            ("copied", 60, "the zone of "),
            ("absent", 0, "UTC (neither TZ nor "),
        ] {
            let zone = of_system_in(None, &place(name), &sources).unwrap();
            assert!(summer(&zone) == minutes && zone.words.starts_with(words), "{name}: {zone:?}");
        }
        for name in ["lost", "garbage"] {
            let said = of_system_in(None, &place(name), &sources).unwrap_err();
            assert!(said.contains(name), "{said}");
        }
    }
}
