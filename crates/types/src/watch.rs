//! A value that others follow. Whoever waits for the next one is woken in the order they began to wait,
//! so that a simulation with a seed tells one story; tokio's `watch` wakes in an order drawn by chance.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Sets the value. When it is dropped, nobody waits any longer.
pub struct Sender<T>(Arc<Shared<T>>);

/// Follows the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen.
    seen: u64,
}

/// Nobody sets the value any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody sets the value any more")]
pub struct Ended;

struct Shared<T>(Mutex<Inside<T>>);

struct Inside<T> {
    value: T,
    version: u64,
    ended: bool,
    /// Who waits, in the order they began to. There is one for each receiver at most.
    waiting: BTreeMap<u64, Waker>,
    came: u64,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inside<T> {
    /// Who is to be woken, outside of the lock.
    fn moved(&mut self) -> impl Iterator<Item = Waker> + use<T> {
        self.version += 1;
        std::mem::take(&mut self.waiting).into_values()
    }
}

impl<T> Sender<T> {
    /// A value that nobody follows yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        let inside = Inside { value, version: 0, ended: false, waiting: BTreeMap::new(), came: 0 };
        Self(Arc::new(Shared(Mutex::new(inside))))
    }

    /// Somebody who follows it from here on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { seen: self.0.lock().version, shared: Arc::clone(&self.0) }
    }

    /// Sets it.
    pub fn send(&self, value: T) {
        self.send_if_modified(|held| {
            *held = value;
            true
        });
    }

    /// Changes it; its followers are woken where `change` says so.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut inside = self.0.lock();
        if change(&mut inside.value) {
            let woken = inside.moved();
            drop(inside);
            woken.for_each(Waker::wake);
        }
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.0.lock().value.clone()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.ended = true;
        let woken = std::mem::take(&mut inside.waiting);
        drop(inside);
        woken.into_values().for_each(Waker::wake);
    }
}

impl<T> Receiver<T> {
    /// What it is now.
    #[must_use]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.shared.lock().value.clone()
    }

    /// Whether it was set since it was last seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.lock().version != self.seen
    }

    /// Takes it for seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.lock().version;
    }

    /// Completes when it was set since it was last seen, and takes it for seen.
    pub fn changed(&mut self) -> impl Future<Output = Result<(), Ended>> + Send
    where
        T: Send,
    {
        Changed { receiver: self, place: None }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

struct Changed<'a, T> {
    receiver: &'a mut Receiver<T>,
    /// Where it stands among those who wait, once it does.
    place: Option<u64>,
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut inside = this.receiver.shared.lock();
        if inside.version != this.receiver.seen {
            this.receiver.seen = inside.version;
            return Poll::Ready(Ok(()));
        }
        if inside.ended {
            return Poll::Ready(Err(Ended));
        }
        let came = &mut inside.came;
        let place = *this.place.get_or_insert_with(|| {
            *came += 1;
            *came
        });
        inside.waiting.insert(place, context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.receiver.shared.lock().waiting.remove(&place);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Wake};

    use super::*;

    struct Named(u8, Arc<Mutex<Vec<u8>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn wakes_in_the_order_in_which_they_came_and_nobody_who_left() {
        let (sender, woken) = (Sender::new(0), Arc::new(Mutex::new(Vec::new())));
        let mut receivers: Vec<_> = (0..20).map(|_| sender.subscribe()).collect();
        let mut waiting: Vec<_> = receivers.iter_mut().map(|it| Box::pin(it.changed())).collect();
        for (name, waits) in (0_u8..).zip(&mut waiting) {
            let waker = Waker::from(Arc::new(Named(name, Arc::clone(&woken))));
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(waiting.remove(7));
        sender.send(1);
        let expected: Vec<u8> = (0..20).filter(|it| *it != 7).collect();
        assert_eq!(*woken.lock().unwrap(), expected);
    }

    #[test]
    fn tells_of_what_was_set_before_it_was_waited_for_and_of_the_end() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        let mut context = Context::from_waker(Waker::noop());
        sender.send_if_modified(|_| false);
        assert!(!receiver.has_changed());
        sender.send(5);
        assert!(receiver.has_changed());
        assert_eq!(pin!(receiver.changed()).poll(&mut context), Poll::Ready(Ok(())));
        assert_eq!(receiver.get(), 5);
        sender.send(6);
        receiver.mark_unchanged();
        assert!(pin!(receiver.changed()).poll(&mut context).is_pending());
        drop(sender);
        assert_eq!(pin!(receiver.changed()).poll(&mut context), Poll::Ready(Err(Ended)));
    }
}
