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
