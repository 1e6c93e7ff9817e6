//! Profiles: what they set, what beats them, what is wrong with them.
use crate::common::{Smppost, expected, open, rows, states};
use smppost::smsc::{Settings, Smsc};
use std::os::unix::fs::PermissionsExt;

fn smsc() -> Smsc {
    Smsc::start(Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() }).unwrap()
}

fn profile(port: u16) -> String {
    format!(
        "[acme]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"profiled\"\nbind = \"tx+rx\"\nconnections = 2\n\
         rate = \"unlimited\"\nfrom = \"Acme\"\njournal = \"acme.db\"\nstrict_password = true\n\
         [acme.field]\nsource_addr_npi = 1\n[acme.status]\n\"0x45\" = \"permanent\"\n"
    )
}

#[test]
fn a_profile_is_as_good_as_typing_and_what_is_typed_beats_it() {
    let smsc = smsc();
    let smppost = Smppost::new();
    smppost.file("smppost.toml", profile(smsc.local_addr().port()));
    smppost.file("c.csv", rows(5));
    // The environment of these tests names a journal, which beats the profile's.
    smppost.run(&["send", "c.csv", "--profile", "acme"]).assert_code(0);
    assert_eq!(states(&smppost.journal(), "c"), expected([("delivered", 5)]));
    let bound = |sql: &str| -> String { open(&smppost.journal()).query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        bound("SELECT group_concat(bind || system_id) FROM (SELECT * FROM session ORDER BY bind)"),
        "rxprofiled,txprofiled"
    );
    assert_eq!(bound("SELECT source FROM message_status LIMIT 1"), "Acme");
    let more = [
        "send",
        "c.csv",
        "--campaign",
        "d",
        "--profile",
        "acme",
        "--bind",
        "trx",
        "--connections=1",
        "--from",
        "Typed",
    ];
    smppost.run(&more).assert_code(0);
    assert_eq!(bound("SELECT source FROM message_status WHERE campaign = 'd' LIMIT 1"), "Typed");
    assert_eq!(bound("SELECT bind FROM session ORDER BY id DESC LIMIT 1"), "trx");
    // A list in the journal that the profile names.
    let other = Smppost::new().environment("SMPPOST_PROFILE", "acme").environment("SMPPOST_SYSTEM_ID", "environment");
    other.file("smppost.toml", profile(smsc.local_addr().port()));
    other.file("c.csv", rows(2));
    other.run(&["send", "c.csv"]).assert_code(0);
    let name: String = open(&other.journal()).query_row("SELECT system_id FROM session", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "environment");
}

#[test]
fn f13_f15_what_is_wrong_in_a_profile_is_named_by_line() {
    let smppost = Smppost::new().environment("SMPPOST_PASSWORD", "123456789");
    smppost.file("c.csv", rows(1));
    for (text, words) in [
        (
            "[default]\nhost = \"127.0.0.1\"\nwindw = 1\n",
            "smppost.toml line 3: there is no key `windw`; did you mean `window`?",
        ),
        ("[default]\nhost = \"127.0.0.1\"\n\nwindow = 0\n", "smppost.toml line 4: invalid value '0' for '--window"),
        ("[default]\nrate = \"fast\"\n", "line 2: invalid value 'fast'"),
        ("[default]\n[default.status]\n\"0x45\" = \"lost\"\n", "line 3: status \"0x45\": \"lost\" is none of"),
        ("[default]\nbind = \"both\"\n", "line 2: invalid value 'both'"),
        ("[default]\nhost = \"127.0.0.1\"\nsystem_id = \"x\"\nstrict_password = true\n", "9 octets"),
    ] {
        smppost.file("smppost.toml", text);
        let ended = smppost.run(&["send", "c.csv"]);
        ended.assert_code(2);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.said());
        assert!(!smppost.journal().exists());
    }
    let ended = smppost.run(&["send", "c.csv", "--profile", "acme"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("there are: default"), "{}", ended.said());
    let ended = smppost.run(&["send", "c.csv", "--config", "nowhere.toml"]);
    ended.assert_code(2);
    assert!(ended.stderr.contains("nowhere.toml"), "{}", ended.said());
}

