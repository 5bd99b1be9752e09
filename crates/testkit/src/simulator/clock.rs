//! Time that jumps to the next moment at which something is due when nothing else is left to do.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use vestibule_types::{BoxFuture, Clock};

use crate::EPOCH_MS;

#[derive(Debug, Default)]
struct Inside {
    now_ms: u64,
    /// Sleepers by the moment they wait for, those of one moment in the order they came.
    sleepers: BTreeMap<(u64, u64), Waker>,
    came: u64,
}

/// The clock of a simulation. Its runtime moves it whenever it would park, so hours cost nothing but
/// what is done in them.
#[derive(Clone, Debug, Default)]
pub(super) struct SimClock(Arc<Mutex<Inside>>);

impl SimClock {
    pub(super) fn elapsed_ms(&self) -> u64 {
        self.0.lock().now_ms
    }

    /// Goes to the next moment somebody waits for, and wakes them.
    pub(super) fn jump(&self) {
        let woken: Vec<Waker> = {
            let mut inside = self.0.lock();
            let Some((&(until, _), _)) = inside.sleepers.first_key_value() else { return };
            inside.now_ms = inside.now_ms.max(until);
            let later = inside.sleepers.split_off(&(until + 1, 0));
            std::mem::replace(&mut inside.sleepers, later).into_values().collect()
        };
        for waker in woken {
            waker.wake();
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(EPOCH_MS + self.elapsed_ms()))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut inside = self.0.lock();
        inside.came += 1;
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4);
        let until = inside.now_ms.saturating_add(micros.div_ceil(1_000));
        Box::pin(Sleep { clock: self.clone(), key: (until, inside.came) })
    }
}

struct Sleep {
    clock: SimClock,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inside = self.clock.0.lock();
        if inside.now_ms >= self.key.0 {
            return Poll::Ready(());
        }
        inside.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.lock().sleepers.remove(&self.key);
    }
}
