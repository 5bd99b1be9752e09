//! Which jobs run beside each other.

use std::collections::{BTreeMap, BTreeSet};

use vestibule_storage::jobs::JobKey;
use vestibule_types::limits::JOBS_OF_A_KIND_AT_ONCE;

/// What a job takes while it runs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its kind, of which a few run at once.
    pub(super) kind: String,
    /// What it must not run beside: whatever else has the same lane, of any kind.
    pub(super) lane: String,
}

/// The places that are taken.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    lanes: BTreeSet<String>,
    kinds: BTreeMap<String, usize>,
    /// The job behind which the next look begins; none: with the longest overdue.
    pub(super) looked_to: Option<JobKey>,
}

impl UnderWay {
    /// Takes a place. `false` if it is not free.
    pub(super) fn enter(&mut self, place: &Place) -> bool {
        let of_kind = self.kinds.get(&place.kind).copied().unwrap_or_default();
        if of_kind >= JOBS_OF_A_KIND_AT_ONCE || self.lanes.contains(&place.lane) {
            return false;
        }
        self.kinds.insert(place.kind.clone(), of_kind + 1);
        self.lanes.insert(place.lane.clone());
        true
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, place: &Place) {
        self.lanes.remove(&place.lane);
        let left = self.kinds.remove(&place.kind).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            self.kinds.insert(place.kind.clone(), left);
        }
    }
}
