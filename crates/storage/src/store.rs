//! The store: closures in, commits out.

use std::{
    cell::Cell,
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::Mutex;
use ruma::{RoomId, UserId};
use tokio::sync::oneshot;
use vestibule_types::watch;

use crate::{
    Engine, EngineSnapshot, Executor, Positions, SlotNo, Snapshot, StorageError, Tx,
    commit::{CommitThread, Committer, Outcome, Request, Shared},
    flight::{Flights, Handle},
    lately::{Board, Lately, LogLine},
    newcomer::{Amid, Newcomer},
    stamp::{slot_of_room, slot_of_user},
    writing::{Reply, Writing},
};

/// What an acknowledged write is safe from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The machine losing power: it is on disk.
    #[default]
    Fsync,
    /// The process dying: the operating system has it.
    Os,
}

/// Where commits happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// On one thread of their own, in groups.
    #[default]
    Thread,
    /// On the thread that ran the closure, one by one: for simulation and short-lived commands.
    Inline,
}

/// How a store works.
#[derive(Clone)]
pub struct StoreOptions {
    /// How many slots there are; fixed by the engine.
    pub slots: u16,
    /// What an acknowledged write is safe from.
    pub durability: Durability,
    /// Where commits happen.
    pub commit: CommitMode,
    /// Who runs the closures.
    pub executor: Arc<dyn Executor>,
}

/// Whether the store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ready,
    /// The last attempt failed; it tries again by itself.
    WritesRefused(String),
}

/// A write that is as durable as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The commit in the slot; for a write without changes, the last one its closure saw.
    pub position: u64,
    /// The slot.
    pub slot: SlotNo,
}

/// A handle to the store; clones lead to the same one.
#[derive(Clone)]
pub struct Store {
    // Dropped before `inner`, so that the last handle is the one that closes the engine.
    _handle: Arc<Handle>,
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) flights: Arc<Flights>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) executor: Arc<dyn Executor>,
    slots: u16,
    pub(crate) shared: Arc<Shared>,
    positions: watch::Receiver<Positions>,
    lane: Lane,
}

/// The way to the committer.
enum Lane {
    Thread(CommitThread),
    Inline(Mutex<Option<Committer>>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("slots", &self.inner.slots).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store over an engine that nobody else writes to.
    pub fn open(engine: impl Engine, options: StoreOptions) -> Result<Self, StorageError> {
        let slots = engine.slots();
        if slots == 0 || slots != options.slots {
            return Err(StorageError::engine(format_args!(
                "the engine has {slots} slots, {} were asked for",
                options.slots
            )));
        }
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let at = Snapshot::new(&*engine.snapshot()?, slots).positions()?;
        let board = Board::new(&at);
        let sender = watch::Sender::new(at);
        let positions = sender.subscribe();
        let shared = Arc::new(Shared {
            applied: AtomicU64::new(0),
            health: Mutex::new(Health::Ready),
            board,
        });
        let sync = options.durability == Durability::Fsync;
        let committer = Committer::new(Arc::clone(&engine), Arc::clone(&shared), sender, sync);
        let lane = match options.commit {
            CommitMode::Thread => {
                Lane::Thread(CommitThread::start(committer).map_err(StorageError::engine)?)
            }
            CommitMode::Inline => Lane::Inline(Mutex::new(Some(committer))),
        };
        let (executor, flights) = (options.executor, Arc::new(Flights::default()));
        let handle = Arc::new(Handle(Arc::clone(&flights)));
        let inner = Inner { flights, engine, executor, slots, shared, positions, lane };
        Ok(Self { _handle: handle, inner: Arc::new(inner) })
    }

    /// Who runs the closures. Short pieces of computing may run there too, a few at a time: while they do,
    /// closures wait.
    #[must_use]
    pub fn executor(&self) -> &Arc<dyn Executor> {
        &self.inner.executor
    }

    /// Tells this store from every other that is open.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u16 {
        self.inner.slots
    }

    /// The slot of everything that happens in a room.
    #[must_use]
    pub fn slot_of_room(&self, room_id: &RoomId) -> SlotNo {
        slot_of_room(room_id, self.inner.slots)
    }

    /// The slot of everything about a user that belongs to no room.
    #[must_use]
    pub fn slot_of_user(&self, user_id: &UserId) -> SlotNo {
        slot_of_user(user_id, self.inner.slots)
    }

