//! The committer: checks assertions, numbers batches, applies groups, publishes positions.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use vestibule_types::{
    limits::{GROUP_BATCHES_MAX, GROUP_ROWS_MAX},
    watch,
};

use super::{
    Batch, Done, Outcome, Request,
    group::{Group, position_row},
    window::Window,
};
use crate::{
    Engine, EngineOp, Health, Positions, SlotNo, StorageError,
    lately::{Board, LogLine},
};

/// What the committer shares with the store.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The number of the last batch that every new snapshot shows.
    pub(crate) applied: AtomicU64,
    pub(crate) health: Mutex<Health>,
    pub(crate) board: Board,
}

/// What a group came to, for those who wait for it.
pub(crate) struct Answers {
    /// The lines of the log it brought.
    applied: Result<Vec<LogLine>, StorageError>,
    outcomes: Vec<(Done, Outcome)>,
    shared: Arc<Shared>,
}

impl Answers {
    /// Tells everybody. What is told may write again, so nothing of the committer is held meanwhile.
    pub(crate) fn tell(self) {
        for (done, outcome) in self.outcomes {
            match (&self.applied, outcome) {
                (Err(error), Outcome::Committed(_)) => done(Outcome::Failed(error.clone())),
                (_, outcome) => done(outcome),
            }
        }
        // Whoever waits for an answer goes before whoever follows.
        if let Ok(lines) = self.applied {
            self.shared.board.tell(&lines);
        }
    }
}

/// Turns batches into commits. There is one, and one thread uses it at a time.
pub(crate) struct Committer {
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
    positions: watch::Sender<Positions>,
    /// Where each slot is; equal to what was published last.
    at: Positions,
    window: Window,
    /// The number of the last batch that was given one.
    numbered: u64,
    sync: bool,
    refusing: bool,
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.board.close();
    }
}

impl Committer {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        shared: Arc<Shared>,
        positions: watch::Sender<Positions>,
        sync: bool,
    ) -> Self {
        let at = positions.get();
        Self {
            engine,
            shared,
            positions,
            at,
            window: Window::default(),
            numbered: 0,
            sync,
            refusing: false,
        }
    }

    /// Whether the last attempt to write failed.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing
    }

    /// Commits one group: the front of the queue, up to the bounds of a group. Returns what whoever
    /// waits is to be told.
    pub(crate) fn commit(&mut self, queue: &mut VecDeque<Request>) -> Answers {
        let mut group = Group::new(Arc::clone(&self.engine), self.at.clone(), self.numbered + 1);
        let mut answers: Vec<(Done, Outcome)> = Vec::with_capacity(queue.len());
        while answers.len() < GROUP_BATCHES_MAX && group.ops.len() < GROUP_ROWS_MAX {
            // A closure that runs here must see everything before it, so it begins a group.
            if !answers.is_empty() && matches!(queue.front(), Some(Request::Serial(_))) {
                break;
            }
            match queue.pop_front() {
                None => break,
                Some(Request::Batch(batch, done)) => {
                    let outcome = self.take(&mut group, batch);
                    answers.push((done, outcome));
                }
                Some(Request::Serial(run)) => match run(self.numbered) {
                    Ok((batch, done)) => {
                        let outcome = self.take(&mut group, batch);
                        answers.push((done, outcome));
                    }
                    Err(say) => answers.push((Box::new(|_| say()), Outcome::Conflict)),
                },
            }
        }
        self.window.trim();
        let shared = Arc::clone(&self.shared);
        Answers { applied: self.apply(group), outcomes: answers, shared }
    }

    /// Tries to write again, with nothing new to say.
    pub(crate) fn probe(&mut self) {
        let (slot, commit) = (SlotNo(0), self.at.get(SlotNo(0)));
        if let Err(error) = self.write(&[position_row(slot, commit)]) {
            tracing::debug!(%error, "storage still refuses writes");
        }
    }

    /// Puts everything in its place for a fast start.
    pub(crate) fn close(&mut self) {
        if let Err(error) = self.engine.close() {
            tracing::error!(%error, "the storage engine did not close cleanly");
        }
    }

    fn take(&mut self, group: &mut Group, batch: Batch) -> Outcome {
        if self.window.conflicts(&batch.asserts, batch.snapshot) {
            return Outcome::Conflict;
        }
        self.numbered += 1;
        match group.take(batch, self.numbered, &mut self.window) {
            Ok(commit) => Outcome::Committed(commit),
            Err(error) => Outcome::Failed(error),
        }
    }

    fn apply(&mut self, mut group: Group) -> Result<Vec<LogLine>, StorageError> {
        if group.ops.is_empty() {
            self.shared.applied.store(self.numbered, Ordering::Release);
            return Ok(Vec::new());
        }
        group.seal(&self.at);
        let written = self.write(&group.ops);
        // Numbers of batches that failed are spent: the window remembers them as writers.
        self.shared.applied.store(self.numbered, Ordering::Release);
        written?;
        self.at = group.positions;
        self.shared.board.put(&self.at, &group.lines);
        self.positions.send(self.at.clone());
        Ok(group.lines)
    }

    fn write(&mut self, ops: &[EngineOp]) -> Result<(), StorageError> {
        let resumed = if self.refusing { self.engine.resume() } else { Ok(()) };
        match resumed.and_then(|()| self.engine.apply(ops, self.sync)) {
            Ok(()) if self.refusing => {
                self.refusing = false;
                *self.shared.health.lock() = Health::Ready;
                tracing::info!("storage takes writes again");
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(error) => {
                if !self.refusing {
                    tracing::error!(%error, "storage refuses writes");
                }
                self.refusing = true;
                let reason = match &error {
                    StorageError::Unavailable { reason } => reason.clone(),
                    other => other.to_string(),
                };
                *self.shared.health.lock() = Health::WritesRefused(reason.clone());
                Err(StorageError::Unavailable { reason })
            }
        }
    }
}
