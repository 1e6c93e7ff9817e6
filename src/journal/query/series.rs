//! What happened when, in bounded memory: buckets that grow wider as the time that they cover grows longer. Pure.

/// Buckets at most.
pub const BUCKETS_MAX: usize = 240;
/// How many seconds a bucket may cover; each is a multiple of the one before. Beyond the last, each is four times the one before.
const WIDTHS: [i64; 17] = [
    1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 9_676_800, 38_707_200,
];
/// Moments further from 1970 than this (some 30,000 years) are counted as that far.
const SECOND_MAX: i64 = 1 << 40;

/// What a bucket counts: parts sent, accepted, delivered.
pub type Counted = [i64; 3];

/// Places in what a bucket counts.
pub const SENT: usize = 0;
pub const ACCEPTED: usize = 1;
pub const DELIVERED: usize = 2;

/// Sent, accepted and delivered parts over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// Seconds from UTC to the clock whose hours and days the buckets begin at.
    offset: i64,
    /// Seconds of a bucket.
    width: i64,
    /// The first bucket's number: it begins at `first * width`.
    first: i64,
    buckets: Vec<Counted>,
}

impl Series {
    /// An empty one, whose buckets begin at full hours and days of a clock so many seconds before UTC.
    pub fn new(offset: i64) -> Self {
        Self { offset, width: WIDTHS[0], first: 0, buckets: Vec::new() }
    }

    /// Counts `n` of a kind ([`SENT`] and so on) at a moment, in milliseconds.
    pub fn add(&mut self, kind: usize, at_ms: i64, n: i64) {
        let second = at_ms.div_euclid(1_000).clamp(-SECOND_MAX, SECOND_MAX) + self.offset;
        let mut number = second.div_euclid(self.width);
        if self.buckets.is_empty() {
            self.first = number;
        }
        while !self.fits(number) {
            self.widen();
            number = second.div_euclid(self.width);
        }
        if number < self.first {
            let more = (self.first - number) as usize;
            self.buckets.splice(0..0, std::iter::repeat_n(Counted::default(), more));
            self.first = number;
        }
        let index = (number - self.first) as usize;
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, Counted::default());
        }
        if let Some(count) = self.buckets[index].get_mut(kind) {
            *count += n;
        }
    }

    fn fits(&self, number: i64) -> bool {
        let end = self.first + self.buckets.len() as i64;
        (end.max(number + 1) - self.first.min(number)) as u64 <= BUCKETS_MAX as u64
    }

    fn widen(&mut self) {
        let wider = WIDTHS.into_iter().find(|&width| width > self.width).unwrap_or(self.width * 4);
        let times = wider / self.width;
        let first = self.first.div_euclid(times);
        let mut buckets: Vec<Counted> = Vec::new();
        for (number, counted) in (self.first..).zip(&self.buckets) {
            let index = (number.div_euclid(times) - first) as usize;
            if index >= buckets.len() {
                buckets.resize(index + 1, Counted::default());
            }
            for (sum, count) in buckets[index].iter_mut().zip(counted) {
                *sum += count;
            }
        }
        (self.width, self.first, self.buckets) = (wider, first, buckets);
    }

    /// Seconds of a bucket.
    pub fn width(&self) -> i64 {
        self.width
    }

    /// The buckets in order, those between them that are empty too, each with the moment at which it begins, in milliseconds.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (i64, Counted)> + '_ {
        self.buckets
            .iter()
            .enumerate()
            .map(|(n, counted)| (((self.first + n as i64) * self.width - self.offset).saturating_mul(1_000), *counted))
    }

    /// All of it.
    pub fn total(&self) -> Counted {
        self.buckets
            .iter()
            .fold(Counted::default(), |sum, counted| std::array::from_fn(|kind| sum[kind] + counted[kind]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        for pair in WIDTHS.windows(2) {
            assert!(pair[1] > pair[0] && pair[1] % pair[0] == 0, "{pair:?}");
        }
    }

    #[test]
    fn buckets_are_few_and_nothing_is_lost_however_long_it_takes() {
        const DAY: i64 = 86_400_000;
        for (step, n, width) in
            [(10, 1_000, 1), (1_000, 240, 1), (1_000, 241, 5), (60_000, 1_000, 300), (DAY, 180, DAY / 1_000)]
        {
            let mut series = Series::new(0);
            (0..n).for_each(|i| series.add(0, 1_774_749_599_250 + i * step, 2));
            assert!(series.buckets().len() <= BUCKETS_MAX);
            assert_eq!((series.total(), series.width()), ([2 * n, 0, 0], width), "{step} {n}");
        }
    }

    #[test]
    fn gaps_clocks_set_back_and_moments_that_cannot_be_are_counted() {
        let mut series = Series::new(0);
        for (n, at) in [5_000, 0, -3_600_000, 15_552_000_000, i64::MAX, i64::MIN, 1].into_iter().enumerate() {
            series.add(n % 3, at, 1);
        }
        assert_eq!(series.total().iter().sum::<i64>(), 7);
        assert!(series.buckets().len() <= BUCKETS_MAX);
        let mut gap = Series::new(0);
        gap.add(0, 0, 1);
        gap.add(0, 10_000, 1);
        assert_eq!(gap.buckets().map(|(_, counted)| counted[0]).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn days_are_those_of_the_clock() {
        let mut series = Series::new(19_800);
        for day in 0..200 {
            series.add(2, day * 86_400_000, 1);
        }
        assert_eq!(series.width(), 86_400);
        let (first, _) = series.buckets().next().unwrap();
        assert_eq!(first, -19_800_000, "midnight at +05:30");
    }
}
