//! The commit thread: takes everything that waits, commits it as one group, and again.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use vestibule_types::limits::{COMMIT_QUEUE_MAX, GROUP_BATCHES_MAX};

use super::{Committer, Request};
use crate::{StorageError, executor::join};

/// How often a store that refuses writes is tried again when nobody writes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The way to the commit thread. The thread ends when this is dropped or closed, after
/// committing what waits; dropping waits for its end, so that no engine outlives its process.
pub(crate) struct CommitThread {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Request>,
    closing: bool,
    /// Whether the thread waits for news, so that it must be woken.
    idle: bool,
    /// Whether the thread is gone, for whatever reason.
    ended: bool,
    closed: Vec<oneshot::Sender<()>>,
}

impl CommitThread {
    pub(crate) fn start(committer: Committer) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let theirs = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || run(&theirs, committer))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Hands work over without waiting for it.
    pub(crate) fn submit(&self, request: Request) -> Result<(), (Request, StorageError)> {
        let mut state = self.desk.state.lock();
        if state.closing {
            return Err((request, StorageError::Closed));
        }
        if state.queue.len() >= COMMIT_QUEUE_MAX {
            let error = StorageError::unavailable("too many writes are waiting");
            return Err((request, error));
        }
        state.queue.push_back(request);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.desk.news.notify_one();
        }
        Ok(())
    }

    /// Takes no more work; the receiver hears when the thread has ended.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.desk.state.lock();
        state.closing = true;
        if !state.ended {
            state.closed.push(sender);
        }
        drop(state);
        self.desk.news.notify_one();
        receiver
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        self.desk.state.lock().closing = true;
        self.desk.news.notify_one();
        join(self.thread.take());
    }
}

/// Tells everybody when the thread ends, also by a panic.
struct Ending<'a>(&'a Desk);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closing = true;
        state.ended = true;
        // Dropped requests and senders are the answer to whoever waits for them.
        let (queue, closed) = (std::mem::take(&mut state.queue), std::mem::take(&mut state.closed));
        drop(state);
        drop((queue, closed));
    }
}

fn run(desk: &Desk, mut committer: Committer) {
    let _ending = Ending(desk);
    let mut work = VecDeque::new();
    loop {
        match next(desk, &mut work, committer.is_refusing()) {
            Next::Work => {
                while !work.is_empty() {
                    committer.commit(&mut work).tell();
                    // Whoever came meanwhile joins the next group if there is room in it.
                    if work.len() < GROUP_BATCHES_MAX {
                        work.append(&mut desk.state.lock().queue);
                    }
                }
            }
            Next::Probe => committer.probe(),
            Next::Close => break,
        }
    }
    committer.close();
    drop(committer);
}

enum Next {
    Work,
    Probe,
    Close,
}

fn next(desk: &Desk, work: &mut VecDeque<Request>, refusing: bool) -> Next {
    let mut state = desk.state.lock();
    loop {
        if !state.queue.is_empty() {
            std::mem::swap(&mut state.queue, work);
            return Next::Work;
        }
        if state.closing {
            return Next::Close;
        }
        state.idle = true;
        if refusing {
            let waited = desk.news.wait_for(&mut state, PROBE_INTERVAL);
            if waited.timed_out() && state.queue.is_empty() && !state.closing {
                state.idle = false;
                return Next::Probe;
            }
        } else {
            desk.news.wait(&mut state);
        }
        state.idle = false;
    }
}
