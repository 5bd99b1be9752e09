//! Waking those who wait when somebody near them comes or goes.
//!
//! It happens at most once a second, and not in rooms where many wait: there, presence is told with
//! whatever comes next.

use std::{collections::BTreeSet, sync::Arc};

use vestibule_rooms::{Rooms, UserPresence};
use vestibule_storage::{StorageError, tables::device_list::JOINED_ROOM_BY_USER};
use vestibule_types::{
    Environment, RoomNo,
    limits::{PRESENCE_AT_ONCE, PRESENCE_ROOMS_MAX, PRESENCE_WAKE_EVERY},
};

use crate::hub::Hub;

/// Follows presence until the server stops.
pub(crate) async fn follow(hub: Arc<Hub>, rooms: Rooms, environment: Environment) {
    let presence = rooms.presence();
    let (clock, mut stopping) = (&environment.clock, environment.spawner.stopping());
    let mut changed = presence.watch();
    let mut seen = presence.last();
    loop {
        changed.mark_unchanged();
        presence.expire(rooms.presence_moment());
        let (last, people) = presence.since(seen.max(1), PRESENCE_AT_ONCE);
        if last > seen {
            seen = last;
            if let Err(error) = ring(&hub, &rooms, people).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "nobody was woken for presence"
                );
            }
            tokio::select! {
                biased;
                () = &mut stopping => return,
                () = clock.sleep(PRESENCE_WAKE_EVERY) => continue,
            }
        }
        let end = presence.next_end().map(|end| end.saturating_sub(rooms.presence_moment()));
        tokio::select! {
            biased;
            () = &mut stopping => return,
            changed = changed.changed() => if changed.is_err() { return },
            () = clock.sleep(end.unwrap_or_default()), if end.is_some() => {}
        }
    }
}

/// Wakes everybody near these people.
async fn ring(hub: &Hub, rooms: &Rooms, people: Vec<UserPresence>) -> Result<(), StorageError> {
    let read = rooms.store().read::<_, StorageError, _>(move |snapshot| {
        let mut near: BTreeSet<RoomNo> = BTreeSet::new();
        for person in &people {
            let rooms =
                JOINED_ROOM_BY_USER.scan(snapshot, (&person.user_id,), PRESENCE_ROOMS_MAX)?;
            near.extend(rooms.into_iter().map(|((_, room), ())| room));
        }
        Ok(near)
    });
    hub.ring_small_rooms(read.await?.into_iter());
    Ok(())
}
