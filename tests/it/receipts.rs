//! Receipts end to end: the real threads and sockets against the simulator, with a restart in between, for every shape
//! in which SMSCs send receipts. No setting of ours is changed for any of them.
use crossbeam_channel::never;
use smppost::smsc::{Delay, Every, Faults, IdForm, Quirks, ReceiptIdForm, Settings, Smsc};
use smppost::testing::client::BindMode;
use smppost::testing::import::campaign::{CampaignFile, Reading, import};
use smppost::testing::journal::files::lock::SenderLock;
use smppost::testing::journal::model::campaign::CampaignOptions;
use smppost::testing::journal::model::key::State;
use smppost::testing::journal::open_existing;
use smppost::testing::journal::store::decisions::{Decision, request};
use smppost::testing::run::pipeline::{Ended, Listen, Outcome, SendSettings, send};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MESSAGES: usize = 500;

/// A journal with a campaign, and a simulator.
struct Scene {
    _folder: tempfile::TempDir,
    journal: PathBuf,
    smsc: Smsc,
}

impl Scene {
    fn new(settings: Settings, messages: usize, text: &str, options: CampaignOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("campaign.csv");
        let mut rows = "to\n".to_owned();
        for n in 0..messages {
            writeln!(rows, "4917{n:08}").unwrap();
        }
        std::fs::write(&csv, rows).unwrap();
        let journal = folder.path().join("journal.db");
        let options =
            CampaignOptions { to_column: "to".into(), text: Some(text.into()), from: "Acme".into(), ..options };
        let campaign = CampaignFile { path: csv, name: "test".into(), options, reading: Reading::default() };
        import(&campaign, &journal, &mut smppost::testing::import::campaign::Willing).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let smsc = Smsc::start(Settings { listen, rate: None, ..settings }).unwrap();
        Self { _folder: folder, journal, smsc }
    }

    fn settings(&self) -> SendSettings {
        SendSettings::for_tests(&self.journal, self.smsc.local_addr().port())
    }

    fn run(&self, settings: &SendSettings) -> Outcome {
        let lock = SenderLock::take(&self.journal).unwrap();
        send(settings, &lock, &never(), &mut |_| ()).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        number(&self.journal, sql)
    }
}

