//! One transaction of a server at a time: its events keep their order, and no server gets more than its
//! share.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use vestibule_types::limits::INBOUND_WAITING_PER_ORIGIN_MAX;

/// The lanes of all servers that are sending right now.
#[derive(Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<HashMap<OwnedServerName, Lane>>>);

#[derive(Default)]
struct Lane {
    turn: Arc<Turn<()>>,
    /// Transactions that wait or are worked on.
    inside: usize,
}

/// Too many transactions of this server wait.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many transactions of this server wait")]
pub(crate) struct LaneFull;

/// A place in a lane, given back when dropped.
struct Place {
    lanes: Lanes,
    server: OwnedServerName,
}

/// A turn in a lane: nobody else of this server has one meanwhile.
pub(crate) struct InLane {
    // The turn ends before the place is given back.
    _turn: OwnedMutexGuard<()>,
    _place: Place,
}

impl Lanes {
    /// Waits for one's turn.
    pub(crate) async fn enter(&self, server: &ServerName) -> Result<InLane, LaneFull> {
        let (turn, place) = {
            let mut lanes = self.0.lock();
            let lane = lanes.entry(server.to_owned()).or_default();
            if lane.inside > INBOUND_WAITING_PER_ORIGIN_MAX {
                return Err(LaneFull);
            }
            lane.inside += 1;
            (Arc::clone(&lane.turn), Place { lanes: self.clone(), server: server.to_owned() })
        };
        Ok(InLane { _turn: turn.lock_owned().await, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self.lanes.0.lock();
        if let Some(lane) = lanes.get_mut(&self.server) {
            lane.inside = lane.inside.saturating_sub(1);
            if lane.inside == 0 {
                lanes.remove(&self.server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_a_bounded_number_waits() {
        let lanes = Lanes::default();
        let here = server_name!("a");
        let first = lanes.enter(here).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..INBOUND_WAITING_PER_ORIGIN_MAX {
            let mut entering = Box::pin(lanes.enter(here));
            assert!(futures_util::poll!(&mut entering).is_pending());
            waiting.push(entering);
        }
        assert!(lanes.enter(here).await.is_err());
        assert!(lanes.enter(server_name!("b")).await.is_ok(), "others have lanes of their own");
        drop(first);
        let next = waiting.remove(0).await.unwrap();
        drop((next, waiting));
        assert!(lanes.0.lock().is_empty());
    }
}
