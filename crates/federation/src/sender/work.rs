//! The task of one server that has something coming: one transaction after the other, until there is
//! nothing left or the server does not take it.

use std::time::Duration;

use ruma::OwnedServerName;
use vestibule_remote::RemoteError;
use vestibule_storage::{
    Scan, SlotNo, StorageError, outbox,
    tables::sender::{EDU_OUT, OUTGOING, StoredOutTransaction, StoredOutgoing},
};
use vestibule_types::limits::{
    OUTBOX_BYTES_MAX, SEND_RETRY_MAX, SEND_RETRY_MIN, TRANSACTION_EDUS_MAX,
    TRANSACTION_REFUSALS_MAX,
};

use super::{
    Sender,
    catch_up::{Missed, Step},
    dispatch::Dispatch,
    hub::{Line, Load, Passing, Settled, Taken},
    transaction::Contents,
};

/// The slot of what belongs to the whole server.
pub(super) const SLOT: SlotNo = SlotNo(0);

/// Letters and digits of transaction ids.
const ID_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What one transaction is made of.
struct Parcel {
    parts: StoredOutTransaction,
    passing: Passing,
    /// It is in the row already: it was sent before.
    again: bool,
}

/// What became of a transaction.
enum Outcome {
    /// The server has it, or will never take it.
    Settled,
    /// The server takes nothing for so long.
    Failed(Duration),
}

/// The work for one server.
pub(super) struct Work<'a> {
    sender: &'a Sender,
    server: &'a OwnedServerName,
    row: StoredOutgoing,
    /// Whether the row is in the store.
    stored: bool,
    settled: Settled,
}

impl<'a> Work<'a> {
    /// Takes up where the server is.
    pub(super) async fn begin(
        sender: &'a Sender,
        server: &'a OwnedServerName,
    ) -> Result<Self, StorageError> {
        let beginning = sender.hub().begin(server);
        let mut row = StoredOutgoing { cursor: beginning.cursor, ..StoredOutgoing::default() };
        if beginning.kept && beginning.settled.is_none() {
            let wanted = server.clone();
            let stored = sender
                .parts()
                .store
                .read::<_, StorageError, _>(move |snapshot| OUTGOING.get(snapshot, (&wanted,)));
            row = stored.await?.unwrap_or(row);
        }
        let settled = beginning.settled.unwrap_or_default();
        Ok(Self { sender, server, row, stored: beginning.kept, settled })
    }

    /// Works until there is nothing left, or the server has to be left alone for a while.
    pub(super) async fn run(&mut self) -> Result<(), StorageError> {
        loop {
            if let Some(wait) = self.sender.parts().remote.retry_after(self.server) {
                return self.fail(wait).await;
            }
            let parcel = match self.row.transaction.clone() {
                Some(parts) => Parcel { parts, passing: Passing::default(), again: true },
                None => match self.sender.hub().take(self.server, &self.settled) {
                    Taken::Nothing => return Ok(()),
                    Taken::Lines(load) => self.parcel(load).await?,
                    Taken::Behind => match self.catch_up().await? {
                        Some(parcel) => parcel,
                        None => continue,
                    },
                },
            };
            if let Outcome::Failed(wait) = self.deliver(parcel).await? {
                return self.fail(wait).await;
            }
        }
    }

    /// What the server missed; `None` when this step found nothing.
    async fn catch_up(&mut self) -> Result<Option<Parcel>, StorageError> {
        let Step { lines, cursor, catch_up } = self.missed().await?;
        self.row.cursor = cursor;
        self.row.catch_up = catch_up;
        let done = self.row.catch_up.is_none();
        if lines.is_empty() {
            if done {
                self.sender.hub().caught_up(self.server, &self.row.cursor);
            }
            return Ok(None);
        }
        let load = Load { lines, cursor: self.row.cursor.clone(), ..Load::default() };
        self.parcel(load).await.map(Some)
    }