#[test]
fn profiles_are_listed_and_checked() {
    let smppost = Smppost::new();
    smppost.run(&["profile", "list"]).assert_code(2);
    smppost.file("smppost.toml", profile(2777) + "[other]\nhost = \"b.example\"\nsystem_id = \"x\"\ntls = true\n");
    let list = smppost.run(&["profile", "list"]);
    assert!(list.stdout.contains("acme\t127.0.0.1\t") && list.stdout.contains("other\tb.example"), "{}", list.said());
    let check = smppost.run(&["profile", "check"]);
    check.assert_code(0);
    assert!(check.stdout.contains("acme: right: 127.0.0.1 port 2777, no TLS"), "{}", check.said());
    assert!(check.stdout.contains("other: right: b.example port 2778, TLS"), "{}", check.said());
    smppost.file(
        "smppost.toml",
        profile(2777) + "[other]\nhost = \"b.example\"\nsystem_id = \"x\"\ntls_ca = \"no.pem\"\n",
    );
    let check = smppost.run(&["profile", "check"]);
    check.assert_code(2);
    assert!(
        check.stdout.contains("other: wrong: smppost.toml line 18: --tls-ca") && check.stdout.contains("acme: right"),
        "{}",
        check.said()
    );
    smppost.run(&["profile", "check", "acme"]).assert_code(0);
}

/// A profile that is called right is not refused by `send`, and what is wrong has the same words and exit code in both.
#[test]
fn f15_what_send_refuses_of_a_profile_is_not_called_right() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    for (more, words) in [
        ("concat = \"udh9\"", "line 4: invalid value 'udh9' for '--concat <CONCAT>': one of udh8, udh16, sar, payload"),
        (
            "[x.status]\n\"0x58\" = \"throttled\"\n\"0x45\" = \"transient\"",
            "line 6: status \"0x45\": \"transient\" is none of throttled, temporary, session, account, permanent",
        ),
        (
            "[x.field]\ndest_addr_ton = 1\ndest_addr_tonn = 1",
            "line 6: field \"dest_addr_tonn\": no such field; there are ",
        ),
        ("[x.field]\npriority_flag = 9", "line 5: field \"priority_flag\": `9` is not a number from 0 to 3"),
        ("smpp_version = \"3.3\"\nbind = \"tx\"\nconcat = \"sar\"", "--concat sar needs optional parameters"),
        ("smpp_version = \"3.3\"\nbind = \"tx\"\nvia = \"data_sm\"", "--via data_sm needs optional parameters"),
        ("tlvs = \"no\"\nconcat = \"payload\"", "--concat payload needs optional parameters"),
        ("via = \"data_sm\"\n[x.field]\npriority_flag = 1", "--field: data_sm has no field priority_flag"),
        ("time_zone = \"Europe/Atlantis\"", "--time-zone: \"Europe/Atlantis\" is no time zone"),
    ] {
        smppost.file("smppost.toml", format!("[x]\nhost = \"127.0.0.1\"\nsystem_id = \"x\"\n{more}\n"));
        let checked = smppost.run(&["profile", "check"]);
        checked.assert_code(2);
        assert!(checked.stdout.starts_with("x: wrong: smppost.toml line "), "{}", checked.said());
        assert!(checked.stdout.contains(words), "{words}: {}", checked.said());
        let sent = smppost.run(&["send", "c.csv", "--profile", "x"]);
        sent.assert_code(2);
        assert!(sent.stderr.contains(words), "{words}: {}", sent.said());
    }
}

