//! Following the published log, so that the index is ready when somebody searches.

use std::collections::BTreeSet;

use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Scan, SlotNo, Stamp, StorageError,
    tables::{
        room::{STREAM, StoredNews},
        search::SEARCH_POSITION,
    },
};
use vestibule_types::{
    RoomNo,
    limits::{SEARCH_GATHER, SEARCH_LINES_AT_ONCE, SEARCH_REST_FACTOR, SEARCH_REST_MAX},
};

use crate::Search;

/// Follows the log until the server stops. Sending goes first: the index works in small pieces and
/// rests in between.
pub(crate) async fn follow(search: Search) {
    let clock = &search.inner.environment.clock;
    let mut published = search.inner.rooms.store().watch();
    let mut stopping = search.inner.environment.spawner.stopping();
    loop {
        // Whatever was published before this is seen by the reads that follow.
        published.mark_unchanged();
        for slot in (0..search.inner.rooms.store().slots()).map(SlotNo) {
            let caught_up = tokio::select! {
                biased;
                () = &mut stopping => return,
                caught_up = catch_up(&search, slot) => caught_up,
            };
            if let Err(error) = caught_up {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the search index cannot follow the log");
            }
        }
        tokio::select! {
            biased;
            () = &mut stopping => return,
            changed = published.changed() => if changed.is_err() { return },
        }
        tokio::select! {
            biased;
            () = &mut stopping => return,
            () = clock.sleep(SEARCH_GATHER) => {}
        }
    }
}

/// What a stretch of the log says.
struct Lines {
    /// Rooms with new events.
    rooms: Vec<RoomNo>,
    /// The last commit of the stretch.
    last: u64,
    /// Whether more lines follow.
    more: bool,
}

/// Follows one slot to its end.
async fn catch_up(search: &Search, slot: SlotNo) -> Result<(), StorageError> {
    let store = search.inner.rooms.store();
    let read = move |snapshot: &vestibule_storage::Snapshot<'_>| {
        Ok::<_, StorageError>(SEARCH_POSITION.get(snapshot, (slot.0,))?.unwrap_or_default())
    };
    let mut position = store.read(read).await?;
    loop {
        let Some(lines) = lines_after(search, (slot, position)).await? else { return Ok(()) };
        for room in lines.rooms {
            index_room(search, room).await?;
        }
        position = lines.last;
        let put =
            move |tx: &mut vestibule_storage::Tx<'_>| SEARCH_POSITION.put(tx, (slot.0,), &position);
        store.write::<(), StorageError, _>(slot, put).await?;
        if !lines.more {
            return Ok(());
        }
    }
}

/// The next lines of a slot's log; `None` when there are none of rooms.
async fn lines_after(
    search: &Search,
    (slot, position): (SlotNo, u64),
) -> Result<Option<Lines>, StorageError> {
    let read = search.inner.rooms.store().read(move |snapshot| {
        let after = Scan::prefix((slot.0,))
            .after((slot.0, Stamp::end_of(position)))
            .limit(SEARCH_LINES_AT_ONCE);
        let lines = STREAM.scan_with(snapshot, after)?;
        let more = lines.len() == SEARCH_LINES_AT_ONCE;
        let last = lines.last().map_or(position, |((_, stamp), _)| stamp.commit);
        // The last commit may go on behind the stretch. One that fills it all is passed over: a
        // search brings its rooms up to date by itself.
        let before = last.saturating_sub(1);
        let last = if more && before > position { before } else { last };
        let rooms: BTreeSet<RoomNo> = lines
            .into_iter()
            .filter_map(|(_, line)| match line {
                StoredNews::Event { room, .. } => Some(room),
                StoredNews::State { .. }
                | StoredNews::Receipt { .. }
                | StoredNews::User { .. }
                | StoredNews::DeviceList { .. }
                | StoredNews::Outbox { .. } => None,
            })
            .collect();
        Ok::<_, StorageError>(Lines { rooms: rooms.into_iter().collect(), last, more })
    });
    let lines = read.await?;
    Ok(Some(lines).filter(|lines| lines.more || !lines.rooms.is_empty()))
}

/// Puts all of a room into the index, with rests.
async fn index_room(search: &Search, room: RoomNo) -> Result<(), StorageError> {
    let clock = &search.inner.environment.clock;
    let find = move |snapshot: &vestibule_storage::Snapshot<'_>| OpenRoom::load_no(snapshot, room);
    let Some(open) = search.inner.rooms.store().read(find).await? else { return Ok(()) };
    let slot = search.slot_of(&open);
    loop {
        let began = clock.monotonic();
        let more = search.index_next((slot, room)).await?;
        let worked = clock.monotonic().saturating_sub(began);
        clock.sleep(worked.saturating_mul(SEARCH_REST_FACTOR).min(SEARCH_REST_MAX)).await;
        if !more {
            return Ok(());
        }
    }
}
