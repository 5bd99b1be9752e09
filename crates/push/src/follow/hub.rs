//! What is known of pushers in memory: who has some, and which of them have something to do.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use vestibule_storage::{
    LogLine,
    tables::{room::StoredNews, sender::StoredCursor},
};

use crate::pusher::PusherId;

/// What is known of pushers in memory. A pusher in it may be gone already.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    inside: Mutex<Inside>,
    /// Whether anybody has a pusher, or had one since the server began.
    owned: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Inside {
    tail: StoredCursor,
    /// Users who have pushers, or had some since the server began: nobody is taken out, so that a look
    /// at an earlier moment cannot hide a pusher that was just set.
    owners: HashSet<OwnedUserId>,
    /// Pushers with a task; `true` when something came meanwhile.
    busy: HashMap<PusherId, bool>,
    /// Pushers whose gateways are left alone, by when that ends.
    resting: BTreeSet<(Duration, PusherId)>,
    resting_until: HashMap<PusherId, Duration>,
}

impl Hub {
    /// Up to where the log was looked through.
    pub(super) fn tail(&self) -> StoredCursor {
        self.inside.lock().tail.clone()
    }

    pub(super) fn set_tail(&self, tail: StoredCursor) {
        self.inside.lock().tail = tail;
    }

    /// The users with pushers.
    pub(super) fn owners(&self) -> HashSet<OwnedUserId> {
        self.inside.lock().owners.clone()
    }

    /// Whether nobody has a pusher: then there is nothing to look for in the log.
    pub(super) fn has_no_owners(&self) -> bool {
        self.inside.lock().owners.is_empty()
    }

    /// Whether a line of the log may be something to tell, as long as the server runs.
    pub(super) fn concerns(&self) -> impl Fn(&LogLine) -> bool + Send + Sync + 'static {
        let owned = Arc::clone(&self.owned);
        move |line| match *line.news {
            StoredNews::Event { .. } | StoredNews::Receipt { .. } => owned.load(Ordering::SeqCst),
            StoredNews::User { .. } => true,
            StoredNews::State { .. }
            | StoredNews::DeviceList { .. }
            | StoredNews::Outbox { .. } => false,
        }
    }

    /// Remembers that a user has a pusher. Before it is stored: whatever happens after it is looked at.
    pub(crate) fn add_owner(&self, user: &UserId) {
        self.inside.lock().owners.insert(user.to_owned());
        self.owned.store(true, Ordering::SeqCst);
    }

    /// Takes up a pusher with something to do. True when it needs a task: it has none, and its
    /// gateway is not left alone.
    pub(super) fn wake(&self, id: &PusherId) -> bool {
        let inside = &mut *self.inside.lock();
        if let Some(again) = inside.busy.get_mut(id) {
            *again = true;
            return false;
        }
        if inside.resting_until.contains_key(id) {
            return false;
        }
        inside.busy.insert(id.clone(), false);
        true
    }

    /// A task found nothing more to do. False when something came meanwhile, and it has to look again.
    pub(crate) fn finish(&self, id: &PusherId) -> bool {
        let busy = &mut self.inside.lock().busy;
        if busy.get(id) == Some(&true) {
            busy.insert(id.clone(), false);
            return false;
        }
        busy.remove(id);
        true
    }

    /// A task ends because the gateway failed; until when it is left alone.
    pub(crate) fn rest(&self, id: &PusherId, until: Duration) {
        let inside = &mut *self.inside.lock();
        inside.busy.remove(id);
        if let Some(before) = inside.resting_until.insert(id.clone(), until) {
            inside.resting.remove(&(before, id.clone()));
        }
        inside.resting.insert((until, id.clone()));
    }

    /// Whether the gateway of a pusher is left alone.
    pub(super) fn rests(&self, id: &PusherId) -> bool {
        self.inside.lock().resting_until.contains_key(id)
    }

    /// The pushers whose gateways are not left alone any more.
    pub(super) fn rested(&self, now: Duration) -> Vec<PusherId> {
        let inside = &mut *self.inside.lock();
        let mut rested = Vec::new();
        while inside.resting.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, id)) = inside.resting.pop_first() else { break };
            inside.resting_until.remove(&id);
            rested.push(id);
        }
        rested
    }

    /// When the next of them is.
    pub(super) fn next_rested(&self) -> Option<Duration> {
        self.inside.lock().resting.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;

    use super::*;

    fn pusher() -> PusherId {
        let user = owned_user_id!("@alice:a.example");
        PusherId { user, app_id: "app".to_owned(), pushkey: "key".to_owned() }
    }

    #[test]
    fn a_pusher_has_one_task_that_looks_again_when_something_came() {
        let (hub, id) = (Hub::default(), pusher());
        assert!(hub.wake(&id));
        assert!(!hub.wake(&id));
        assert!(!hub.finish(&id));
        assert!(hub.finish(&id));
        assert!(hub.wake(&id));
    }

    #[test]
    fn a_gateway_that_failed_is_left_alone_until_its_time() {
        let (hub, id) = (Hub::default(), pusher());
        let second = Duration::from_secs(1);
        assert!(hub.wake(&id));
        hub.rest(&id, 2 * second);
        assert!(!hub.wake(&id));
        assert_eq!(hub.next_rested(), Some(2 * second));
        assert_eq!(hub.rested(second), []);
        assert_eq!(hub.rested(2 * second), std::slice::from_ref(&id));
        assert!(hub.wake(&id));
    }
}