#[test]
fn a_rehearsal_leaves_the_journal_of_the_profile_alone() {
    let smppost = Smppost::new();
    smppost.file("smppost.toml", profile(2777).replace("connections = 2\n", "connections = 4\n"));
    smppost.file("c.csv", rows(3));
    smppost.run(&["send", "c.csv", "--profile", "acme", "--simulate", "--journal", "rehearsal.db"]).assert_code(0);
    assert!(!smppost.path("acme.db").exists());
}

#[test]
fn what_an_smsc_means_by_its_codes_stands_in_the_profile() {
    let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), rate: None, ..Settings::default() };
    settings.outcomes = "undelivered=1".parse().unwrap();
    settings.quirks.set("provider-codes").unwrap();
    let smsc = Smsc::start(settings).unwrap();
    let own = |more: &str| format!("{}{more}", profile(smsc.local_addr().port()));
    let codes =
        "[acme.receipt_codes]\n0 = \"ENROUTE\"\n1 = \"UNDELIVERABLE\"\n2 = \"DELIVERED\"\n5 = \"UNDELIVERABLE\"\n";
    let keys = "receipt_codes_in_state = true\nstop_words = [\"STOP\", \"ARRET\"]\ndefault_alphabet = \"latin1\"\n\
                concat = \"udh16\"\nretry_delays = [\"1s\", \"1m\"]\ntlvs = \"yes\"\n";
    let toml = own(codes).replace("[acme.field]", &format!("{keys}[acme.field]"));
    let smppost = Smppost::new();
    smppost.file("smppost.toml", &toml);
    smppost.run(&["profile", "check"]).assert_code(0);
    smppost.file("c.csv", rows(3));
    smppost.run(&["send", "c.csv", "--profile", "acme", "--wait-receipts", "5s"]).assert_code(3);
    // Without the table 1 would be SMPP's ENROUTE, and the messages still on their way.
    assert_eq!(states(&smppost.journal(), "c"), expected([("failed", 3)]));
    let options: String =
        open(&smppost.journal()).query_row("SELECT options FROM campaign", [], |row| row.get(0)).unwrap();
    assert!(options.contains("\"latin1\"") && options.contains("\"udh16\""), "{options}");
    for wrong in ["concat = \"udh9\"", "default_alphabet = \"ebcdic\"", "tlvs = \"maybe\"", "via = \"email\""] {
        smppost.file("smppost.toml", profile(9).replace("[acme.field]", &format!("{wrong}\n[acme.field]")));
        let ended = smppost.run(&["profile", "check"]);
        ended.assert_code(2);
        assert!(ended.stdout.contains("line 11"), "{}", ended.said());
    }
}

/// Passwords are told apart by their lengths, of which --strict-password speaks.
#[test]
fn f13_a_password_that_is_typed_beats_the_environment_which_beats_the_profile() {
    let smppost = Smppost::new();
    smppost.file("c.csv", rows(1));
    let own = "[default]\nhost = \"127.0.0.1\"\nsystem_id = \"x\"\nstrict_password = true\npassword_file = \"nine\"\n";
    for (name, text) in [("nine", "9".repeat(9)), ("eleven", "1".repeat(11)), ("smppost.toml", own.into())] {
        std::fs::set_permissions(smppost.file(name, text), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ten = ("TEN", "0123456789");
    let twelve = ("SMPPOST_PASSWORD", "012345678901");
    for (typed, environment, words) in [
        (&[][..], &[][..], "has 9 octets"),
        (&[], &[twelve], "has 12 octets"),
        (&["--password-env", "TEN"], &[ten], "has 10 octets"),
        (&["--password-env", "TEN"], &[ten, twelve], "has 10 octets"),
        (&["--password-env", "TEN"], &[], "set TEN"),
        (&["--password-file", "eleven"], &[twelve], "has 11 octets"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_smppost"));
        command.current_dir(smppost.path("")).stdin(std::process::Stdio::null()).env_remove("SMPPOST_PASSWORD");
        let ended = command.args(["send", "c.csv"]).args(typed).envs(environment.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(2) && said.contains(words), "{typed:?} {environment:?}: {said}");
    }
}
