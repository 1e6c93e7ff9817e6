//! The controller against limiters of the field, simulated.

use super::limiters::Limiter;
use super::sim::{Result, Scene, run};
use super::*;
use proptest::prelude::*;

const THROTTLED: Said = Said::Throttled(0x58);

fn scene(limiters: Vec<Limiter>, asked: Option<f64>) -> Scene {
    Scene { limiters, asked, ..Scene::default() }
}

/// Runs it with some seeds.
fn of_seeds(scene: &Scene) -> Vec<Result> {
    (1..=3).map(|seed| run(Scene { seed, ..scene.clone() })).collect()
}

#[track_caller]
fn check(scene: &Scene, possible: f64, at_least: f64, refused_at_most: f64) {
    for result in of_seeds(scene) {
        let ratio = result.accepted as f64 / (possible * scene.seconds);
        assert!(ratio >= at_least, "{ratio:.3} of the possible: {result:?}");
        assert!(result.share() <= refused_at_most, "{:.3} refused: {result:?}", result.share());
    }
}

#[test]
fn a_limit_is_found_from_above_and_without_any_rate() {
    for limiter in [Limiter::sliding(100.0), Limiter::sliding_counting(100.0), Limiter::token(100.0, 5.0)] {
        check(&scene(vec![limiter.clone()], Some(100.0)), 100.0, 0.99, 0.005);
        for asked in [Some(150.0), None] {
            check(&scene(vec![limiter.clone()], asked), 100.0, 0.88, 0.02);
        }
    }
    check(&scene(vec![Limiter::fixed(100.0)], Some(150.0)), 100.0, 0.93, 0.035);
    let limit = Scene { connections: 2, window: 200, ..scene(vec![Limiter::sliding(500.0)], None) };
    check(&limit, 500.0, 0.93, 0.02);
}

#[test]
fn what_is_refused_whatever_the_rate_does_not_lower_it() {
    for share in [0.01, 0.05, 0.2] {
        let limiters = vec![Limiter::Random { share }];
        for result in of_seeds(&scene(limiters, Some(100.0))) {
            assert!(result.accepted as f64 >= 0.85 * 4_000.0 * (1.0 - share), "{result:?}");
            assert!(result.between(25, 40) >= 0.8 * 1_500.0 * (1.0 - share), "{result:?}");
        }
    }
    // Both at once.
    let both = scene(vec![Limiter::Random { share: 0.02 }, Limiter::sliding(100.0)], Some(150.0));
    check(&both, 100.0, 0.85, 0.1);
}

#[test]
fn a_penalty_box_is_left_and_not_entered_again() {
    for asked in [Some(150.0), None] {
        for result in of_seeds(&scene(vec![Limiter::penalty(100.0, 10, 10.0, 20.0)], asked)) {
            assert!(result.boxes <= 1 && result.share() < 0.1, "{result:?}");
        }
        for result in of_seeds(&scene(vec![Limiter::penalty_by_tries(100.0, 8.0)], asked)) {
            assert!(result.boxes == 1 && result.accepted > 2_000 && result.share() < 0.05, "{result:?}");
            assert_eq!(result.findings.boxes, 1);
        }
    }
}

#[test]
fn connections_that_are_ended_for_excess_are_few_and_leave_little_in_doubt() {
    for asked in [Some(150.0), None] {
        for result in of_seeds(&scene(vec![Limiter::hangup(100.0)], asked)) {
            assert!(result.lost <= 2 && result.in_doubt <= 30, "{result:?}");
            assert!(result.accepted as f64 >= 0.9 * 4_000.0, "{result:?}");
        }
    }
}

