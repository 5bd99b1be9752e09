//! Jobs of a store that are under way, so that its last handle can wait for them.
//!
//! A job holds the engine until its very end, a moment longer than its answer takes. Without the wait
//! that moment may be the end of the process, and an engine that is closed while the process ends takes
//! its locks away from under its own threads.

use std::{cell::Cell, sync::Arc};

use parking_lot::{Condvar, Mutex};

thread_local! {
    /// Whether this thread runs a job: it must not wait for itself.
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// How many jobs are under way.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Mutex<usize>,
    none: Condvar,
}

/// A job that was not run to its end yet, nor dropped.
pub(crate) struct Flight(Arc<Flights>);

/// The share of a store that its handles have and its jobs have not.
pub(crate) struct Handle(pub(crate) Arc<Flights>);

impl Flights {
    pub(crate) fn begin(self: &Arc<Self>) -> Flight {
        *self.under_way.lock() += 1;
        Flight(Arc::clone(self))
    }
}

impl Flight {
    /// Runs the job; what it holds is dropped before it counts as done.
    pub(crate) fn run(self, job: impl FnOnce()) {
        let leaving = in_job();
        job();
        drop(leaving);
        drop(self);
    }
}

/// Until the guard is dropped, this thread runs a job of the store.
pub(crate) fn in_job() -> Leaving {
    Leaving(IN_JOB.replace(true))
}

/// Sets back what was before.
pub(crate) struct Leaving(bool);

impl Drop for Leaving {
    fn drop(&mut self) {
        IN_JOB.set(self.0);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way.lock();
        *under_way = under_way.saturating_sub(1);
        if *under_way == 0 {
            self.0.none.notify_all();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if IN_JOB.get() {
            return;
        }
        let mut under_way = self.0.under_way.lock();
        while *under_way > 0 {
            self.0.none.wait(&mut under_way);
        }
    }
}
