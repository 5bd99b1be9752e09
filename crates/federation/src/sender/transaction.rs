//! A transaction from what it is made of.

use std::collections::BTreeMap;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedServerName, OwnedUserId, ServerName,
    UInt,
    api::federation::transactions::{edu::Edu, send_transaction_message::v1::Request},
    serde::Raw,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use vestibule_rooms::{Availability, OpenRoom, RoomView, Rooms, ServerViewer};
use vestibule_storage::{
    Snapshot, Stamp, StorageError,
    tables::{
        room::{RECEIPT, RECEIPT_BY_POSITION},
        sender::{EDU_OUT, StoredOutTransaction},
    },
};
use vestibule_types::{RoomNo, limits::PRESENCE_PER_EDU_MAX};

use super::hub::Passing;

/// What a transaction holds, ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) pdus: Vec<Box<RawValue>>,
    pub(super) edus: Vec<Raw<Edu>>,
}

impl Contents {
    /// Gathers them. What is not there any more is left out: a receipt that was followed by another,
    /// a room that was purged. What was redacted while it waited goes out redacted.
    pub(super) fn gather(
        snapshot: &Snapshot<'_>,
        rooms: &Rooms,
        (server, parts): (&OwnedServerName, &StoredOutTransaction),
        passing: &Passing,
    ) -> Result<Self, StorageError> {
        let mut contents = Self::default();
        let mut opened: BTreeMap<RoomNo, Option<(OpenRoom, ServerViewer)>> = BTreeMap::new();
        for (room, no) in &parts.events {
            if !opened.contains_key(room) {
                opened.insert(*room, open(snapshot, rooms, (*room, server))?);
            }
            let Some(Some((open, viewer))) = opened.get_mut(room) else { continue };
            let view = RoomView::new(rooms, snapshot, open);
            let Some(event) = view.event(*no)? else { continue };
            contents.pdus.push(view.sent_to(viewer, &event)?);
        }
        for (slot, stamp) in &parts.edus {
            let Some(edu) = EDU_OUT.get(snapshot, (server, *slot, *stamp))? else { continue };
            contents.edus.extend(written(&edu.edu_type, RawValue::from_string(edu.content).ok()));
        }
        for receipts in receipts(snapshot, &parts.receipts)? {
            contents.edus.extend(written("m.receipt", to_raw_value(&receipts).ok()));
        }
        for ((room_id, user_id), typing) in &passing.typing {
            let content =
                TypingContent { room_id: room_id.as_str(), user_id: user_id.as_str(), typing };
            contents.edus.extend(written("m.typing", to_raw_value(&content).ok()));
        }
        let push: Vec<Present> =
            passing.presence.iter().filter_map(|user| present(rooms, user)).collect();
        for push in push.chunks(PRESENCE_PER_EDU_MAX) {
            let content = to_raw_value(&PresenceContent { push }).ok();
            contents.edus.extend(written("m.presence", content));
        }
        Ok(contents)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pdus.is_empty() && self.edus.is_empty()
    }

    /// The request that carries them.
    pub(super) fn request(self, us: OwnedServerName, id: &str, at: u64) -> Request {
        let at = MilliSecondsSinceUnixEpoch(UInt::try_from(at).unwrap_or(UInt::MAX));
        let mut request = Request::new(id.into(), us, at);
        request.pdus = self.pdus;
        request.edus = self.edus;
        request
    }
}

/// A room, and how a server looks at it.
fn open(
    snapshot: &Snapshot<'_>,
    rooms: &Rooms,
    (room, server): (RoomNo, &ServerName),
) -> Result<Option<(OpenRoom, ServerViewer)>, StorageError> {
    let Some(open) = OpenRoom::load_no(snapshot, room)? else { return Ok(None) };
    let viewer = ServerViewer::new(&RoomView::new(rooms, snapshot, &open), server)?;
    Ok(Some((open, viewer)))
}

#[derive(Serialize)]
struct Wire<'a> {
    edu_type: &'a str,
    content: Box<RawValue>,
}

/// The content of `m.typing`.
#[derive(Serialize)]
struct TypingContent<'a> {
    room_id: &'a str,
    user_id: &'a str,
    typing: &'a bool,
}

/// The content of `m.presence`.
#[derive(Serialize)]
struct PresenceContent<'a> {
    push: &'a [Present],
}

#[derive(Serialize)]
struct Present {
    user_id: OwnedUserId,
    presence: Availability,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<String>,
    last_active_ago: u64,
    currently_active: bool,
}

/// The presence of one of our users, as it is now.
fn present(rooms: &Rooms, user: &OwnedUserId) -> Option<Present> {
    let now = rooms.presence().of(user)?;
    Some(Present {
        last_active_ago: now.active_ago_ms(rooms.presence_moment()).unwrap_or_default(),
        user_id: now.user_id,
        presence: now.state,
        status_msg: now.status,
        currently_active: now.currently_active,
    })
}

/// The content of `m.receipt`: room, type, user.
type Receipts = BTreeMap<String, BTreeMap<&'static str, BTreeMap<OwnedUserId, UserReceipt>>>;

#[derive(Serialize)]
struct UserReceipt {
    data: ReceiptData,
    event_ids: [OwnedEventId; 1],
}

#[derive(Serialize)]
struct ReceiptData {
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
}

fn written(edu_type: &str, content: Option<Box<RawValue>>) -> Option<Raw<Edu>> {
    let wire = Wire { edu_type, content: content? };
    Some(Raw::from_json(to_raw_value(&wire).ok()?))
}

/// The receipts at these positions: as many messages as a user has receipts in different threads
/// of a room, because a message has place for one of each user.
fn receipts(
    snapshot: &Snapshot<'_>,
    positions: &[(RoomNo, Stamp)],
) -> Result<Vec<Receipts>, StorageError> {
    let mut messages: Vec<Receipts> = Vec::new();
    for (no, stamp) in positions {
        let Some(key) = RECEIPT_BY_POSITION.get(snapshot, (*no, *stamp))? else { continue };
        let place = (*no, &key.receipt_type, &key.thread, &key.user_id);
        let Some(row) = RECEIPT.get(snapshot, place)? else { continue };
        let Some(room) = OpenRoom::load_no(snapshot, *no)? else { continue };
        let room_id = room.room_id.to_string();
        let thread_id = (!key.thread.is_empty()).then_some(key.thread);
        let receipt = UserReceipt {
            data: ReceiptData { ts: row.value.at, thread_id },
            event_ids: [EventId::to_owned(&row.value.event_id)],
        };
        let taken = |message: &Receipts| {
            let users = message.get(&room_id).and_then(|types| types.get("m.read"));
            users.is_some_and(|users| users.contains_key(&key.user_id))
        };
        let free = messages.iter().position(|message| !taken(message));
        let at = free.unwrap_or_else(|| {
            messages.push(Receipts::new());
            messages.len() - 1
        });
        let Some(message) = messages.get_mut(at) else { continue };
        let users = message.entry(room_id).or_default().entry("m.read").or_default();
        users.insert(key.user_id, receipt);
    }
    Ok(messages)
}
