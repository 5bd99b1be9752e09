//! `m.receipt`: how far users of other servers have read (server-server API, "Receipts").

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, ServerName};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_rooms::ReceiptElsewhere;
use vestibule_types::limits::{IDENTIFIER_BYTES_MAX, RECEIPTS_PER_EDU_MAX};

use super::is_of;
use crate::Federation;

/// Events looked at for one receipt.
const EVENTS_PER_RECEIPT_MAX: usize = 20;

/// Receipts of rooms. What one server gets wrong about one room or user does not cost the others, so the
/// parts are read one by one.
type ByRoom<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct OfRoom<'a> {
    #[serde(rename = "m.read", borrow)]
    read: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Receipt {
    event_ids: Vec<OwnedEventId>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    ts: u64,
    thread_id: Option<String>,
}

impl Federation {
    pub(super) async fn receive_receipts(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> &'static str {
        let Ok(rooms) = serde_json::from_str::<ByRoom<'_>>(content.get()) else {
            return "malformed";
        };
        let mut left = RECEIPTS_PER_EDU_MAX;
        for (room_id, of_room) in rooms {
            let Ok(room_id) = OwnedRoomId::try_from(room_id) else { continue };
            let mut receipts = receipts(origin, of_room);
            receipts.truncate(left);
            left -= receipts.len();
            if receipts.is_empty() {
                continue;
            }
            let taken = self.inner.parts.rooms.receipts_elsewhere(origin, &room_id, receipts);
            if let Err(error) = taken.await {
                tracing::warn!(%error, "receipts were not taken");
                return "failed";
            }
        }
        "receipt"
    }
}

fn receipts(origin: &ServerName, of_room: &RawValue) -> Vec<ReceiptElsewhere> {
    let Ok(of_room) = serde_json::from_str::<OfRoom<'_>>(of_room.get()) else { return Vec::new() };
    let receipt = |(user_id, receipt): (String, &RawValue)| {
        let user_id = OwnedUserId::try_from(user_id).ok().filter(|user| is_of(user, origin))?;
        let Receipt { mut event_ids, data } = serde_json::from_str(receipt.get()).ok()?;
        event_ids.truncate(EVENTS_PER_RECEIPT_MAX);
        let thread = data.thread_id;
        let fits = thread.as_ref().is_none_or(|it| it.len() <= IDENTIFIER_BYTES_MAX);
        fits.then_some(ReceiptElsewhere { user_id, event_ids, at: data.ts, thread })
    };
    of_room.read.into_iter().filter_map(receipt).collect()
}
