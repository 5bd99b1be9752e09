//! One handshake at a time for each room: whoever comes second may find that the room is here.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use vestibule_types::limits::IMPORTS_MAX;

type Door = Arc<AsyncMutex<()>>;
type Doors = Arc<Mutex<HashMap<OwnedRoomId, (Door, usize)>>>;

/// Who waits for which room.
#[derive(Clone)]
pub(crate) struct Turns {
    doors: Doors,
    imports: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { doors: Doors::default(), imports: Arc::new(Semaphore::new(IMPORTS_MAX)) }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

/// A place in a room's line; it is given up when dropped.
struct Place {
    doors: Doors,
    room_id: OwnedRoomId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut doors = self.doors.lock();
        if let Some((_, waiting)) = doors.get_mut(&self.room_id) {
            *waiting -= 1;
            if *waiting == 0 {
                doors.remove(&self.room_id);
            }
        }
    }
}

/// The only handshake of a room, as long as it is held.
#[must_use = "the turn is over when it is dropped"]
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

impl Turns {
    /// Waits until nobody else has a handshake under way for this room.
    pub(crate) async fn wait(&self, room_id: &RoomId) -> Turn {
        let door = {
            let mut doors = self.doors.lock();
            let (door, waiting) = doors.entry(room_id.to_owned()).or_default();
            *waiting += 1;
            Arc::clone(door)
        };
        let place = Place { doors: Arc::clone(&self.doors), room_id: room_id.to_owned() };
        Turn { _guard: door.lock_owned().await, _place: place }
    }

    /// Whether somebody has a handshake under way for this room.
    pub(crate) fn is_taken(&self, room_id: &RoomId) -> bool {
        self.doors.lock().contains_key(room_id)
    }

    /// Waits until there is room for one more room to be brought here: they are held in memory.
    pub(crate) async fn import(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.imports).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    #[tokio::test]
    async fn a_room_is_forgotten_when_nobody_waits_for_it() {
        let turns = Turns::default();
        let first = turns.wait(room_id!("!a:b")).await;
        let mut second = Box::pin(turns.wait(room_id!("!a:b")));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await, "one at a time");
        drop(first);
        assert!(turns.is_taken(room_id!("!a:b")));
        drop(second.await);
        assert!(turns.doors.lock().is_empty() && !turns.is_taken(room_id!("!a:b")));
    }
}
