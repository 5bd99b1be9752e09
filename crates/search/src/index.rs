//! Putting a room's events into the index, and taking redacted ones out.

use std::{collections::BTreeMap, ops::ControlFlow};

use ruma::{OwnedEventId, UserId};
use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Fixed, Read, Scan, Snapshot, StorageError, Tx,
    tables::{
        room::{EVENT_BY_ID, EVENT_BY_NO, REDACTION_BY_TARGET, StoredEvent},
        search::{
            FINDABLE, POSTINGS, SEARCH_ROOM, StoredFindable, StoredPostings, StoredSearchRoom,
        },
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{SEARCH_BATCH_EVENTS, SEARCH_ROW_EVENTS_MAX, SEARCH_TAIL_EVENTS_MAX},
};

use crate::{
    postings::{Field, Place, Posting, Weight, pack, unpack},
    tails::{Begins, Tails},
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

/// What a transaction put into the index.
#[derive(Debug, Default)]
pub(crate) struct Indexed {
    /// From which event up to which one.
    pub(crate) stretch: (u64, u64),
    /// Where the newest rows of the words in it begin now.
    pub(crate) begins: Begins,
    /// Whether there is more.
    pub(crate) more: bool,
}

/// Puts the next events of a room into the index. `now` is in milliseconds since the Unix epoch.
pub(crate) fn index_next(
    tx: &mut Tx<'_>,
    (no, tails): (RoomNo, &Tails),
    now: u64,
) -> Result<Indexed, StorageError> {
    let Some(room) = OpenRoom::load_no(&tx.fixed(), no)? else { return Ok(Indexed::default()) };
    // Asserted: each event is put in by one writer.
    let from = SEARCH_ROOM.get(&*tx, (no,))?.unwrap_or_default().next;
    let end = room.head.next_event.min(from.saturating_add(SEARCH_BATCH_EVENTS));
    if from >= end {
        return Ok(Indexed::default());
    }
    let changes = collect(tx, (no, from..end), now)?;
    for (word, places) in &changes.removed {
        remove(tx, (no, word), places)?;
    }
    let known = newest_rows(tx, (no, from), (tails, &changes.added))?;
    let mut begins = Vec::with_capacity(known.len());
    for ((word, postings), newest) in changes.added.into_iter().zip(known) {
        let begin = insert(tx, (no, &word), (postings, newest))?;
        begins.push((word, begin));
    }
    SEARCH_ROOM.put(tx, (no,), &StoredSearchRoom { next: end })?;
    Ok(Indexed { stretch: (from, end), begins, more: end < room.head.next_event })
}

/// The newest rows of words, read at once; `None` for those that have to be looked for.
fn newest_rows(
    tx: &Tx<'_>,
    (room, next): (RoomNo, u64),
    (tails, words): (&Tails, &BTreeMap<String, Vec<Posting>>),
) -> Result<Vec<Option<Row>>, StorageError> {
    let begins = tails.of((room, next), words.keys());
    let keys = words.keys().zip(&begins).map(|(word, begin)| {
        let begin = begin.unwrap_or(FIRST);
        (room, word, begin.second, begin.no)
    });
    let rows = POSTINGS.multi_get(&tx.fixed(), keys)?;
    let newest = |(begin, row): (&Option<Place>, Option<StoredPostings>)| match (begin, row) {
        (Some(begin), Some(row)) => Ok(Some((*begin, postings_in(&row)?))),
        // Without a first row there is none.
        (None, None) => Ok(Some((FIRST, Vec::new()))),
        _ => Ok(None),
    };
    begins.iter().zip(rows).map(newest).collect()
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

/// The messages of a room that are found by their sender.
pub(crate) fn written_by(
    read: &Snapshot<'_>,
    room: RoomNo,
    user: &UserId,
) -> Result<Vec<EventNo>, StorageError> {
    let (word, mut found, mut failed) = (sender_word(user.as_str()), Vec::new(), None);
    POSTINGS.each(read, Scan::prefix((room, &*word)), |_, row| match postings_in(&row) {
        Ok(postings) => {
            found.extend(postings.into_iter().map(|(place, _)| place.event()));
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(found), Err)
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

/// Where the first row of a word begins.
const FIRST: Place = Place { second: 0, no: 0 };

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

/// Puts places into the rows of a word, of which the newest may be known. Returns where the newest
/// begins now.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    (room, word): (RoomNo, &str),
    (mut postings, newest): (Vec<Posting>, Option<Row>),
) -> Result<Place, StorageError> {
    postings.sort_unstable_by_key(|(place, _)| *place);
    let newest = match newest {
        Some(newest) => newest,
        None => row_of(tx.fixed(), (room, word), Place::LAST)?.unwrap_or((FIRST, Vec::new())),
    };
    let earlier = postings.partition_point(|(place, _)| *place < newest.0);
    let fresh = postings.split_off(earlier);
    let begin = append(tx, (room, word), (newest, fresh))?;
    while let Some((last, _)) = postings.last() {
        let row = row_of(tx.fixed(), (room, word), *last)?.unwrap_or((FIRST, Vec::new()));
        let first = postings.partition_point(|(place, _)| *place < row.0);
        let fresh = postings.split_off(first);
        put_row(tx, (room, word), (row, fresh))?;
    }
    Ok(begin)
}

/// Puts places into the newest row of a word, or into one behind it when it is long. Returns where the
/// newest begins then.
fn append(
    tx: &mut Tx<'_>,
    word: (RoomNo, &str),
    ((begin, kept), fresh): (Row, Vec<Posting>),
) -> Result<Place, StorageError> {
    let Some((first, _)) = fresh.first().copied() else { return Ok(begin) };
    let is_behind = kept.last().is_some_and(|(place, _)| *place < first);
    if is_behind && kept.len() >= SEARCH_TAIL_EVENTS_MAX {
        join(tx, word, (begin, kept))?;
        return put_row(tx, word, ((first, Vec::new()), fresh));
    }
    put_row(tx, word, ((begin, kept), fresh))
}

/// Makes a row part of the one before it, if there is room.
fn join(
    tx: &mut Tx<'_>,
    (room, word): (RoomNo, &str),
    (begin, kept): Row,
) -> Result<(), StorageError> {
    let Some(before) = begin.before() else { return Ok(()) };
    let Some((at, mut row)) = row_of(tx.fixed(), (room, word), before)? else { return Ok(()) };
    if row.len() + kept.len() > SEARCH_ROW_EVENTS_MAX {
        return Ok(());
    }
    row.extend(kept);
    POSTINGS.put(tx, (room, word, at.second, at.no), &StoredPostings(pack(&row)))?;
    POSTINGS.delete(tx, (room, word, begin.second, begin.no))
}

/// Puts places into a row, and splits it where it grows too long. Returns where the newest piece begins.
fn put_row(
    tx: &mut Tx<'_>,
    (room, word): (RoomNo, &str),
    ((begin, mut kept), fresh): (Row, Vec<Posting>),
) -> Result<Place, StorageError> {
    let appended = kept.last().map(|(place, _)| *place) < fresh.first().map(|(place, _)| *place);
    kept.extend(fresh);
    kept.sort_by_key(|(place, _)| *place);
    kept.dedup_by_key(|(place, _)| *place);
    // What only grows at its end is left full, what grows in between is left with room.
    let pieces = kept.len().div_ceil(SEARCH_ROW_EVENTS_MAX).max(1);
    let size = if appended { SEARCH_ROW_EVENTS_MAX } else { kept.len().div_ceil(pieces) };
    let mut at = begin;
    for (number, piece) in kept.chunks(size.max(1)).enumerate() {
        at = if number == 0 { begin } else { piece.first().map_or(begin, |(at, _)| *at) };
        POSTINGS.put(tx, (room, word, at.second, at.no), &StoredPostings(pack(piece)))?;
    }
    Ok(at)
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
        let is_first = begin == FIRST;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vestibule_storage::{
        CommitMode, Durability, InlineExecutor, MemoryEngine, SlotNo, Store, StoreOptions,
    };

    use super::*;

    const ROOM: RoomNo = RoomNo(7);

    fn store() -> Store {
        let options = StoreOptions {
            slots: 1,
            durability: Durability::Os,
            commit: CommitMode::Inline,
            executor: Arc::new(InlineExecutor),
        };
        Store::open(MemoryEngine::new(1), options).unwrap()
    }

    fn posting(second: u32, no: u32) -> Posting {
        (Place { second, no }, Weight::of(Field::Body, 1, 1))
    }

    /// Puts batches in as transactions of the index do, and returns the rows they end in.
    async fn rows(store: &Store, batches: &[Vec<Posting>]) -> Vec<Row> {
        let tails = Arc::new(Tails::default());
        for (at, batch) in (0..).zip(batches) {
            let (known, added) = (Arc::clone(&tails), [("tea".to_owned(), batch.clone())]);
            let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
                let added = BTreeMap::from(added.clone());
                let newest = newest_rows(tx, (ROOM, at), (&known, &added))?;
                let parts = added.into_iter().zip(newest);
                parts
                    .map(|((word, postings), newest)| {
                        let begin = insert(tx, (ROOM, &word), (postings, newest))?;
                        Ok((word, begin))
                    })
                    .collect::<Result<Begins, _>>()
            });
            tails.note(ROOM, (at, at + 1), write.await.unwrap().value);
        }
        let read = store.read::<_, StorageError, _>(|snapshot| {
            let rows = POSTINGS.scan(snapshot, (ROOM, "tea"), 10_000)?;
            let row = |((_, _, second, no), row): ((_, _, u32, u32), StoredPostings)| {
                Ok((Place { second, no }, postings_in(&row)?))
            };
            rows.into_iter().map(row).collect()
        });
        read.await.unwrap()
    }

    #[tokio::test]
    async fn batches_end_in_full_rows_that_follow_one_another_and_hold_each_place_once() {
        // Batches of one to nine places; every tenth brings one that is older than all of the batch.
        let (mut batches, mut no) = (Vec::new(), 1_000);
        for at in 0..600_u32 {
            let mut batch: Vec<Posting> =
                (0..=at * 7 % 9).map(|ahead| posting(no + ahead, no + ahead)).collect();
            no += 9;
            if at % 10 == 3 {
                batch.push(posting(no * 5 / 7, no));
            }
            batches.push(batch);
        }
        let rows = rows(&store(), &batches).await;
        let mut wanted: Vec<Place> = batches.iter().flatten().map(|(place, _)| *place).collect();
        wanted.sort_unstable();
        let there: Vec<Place> =
            rows.iter().flat_map(|(_, row)| row.iter().map(|(place, _)| *place)).collect();
        assert_eq!(there, wanted);
        for ((begin, row), next) in rows.iter().zip(rows.iter().skip(1)) {
            assert!(row.len() <= SEARCH_ROW_EVENTS_MAX);
            assert!(*begin <= row[0].0 && row[row.len() - 1].0 < next.0);
        }
        let full = wanted.len() / SEARCH_ROW_EVENTS_MAX;
        assert!(rows.len() <= 3 * full, "{} rows of {} places", rows.len(), wanted.len());
    }

    #[tokio::test]
    async fn a_newest_row_that_went_is_looked_for_again() {
        let store = store();
        let batches: Vec<Vec<Posting>> = (1..=70).map(|no| vec![posting(no, no)]).collect();
        assert_eq!(rows(&store, &batches).await.len(), 2);
        let tails = Arc::new(Tails::default());
        tails.note(ROOM, (0, 1), vec![("tea".to_owned(), Place { second: 65, no: 65 })]);
        let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
            let gone: Vec<Place> = (65..=70).map(|no| Place { second: no, no }).collect();
            remove(tx, (ROOM, "tea"), &gone)?;
            let added = BTreeMap::from([("tea".to_owned(), vec![posting(71, 71)])]);
            Ok(newest_rows(tx, (ROOM, 1), (&tails, &added))?.into_iter().next().flatten().is_some())
        });
        assert!(!write.await.unwrap().value);
    }
}