fn number(journal: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(journal).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// 500 messages, the first half in a run that ends before their receipts come: all delivered, no receipt left over.
fn check(settings: Settings, rule: Option<&str>) {
    let receipt_delay = Delay::constant(Duration::from_millis(300));
    let scene = Scene::new(Settings { receipt_delay, ..settings }, MESSAGES, "Hello", CampaignOptions::default());
    let half =
        SendSettings { limit: Some(MESSAGES as u64 / 2), wait_receipts: Duration::from_millis(1), ..scene.settings() };
    scene.run(&half);
    let outcome = scene.run(&scene.settings());
    assert_eq!(outcome.ended, Ended::Done);
    assert_eq!(scene.number("SELECT delivered FROM campaign_summary"), MESSAGES as i64);
    assert_eq!(scene.number("SELECT count(*) FROM message_status WHERE state = 'delivered'"), MESSAGES as i64);
    assert_eq!(scene.number("SELECT count(*) FROM receipt_log WHERE campaign IS NULL"), 0);
    assert_eq!(scene.number("SELECT count(*) FROM stray"), 0);
    assert_eq!(scene.number("SELECT count(*) FROM message_status WHERE possible_duplicate"), 0);
    if let Some(rule) = rule {
        assert_eq!(scene.number(&format!("SELECT count(*) FROM receipt_log WHERE rule <> '{rule}'")), 0);
    }
}

fn quirks(set: &str) -> Settings {
    let mut quirks = Quirks::default();
    quirks.set(set).unwrap();
    Settings { quirks, ..Settings::default() }
}

#[test]
fn f32_usual_receipts() {
    check(Settings::default(), Some("exact id"));
}

#[test]
fn f32_early_receipts() {
    check(quirks("early"), Some("exact id"));
}

#[test]
fn f32_receipts_that_come_twice() {
    check(quirks("duplicate"), Some("exact id"));
}

#[test]
fn f33_hexadecimal_answers_and_decimal_receipts() {
    let receipt_id = Some(ReceiptIdForm::Form(IdForm::Dec));
    check(Settings { message_id: IdForm::Hex, receipt_id, ..Settings::default() }, Some("equivalent id"));
}

#[test]
fn f33_decimal_answers_and_hexadecimal_receipts() {
    let receipt_id = Some(ReceiptIdForm::Form(IdForm::Hex));
    check(Settings { message_id: IdForm::Dec, receipt_id, ..Settings::default() }, Some("equivalent id"));
}

#[test]
fn f33_decimal_answers_and_hexadecimal_early_duplicate_receipts() {
    let receipt_id = Some(ReceiptIdForm::Form(IdForm::Hex));
    let mut settings = quirks("early=2");
    settings.quirks.duplicate = Every(3);
    check(Settings { message_id: IdForm::Dec, receipt_id, ..settings }, Some("equivalent id"));
}

#[test]
fn f33_padded_receipts() {
    let receipt_id = Some(ReceiptIdForm::ZeroFilled);
    check(Settings { message_id: IdForm::Dec, receipt_id, ..Settings::default() }, Some("equivalent id"));
}

#[test]
fn f33_unrelated_ids_are_matched_by_the_reference() {
    // A UUID here, another there: only the echoed reference tells.
    let receipt_id = Some(ReceiptIdForm::Form(IdForm::RandomHex));
    check(Settings { message_id: IdForm::Uuid, receipt_id, ..Settings::default() }, Some("user_message_reference"));
}

#[test]
fn f36_receipts_of_tlvs_alone() {
    check(quirks("tlv-only"), Some("exact id"));
}

#[test]
fn f36_receipts_of_text_alone() {
    check(quirks("text-only"), Some("exact id"));
}

#[test]
fn f36_intermediate_notifications() {
    check(quirks("intermediate"), Some("exact id"));
}

#[test]
fn f36_receipts_in_data_sm() {
    check(quirks("data-sm"), Some("exact id"));
}

#[test]
fn f25_an_smsc_without_tlvs_gets_none() {
    check(Settings { sc_interface_version: None, ..Settings::default() }, Some("exact id"));
}

#[test]
fn f37_receipts_for_the_first_part_only() {
    let options = CampaignOptions {
        receipts_for: smppost::testing::journal::model::state::ReceiptsFor::First,
        ..CampaignOptions::default()
    };
    let scene = Scene::new(quirks("first-part-only"), 50, &"long ".repeat(60), options);
    scene.run(&scene.settings());
    assert_eq!(scene.number("SELECT delivered FROM campaign_summary"), 50);
}

#[test]
fn f32_late_receipts_are_collected_by_listening() {
    let receipt_delay = Delay::constant(Duration::from_secs(6));
    let scene = Scene::new(Settings { receipt_delay, ..Settings::default() }, 50, "Hello", CampaignOptions::default());
    scene.run(&SendSettings { wait_receipts: Duration::from_millis(1), ..scene.settings() });
    assert_eq!(scene.number("SELECT accepted FROM campaign_summary"), 50);
    let mut listening = scene.settings();
    listening.account.bind = BindMode::Receiver;
    listening.listen = Some(Listen { time: Some(Duration::from_secs(16)) });
    listening.campaigns.clear();
    let outcome = scene.run(&listening);
    assert_eq!(outcome.status.receipts, 50);
    assert_eq!(scene.number("SELECT delivered FROM campaign_summary"), 50);
}

#[test]
fn f27_what_is_never_answered_is_in_doubt_until_its_receipt_or_a_decision() {
    // Every tenth message is taken, and neither answered nor receipted.
    let faults = Faults { silence: Every(10), ..Faults::default() };
    let scene = Scene::new(
        Settings { faults, receipt_delay: Delay::constant(Duration::from_secs(60)), ..Settings::default() },
        100,
        "Hello",
        CampaignOptions::default(),
    );
    let outcome = scene.run(&SendSettings { wait_receipts: Duration::from_millis(1), ..scene.settings() });
    let doubtful = outcome.status.counts[State::InDoubt as usize];
    assert!(doubtful > 0);
    request(&open_existing(&scene.journal).unwrap(), "test", &Decision::AssumeSent { lines: vec![] }).unwrap();
    scene.run(&SendSettings { wait_receipts: Duration::from_millis(1), ..scene.settings() });
    assert_eq!(scene.number("SELECT in_doubt FROM campaign_summary"), 0);
    assert_eq!(scene.number("SELECT accepted FROM campaign_summary"), 100);
}

#[test]
fn f34_receipts_settle_what_was_never_answered() {
    let faults = Faults { silence: Every(10), ..Faults::default() };
    let scene = Scene::new(Settings { faults, ..Settings::default() }, 100, "Hello", CampaignOptions::default());
    scene.run(&scene.settings());
    assert_eq!(scene.number("SELECT delivered FROM campaign_summary"), 100);
    let settled = "SELECT count(*) FROM receipt_log WHERE rule IN ('user_message_reference', 'attempt in doubt')";
    assert!(scene.number(settled) > 0);
}
