//! `GET /_matrix/federation/v1/backfill/{roomId}`: history that lies elsewhere.
//!
//! One fetch at a time for each room: whoever comes second usually finds that what they wanted is
//! here. A fetch goes on when the one who asked stops waiting, so that the next page finds it.

use std::sync::Arc;

use moka::sync::Cache;
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tokio::sync::{Mutex, Semaphore, oneshot};
use vestibule_rooms::{ElsewhereError, EventKnown};
use vestibule_types::limits::{HISTORY_FETCHES_AT_ONCE, HISTORY_ROOMS_MAX, HISTORY_WAIT_MAX};

use crate::{Federation, inbound::HistoryError};

/// Who fetches the history of which room.
pub(crate) struct HistoryTurns {
    rooms: Cache<OwnedRoomId, Arc<Mutex<()>>>,
    all: Arc<Semaphore>,
}

impl Default for HistoryTurns {
    fn default() -> Self {
        Self {
            rooms: Cache::new(HISTORY_ROOMS_MAX),
            all: Arc::new(Semaphore::new(HISTORY_FETCHES_AT_ONCE)),
        }
    }
}

impl Federation {
    /// Fetches what lies before missing events, and waits for it a bounded time.
    pub(super) async fn backfill(
        &self,
        room_id: &RoomId,
        missing: Vec<OwnedEventId>,
    ) -> Result<bool, ElsewhereError> {
        let (federation, room_id) = (self.clone(), room_id.to_owned());
        let (tell, told) = oneshot::channel();
        let environment = &self.inner.parts.environment;
        let stopping = environment.spawner.stopping();
        let fetch = async move {
            tokio::select! {
                biased;
                // Whoever asked may have stopped waiting.
                fetched = federation.backfill_in_turn(&room_id, missing) => drop(tell.send(fetched)),
                () = stopping => {}
            }
        };
        environment.spawner.spawn("federation.backfill", Box::pin(fetch));
        let late = environment.clock.sleep(HISTORY_WAIT_MAX);
        let fetched = tokio::select! {
            biased;
            fetched = told => fetched.ok(),
            () = late => None,
        };
        match fetched {
            Some(Ok(any)) => Ok(any),
            Some(Err(error)) => {
                tracing::debug!(%error, "history was not fetched");
                Err(ElsewhereError::Unreachable)
            }
            None => Err(ElsewhereError::Unreachable),
        }
    }

    async fn backfill_in_turn(
        &self,
        room_id: &RoomId,
        mut missing: Vec<OwnedEventId>,
    ) -> Result<bool, HistoryError> {
        let turns = &self.inner.history_turns;
        let door = turns.rooms.get_with(room_id.to_owned(), Arc::default);
        let _turn = door.lock().await;
        // The semaphore is never closed.
        let _place = turns.all.acquire().await.ok();
        let wanted = missing.len();
        let known = self.inner.parts.rooms.known_events(room_id, missing.clone()).await?;
        missing.retain(|id| known.get(id) != Some(&EventKnown::Judged));
        if missing.len() < wanted {
            return Ok(true);
        }
        self.fetch_history(room_id, &missing).await
    }
}
