//! One writer per room: whoever changes a room waits in its queue, and everything that waits is
//! committed as one batch.
//!
//! The queue is scheduling only. Correctness comes from the assertions of the batch: a second
//! process writing to the same room would make the batch run again, not corrupt it.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use ruma::{OwnedRoomId, RoomId};
use tokio::sync::oneshot;
use vestibule_storage::{Committed, Newcomer, StorageError, Tx};
use vestibule_types::limits::{ROOM_BATCH_MAX, ROOM_QUEUE_MAX};

use crate::{RoomTx, Rooms};

/// One piece of work on a room, with its answer's way back.
trait Job: Send {
    /// Runs against the room; undoes its own writes when it fails. May run several times.
    fn run(&mut self, room: &mut RoomTx<'_, '_>);
    /// Sends the answer: its own, or that the whole batch could not be stored.
    fn answer(self: Box<Self>, stored: Result<u64, StorageError>);
}

struct Ticket<T, E, F> {
    work: F,
    /// Whose work it is, if they have no rows yet.
    newcomer: Option<Arc<dyn Newcomer>>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<(T, u64), E>>,
}

impl<T, E, F> Job for Ticket<T, E, F>
where
    T: Send,
    E: From<StorageError> + Send,
    F: FnMut(&mut RoomTx<'_, '_>) -> Result<T, E> + Send,
{
    fn run(&mut self, room: &mut RoomTx<'_, '_>) {
        let before = room.savepoint();
        let outcome = room.act(self.newcomer.as_ref(), &mut self.work);
        if outcome.is_err() {
            room.rollback_to(before);
        }
        self.outcome = Some(outcome);
    }

    fn answer(self: Box<Self>, stored: Result<u64, StorageError>) {
        let answer = match (self.outcome, stored) {
            (Some(Err(refused)), _) => Err(refused),
            (Some(Ok(value)), Ok(position)) => Ok((value, position)),
            (None, Ok(_)) => Err(StorageError::Closed.into()),
            (_, Err(failed)) => Err(failed.into()),
        };
        // Whoever asked may have hung up; the room changed all the same.
        drop(self.reply.send(answer));
    }
}

/// The jobs waiting for one room.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Box<dyn Job>>,
    served: bool,
    /// Taken off the map: whoever still holds it must look the room up again.
    closed: bool,
}

/// The queues of all rooms that somebody is changing right now.
#[derive(Clone, Default)]
pub(crate) struct Queues(Arc<papaya::HashMap<OwnedRoomId, Arc<Mutex<Line>>>>);

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues").finish_non_exhaustive()
    }
}

impl Rooms {
    /// Runs `work` as part of the room's next batch and waits until it is durable. Returns the
    /// commit it became part of. `work` may run more than once and must only touch its arguments.
    pub(crate) async fn in_room<T, E, F>(&self, room_id: &RoomId, work: F) -> Result<(T, u64), E>
    where
        F: FnMut(&mut RoomTx<'_, '_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let ticket =
            Box::new(Ticket { work, newcomer: self.inner.store.newcomer(), outcome: None, reply });
        self.enqueue(room_id, vec![ticket])?;
        answer.await.unwrap_or_else(|_| Err(StorageError::Closed.into()))
    }

    /// The same for several pieces of work that follow one another: they wait in line together, so that
    /// as few batches as possible are made of them. Each has its own outcome.
    pub(crate) async fn in_room_all<T, E, F>(
        &self,
        room_id: &RoomId,
        works: Vec<F>,
    ) -> Vec<Result<(T, u64), E>>
    where
        F: FnMut(&mut RoomTx<'_, '_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (mut jobs, mut answers) = (Vec::<Box<dyn Job>>::new(), Vec::with_capacity(works.len()));
        for work in works {
            let (reply, answer) = oneshot::channel();
            jobs.push(Box::new(Ticket {
                work,
                newcomer: self.inner.store.newcomer(),
                outcome: None,
                reply,
            }));
            answers.push(answer);
        }
        if let Err(failed) = self.enqueue(room_id, jobs) {
            return answers.iter().map(|_| Err(failed.clone().into())).collect();
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(answer.await.unwrap_or_else(|_| Err(StorageError::Closed.into())));
        }
        outcomes
    }

    fn enqueue(&self, room_id: &RoomId, jobs: Vec<Box<dyn Job>>) -> Result<(), StorageError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let queues = self.inner.queues.0.pin();
        let line = loop {
            let line = queues.get_or_insert_with(room_id.to_owned(), Arc::default);
            let mut open = line.lock();
            if open.closed {
                continue;
            }
            if open.waiting.len() + jobs.len() > ROOM_QUEUE_MAX {
                return Err(StorageError::Contended);
            }
            open.waiting.extend(jobs);
            if open.served {
                return Ok(());
            }
            open.served = true;
            drop(open);
            break Arc::clone(line);
        };
        self.clone().serve(room_id.to_owned(), line);
        Ok(())
    }

    /// Begins the line's next batch, or leaves when nobody waits. Whoever the batch was made of is
    /// answered where it was committed, and the next one begins there: no task runs in between, and
    /// a client that hangs up takes nothing away.
    fn serve(self, room_id: OwnedRoomId, line: Arc<Mutex<Line>>) {
        let batch: Vec<Box<dyn Job>> = {
            let mut open = line.lock();
            let take = open.waiting.len().min(ROOM_BATCH_MAX);
            if take == 0 {
                open.closed = true;
                self.inner.queues.0.pin().remove(&room_id);
                return;
            }
            open.waiting.drain(..take).collect()
        };
        let jobs = Arc::new(Mutex::new(batch));
        let (rooms, id, at_work) = (self.clone(), room_id.clone(), Arc::clone(&jobs));
        let slot = self.inner.store.slot_of_room(&room_id);
        let work = move |tx: &mut Tx<'_>| {
            let mut room = RoomTx::open(&rooms, tx, &id)?;
            for job in at_work.lock().iter_mut() {
                job.run(&mut room);
            }
            room.close()
        };
        let store = self.inner.store.clone();
        store.write_then(slot, work, move |stored: Result<Committed<_>, StorageError>| {
            let jobs = std::mem::take(&mut *jobs.lock());
            let stored = stored.map(|committed| {
                // Whoever is woken by them, and the next event, look at them first.
                for (room, event) in committed.value {
                    self.inner.events.keep(room, event);
                }
                committed.position
            });
            for job in jobs {
                job.answer(stored.clone());
            }
            self.serve(room_id, line);
        });
    }
}
