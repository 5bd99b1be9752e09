//! Putting a room's events into the index, and taking redacted ones out.

use std::collections::BTreeMap;

use ruma::OwnedEventId;
use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Fixed, Read, Scan, StorageError, Tx,
    tables::{
        room::{EVENT_BY_ID, EVENT_BY_NO, REDACTION_BY_TARGET, StoredEvent},
        search::{
            FINDABLE, POSTINGS, SEARCH_ROOM, StoredFindable, StoredPostings, StoredSearchRoom,
        },
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{SEARCH_BATCH_EVENTS, SEARCH_ROW_EVENTS_MAX},
};

use crate::{
    postings::{Field, Place, Posting, Weight, pack, unpack},
    text::Source,
    words,
};

/// What the word that stands for a sender begins with: no word of a text does.
const SENDER_MARK: char = '\u{1}';

/// The word that every event of a sender is found by.
pub(crate) fn sender_word(sender: &str) -> String {
    format!("{SENDER_MARK}{sender}")
}

/// What changes in the index, by word.
#[derive(Default)]
struct Changes {
    added: BTreeMap<String, Vec<Posting>>,
    removed: BTreeMap<String, Vec<Place>>,
}

/// Puts the next events of a room into the index. Says whether there are more. `now` is in
/// milliseconds since the Unix epoch.
pub(crate) fn index_next(tx: &mut Tx<'_>, no: RoomNo, now: u64) -> Result<bool, StorageError> {
    let Some(room) = OpenRoom::load_no(&tx.fixed(), no)? else { return Ok(false) };
    // Asserted: each event is put in by one writer.
    let from = SEARCH_ROOM.get(&*tx, (no,))?.unwrap_or_default().next;
    let end = room.head.next_event.min(from.saturating_add(SEARCH_BATCH_EVENTS));
    if from >= end {
        return Ok(false);
    }
    let changes = collect(tx, (no, from..end), now)?;
    for (word, places) in &changes.removed {
        remove(tx, (no, word), places)?;
    }
    for (word, postings) in changes.added {
        insert(tx, (no, &word), postings)?;
    }
    SEARCH_ROOM.put(tx, (no,), &StoredSearchRoom { next: end })?;
    Ok(end < room.head.next_event)
}

/// What a stretch of events changes; notes which of them can be found.
fn collect(
    tx: &mut Tx<'_>,
    (room, stretch): (RoomNo, std::ops::Range<u64>),
    now: u64,
) -> Result<Changes, StorageError> {
    let rows = EVENT_BY_NO.multi_get(&tx.fixed(), stretch.clone().map(|no| (room, EventNo(no))))?;
    let stored: Vec<(EventNo, StoredEvent)> = stretch
        .map(EventNo)
        .zip(rows)
        .filter_map(|(no, row)| Some((no, row.filter(|row| !row.rejected)?)))
        .collect();
    let ids = stored.iter().map(|(_, event)| (room, &event.event_id));
    let redacted = REDACTION_BY_TARGET.multi_get(&tx.fixed(), ids)?;
    let mut changes = Changes::default();
    for ((no, event), redacted) in stored.iter().zip(redacted) {
        let Some(source) = Source::read(&event.json) else { continue };
        if let Some(target) = source.redacts() {
            take_out(tx, (room, target), &mut changes)?;
        }
        if redacted.is_some() {
            continue;
        }
        let at = source.origin_server_ts.min(now) / 1_000;
        let place = u32::try_from(at).ok().and_then(|second| Place::new(second, *no));
        let (Some(place), Some(postings)) = (place, postings_of(&source)) else { continue };
        FINDABLE.put(tx, (room, *no), &StoredFindable { second: place.second })?;
        for (word, weight) in postings {
            changes.added.entry(word).or_default().push((place, weight));
        }
    }
    Ok(changes)
}

/// The words an event is found by, each with its weight.
fn postings_of(source: &Source<'_>) -> Option<Vec<(String, Weight)>> {
    let text = source.text()?;
    let counted = words::count(&text.text);
    if counted.words.is_empty() {
        return None;
    }
    let mut postings: Vec<(String, Weight)> = counted
        .words
        .into_iter()
        .map(|(word, times)| (word, Weight::of(text.field, times, counted.length)))
        .collect();
    postings.push((sender_word(&source.sender), Weight::of(Field::Body, 1, 1)));
    Some(postings)
}

/// Takes an event out whose redaction took effect.
fn take_out(
    tx: &mut Tx<'_>,
    (room, target): (RoomNo, String),
    changes: &mut Changes,
) -> Result<(), StorageError> {
    let Ok(target) = OwnedEventId::try_from(target) else { return Ok(()) };
    let fixed = tx.fixed();
    if !REDACTION_BY_TARGET.contains(&fixed, (room, &target))? {
        return Ok(());
    }
    let place = EVENT_BY_ID.get(&fixed, (&target,))?.filter(|place| place.room == room);
    let Some(no) = place.map(|place| place.event) else { return Ok(()) };
    take_event_out(tx, (room, no), changes)
}

