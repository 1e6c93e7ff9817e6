use super::*;
use crate::journal::model::campaign::CampaignOptions;
use crate::journal::store::intake::Intake;
use crossbeam_channel::{bounded, never};

#[test]
fn a_signal_that_comes_when_the_service_has_just_taken_the_command_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    Intake::begin(&path, "spring", "", &CampaignOptions::default()).unwrap().finish("").unwrap();
    let (signal, interrupt) = bounded(1);
    let request = Request::Release { campaigns: Vec::new(), terms: Terms::default() };
    signal.send(()).unwrap();
    let asked = ask(&path, &request, None, &interrupt).unwrap();
    assert!(matches!(asked, Asked::Interrupted), "{asked:?}");
    commands::answer_what_is_withdrawn(&journal::open_existing(&path).unwrap(), "{}");
    signal.send(()).unwrap();
    let asked = ask(&path, &request, None, &interrupt).unwrap();
    assert!(matches!(asked, Asked::AnsweredAll(_)), "{asked:?}");
}

#[test]
fn who_looks_on_ends_where_the_service_is_gone_and_looks_seldom_where_that_takes_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    Intake::begin(&path, "alerts", "", &CampaignOptions::default()).unwrap().finish("").unwrap();
    let campaigns = ["alerts".to_owned()];
    let opened = journal::open_read_only(&path).unwrap();
    let onlooker = Onlooker::new(&opened, &path, &campaigns).unwrap();
    let onlooker = Onlooker { back_within: Duration::from_millis(300), ..onlooker };
    let (mut looks, mut heard) = (0, Vec::new());
    let mut look = |_: &Journal, _: &Onlooker<'_>, news: Vec<String>| -> Result<ControlFlow<()>, CliError> {
        heard.extend(news);
        looks += 1;
        std::thread::sleep(Duration::from_millis(20));
        Ok(ControlFlow::Continue(()))
    };
    let display = Display::new();
    let followed = onlooker.follow(&opened, Duration::from_millis(1), &never(), &display, &mut look).unwrap();
    assert!(matches!(followed, Followed::Gone));
    assert_eq!(heard, ["the service has ended: waiting for it to be started anew"]);
    assert!(looks <= 3, "{looks} looks of 20 ms in 300 ms");
    let onlooker = Onlooker::new(&opened, &path, &campaigns).unwrap();
    let (signal, interrupt) = bounded(1);
    signal.send(()).unwrap();
    let mut look = |_: &Journal, _: &Onlooker<'_>, _: Vec<String>| Ok(ControlFlow::<()>::Continue(()));
    let followed = onlooker.follow(&opened, Duration::from_millis(1), &interrupt, &display, &mut look).unwrap();
    assert!(matches!(followed, Followed::Interrupted));
}

/// Options that say something of the account or of its connections, and are the service's: refused by name beside it.
const THE_ACCOUNTS: &str = "host port system-id password-file password-env strict-password system-type address-range addr-ton addr-npi \
    smpp-version tlvs bind local-address connections hosts lend-connections window rate rate-tolerance status status-preset \
    retry-delays same-account tls tls-ca tls-server-name tls-client-cert tls-client-key tls-pin-sha256 tls-danger-accept-any-cert \
    connect-timeout bind-timeout response-timeout write-timeout enquire-link-interval inactivity-timeout give-up-after rx-host \
    rx-port rx-system-id rx-system-type record record-texts record-size record-keep receipt-codes receipt-codes-in-state \
    accepted-is-final receipt-state opt-out-words opt-in-words receipt-horizon between days start-at stop-at canary go-on-when \
    test-to test-line adopt nothing-sent-since simulate default-alphabet";
/// Those that are heeded by the command itself.
const LOCAL: &str = "wait-receipts dry-run detach yes progress on-finish format";
/// Those that stand in the row, or in the journal with the campaign.
const TRAVELS: &str = "limit stop-when override-stop ignore-hours prices max-cost priority campaign-rate";
/// The same, of one command each: by its import, by its row.
const SENDS: &str = "campaign from text max-sender-length to-column text-column receipts receipts-for in-doubt allow-duplicates country \
    numbers several-numbers skip-sent-within alphabet transliterate shift-tables flash max-parts concat via field delimiter encoding \
    sheet allow-same-file allow-placeholders strict default-alphabet time-zone to id";
const RESUMES: &str = "all retry-rejected code retry-failed error uncancel line field time-zone";
const ASKS: &str = "line text at-smsc";

#[test]
fn every_option_travels_is_heeded_here_or_is_refused_by_name() {
    use clap::CommandFactory;
    let words = |list: &str| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let command = crate::cli::Cli::command();
    let alerts = [crate::cli::send::own_options(), vec!["to".into(), "id".into()]].concat();
    let resumes = crate::cli::resume::OWN.map(str::to_owned).to_vec();
    let asks = crate::cli::operations::OWN.map(str::to_owned).to_vec();
    let held = HeldBy { journal: "j.db".into(), by: None, is_service: true };
    for (name, own, heeded) in [
        ("send", alerts, SENDS),
        ("resume", resumes, RESUMES),
        ("query", asks.clone(), ASKS),
        ("replace", asks.clone(), ASKS),
        ("cancel", asks, ASKS),
    ] {
        let subcommand = command.find_subcommand(name).unwrap();
        let options = subcommand.get_arguments().filter(|option| !option.is_hide_set() && !option.is_global_set());
        for option in options.filter_map(|option| option.get_long()).filter(|long| *long != "help") {
            let is_heeded = [heeded, LOCAL, TRAVELS].iter().any(|list| words(list).iter().any(|word| word == option));
            let is_refused = words(THE_ACCOUNTS).iter().any(|word| word == option);
            assert!(is_heeded || is_refused, "{name} --{option}: what becomes of it beside a service?");
            let refused = refuse_idle(&[option.to_owned()], &own, &held);
            assert_eq!(refused.is_err(), !is_heeded, "{name} --{option}");
            if let Err(error) = refused {
                assert!(error.to_string().contains(&format!("--{option}: not beside the running service")), "{error}");
            }
        }
    }
}
