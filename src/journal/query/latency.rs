//! Percentiles of durations in bounded memory. Pure.

/// Bits of a value that are kept: below 2,048 ms a value is exact, above it is at most 0.1 % too small.
const BITS: u32 = 10;
/// Longer durations (34 years) are counted as this long.
const VALUE_MAX: u64 = (1 << 40) - 1;

/// Counts durations by their leading bits.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { buckets: vec![0; bucket_of(VALUE_MAX) + 1], count: 0, max: 0 }
    }

    /// Counts a duration in milliseconds; one that is negative, since the clock was set back, as zero.
    pub fn add(&mut self, value: i64) {
        let value = u64::try_from(value).unwrap_or(0).min(VALUE_MAX);
        self.buckets[bucket_of(value)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The smallest value that at least `percent` of all do not exceed (nearest rank). `None` where nothing was counted.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(value_of(bucket).min(self.max));
            }
        }
        Some(self.max)
    }
}

/// How many durations lie below a bound and not below the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// The bound, in milliseconds.
    pub below_ms: u64,
    /// How many.
    pub count: u64,
}

impl Histogram {
    /// It all by bounds of 1, 2 and 5 times a power of ten from the lowest that is needed to the highest, those between them
    /// that hold nothing too.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bounds = (0..).flat_map(|power| [1, 2, 5].map(|times| times * 10_u64.pow(power)));
        let mut bars: Vec<Bar> = Vec::new();
        let mut bar = Bar { below_ms: bounds.next().unwrap_or(1), count: 0 };
        for (bucket, &count) in self.buckets.iter().enumerate().filter(|&(_, &count)| count > 0) {
            while value_of(bucket) >= bar.below_ms {
                if bar.count > 0 || !bars.is_empty() {
                    bars.push(bar);
                }
                bar = Bar { below_ms: bounds.next().unwrap_or(u64::MAX), count: 0 };
            }
            bar.count += count;
        }
        if bar.count > 0 {
            bars.push(bar);
        }
        bars
    }
}

fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    ((u64::from(shift) << BITS) + (value >> shift)) as usize
}

/// The smallest value of a bucket.
fn value_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> BITS).saturating_sub(1);
    (bucket - (shift << BITS)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_close() {
        let mut last = 0;
        for value in (0..200_000).chain((20..40).map(|bits| 1 << bits)).chain([VALUE_MAX]) {
            let bucket = bucket_of(value);
            assert!(bucket >= last && bucket <= last + 1 || value >= 200_000, "{value}");
            last = bucket;
            let found = value_of(bucket);
            assert!(found <= value && value - found <= value >> BITS, "{value} {found}");
            assert!(value >= 2_048 || found == value);
        }
    }

    #[test]
    fn bars_hold_everything_once() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.bars(), []);
        for value in [0, 7, 9, 10, 99, 100, 4_000_000_000_000_000] {
            histogram.add(value);
        }
        let bars = histogram.bars();
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), histogram.count());
        assert_eq!(bars[0], Bar { below_ms: 1, count: 1 });
        let of = |below_ms| bars.iter().find(|bar| bar.below_ms == below_ms).unwrap().count;
        assert_eq!((of(5), of(10), of(20), of(50), of(100), of(200)), (0, 2, 1, 0, 1, 1));
        assert!(bars.windows(2).all(|pair| pair[0].below_ms < pair[1].below_ms) && bars.len() < 50);
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let check = |values: &[i64], expected: [Option<u64>; 4]| {
            let mut histogram = Histogram::new();
            values.iter().for_each(|&value| histogram.add(value));
            let found = [histogram.percentile(50), histogram.percentile(95), histogram.percentile(99), histogram.max()];
            assert_eq!(found, expected, "{values:?}");
        };
        check(&[], [None; 4]);
        check(&[7], [Some(7); 4]);
        check(&[-5, 3], [Some(0), Some(3), Some(3), Some(3)]);
        check(&(1..=100).collect::<Vec<_>>(), [Some(50), Some(95), Some(99), Some(100)]);
        check(&(1..=1_000).rev().collect::<Vec<_>>(), [Some(500), Some(950), Some(990), Some(1_000)]);
    }
}