    async fn missed(&self) -> Result<Step, StorageError> {
        let (sender, server, row) = (self.sender.clone(), self.server.clone(), self.row.clone());
        let read = self.sender.parts().store.read(move |snapshot| {
            let parts = sender.parts();
            let dispatch =
                Dispatch { rooms: &parts.rooms, servers: sender.servers(), us: &parts.server_name };
            let missed =
                Missed { dispatch: &dispatch, store: &parts.store, snapshot, server: &server };
            missed.step(&row)
        });
        read.await
    }

    /// Makes a transaction of a load and what waits in the outbox.
    async fn parcel(&mut self, load: Load) -> Result<Parcel, StorageError> {
        self.row.cursor = load.cursor;
        let environment = &self.sender.parts().environment;
        let at = environment.now_ms();
        let of = |line: &Line| line.event.map(|event| (line.room, event));
        let receipts = load.lines.iter().filter(|line| line.event.is_none());
        let mut parts = StoredOutTransaction {
            id: format!("{at}{}", environment.random_text(ID_LETTERS, 12)),
            at,
            refusals: 0,
            events: load.lines.iter().filter_map(of).collect(),
            receipts: receipts.map(|line| (line.room, line.stamp)).collect(),
            edus: Vec::new(),
        };
        if load.outbox {
            let taken = parts.receipts.len() + load.passing.messages();
            let free = TRANSACTION_EDUS_MAX.saturating_sub(taken);
            parts.edus = self.outbox(free).await?;
        }
        Ok(Parcel { parts, passing: load.passing, again: false })
    }

    /// What waits in the outbox, as much as fits.
    async fn outbox(
        &self,
        free: usize,
    ) -> Result<Vec<(u16, vestibule_storage::Stamp)>, StorageError> {
        let (server, had) = (self.server.clone(), self.settled.edus.clone());
        let limit = free.saturating_add(had.len()).saturating_add(1);
        let read = self.sender.parts().store.read::<_, StorageError, _>(move |snapshot| {
            let scan = Scan::prefix((&server,)).limit(limit);
            let (mut bytes, mut found, mut more) = (0, Vec::new(), false);
            for ((_, slot, stamp), edu) in EDU_OUT.scan_with(snapshot, scan)? {
                if had.contains(&(slot, stamp)) {
                    continue;
                }
                bytes += edu.content.len();
                more = found.len() >= free || (bytes > OUTBOX_BYTES_MAX && !found.is_empty());
                if more {
                    break;
                }
                found.push((slot, stamp));
            }
            Ok((found, more))
        });
        let (found, more) = read.await?;
        if more {
            self.sender.hub().more_in_outbox(self.server);
        }
        Ok(found)
    }

    /// Sends a transaction, and remembers before that it is under way: after a crash the same goes
    /// out again under the same id.
    async fn deliver(&mut self, parcel: Parcel) -> Result<Outcome, StorageError> {
        let Parcel { parts, passing, again } = parcel;
        let contents = self.contents(&parts, passing).await?;
        if contents.is_empty() {
            return Ok(self.settle(parts));
        }
        let lasting =
            !(parts.events.is_empty() && parts.receipts.is_empty() && parts.edus.is_empty());
        if lasting && !again {
            self.row.transaction = Some(parts.clone());
            self.keep().await?;
        }
        let us = self.sender.parts().server_name.clone();
        let (pdus, edus) = (contents.pdus.len(), contents.edus.len());
        let request = contents.request(us, &parts.id, parts.at);
        let answer = self.sender.parts().remote.call(self.server, request).await;
        let outcome = if answer.is_ok() { "taken" } else { "failed" };
        metrics::counter!("vestibule_federation_transactions_total", "outcome" => outcome)
            .increment(1);
        match answer {
            Ok(answer) => {
                for (event, result) in &answer.pdus {
                    if let Err(reason) = result {
                        tracing::debug!(server = %self.server, %event, reason, "an event was refused");
                    }
                }
                tracing::debug!(server = %self.server, pdus, edus, "a transaction was taken");
                Ok(self.settle(parts))
            }
            Err(error) => self.judge(parts, error, lasting).await,
        }
    }

