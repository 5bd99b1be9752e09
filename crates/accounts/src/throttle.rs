//! Attempts per key and time: a bucket for each key, kept in memory.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use vestibule_types::limits;

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// The time after which one more is allowed.
    pub every: Duration,
}

/// A bucket for each key. Keys that are full again are forgotten.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: Rate,
    /// When the bucket of a key will be full again.
    full_at: Mutex<BTreeMap<String, Duration>>,
}

impl Throttle {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::new(BTreeMap::new()) }
    }

    /// Takes one from the bucket, or says how long to wait.
    pub(crate) fn charge(&self, key: &str, now: Duration) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock();
        let charged = self.charged(full_at.get(key).copied(), now)?;
        if full_at.len() >= limits::THROTTLE_KEYS_MAX {
            full_at.retain(|_, at| *at > now);
        }
        if full_at.len() >= limits::THROTTLE_KEYS_MAX {
            full_at.pop_first();
        }
        full_at.insert(key.to_owned(), charged);
        Ok(())
    }

    /// Whether the bucket has one left, without taking it.
    pub(crate) fn check(&self, key: &str, now: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.lock().get(key).copied();
        self.charged(full_at, now).map(drop)
    }

    fn charged(&self, full_at: Option<Duration>, now: Duration) -> Result<Duration, Duration> {
        let charged = full_at.unwrap_or_default().max(now) + self.rate.every;
        let depth = self.rate.every.saturating_mul(self.rate.burst);
        match charged.checked_sub(now + depth) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(charged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_through_then_one_for_each_interval() {
        let throttle = Throttle::new(Rate { burst: 3, every: Duration::from_secs(10) });
        let now = Duration::from_secs(1_000);
        for _ in 0..3 {
            assert_eq!(throttle.check("a", now), Ok(()));
            assert_eq!(throttle.charge("a", now), Ok(()));
        }
        assert_eq!(throttle.charge("a", now), Err(Duration::from_secs(10)));
        assert_eq!(throttle.check("a", now), Err(Duration::from_secs(10)));
        assert_eq!(throttle.charge("b", now), Ok(()), "keys have buckets of their own");
        let later = now + Duration::from_secs(10);
        assert_eq!(throttle.charge("a", later), Ok(()));
        assert_eq!(throttle.charge("a", later), Err(Duration::from_secs(10)));
    }

    #[test]
    fn remembers_a_bounded_number_of_keys() {
        let throttle = Throttle::new(Rate { burst: 1, every: Duration::from_secs(10) });
        for key in 0..=limits::THROTTLE_KEYS_MAX {
            throttle.charge(&key.to_string(), Duration::from_secs(1)).unwrap();
        }
        assert_eq!(throttle.full_at.lock().len(), limits::THROTTLE_KEYS_MAX);
    }
}
