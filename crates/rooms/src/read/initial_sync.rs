//! A snapshot of one room, for those who look into it without following it.

use ruma::RoomId;
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_storage::{
    Snapshot,
    tables::{directory::PUBLICATION_BY_ROOM, user_data::ACCOUNT_DATA},
};
use vestibule_types::{
    Actor,
    limits::{ACCOUNT_DATA_ITEMS_MAX, HISTORY_SCAN_MAX, MESSAGES_PAGE_MAX, ROOM_SNAPSHOT_EVENTS},
};

use super::{ReadError, access::Access};
use crate::{
    LoggedEvent, RoomView, Rooms, Showing, StoredMembership, TimelinePosition, append::LIVE,
};

/// A room as it is, with what was said last.
#[derive(Debug)]
pub struct RoomSnapshot {
    /// The reader's own membership, if they have one.
    pub membership: Option<StoredMembership>,
    /// The newest events, oldest first.
    pub messages: Vec<Box<RawValue>>,
    /// Where to go on backwards.
    pub start: String,
    /// Where to go on forwards.
    pub end: String,
    /// The state the reader sees.
    pub state: Vec<Box<RawValue>>,
    /// Whether the room is in the public list.
    pub published: bool,
    /// What the reader keeps about the room.
    pub account_data: Vec<RoomAccountData>,
}

/// An item that somebody keeps about a room.
#[derive(Debug, Serialize)]
pub struct RoomAccountData {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its content.
    pub content: Box<RawValue>,
}

impl Rooms {
    /// A snapshot of a room with so many events, as far as the reader may see it.
    pub async fn initial_sync(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        limit: Option<usize>,
    ) -> Result<RoomSnapshot, ReadError> {
        let limit = limit.unwrap_or(ROOM_SNAPSHOT_EVENTS).min(MESSAGES_PAGE_MAX);
        let (asker, now) = (actor.clone(), self.inner.env.now());
        self.read_as(actor, room_id, move |view, mut access| {
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let member = view.local_member(asker.user_id())?;
            let (newest, mut start, end) = latest(view, &mut access, limit)?;
            let mut messages = Vec::with_capacity(newest.len());
            for event in newest.iter().rev() {
                messages.push(view.show(&mut access.viewer, event, showing)?);
            }
            if messages.is_empty() {
                start = end;
            }
            let mut state = Vec::new();
            for no in view.full_state(access.at, None)?.into_values() {
                if let Some(event) = view.event(no)? {
                    state.push(view.show(&mut access.viewer, &event, showing)?);
                }
            }
            Ok(RoomSnapshot {
                membership: member.map(|member| member.value.membership),
                messages,
                start: start.to_string(),
                end: end.to_string(),
                state,
                published: PUBLICATION_BY_ROOM.contains(&view.reader, (view.room.no,))?,
                account_data: account_data(view, &asker)?,
            })
        })
        .await
    }
}

/// The newest events the reader may see, newest first, and the places before and behind them.
fn latest(
    view: &RoomView<'_, &Snapshot<'_>>,
    access: &mut Access,
    limit: usize,
) -> Result<(Vec<LoggedEvent>, TimelinePosition, TimelinePosition), ReadError> {
    let newest = view.timeline_back(None, None, 1)?;
    let nowhere = TimelinePosition { side: LIVE, stamp: vestibule_storage::Stamp::default() };
    let end = newest.first().map_or(nowhere, |(position, _)| position.next());
    let (mut at, mut start) = (None, end);
    let mut found = Vec::new();
    let mut looked_at = 0;
    while found.len() < limit && looked_at < HISTORY_SCAN_MAX {
        let rows = view.timeline_back(at, None, limit)?;
        let exhausted = rows.len() < limit;
        for (position, no) in rows {
            looked_at += 1;
            at = Some(position);
            if found.len() == limit || !access.viewer.may_see(view, no)? {
                continue;
            }
            if let Some(event) = view.event(no)?
                && !access.viewer.ignores(view, &event)?
            {
                found.push(event);
                start = position;
            }
        }
        if exhausted {
            break;
        }
    }
    Ok((found, start, end))
}

fn account_data(
    view: &RoomView<'_, &Snapshot<'_>>,
    asker: &Actor,
) -> Result<Vec<RoomAccountData>, ReadError> {
    let prefix = (asker.user_id(), view.room.room_id.as_str());
    let rows = ACCOUNT_DATA.scan(&view.reader, prefix, ACCOUNT_DATA_ITEMS_MAX)?;
    let item = |((_, _, event_type), row): (_, vestibule_storage::Stamped<String>)| {
        let content = RawValue::from_string(row.value).ok()?;
        Some(RoomAccountData { event_type, content })
    };
    Ok(rows.into_iter().filter_map(item).collect())
}
