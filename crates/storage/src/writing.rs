//! One write on its way: from the pool to the commit thread, again if it must, and to its answer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use vestibule_types::limits::WRITE_ATTEMPTS_MAX;

use crate::{
    Committed, Engine, SlotNo, StorageError, Tx,
    commit::{Batch, Done, Outcome, Request, Say},
    executor::Busy,
    flight::{Flight, in_job},
    store::{Inner, abandoned},
};

type Then<T, E> = Box<dyn FnOnce(Result<Committed<T>, E>) + Send>;

/// Who is told what became of a write, exactly once: also when the write is dropped on its way.
pub(crate) struct Reply<T, E: From<StorageError>> {
    then: Option<Then<T, E>>,
    /// Whether the closure was run at least once.
    ran: bool,
}

impl<T, E: From<StorageError>> Reply<T, E> {
    pub(crate) fn new(then: impl FnOnce(Result<Committed<T>, E>) + Send + 'static) -> Self {
        Self { then: Some(Box::new(then)), ran: false }
    }

    pub(crate) fn say(mut self, written: Result<Committed<T>, E>) {
        if let Some(then) = self.then.take() {
            then(written);
        }
    }
}

impl<T, E: From<StorageError>> Drop for Reply<T, E> {
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            let error = if self.ran { abandoned() } else { StorageError::unavailable(Busy) };
            then(Err(error.into()));
        }
    }
}

/// A write that was not answered yet. The order of the fields is the order they are dropped in: what
/// the closure holds, a handle of the store perhaps, is gone before the answer is heard, and the store
/// is let go of before the write counts as done.
pub(crate) struct Writing<T, E: From<StorageError>, F> {
    f: F,
    reply: Reply<T, E>,
    slot: SlotNo,
    /// How many more runs it has beside others.
    runs: u32,
    inner: Arc<Inner>,
    _flight: Flight,
}

impl<T, E, F> Writing<T, E, F>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    pub(crate) fn new(inner: &Arc<Inner>, slot: SlotNo, f: F, reply: Reply<T, E>) -> Self {
        let (inner, flight) = (Arc::clone(inner), inner.flights.begin());
        Self { f, reply, slot, runs: WRITE_ATTEMPTS_MAX, inner, _flight: flight }
    }

    /// Runs the closure on the pool, beside others; after a few conflicts where nobody can come in between.
    pub(crate) fn begin(mut self) {
        let inner = Arc::clone(&self.inner);
        if self.runs == 0 {
            self.reply.ran = true;
            inner.submit(Request::Serial(Box::new(move |snapshot| self.run_alone(snapshot))));
            return;
        }
        self.runs -= 1;
        // Work that is not taken is dropped, and says so.
        let _: Result<(), Busy> = inner.executor.execute(Box::new(move || self.run_beside()));
    }

    fn run_beside(mut self) {
        let under_way = (Arc::clone(&self.inner), self.inner.flights.begin());
        let (inner, _) = &under_way;
        let _job = in_job();
        self.reply.ran = true;
        // The number first, the snapshot after it: the snapshot shows at least that much.
        let snapshot = inner.shared.applied.load(Ordering::Acquire);
        match self.run(snapshot) {
            Ok((batch, done)) => inner.submit(Request::Batch(batch, done)),
            Err(say) => say(),
        }
    }

    fn run_alone(self, snapshot: u64) -> Result<(Batch, Done), Say> {
        let _job = in_job();
        catch_unwind(AssertUnwindSafe(|| self.run(snapshot))).unwrap_or_else(|_| {
            tracing::error!("a storage closure panicked");
            Err(Box::new(|| ()))
        })
    }

    /// Runs the closure on the newest snapshot. When there is nothing to commit, what is left is to
    /// say so.
    fn run(mut self, number: u64) -> Result<(Batch, Done), Say> {
        let slot = self.slot;
        match staged(&*self.inner.engine, (slot, number), &mut self.f) {
            Ok((value, Staged::Batch(batch))) => {
                let done: Done = Box::new(move |outcome| self.settle(value, outcome));
                Ok((batch, done))
            }
            Ok((value, Staged::Nothing { position })) => Err(Box::new(move || {
                self.answer(Ok(Committed { value, position, slot }));
            })),
            Err(error) => Err(Box::new(move || self.answer(Err(error)))),
        }
    }

    fn settle(self, value: T, outcome: Outcome) {
        let _job = in_job();
        let slot = self.slot;
        match outcome {
            Outcome::Committed(position) => self.answer(Ok(Committed { value, position, slot })),
            Outcome::Failed(error) => self.answer(Err(error.into())),
            Outcome::Conflict => self.begin(),
        }
    }

    fn answer(self, written: Result<Committed<T>, E>) {
        let Self { f, reply, inner: _inner, _flight: _, .. } = self;
        drop(f);
        reply.say(written);
    }
}

/// What a closure left to commit.
enum Staged {
    Batch(Batch),
    Nothing { position: u64 },
}

fn staged<T, E: From<StorageError>>(
    engine: &dyn Engine,
    (slot, number): (SlotNo, u64),
    f: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>,
) -> Result<(T, Staged), E> {
    let snapshot = engine.snapshot()?;
    let mut tx = Tx::new(&*snapshot, slot);
    let value = f(&mut tx)?;
    if tx.is_empty() {
        return Ok((value, Staged::Nothing { position: tx.position()? }));
    }
    Ok((value, Staged::Batch(tx.into_batch(number)?)))
}