    /// Runs the closure on the pool, commits what it staged, and waits until that is durable.
    ///
    /// The closure runs again when something it read was written in between; after a few runs it
    /// runs where nothing can come in between. An `Err` of the closure, and a run that staged
    /// nothing, commit nothing. When the future is dropped, the write may or may not happen.
    ///
    /// What a [`Newcomer`]'s request writes is an act of theirs: it makes their rows too.
    pub async fn write<T, E, F>(&self, slot: SlotNo, mut f: F) -> Result<Committed<T>, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        match self.newcomer() {
            Some(who) => self.write_apart(slot, move |tx| tx.act(Some(&who), &mut f)).await,
            None => self.write_apart(slot, f).await,
        }
    }

    /// As [`Store::write`], for what the server notes for itself while it answers: it is nobody's act, and
    /// gives a newcomer no rows.
    pub async fn write_apart<T, E, F>(&self, slot: SlotNo, f: F) -> Result<Committed<T>, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, heard) = oneshot::channel();
        self.write_then(slot, f, move |written| {
            // Whoever asked may have gone away.
            let _: Result<(), _> = answer.send(written);
        });
        heard.await.map_err(|_| abandoned())?
    }

    /// The same for a caller that does not wait: `then` is told once, on the thread where the write
    /// ended or failed. It only passes the word on; it may ask for the next write.
    pub fn write_then<T, E, F>(
        &self,
        slot: SlotNo,
        f: F,
        then: impl FnOnce(Result<Committed<T>, E>) + Send + 'static,
    ) where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let reply = Reply::new(then);
        if slot.0 >= self.inner.slots {
            let unknown = StorageError::engine(format_args!("there is no slot {}", slot.0));
            return reply.say(Err(unknown.into()));
        }
        Writing::new(&self.inner, slot, f, reply).begin();
    }

    /// Runs the closure on the pool, on one consistent moment of the store.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, heard) = oneshot::channel();
        let (inner, who) = (Arc::clone(&self.inner), self.newcomer());
        self.inner.execute(move || {
            let result = match inner.engine.snapshot() {
                Ok(snapshot) => inner.look(&*snapshot, who.as_deref(), f),
                Err(error) => Err(error.into()),
            };
            // Whoever asked may have gone away.
            let _: Result<(), _> = answer.send(result);
        })?;
        heard.await.map_err(|_| abandoned())?
    }

    /// Runs a few point reads on the calling thread, on one consistent moment, if all their rows lie in
    /// memory; `Ok(None)` when one does not, and then [`Store::read`] is the way. For what every
    /// request looks up, where changing to the pool and back costs more than the look-up.
    pub fn glance<T>(
        &self,
        look: impl FnOnce(&Snapshot<'_>) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let snapshot = self.inner.engine.memory_snapshot()?;
        match self.inner.look(&*snapshot, self.newcomer().as_deref(), look) {
            Ok(seen) => Ok(Some(seen)),
            Err(_) if snapshot.missed() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the newcomer whose request this is could have rows now: fails as their first act would.
    /// For acts that begin elsewhere before they are written here.
    pub async fn could_arrive(&self) -> Result<(), StorageError> {
        let Some(who) = self.newcomer() else { return Ok(()) };
        let rehearse = move |tx: &mut Tx<'_>| {
            if who.is_new(&*tx)? {
                let before = tx.savepoint();
                tx.settle(&*who)?;
                tx.rollback_to(before);
            }
            Ok::<_, StorageError>(())
        };
        self.write_apart(SlotNo(0), rehearse).await.map(drop)
    }

    /// The last published commit of each slot.
    #[must_use]
    pub fn positions(&self) -> Positions {
        self.inner.positions.get()
    }

    /// Follows the published positions. They move in commit order, after the rows are durable.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Positions> {
        let mut positions = self.inner.positions.clone();
        positions.mark_unchanged();
        positions
    }

    /// Follows those lines of the log that are wanted: completes when one was published, and once in
    /// [`FOLLOWER_PASSED_MAX`](vestibule_types::limits::FOLLOWER_PASSED_MAX) groups without one, so
    /// that places in the log do not stay behind. What is wanted is asked on the committing thread:
    /// it looks at memory alone, and holds no store.
    #[must_use]
    pub fn watch_for(
        &self,
        wants: impl Fn(&LogLine) -> bool + Send + Sync + 'static,
    ) -> tokio::sync::watch::Receiver<()> {
        // One follower each, so that there is no order in which they could be woken by chance.
        self.inner.shared.board.follow(Box::new(wants))
    }

    /// The lines published after a moment, out of memory; `None` when that is further back than is
    /// remembered, and then the store has to be read.
    #[must_use]
    pub fn lately(&self, from: &Positions) -> Option<Lately> {
        self.inner.shared.board.since(from)
    }

    /// Whether the store takes writes.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.shared.health.lock().clone()
    }

    /// Commits what waits, takes no more writes, and puts everything in its place for a fast
    /// start. Reads still work.
    pub async fn close(&self) {
        match &self.inner.lane {
            Lane::Thread(thread) => {
                // The thread drops its end as its last act, which is the answer.
                let _: Result<(), _> = thread.close().await;
            }
            Lane::Inline(committer) => {
                if let Some(mut committer) = committer.lock().take() {
                    committer.close();
                }
            }
        }
    }
}

/// The answer was dropped: the closure panicked, or the store was closed under it.
pub(crate) fn abandoned() -> StorageError {
    StorageError::engine("the closure was abandoned")
}

impl Inner {
    fn execute(&self, job: impl FnOnce() + Send + 'static) -> Result<(), StorageError> {
        let flight = self.flights.begin();
        let job = move || flight.run(job);
        self.executor.execute(Box::new(job)).map_err(StorageError::unavailable)
    }

    /// Looks at a moment of the engine, with the rows in it that a newcomer would have.
    fn look<T, E: From<StorageError>>(
        &self,
        base: &dyn EngineSnapshot,
        who: Option<&dyn Newcomer>,
        look: impl FnOnce(&Snapshot<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let stored = Snapshot::new(base, self.slots);
        let Some(who) = who else { return look(&stored) };
        if !who.is_new(&stored)? {
            return look(&stored);
        }
        let seen = Cell::new(false);
        look(&Snapshot::new(&Amid { base, draft: who.rows(), seen: &seen }, self.slots))
    }

    pub(crate) fn submit(&self, request: Request) {
        let refused = match &self.lane {
            Lane::Thread(thread) => thread.submit(request).err(),
            Lane::Inline(committer) => Self::commit_here(committer, request),
        };
        if let Some((Request::Batch(_, done), error)) = refused {
            done(Outcome::Failed(error));
        }
    }

    fn commit_here(
        committer: &Mutex<Option<Committer>>,
        request: Request,
    ) -> Option<(Request, StorageError)> {
        let answers = match &mut *committer.lock() {
            Some(committer) => committer.commit(&mut [request].into()),
            None => return Some((request, StorageError::Closed)),
        };
        answers.tell();
        None
    }
}
