//! When an event that waits is worth another attempt. In memory: after a restart everything is.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ruma::OwnedEventId;
use vestibule_types::limits::{GAP_RETRY_FIRST, GAP_RETRY_LAST};

/// Attempts at the events of one room.
#[derive(Debug, Default)]
pub(crate) struct Tries(HashMap<OwnedEventId, Try>);

#[derive(Debug)]
struct Try {
    next: Duration,
    pause: Duration,
}

impl Tries {
    /// Whether an event is due at a moment of the monotonic clock.
    pub(super) fn is_due(&self, id: &OwnedEventId, now: Duration) -> bool {
        self.0.get(id).is_none_or(|it| it.next <= now)
    }

    /// Notes that an attempt begins; the next one is later than the last pause was long.
    pub(super) fn begin(&mut self, id: &OwnedEventId, now: Duration) {
        let pause = self.0.get(id).map_or(GAP_RETRY_FIRST, |it| (it.pause * 2).min(GAP_RETRY_LAST));
        self.0.insert(id.clone(), Try { next: now.saturating_add(pause), pause });
    }

    /// Forgets the attempts at some: the next one is due.
    pub(crate) fn again<'a>(&mut self, ids: impl Iterator<Item = &'a OwnedEventId>) {
        for id in ids {
            self.0.remove(id);
        }
    }

    /// Forgets those that wait no more.
    pub(super) fn retain(&mut self, waiting: &HashSet<OwnedEventId>) {
        self.0.retain(|id, _| waiting.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rare_and_never_stop() {
        let id = ruma::event_id!("$event").to_owned();
        let mut tries = Tries::default();
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            assert!(tries.is_due(&id, now));
            tries.begin(&id, now);
            assert!(!tries.is_due(&id, now + GAP_RETRY_FIRST / 2));
            now += GAP_RETRY_LAST;
        }
        tries.retain(&HashSet::new());
        assert!(tries.0.is_empty());
    }
}
