//! Transaction ids: the same request twice is one event.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedUserId, RoomId};
use vestibule_storage::{
    Scan, SlotNo, StorageError,
    tables::{
        room::{
            StoredTransaction, StoredTransactionOf, TRANSACTION, TRANSACTION_BY_TIME,
            TRANSACTION_OF_EVENT,
        },
        to_device::{TO_DEVICE_SENT, TO_DEVICE_SENT_BY_TIME},
    },
};
use vestibule_types::{
    Actor,
    limits::{TRANSACTION_AGE_MS_MAX, TRANSACTIONS_FORGOTTEN_AT_ONCE},
};

use super::SendError;
use crate::{RoomTx, Rooms};

/// The scope of a client's transaction id: its device and the endpoint it was used on.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
    scope: String,
    id: String,
}

impl Transaction {
    /// The transaction of a request; `None` for callers without a device.
    pub(crate) fn new(actor: &Actor, scope: String, id: Option<&str>) -> Option<Self> {
        Some(Self {
            user_id: actor.user_id().to_owned(),
            device_id: actor.device_id()?.to_owned(),
            scope,
            id: id?.to_owned(),
        })
    }
}

impl RoomTx<'_, '_> {
    /// The event this transaction already made, if it was seen before.
    pub(crate) fn seen(
        &self,
        transaction: Option<&Transaction>,
    ) -> Result<Option<OwnedEventId>, StorageError> {
        let Some(it) = transaction else { return Ok(None) };
        let row = TRANSACTION.get(&*self.tx, (&it.user_id, &it.device_id, &it.scope, &it.id))?;
        Ok(row.map(|row| row.event_id))
    }

    /// Remembers what this transaction made.
    pub(crate) fn remember(
        &mut self,
        transaction: Option<&Transaction>,
        event_id: &ruma::EventId,
        at: u64,
    ) -> Result<(), StorageError> {
        let Some(it) = transaction else { return Ok(()) };
        let row = StoredTransaction { event_id: event_id.to_owned(), at };
        let of = StoredTransactionOf { device_id: it.device_id.clone(), id: it.id.clone() };
        TRANSACTION_OF_EVENT.put(self.tx, (event_id,), &of)?;
        let (user, device) = (&it.user_id, &it.device_id);
        TRANSACTION.put(self.tx, (user, device, &it.scope, &it.id), &row)?;
        TRANSACTION_BY_TIME.put(self.tx, (at, user, device, &it.scope, &it.id), &())
    }
}

impl Rooms {
    /// Makes an event in a room, unless the transaction made one before: then it is that one.
    pub(super) async fn make_once(
        &self,
        room_id: &RoomId,
        transaction: Option<Transaction>,
        at: MilliSecondsSinceUnixEpoch,
        make: impl Fn(&mut RoomTx<'_, '_>) -> Result<OwnedEventId, SendError> + Send + 'static,
    ) -> Result<OwnedEventId, SendError> {
        let outcome = self
            .in_room_recommended(room_id, move |room| {
                if let Some(known) = room.seen(transaction.as_ref())? {
                    return Ok(known);
                }
                let event_id = make(room)?;
                room.remember(transaction.as_ref(), &event_id, at.get().into())?;
                Ok::<_, SendError>(event_id)
            })
            .await?;
        Ok(outcome.0)
    }

    /// Forgets transaction ids that are older than a client may repeat a request. Returns whether
    /// there are more.
    pub async fn forget_transactions(&self) -> Result<bool, StorageError> {
        let before = self.inner.env.now_ms().saturating_sub(TRANSACTION_AGE_MS_MAX);
        let forgotten = self.inner.store.write(SlotNo(0), move |tx| {
            let old = Scan::prefix(()).before((before,)).limit(TRANSACTIONS_FORGOTTEN_AT_ONCE);
            let rows = TRANSACTION_BY_TIME.scan_with(tx, old)?;
            for ((at, user, device, scope, id), ()) in &rows {
                if let Some(row) = TRANSACTION.get(tx, (user, device, scope, id))? {
                    TRANSACTION_OF_EVENT.delete(tx, (&row.event_id,))?;
                }
                TRANSACTION.delete(tx, (user, device, scope, id))?;
                TRANSACTION_BY_TIME.delete(tx, (*at, user, device, scope, id))?;
            }
            let old = Scan::prefix(()).before((before,)).limit(TRANSACTIONS_FORGOTTEN_AT_ONCE);
            let sent = TO_DEVICE_SENT_BY_TIME.scan_with(tx, old)?;
            for ((at, user, device, id), ()) in &sent {
                TO_DEVICE_SENT.delete(tx, (user, device, id))?;
                TO_DEVICE_SENT_BY_TIME.delete(tx, (*at, user, device, id))?;
            }
            let full = TRANSACTIONS_FORGOTTEN_AT_ONCE;
            Ok::<_, StorageError>(rows.len() == full || sent.len() == full)
        });
        Ok(forgotten.await?.value)
    }
}
