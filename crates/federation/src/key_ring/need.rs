//! Which key of a server would settle a question.

use std::collections::BTreeSet;

use super::known::{Purpose, ServerKeys};

/// A signature of a server that somebody wants to check.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// The keys it signed with; any of them will do.
    pub(super) key_ids: BTreeSet<String>,
    /// What it signed.
    pub(super) purpose: Purpose,
}

impl Need {
    /// Whether one of the keys is known and good.
    pub(super) fn met_by(&self, known: &ServerKeys) -> bool {
        let good = |key_id| known.keys.get(key_id).is_some_and(|key| key.good_for(self.purpose));
        self.key_ids.iter().any(good)
    }

    /// Whether the server's next answer could change that: a key that it stopped using stays stopped.
    pub(super) fn may_be_met_by_asking(&self, known: Option<&ServerKeys>) -> bool {
        let Some(known) = known else { return !self.key_ids.is_empty() };
        let ended = |key_id| known.keys.get(key_id).is_some_and(|key| key.expired_at.is_some());
        self.key_ids.iter().any(|key_id| !ended(key_id))
    }
}

/// Whether a server must be asked to meet these needs.
pub(super) fn must_ask(needs: &[Need], known: Option<&ServerKeys>) -> bool {
    needs.iter().any(|need| {
        !known.is_some_and(|known| need.met_by(known)) && need.may_be_met_by_asking(known)
    })
}

/// The latest moment the keys have to be good for.
pub(super) fn latest(needs: &[Need]) -> u64 {
    let moment = |need: &Need| match need.purpose {
        Purpose::Request(at) | Purpose::Object(at) => at,
        Purpose::OldEvent(_) => 0,
    };
    needs.iter().map(moment).max().unwrap_or_default()
}