#[test]
fn a_window_is_found_by_what_is_refused_beyond_it() {
    for status in [THROTTLED, Said::Throttled(0x14), Said::Temporary(0x45)] {
        for connections in [1, 2] {
            for (most, rounds) in [(1, 45.0), (2, 40.0)] {
                let limiters = vec![Limiter::Outstanding { most }];
                let scene = Scene { status, connections, latency: (0.02, 0.01), window: 10, ..scene(limiters, None) };
                for result in of_seeds(&scene) {
                    let possible = most as f64 * rounds * connections as f64 * scene.seconds * 0.9;
                    assert!(result.accepted as f64 >= 0.6 * possible, "{most}, {status:?}, {connections}: {result:?}");
                    assert!(result.share() < 0.1, "{result:?}");
                    assert!(result.spent <= 4 || status != Said::Temporary(0x45), "{result:?}");
                    if most == 1 {
                        assert_eq!(result.findings.window, Some(1), "{status:?}, {connections}: {result:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_code_that_is_refused_less_when_slower_is_throttling() {
    for asked in [Some(150.0), None] {
        let scene = Scene { status: Said::Temporary(0x401), ..scene(vec![Limiter::sliding(100.0)], asked) };
        for result in of_seeds(&scene) {
            assert_eq!(result.findings.throttling, [0x401], "{result:?}");
            assert!(result.spent <= 10 && result.accepted as f64 >= 0.9 * 4_000.0, "{result:?}");
        }
    }
}

#[test]
fn a_code_that_is_refused_at_any_rate_is_its_messages_fault() {
    let scene = Scene { status: Said::Temporary(0x45), ..scene(vec![Limiter::Random { share: 0.2 }], Some(100.0)) };
    for result in of_seeds(&scene) {
        assert_eq!(result.findings.throttling, [] as [u32; 0], "{result:?}");
        assert!(result.findings.independent.contains(&0x45), "{result:?}");
        assert!(result.spent as f64 >= 0.7 * result.refused as f64, "{result:?}");
    }
}

#[test]
fn what_was_never_accepted_is_no_matter_of_pace() {
    let mut controller = Controller::new(Some(100.0), 1, 0.0);
    for n in 0..50 {
        let at = f64::from(n) * 0.01;
        let said = Said::Temporary(0x08);
        controller.answered(at + 0.001, &[Answered { sent_at: at, count: 1, depth: 1, said }]);
    }
    assert_eq!((controller.pace(), controller.excuses(0x08)), (Pace::PerSecond(100.0), false));
}

#[test]
fn a_limit_that_falls_and_rises_is_found_again() {
    let steps = [(100.0, 15.0), (20.0, 15.0), (200.0, 60.0)];
    let moves = Scene { seconds: 60.0, ..scene(vec![Limiter::schedule(&steps)], None) };
    for result in of_seeds(&moves) {
        assert!(result.between(20, 30) >= 160.0, "{result:?}");
        assert!(result.between(50, 60) >= 1_700.0, "{result:?}");
    }
}

#[test]
fn a_rate_that_an_earlier_run_found_is_gone_on_from() {
    let known = Scene { start_from: Some(98.0), ..scene(vec![Limiter::sliding(100.0)], None) };
    check(&known, 100.0, 0.95, 0.01);
    // The limit has risen meanwhile.
    let risen = Scene { start_from: Some(20.0), ..scene(vec![Limiter::sliding(100.0)], None) };
    for result in of_seeds(&risen) {
        assert!(result.between(30, 40) >= 900.0, "{result:?}");
    }
}

#[test]
fn connections_with_a_limit_each_have_their_share() {
    for asked in [Some(100.0), Some(150.0), None] {
        let each = Scene { connections: 2, ..scene(vec![Limiter::per_connection(50.0)], asked) };
        check(&each, 100.0, 0.9, 0.02);
    }
}

#[test]
fn limits_of_other_kinds_are_kept_to() {
    for asked in [Some(100.0), Some(150.0), None] {
        // Without a rate two go together at first, and one whose gap is too short looks like a window of one.
        let least = if asked.is_some() { 0.8 } else { 0.45 };
        check(&scene(vec![Limiter::spacing(100.0)], asked), 100.0, least, 0.07);
        check(&scene(vec![Limiter::tenth(100.0)], asked), 100.0, 0.8, 0.04);
        check(&scene(vec![Limiter::half(100.0)], asked), 100.0, 0.9, 0.04);
    }
    let once = vec![Limiter::Once { share: 0.05 }, Limiter::sliding(100.0)];
    check(&scene(once, Some(100.0)), 95.0, 0.9, 0.1);
    check(&scene(vec![Limiter::long(100.0, 5.0)], Some(150.0)), 100.0, 0.7, 0.2);
}

#[test]
fn a_silence_that_was_none_is_forgotten() {
    let mut controller = Controller::new(Some(100.0), 1, 0.0);
    let accepted = |controller: &mut Controller, from: f64| {
        for n in 0..12 {
            let sent = from + f64::from(n) * 0.1;
            let answer = Answered { sent_at: sent, count: 1, depth: 1, said: Said::Accepted };
            controller.answered(sent + 0.05, &[answer]);
        }
    };
    assert!(controller.silent(1.0, 5));
    assert_eq!((controller.window(), controller.findings().window), (Some(5), None), "tried, and not said yet");
    accepted(&mut controller, 1.1);
    assert_eq!(controller.findings().window, Some(5));
    controller.not_silent();
    assert_eq!((controller.window(), controller.findings().window), (None, None));
    // One that was the only one outstanding is lost, too: no window explains it, and it is not tried again.
    assert!(controller.silent(3.0, 1));
    controller.refute_silence();
    assert_eq!((controller.window(), controller.findings().window), (None, None));
    assert!(!controller.silent(4.0, 1));
    accepted(&mut controller, 4.1);
    assert_eq!((controller.window(), controller.findings().window), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn half_of_what_a_steady_limiter_takes_is_used(
        kind in 0..9usize,
        exponent in 1.0..3.3f64,
        asked in prop_oneof![Just(None), (1.0..4.0f64).prop_map(Some)],
        latency in 0.005..0.5f64,
        spread in 0.0..0.5f64,
        connections in 1..4usize,
        seed in any::<u64>(),
    ) {
        let rate = 10f64.powf(exponent).round();
        let limiters = match kind {
            0 => vec![Limiter::sliding(rate)],
            1 => vec![Limiter::token(rate, (rate / 10.0).max(1.0))],
            2 => vec![Limiter::fixed(rate)],
            3 => vec![Limiter::sliding_counting(rate)],
            4 => vec![Limiter::tenth(rate)],
            5 => vec![Limiter::token(rate, rate / 4.0)],
            6 => vec![Limiter::half(rate)],
            7 => vec![Limiter::token(rate, rate)],
            _ => vec![Limiter::hangup(rate)],
        };
        // One that is asked for so little that a window's round trips are the limit is no case.
        let window = ((4.0 * rate * (latency * (1.0 + spread))) as usize).max(10);
        let scene = Scene {
            limiters,
            asked: asked.map(|times| (times * rate).round()),
            connections,
            window,
            latency: (latency, latency * spread),
            seconds: 45.0,
            seed,
            ..Scene::default()
        };
        let result = run(scene.clone());
        prop_assert!(result.between(30, 45) >= 0.5 * rate * 15.0 * 0.97, "{scene:?}: {result:?}");
    }
}
