//! Who runs the closures.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

/// Work that was not taken because too much is waiting, or because the pool has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much storage work is waiting")]
pub struct Busy;

/// Runs closures of reads and writes.
pub trait Executor: Send + Sync + 'static {
    /// Runs the job, now or later, here or elsewhere; never both refuses it and runs it.
    fn execute(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy>;
}

/// Runs every job at once on the calling thread: for simulation, and for short-lived commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineExecutor;

impl Executor for InlineExecutor {
    fn execute(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        job();
        Ok(())
    }
}

/// A fixed number of named threads with a bounded queue. The threads end, after the jobs that
/// wait, when the pool is dropped; dropping waits for their end.
pub struct ThreadPool {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
}

struct Desk {
    state: Mutex<State>,
    news: Condvar,
    queue_max: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Box<dyn FnOnce() + Send>>,
    idle: usize,
    closing: bool,
}

impl ThreadPool {
    /// Starts `threads` threads called `name-0`, `name-1`, …; at most `queue_max` jobs wait.
    pub fn new(name: &str, threads: usize, queue_max: usize) -> io::Result<Self> {
        let state = Mutex::default();
        let desk = Arc::new(Desk { state, news: Condvar::new(), queue_max });
        let mut pool = Self { desk, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let desk = Arc::clone(&pool.desk);
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            pool.threads.push(thread.spawn(move || work(&desk))?);
        }
        Ok(pool)
    }
}

impl Executor for ThreadPool {
    fn execute(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        let mut state = self.desk.state.lock();
        if state.closing || state.queue.len() >= self.desk.queue_max {
            return Err(Busy);
        }
        state.queue.push_back(job);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.desk.news.notify_one();
        }
        Ok(())
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.desk.state.lock().closing = true;
        self.desk.news.notify_all();
        self.threads.drain(..).for_each(|thread| join(Some(thread)));
    }
}

/// Waits for the end of a thread, unless it is the one that waits: the last owner of a pool may be a
/// job of that very pool. A thread left behind would work on a database whose process is ending.
pub(crate) fn join(thread: Option<JoinHandle<()>>) {
    let Some(thread) = thread else { return };
    if thread.thread().id() != thread::current().id() && thread.join().is_err() {
        tracing::error!("a storage thread panicked");
    }
}

fn work(desk: &Desk) {
    while let Some(job) = next(desk) {
        // Whoever waits for the job hears of the panic because its answer is dropped.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a storage closure panicked");
        }
    }
}

fn next(desk: &Desk) -> Option<Box<dyn FnOnce() + Send>> {
    let mut state = desk.state.lock();
    loop {
        if let Some(job) = state.queue.pop_front() {
            return Some(job);
        }
        if state.closing {
            return None;
        }
        state.idle += 1;
        desk.news.wait(&mut state);
        state.idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_pool_refuses_what_its_queue_cannot_hold() {
        let pool = ThreadPool::new("test", 1, 2).unwrap();
        let (release, wait) = mpsc::channel::<()>();
        let (started, begun) = mpsc::channel();
        let blocked = move || {
            started.send(()).unwrap();
            wait.recv().unwrap();
        };
        pool.execute(Box::new(blocked)).unwrap();
        begun.recv().unwrap();
        let (done, ran) = mpsc::channel();
        for number in 0..2 {
            let done = done.clone();
            pool.execute(Box::new(move || done.send(number).unwrap())).unwrap();
        }
        assert_eq!(pool.execute(Box::new(|| {})), Err(Busy));
        release.send(()).unwrap();
        drop((pool, done));
        assert_eq!(ran.iter().collect::<Vec<_>>(), [0, 1], "what was taken runs");
    }

    #[test]
    fn threads_carry_the_pools_name_and_survive_a_panic() {
        let pool = ThreadPool::new("pool", 1, 9).unwrap();
        pool.execute(Box::new(|| panic!("on purpose"))).unwrap();
        let (name, named) = mpsc::channel();
        let tell = move || name.send(thread::current().name().map(str::to_owned)).unwrap();
        pool.execute(Box::new(tell)).unwrap();
        assert_eq!(named.recv().unwrap().as_deref(), Some("pool-0"));
    }
}
