//! Transactions that were answered: whoever repeats one is told the same again.

use ruma::ServerName;
use vestibule_storage::{
    Scan, SlotNo, StorageError,
    tables::staging::{ANSWERED, ANSWERED_BY_TIME, StoredAnswer, StoredPduAnswer},
};
use vestibule_types::limits::{ANSWERS_FORGOTTEN_AT_ONCE, INBOUND_TRANSACTION_AGE_MS_MAX};

use super::PduAnswers;
use crate::Federation;

/// Where what belongs to no room and no user is kept.
const SLOT: SlotNo = SlotNo(0);

impl Federation {
    /// What a transaction was answered, if it was.
    pub(super) async fn answered(
        &self,
        origin: &ServerName,
        id: &str,
    ) -> Result<Option<PduAnswers>, StorageError> {
        let (origin, id) = (origin.to_owned(), id.to_owned());
        let oldest = self.now_ms().saturating_sub(INBOUND_TRANSACTION_AGE_MS_MAX);
        let answer = self
            .inner
            .parts
            .store
            .read(move |snapshot| ANSWERED.get(snapshot, (&origin, &id)))
            .await?;
        Ok(answer.filter(|answer| answer.at >= oldest).map(|answer| {
            let result = |it: StoredPduAnswer| (it.event_id, it.error.map_or(Ok(()), Err));
            answer.pdus.into_iter().map(result).collect()
        }))
    }

    /// Remembers what a transaction was answered, and forgets a few that are old.
    pub(super) async fn remember_answer(
        &self,
        origin: &ServerName,
        id: &str,
        answers: &PduAnswers,
    ) -> Result<(), StorageError> {
        let (origin, id, at) = (origin.to_owned(), id.to_owned(), self.now_ms());
        let pdu = |(event_id, result): (&ruma::OwnedEventId, &Result<(), String>)| {
            let error = result.as_ref().err().cloned();
            StoredPduAnswer { event_id: event_id.clone(), error }
        };
        let answer = StoredAnswer { at, pdus: answers.iter().map(pdu).collect() };
        let remembered = self.inner.parts.store.write(SLOT, move |tx| {
            let before = at.saturating_sub(INBOUND_TRANSACTION_AGE_MS_MAX);
            let old = Scan::prefix(()).before((before,)).limit(ANSWERS_FORGOTTEN_AT_ONCE);
            for ((at, origin, id), ()) in ANSWERED_BY_TIME.scan_with(tx, old)? {
                let row = ANSWERED.get(&tx.fixed(), (&origin, &id))?;
                // A later transaction may have taken the same id.
                if row.is_some_and(|row| row.at == at) {
                    ANSWERED.delete(tx, (&origin, &id))?;
                }
                ANSWERED_BY_TIME.delete(tx, (at, &origin, &id))?;
            }
            ANSWERED.put(tx, (&origin, &id), &answer)?;
            ANSWERED_BY_TIME.put(tx, (at, &origin, &id), &())
        });
        remembered.await.map(drop)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.inner.parts.environment.now_ms()
    }
}
