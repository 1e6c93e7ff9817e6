use super::*;

/// Runs a bucket with a writer that wakes as it is told and `late` seconds later; returns when each token was taken.
fn run(rate: f64, seconds: f64, late: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut bucket = Bucket::new(0.0, 0.0);
    let (mut at, mut taken, mut wakes) = (0.0, Vec::new(), 0);
    while at < seconds {
        let granted = bucket.take(at, Some(rate), 1_000, 0);
        taken.extend(std::iter::repeat_n(at, granted));
        at += bucket.ready_in(at, Some(rate), 0) + late(wakes) + 1e-7;
        wakes += 1;
    }
    taken
}

/// The most that any half-open second holds.
fn most_in_a_second(times: &[f64]) -> usize {
    let (mut most, mut first) = (0, 0);
    for (n, at) in times.iter().enumerate() {
        while times[first] <= at - 1.0 {
            first += 1;
        }
        most = most.max(n + 1 - first);
    }
    most
}

#[test]
fn the_rate_is_used_and_no_sliding_second_holds_more() {
    for rate in [1.0, 2.0, 30.0, 100.0, 500.0, 2_000.0, 5_000.0] {
        for (late, every) in [(0.0, 1), (0.000_1, 1), (0.002, 7)] {
            let taken = run(rate, 200.0, |n| if n % every == 0 { late } else { 0.0 });
            let used = taken.len() as f64 / (rate * 200.0);
            // The first second's gaps are not behind anything, and at low rates 200 s hold few of them.
            assert!(used >= 0.994 - 1.0 / (rate * 200.0), "{rate}/s, {late} s late: {used}");
            assert!(most_in_a_second(&taken) <= rate as usize, "{rate}/s, {late} s late");
        }
    }
}

#[test]
fn what_was_spaced_may_be_bunched_by_five_milliseconds() {
    for rate in [1.0, 10.0, 100.0, 500.0, 1_000.0] {
        let taken = run(rate, 100.0, |_| 0.0);
        // Each comes as late as makes the most of a second: up to 5 ms.
        let bunched: Vec<f64> = taken.iter().map(|at| ((at / 0.0049).ceil() * 0.0049).max(*at)).collect();
        assert!(most_in_a_second(&bunched) <= rate as usize, "{rate}/s");
    }
}

#[test]
fn a_tolerance_allows_a_sliding_second_to_hold_more() {
    let mut bucket = Bucket::new(0.0, 10.0);
    assert_eq!(bucket.second_holds(100.0), 110);
    bucket = Bucket::new(0.0, 0.0);
    assert_eq!((bucket.second_holds(100.0), bucket.second_holds(0.5), bucket.second_holds(2.9)), (100, 1, 2));
}

#[test]
fn connections_that_want_as_much_get_as_much() {
    let mut bucket = Bucket::new(0.0, 0.0);
    let mut taken = [0; 3];
    for step in 0..40_000 {
        let at = f64::from(step) * 0.001;
        // The first asks first each time.
        for (connection, taken) in taken.iter_mut().enumerate() {
            *taken += bucket.take(at, Some(90.0), 10, connection);
        }
    }
    let all: usize = taken.iter().sum();
    assert!(all as f64 >= 0.99 * 90.0 * 40.0, "{taken:?}");
    assert!(taken.iter().all(|taken| taken.abs_diff(all / 3) <= all / 30), "{taken:?}");
    // What one does not want the others get.
    let before = taken[0];
    for step in 40_000..50_000 {
        taken[0] += bucket.take(f64::from(step) * 0.001, Some(90.0), 10, 0);
    }
    assert!(taken[0] - before >= 870, "{}", taken[0] - before);
}

#[test]
fn what_is_given_back_can_be_taken_at_once() {
    let mut bucket = Bucket::new(0.0, 0.0);
    assert_eq!((bucket.take(0.0, Some(10.0), 1, 0), bucket.take(0.0, Some(10.0), 1, 0)), (1, 0));
    bucket.give_back(0.0, Some(10.0), 1, 0);
    assert_eq!((bucket.take(0.0, Some(10.0), 2, 0), bucket.take(0.0, Some(10.0), 1, 0)), (1, 0));
}

#[test]
fn what_went_unpaced_counts_in_the_first_second_at_a_rate() {
    let mut bucket = Bucket::new(0.0, 0.0);
    assert_eq!(bucket.take(0.0, None, 500, 0), 500);
    assert_eq!(bucket.take(0.5, Some(100.0), 10, 0), 0);
    assert!(bucket.ready_in(0.5, Some(100.0), 0) >= 0.5);
    assert!(bucket.take(1.1, Some(100.0), 10, 0) > 0);
}

#[test]
fn one_that_is_late_puts_the_others_off_by_nothing_and_leaves_gaps() {
    for rate in [10.0, 100.0, 500.0] {
        let gap = super::quantum(rate) as f64 * SPREAD_S / rate;
        // Every third one wakes a twentieth of a gap late: that is caught up.
        let mut times = run(rate, 20.0, |n| if n % 3 == 0 { 0.05 * gap } else { 0.0 });
        times.dedup();
        let shortest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        assert!(shortest >= 0.96 * gap, "{rate}/s: {shortest} of {gap}");
        let lasted = times[times.len() - 1] - times[0];
        assert!(lasted <= (times.len() - 1) as f64 * gap + gap, "{rate}/s: {lasted}");
    }
}