/// Takes events out whose content is about to go.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    room: RoomNo,
    events: &[EventNo],
) -> Result<(), StorageError> {
    // Asserted and written: the index has one writer at a time.
    let Some(row) = SEARCH_ROOM.get(&*tx, (room,))? else { return Ok(()) };
    SEARCH_ROOM.put(tx, (room,), &row)?;
    let mut changes = Changes::default();
    for no in events {
        take_event_out(tx, (room, *no), &mut changes)?;
    }
    for (word, places) in &changes.removed {
        remove(tx, (room, word), places)?;
    }
    Ok(())
}

fn take_event_out(
    tx: &mut Tx<'_>,
    (room, no): (RoomNo, EventNo),
    changes: &mut Changes,
) -> Result<(), StorageError> {
    let fixed = tx.fixed();
    let Some(findable) = FINDABLE.get(&fixed, (room, no))? else { return Ok(()) };
    let stored = EVENT_BY_NO.get(&fixed, (room, no))?;
    let source = stored.as_ref().and_then(|stored| Source::read(&stored.json));
    let postings = source.as_ref().and_then(postings_of).unwrap_or_default();
    if let Some(place) = Place::new(findable.second, no) {
        for (word, _) in postings {
            changes.removed.entry(word).or_default().push(place);
        }
    }
    FINDABLE.delete(tx, (room, no))
}

/// A row of the index: the place it begins at, and what is in it.
type Row = (Place, Vec<Posting>);

/// The row of a word that a place belongs to.
fn row_of(
    reader: Fixed<'_>,
    (room, word): (RoomNo, &str),
    place: Place,
) -> Result<Option<Row>, StorageError> {
    let newest_first =
        Scan::prefix((room, word)).to((room, word, place.second, place.no)).reverse().limit(1);
    let rows = POSTINGS.scan_with(&reader, newest_first)?;
    let Some(((_, _, second, no), row)) = rows.into_iter().next() else { return Ok(None) };
    Ok(Some((Place { second, no }, postings_in(&row)?)))
}

/// What is in a row.
fn postings_in(row: &StoredPostings) -> Result<Vec<Posting>, StorageError> {
    let mut postings = Vec::new();
    unpack(&row.0, &mut postings)
        .ok_or_else(|| StorageError::corrupt("postings", "the places cannot be read"))?;
    Ok(postings)
}

/// Puts places into the rows of a word. Rows that grow too long are split.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    (room, word): (RoomNo, &str),
    mut postings: Vec<Posting>,
) -> Result<(), StorageError> {
    postings.sort_unstable_by_key(|(place, _)| *place);
    while let Some((last, _)) = postings.last() {
        let row = row_of(tx.fixed(), (room, word), *last)?;
        let (begin, mut kept) = row.unwrap_or((Place { second: 0, no: 0 }, Vec::new()));
        let first = postings.partition_point(|(place, _)| *place < begin);
        let fresh = postings.split_off(first);
        let appended =
            kept.last().map(|(place, _)| *place) < fresh.first().map(|(place, _)| *place);
        kept.extend(fresh);
        kept.sort_by_key(|(place, _)| *place);
        kept.dedup_by_key(|(place, _)| *place);
        // What only grows at its end is left full, what grows in between is left with room.
        let pieces = kept.len().div_ceil(SEARCH_ROW_EVENTS_MAX).max(1);
        let size = if appended { SEARCH_ROW_EVENTS_MAX } else { kept.len().div_ceil(pieces) };
        for (number, piece) in kept.chunks(size.max(1)).enumerate() {
            let at = if number == 0 { begin } else { piece.first().map_or(begin, |(at, _)| *at) };
            let packed = StoredPostings(pack(piece));
            POSTINGS.put(tx, (room, word, at.second, at.no), &packed)?;
        }
    }
    Ok(())
}

/// Takes places out of the rows of a word. A row that is left empty goes, but for the first, which
/// says where rows begin while others follow.
fn remove(
    tx: &mut Tx<'_>,
    (room, word): (RoomNo, &str),
    places: &[Place],
) -> Result<(), StorageError> {
    for place in places {
        let Some((begin, mut kept)) = row_of(tx.fixed(), (room, word), *place)? else { continue };
        kept.retain(|(at, _)| at != place);
        let key = (room, word, begin.second, begin.no);
        let is_first = begin == Place { second: 0, no: 0 };
        let is_last = || -> Result<bool, StorageError> {
            let after = Scan::prefix((room, word)).after(key).limit(1);
            Ok(POSTINGS.scan_with(&tx.fixed(), after)?.is_empty())
        };
        if kept.is_empty() && (!is_first || is_last()?) {
            POSTINGS.delete(tx, key)?;
        } else {
            POSTINGS.put(tx, key, &StoredPostings(pack(&kept)))?;
        }
    }
    Ok(())
}

/// How far a room is in the index.
pub(crate) fn indexed(reader: &impl Read, no: RoomNo) -> Result<u64, StorageError> {
    Ok(SEARCH_ROOM.get(reader, (no,))?.unwrap_or_default().next)
}
