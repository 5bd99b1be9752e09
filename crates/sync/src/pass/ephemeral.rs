//! Typing and receipts.

use std::{collections::BTreeMap, ops::ControlFlow};

use ruma::OwnedUserId;
use serde::Serialize;
use serde_json::value::to_raw_value;
use vestibule_rooms::{OpenRoom, ReceiptKind};
use vestibule_storage::{
    Scan, Snapshot, Stamp, StorageError,
    tables::room::{RECEIPT, RECEIPT_BY_POSITION, StoredReceiptKey},
};
use vestibule_types::{
    RoomNo,
    limits::{OWN_RECEIPTS_SEARCHED_MAX, RECEIPTS_SHOWN_MAX},
};

use super::Sight;
use crate::{
    response::RawEvent,
    shared::{ReceiptsKey, SharedReceipts},
};

pub(crate) const TYPING: &str = "m.typing";
pub(crate) const RECEIPTS: &str = "m.receipt";

/// Receipts by event, type and reader: what `m.receipt` holds.
pub(crate) type Receipts = BTreeMap<String, BTreeMap<String, BTreeMap<OwnedUserId, Receipt>>>;

#[derive(Serialize)]
pub(crate) struct Receipt {
    ts: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    thread_id: String,
}

#[derive(Serialize)]
struct Event<T> {
    r#type: &'static str,
    content: T,
}

#[derive(Serialize)]
pub(crate) struct TypingUsers<'a> {
    pub(crate) user_ids: &'a [OwnedUserId],
}

/// What passed in a room.
#[derive(Debug, Default)]
pub(super) struct Passing {
    pub(super) events: Vec<RawEvent>,
    /// Whether the user has read further, also where the client does not want to see receipts.
    pub(super) read_on: bool,
}

impl Sight<'_> {
    /// What passed after a commit, or what holds now for a client that begins with the room.
    pub(super) fn passing(&self, since: Option<u64>) -> Result<Passing, StorageError> {
        let room = self.view.room;
        let filter = &self.pass.query.filter.ephemeral;
        let wanted = |kind: &str| filter.admits_room(&room.room_id) && filter.admits_type(kind);
        let mut passing = Passing::default();
        if let Some(users) = self.pass.typing.get(&room.no).filter(|_| wanted(TYPING)) {
            passing.events.extend(event(TYPING, TypingUsers { user_ids: users }));
        }
        let changed = self.changed_receipts(since)?;
        passing.read_on = changed.iter().any(|receipt| receipt.user_id == self.pass.user());
        if wanted(RECEIPTS) {
            for receipts in self.receipts(changed)? {
                passing.events.extend(event(RECEIPTS, receipts));
            }
        }
        Ok(passing)
    }

    /// The receipts that changed and that the user may see. Of very many, the newest, and the user's own.
    pub(crate) fn changed_receipts(
        &self,
        since: Option<u64>,
    ) -> Result<Vec<StoredReceiptKey>, StorageError> {
        let no = self.view.room.no;
        let mut scan = Scan::prefix((no,)).reverse().limit(RECEIPTS_SHOWN_MAX);
        if let Some(since) = since {
            scan = scan.after((no, Stamp::end_of(since)));
        }
        let mut rows = RECEIPT_BY_POSITION.scan_with(self.pass.snapshot, scan)?;
        if let Some(&((_, oldest), _)) = rows.last().filter(|_| rows.len() == RECEIPTS_SHOWN_MAX) {
            let mut older = Scan::prefix((no,)).before((no, oldest));
            if let Some(since) = since {
                older = older.after((no, Stamp::end_of(since)));
            }
            let older = older.reverse().limit(OWN_RECEIPTS_SEARCHED_MAX);
            RECEIPT_BY_POSITION.each(self.pass.snapshot, older, |key, receipt| {
                if receipt.user_id == self.pass.user() {
                    rows.push((key, receipt));
                }
                ControlFlow::Continue(())
            })?;
        }
        let private = ReceiptKind::Private.name();
        let shown = rows.into_iter().map(|(_, receipt)| receipt).filter(|receipt| {
            receipt.receipt_type != private || receipt.user_id == self.pass.user()
        });
        Ok(shown.collect())
    }

    /// The contents of the receipts.
    pub(crate) fn receipts(
        &self,
        changed: Vec<StoredReceiptKey>,
    ) -> Result<Vec<Receipts>, StorageError> {
        contents(self.pass.snapshot, self.view.room.no, changed)
    }
}

/// The contents of receipts. One reader has one receipt of a type at an event; if there are two, of
/// different threads, they need two contents.
fn contents(
    snapshot: &Snapshot<'_>,
    no: RoomNo,
    changed: Vec<StoredReceiptKey>,
) -> Result<Vec<Receipts>, StorageError> {
    let keys =
        changed.iter().map(|it| (no, it.receipt_type.as_str(), it.thread.as_str(), &it.user_id));
    let rows = RECEIPT.multi_get(snapshot, keys)?;
    let mut contents: Vec<Receipts> = Vec::new();
    for (key, row) in changed.into_iter().zip(rows) {
        let Some(row) = row else { continue };
        let event_id = row.value.event_id.to_string();
        let taken = |content: &Receipts| {
            let of_event = content.get(&event_id).and_then(|it| it.get(&key.receipt_type));
            of_event.is_some_and(|readers| readers.contains_key(&key.user_id))
        };
        let receipt = Receipt { ts: row.value.at, thread_id: key.thread };
        let at = contents.iter().position(|content| !taken(content)).unwrap_or_else(|| {
            contents.push(Receipts::new());
            contents.len() - 1
        });
        if let Some(content) = contents.get_mut(at) {
            let of_event = content.entry(event_id).or_default();
            of_event.entry(key.receipt_type).or_default().insert(key.user_id, receipt);
        }
    }
    Ok(contents)
}

/// The receipts of some commits as those are shown them who have none among them. `None` for a room that
/// is not there.
pub(crate) fn render_receipts(
    snapshot: &Snapshot<'_>,
    key: ReceiptsKey,
) -> Result<Option<SharedReceipts>, StorageError> {
    let ReceiptsKey { room: no, first, last } = key;
    let Some(room) = OpenRoom::load_no(snapshot, no)? else { return Ok(None) };
    let scan = Scan::prefix((no,))
        .after((no, Stamp::end_of(first.saturating_sub(1))))
        .before((no, Stamp::end_of(last)))
        .reverse()
        .limit(RECEIPTS_SHOWN_MAX);
    let rows = RECEIPT_BY_POSITION.scan_with(snapshot, scan)?;
    if rows.len() == RECEIPTS_SHOWN_MAX {
        let room_id = room.room_id;
        return Ok(Some(SharedReceipts { room_id, events: Vec::new(), readers: None }));
    }
    let readers = rows.iter().map(|(_, receipt)| receipt.user_id.clone()).collect();
    let private = ReceiptKind::Private.name();
    let shown = rows.into_iter().map(|(_, receipt)| receipt);
    let shown = shown.filter(|receipt| receipt.receipt_type != private).collect();
    let contents = contents(snapshot, no, shown)?;
    let events = contents.into_iter().filter_map(|content| event(RECEIPTS, content)).collect();
    Ok(Some(SharedReceipts { room_id: room.room_id, events, readers: Some(readers) }))
}

/// `{"type": .., "content": ..}`
pub(crate) fn event(kind: &'static str, content: impl Serialize) -> Option<RawEvent> {
    // Its keys are texts, so it always has a JSON form.
    to_raw_value(&Event { r#type: kind, content }).ok()
}
