//! A clock that moves only when told to.

use std::time::Duration;

use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use tokio::sync::watch;
use vestibule_types::{BoxFuture, Clock};

/// A clock that moves only when told to. Sleepers wake when it passes their time.
#[derive(Debug)]
pub struct ManualClock {
    start_ms: u64,
    now_ms: watch::Sender<u64>,
}

impl ManualClock {
    /// Starts at `millis` after the Unix epoch.
    #[must_use]
    pub fn at(millis: u64) -> Self {
        Self { start_ms: millis, now_ms: watch::Sender::new(millis) }
    }

    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        self.now_ms.send_modify(|now| *now += millis(by));
    }

    /// How many sleepers wait for this clock.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.now_ms.receiver_count()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(*self.now_ms.borrow()))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(*self.now_ms.borrow() - self.start_ms)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut now_ms = self.now_ms.subscribe();
        let until = *now_ms.borrow() + millis(duration);
        Box::pin(async move {
            // An error means the clock is gone: nobody can move time any more, so nobody wakes.
            if now_ms.wait_for(|now| *now >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_only_when_its_time_has_come() {
        let clock = ManualClock::at(1_000);
        let mut sleep = clock.sleep(Duration::from_millis(10));
        clock.advance(Duration::from_millis(9));
        assert!(futures_poll(&mut sleep).await.is_none());
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!(u64::from(clock.now().get()), 1_010);
        assert_eq!(clock.monotonic(), Duration::from_millis(10));
    }

    async fn futures_poll(future: &mut BoxFuture<'static, ()>) -> Option<()> {
        tokio::select! {
            biased;
            () = future => Some(()),
            () = std::future::ready(()) => None,
        }
    }
}
