//! Whose settings count.

use super::{User, give_away};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_strangers_settings_decide_nothing() {
    let user = User::new();
    user.rows("one");
    let port = user.smsc.port();
    put(
        &user.path(".config/smppost/smppost.toml"),
        &format!("[p]\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"own\"\n"),
    );
    let left = user.path("one/smppost.toml");
    put(&left, "[p]\nhost = \"stranger.invalid\"\nsystem_id = \"own\"\n");
    // One's own counts, and both are said.
    let own = user.run("one", &["probe", "--profile", "p"]);
    own.assert(1, "stranger.invalid").assert(1, &format!("settings: profile p in {}", left.display()));
    own.assert(1, "warning: profile p stands in two files").assert(1, ".config/smppost/smppost.toml is not");
    std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o666)).unwrap();
    user.run("one", &["probe", "--profile", "p"]).assert(2, "others can change it (mode 666)");
    if !give_away(&left) {
        return;
    }
    let said = user.run("one", &["send", "c.csv", "--profile", "p"]);
    said.assert(0, "is not used, since it belongs to another user (number 12345)");
    assert_eq!(user.got().len(), 3);
    assert!(!said.stderr.contains("stranger.invalid"), "{said:?}");
    // Named, it is read; but no password goes where it says.
    std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o644)).unwrap();
    let named = ["send", "c.csv", "--profile", "p", "--config", "smppost.toml"];
    user.run("one", &named).assert(2, "smppost.toml line 2: the file belongs to another user (number 12345)");
    user.with_account("one", &named).assert(0, "");
}

#[test]
fn a_profile_is_found_in_whichever_file_has_it() {
    let user = User::new();
    put(&user.path(".config/smppost/smppost.toml"), "[mine]\nhost = \"a.invalid\"\nsystem_id = \"own\"\n");
    put(&user.path("one/smppost.toml"), "[other]\nhost = \"b.invalid\"\nsystem_id = \"own\"\n");
    user.run("one", &["probe", "--profile", "mine"]).assert(1, "a.invalid");
    user.run("one", &["profile", "check", "mine"]).assert(0, "mine: right");
    let list = user.run("one", &["profile", "list"]);
    list.assert(0, "mine\ta.invalid").assert(0, "other\tb.invalid");
    user.run("one", &["probe", "--profile", "none"]).assert(2, "no profile \"none\"");
}

#[test]
fn the_journal_of_a_profiles_account_is_found_by_every_command() {
    let user = User::new();
    user.rows("one");
    let port = user.smsc.port();
    put(
        &user.path(".config/smppost/smppost.toml"),
        &format!("[default]\naccount = \"shop\"\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"own\"\n"),
    );
    user.run("one", &["import", "c.csv"]).assert(0, "/.local/share/smppost/shop.db");
    user.run("two", &["resume", "c"]).assert(0, "");
    assert!(user.run("three", &["list"]).assert(0, "").stdout.contains("\nc "));
    assert_eq!(user.got().len(), 3);
}

#[test]
fn a_credential_of_the_service_manager_is_taken() {
    let user = User::new();
    user.rows("one");
    let credential = user.folder("credentials").join("password");
    put(&credential, "secret\n");
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o440)).unwrap();
    let path = credential.to_string_lossy().into_owned();
    let arguments = ["send", "c.csv", "--password-file", &path];
    user.with_account("one", &arguments).assert(2, "others can read it (mode 440)");
    let folder = user.path("credentials").to_string_lossy().into_owned();
    user.with("CREDENTIALS_DIRECTORY", &folder).with_account("one", &arguments).assert(0, "");
}
