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
