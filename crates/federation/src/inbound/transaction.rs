//! A transaction: events and messages that another server has for us.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, ServerName};
use serde_json::value::RawValue;
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    INBOUND_ROOMS_AT_ONCE, INBOUND_TRANSACTION_ID_BYTES_MAX, TRANSACTION_EDUS_MAX,
    TRANSACTION_PDUS_MAX,
};

use super::{PduOutcome, parse::room_of};
use crate::Federation;

/// What another server has for us.
#[derive(Debug)]
pub struct Transaction {
    /// Its name for it.
    pub id: String,
    /// Who it says it is.
    pub origin: OwnedServerName,
    /// Events.
    pub pdus: Vec<Box<RawValue>>,
    /// Messages that pass.
    pub edus: Vec<Box<RawValue>>,
}

/// What became of each event that can be told by an id: nothing to say, or what went wrong.
pub type PduAnswers = BTreeMap<OwnedEventId, Result<(), String>>;

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveTransactionError {
    /// It says it is from another server than the one that signed it.
    #[error("the transaction is not from the server that sent it")]
    WrongOrigin,
    /// More than a transaction may hold.
    #[error("{0}")]
    TooMuch(&'static str),
    /// Too many transactions of this server wait; it should send one at a time.
    #[error("wait for the answer before you send the next transaction")]
    TooFast,
    /// Nothing can be stored right now.
    #[error("could not store the transaction")]
    Storage(#[from] StorageError),
}

impl Federation {
    /// Takes a transaction of the server that signed it. Repeated, it has the answer it had before. It
    /// is answered when every event was judged or is stored, and when those that wait were given some
    /// time.
    pub async fn receive_transaction(
        &self,
        origin: &ServerName,
        transaction: Transaction,
    ) -> Result<PduAnswers, ReceiveTransactionError> {
        check(origin, &transaction)?;
        let inbound = self.inbound();
        let entered = inbound.lanes.enter(origin).await;
        let _lane = entered.map_err(|_full| ReceiveTransactionError::TooFast)?;
        if let Some(answers) = self.answered(origin, &transaction.id).await? {
            return Ok(answers);
        }
        let Transaction { id, pdus, edus, .. } = transaction;
        let outcomes = {
            let _turn = inbound.turns.acquire().await;
            let outcomes = self.receive_rooms(origin, by_room(pdus)).await?;
            self.receive_edus(origin, edus).await?;
            outcomes
        };
        let answers = self.settled(outcomes).await;
        self.remember_answer(origin, &id, &answers).await?;
        Ok(answers)
    }

    async fn receive_rooms(
        &self,
        origin: &ServerName,
        rooms: Vec<(OwnedRoomId, Vec<Box<RawValue>>)>,
    ) -> Result<Vec<(OwnedEventId, PduOutcome)>, StorageError> {
        let received = rooms
            .into_iter()
            .map(|(room_id, pdus)| async move { self.receive_pdus(origin, &room_id, pdus).await });
        let received = stream::iter(received).buffer_unordered(INBOUND_ROOMS_AT_ONCE);
        received.try_concat().await
    }
}

fn check(origin: &ServerName, transaction: &Transaction) -> Result<(), ReceiveTransactionError> {
    if transaction.origin != origin {
        return Err(ReceiveTransactionError::WrongOrigin);
    }
    if transaction.pdus.len() > TRANSACTION_PDUS_MAX {
        return Err(ReceiveTransactionError::TooMuch("a transaction holds 50 events at most"));
    }
    if transaction.edus.len() > TRANSACTION_EDUS_MAX {
        return Err(ReceiveTransactionError::TooMuch("a transaction holds 100 messages at most"));
    }
    if transaction.id.len() > INBOUND_TRANSACTION_ID_BYTES_MAX {
        return Err(ReceiveTransactionError::TooMuch("the transaction id is too long"));
    }
    Ok(())
}

/// The events of each room, in their order. What names no room is nothing we could answer for.
fn by_room(pdus: Vec<Box<RawValue>>) -> Vec<(OwnedRoomId, Vec<Box<RawValue>>)> {
    let mut rooms: BTreeMap<OwnedRoomId, Vec<Box<RawValue>>> = BTreeMap::new();
    for pdu in pdus {
        if let Some(room_id) = room_of(&pdu) {
            rooms.entry(room_id).or_default().push(pdu);
        }
    }
    rooms.into_iter().collect()
}
