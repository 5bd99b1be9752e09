//! Read receipts: how far somebody has read. A receipt never moves back.

use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde::Deserialize;
use vestibule_policy::kind;
use vestibule_storage::{
    Read, Stamp, Stamped, StorageError,
    tables::room::{
        RECEIPT, RECEIPT_BY_POSITION, STREAM, StoredNews, StoredReceipt, StoredReceiptKey,
    },
};
use vestibule_types::{
    Actor,
    limits::{IDENTIFIER_BYTES_MAX, RELATION_DEPTH_MAX},
};

use super::NoticeError;
use crate::{LoggedEvent, RoomTx, RoomView, Rooms, ask::Deed};

/// Who is told of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Everybody in the room.
    Public,
    /// Nobody but the reader.
    Private,
}

impl ReceiptKind {
    /// Its name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "m.read",
            Self::Private => "m.read.private",
        }
    }
}

/// Say how far one has read.
#[derive(Clone, Debug)]
pub struct SendReceipt {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event read up to.
    pub event_id: OwnedEventId,
    /// Who is told.
    pub kind: ReceiptKind,
    /// The thread it is about: an event, or `main`; `None` for the whole room.
    pub thread: Option<String>,
}

/// Who has read, and when, in milliseconds since the Unix epoch.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) at: u64,
}

#[derive(Deserialize)]
struct Relating {
    #[serde(rename = "m.relates_to")]
    relates_to: RelatesTo,
}

#[derive(Deserialize)]
struct RelatesTo {
    rel_type: Option<String>,
    event_id: Option<OwnedEventId>,
}

impl Rooms {
    /// Takes a read receipt.
    pub async fn send_receipt(
        &self,
        actor: &Actor,
        command: SendReceipt,
    ) -> Result<(), NoticeError> {
        let room_id = command.room_id.clone();
        let deed = Deed::Receipt(room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        self.in_room(&room_id, move |room| {
            let permit = room.permit::<kind::Ephemeral>(&ask, &deed)?;
            room.view()?.spend_notice(&ask, permit)?;
            let reader = Reader { user_id: &ask.user_id, at: ask.now.get().into() };
            room.take_receipt(reader, &command)
        })
        .await?;
        self.acted(actor).await;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    pub(super) fn take_receipt(
        &mut self,
        reader: Reader<'_>,
        command: &SendReceipt,
    ) -> Result<(), NoticeError> {
        let view = self.view()?;
        let no = view.room.no;
        let event = view.noticed_event(&command.event_id)?;
        let place = view.place_of(&event)?;
        if let Some(thread) = &command.thread {
            check_thread(&view, &event, thread)?;
        }
        let thread = command.thread.as_deref().unwrap_or_default();
        let kind = command.kind.name();
        let key = (no, kind, thread, reader.user_id);
        let old = RECEIPT.get(&*self.tx, key)?;
        if let Some(old) = &old {
            let before = match self.view()?.event_by_id(&old.value.event_id)? {
                Some(event) => self.view()?.place_of(&event)?,
                None => None,
            };
            if place <= before {
                return Ok(());
            }
            RECEIPT_BY_POSITION.delete(self.tx, (no, old.stamp))?;
        }
        let stamp = self.next_stamp();
        let row = StoredReceipt { event_id: command.event_id.clone(), at: reader.at };
        RECEIPT.put(self.tx, key, &Stamped::new(stamp, row))?;
        let changed = StoredReceiptKey {
            receipt_type: kind.to_owned(),
            thread: thread.to_owned(),
            user_id: reader.user_id.to_owned(),
        };
        RECEIPT_BY_POSITION.put(self.tx, (no, stamp), &changed)?;
        STREAM.put(self.tx, (self.tx.slot().0, stamp), &StoredNews::Receipt { room: no })?;
        Ok(())
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The place of an event in the stream.
    pub(super) fn place_of(&self, event: &LoggedEvent) -> Result<Option<Stamp>, StorageError> {
        Ok(self.around(event.no)?.map(|around| around.stamp))
    }
}

/// Whether an event is in the thread a receipt names: the root, a reply in it, or what relates to
/// one; `main` is whatever is in no thread.
fn check_thread<R: Read>(
    view: &RoomView<'_, R>,
    event: &LoggedEvent,
    thread: &str,
) -> Result<(), NoticeError> {
    if thread.is_empty() || thread.len() > IDENTIFIER_BYTES_MAX {
        return Err(NoticeError::BadThread("thread_id must be an event id or `main`"));
    }
    let mut here = event.clone();
    for _ in 0..=RELATION_DEPTH_MAX {
        if thread == here.pdu.event_id().as_str() {
            return Ok(());
        }
        let Ok(Relating { relates_to }) = here.pdu.content_as::<Relating>() else { break };
        let RelatesTo { rel_type, event_id: Some(parent) } = relates_to else { break };
        if rel_type.as_deref() == Some("m.thread") {
            if thread == parent.as_str() {
                return Ok(());
            }
            return Err(NoticeError::BadThread("the event is not in this thread"));
        }
        match view.event_by_id(&parent)? {
            Some(parent) => here = parent,
            None => break,
        }
    }
    if thread == "main" {
        Ok(())
    } else {
        Err(NoticeError::BadThread("the event is not in this thread"))
    }
}