    async fn contents(
        &self,
        parts: &StoredOutTransaction,
        passing: Passing,
    ) -> Result<Contents, StorageError> {
        let (sender, server, parts) = (self.sender.clone(), self.server.clone(), parts.clone());
        let read = self.sender.parts().store.read(move |snapshot| {
            Contents::gather(snapshot, &sender.parts().rooms, (&server, &parts), &passing)
        });
        read.await
    }

    /// The server has a transaction. Its row says so with the next one, or with the next flush:
    /// should neither happen, it is sent again and recognized by its id.
    fn settle(&mut self, parts: StoredOutTransaction) -> Outcome {
        if let Some(transaction) = self.row.transaction.take() {
            self.settled.transaction = Some(transaction.id);
        }
        self.settled.edus.extend(parts.edus);
        // A way through the rooms is known to the row alone.
        if self.row.catch_up.is_none() {
            self.sender.hub().safe(self.server, &self.row.cursor, false);
        }
        Outcome::Settled
    }

    /// What to do about a transaction that was not taken.
    async fn judge(
        &mut self,
        parts: StoredOutTransaction,
        error: RemoteError,
        lasting: bool,
    ) -> Result<Outcome, StorageError> {
        let wait = match &error {
            RemoteError::BackingOff { retry_after, .. } => *retry_after,
            _ => self.sender.parts().remote.retry_after(self.server).unwrap_or(SEND_RETRY_MIN),
        };
        if !is_refusal(&error) || !lasting {
            tracing::debug!(server = %self.server, %error, "a transaction was not taken");
            return Ok(Outcome::Failed(wait));
        }
        let refusals = parts.refusals.saturating_add(1);
        if refusals >= TRANSACTION_REFUSALS_MAX {
            tracing::warn!(server = %self.server, %error, "a transaction is given up");
            return Ok(self.settle(parts));
        }
        self.row.transaction = Some(StoredOutTransaction { refusals, ..parts });
        self.keep().await?;
        let longer = SEND_RETRY_MIN.saturating_mul(1 << refusals.min(16));
        Ok(Outcome::Failed(longer.min(SEND_RETRY_MAX).max(wait)))
    }

    /// Writes the row, and takes out of the outbox what was delivered.
    async fn keep(&mut self) -> Result<(), StorageError> {
        let (server, row) = (self.server.clone(), self.row.clone());
        let edus = self.settled.edus.clone();
        let write = self.sender.parts().store.write::<_, StorageError, _>(SLOT, move |tx| {
            OUTGOING.put(tx, (&server,), &row)?;
            outbox::delivered(tx, &server, &edus)
        });
        write.await?;
        self.stored = true;
        self.settled = Settled::default();
        self.sender.hub().safe(self.server, &self.row.cursor, true);
        Ok(())
    }

    /// Leaves the server alone.
    async fn fail(&mut self, wait: Duration) -> Result<(), StorageError> {
        if !self.stored || self.settled != Settled::default() {
            self.keep().await?;
        }
        let until = self.sender.parts().environment.clock.monotonic().saturating_add(wait);
        self.sender.left_alone(self.server, until);
        Ok(())
    }
}

/// Whether a server said that it will not have this transaction, rather than nothing now.
fn is_refusal(error: &RemoteError) -> bool {
    match error {
        RemoteError::Answered { status, .. } => {
            (400..500).contains(status) && !matches!(status, 401 | 403 | 404 | 408 | 429)
        }
        RemoteError::Request(_) => true,
        RemoteError::BackingOff { .. }
        | RemoteError::Refused(_)
        | RemoteError::Unreachable { .. }
        | RemoteError::BadAnswer { .. }
        | RemoteError::Storage(_) => false,
    }
}
