//! Calling push gateways: one task per pusher with something to tell, one request after the other.

mod about;
mod letter;
mod next;

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use vestibule_remote::{Letter, TransportError, WebError};
use vestibule_storage::{
    Scan, Stamp, StorageError,
    tables::push::{PUSH_WAITING, PUSHER, PUSHER_STANDING, StoredPusherStanding},
};
use vestibule_types::limits::{PUSH_ANSWER_BYTES_MAX, PUSH_RETRY_MAX, PUSH_RETRY_MIN};

use self::next::{Next, Notice, Stale};
use crate::{
    Push,
    pusher::{PusherId, disown},
};

/// A row of what waits for a pusher: its place in the log.
type Place = (u16, Stamp);

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    rejected: Vec<String>,
}

/// What became of a notice.
enum Outcome {
    Taken,
    /// The gateway says that the pushkey is of no use any more.
    Rejected,
    /// Its address is one that must not be reached.
    Refused,
    Failed,
}

impl Push {
    /// Tells a pusher what waits for it, until nothing does or its gateway fails.
    pub(crate) async fn work(&self, id: &PusherId) {
        // Nobody closes the semaphore.
        let _turn = self.turns().acquire().await.ok();
        loop {
            match self.step(id).await {
                Ok(Step::Done) if self.hub().finish(id) => return,
                Ok(Step::Again | Step::Done) => {}
                Ok(Step::Rest(rest)) => return self.rest(id, rest),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what waits for a pusher cannot be told");
                    return self.rest(id, PUSH_RETRY_MIN);
                }
            }
        }
    }

    fn rest(&self, id: &PusherId, rest: Duration) {
        let until = self.environment().clock.monotonic().saturating_add(rest);
        self.hub().rest(id, until);
        self.bell().notify_one();
    }

    async fn step(&self, id: &PusherId) -> Result<Step, StorageError> {
        let (push, wanted) = (self.clone(), id.clone());
        let read = self.store().read(move |snapshot| next::next(&push, snapshot, &wanted));
        match read.await? {
            Next::Nothing => Ok(Step::Done),
            Next::Later(rest) => Ok(Step::Rest(rest)),
            Next::Stale(stale) => {
                self.settle(id, stale, |_| {}).await?;
                Ok(Step::Again)
            }
            Next::Tell(notice) => self.tell(id, notice).await,
        }
    }

    async fn tell(&self, id: &PusherId, notice: Notice) -> Result<Step, StorageError> {
        let Notice { url, body, badge, done, mut stale } = notice;
        let outcome = self.call(id, url, body).await;
        let name = match &outcome {
            Outcome::Taken => "sent",
            Outcome::Rejected => "rejected",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        };
        metrics::counter!("vestibule_push_requests_total", "outcome" => name).increment(1);
        match outcome {
            Outcome::Taken => {
                stale.places.push(done);
                let well = StoredPusherStanding { badge, ..StoredPusherStanding::default() };
                self.settle(id, stale, move |standing| *standing = well).await?;
                Ok(Step::Again)
            }
            Outcome::Rejected => {
                tracing::info!(app_id = id.app_id, "a push gateway rejected a pushkey");
                disown(self.store(), id).await?;
                Ok(Step::Done)
            }
            Outcome::Refused | Outcome::Failed => {
                let now = self.environment().now_ms();
                let settled = self.settle(id, stale, move |standing| fail(standing, now)).await?;
                Ok(Step::Rest(Duration::from_millis(settled.retry_at.saturating_sub(now))))
            }
        }
    }

    async fn call(&self, id: &PusherId, url: String, body: Bytes) -> Outcome {
        let letter = Letter {
            url,
            body,
            answer_bytes_max: PUSH_ANSWER_BYTES_MAX,
            time_max: self.config().call_time_max,
        };
        match self.web().post(letter).await {
            Ok(answer) => match serde_json::from_slice::<Answer>(&answer) {
                Ok(answer) if answer.rejected.contains(&id.pushkey) => Outcome::Rejected,
                // It was taken, whatever else the answer says.
                _ => Outcome::Taken,
            },
            Err(error) => {
                note(&error);
                let refused = matches!(error, WebError::Transport(TransportError::Refused));
                if refused { Outcome::Refused } else { Outcome::Failed }
            }
        }
    }

    /// Takes rows away that were told, or need not be, and notes how the pusher is doing.
    async fn settle(
        &self,
        id: &PusherId,
        stale: Stale,
        change: impl Fn(&mut StoredPusherStanding) + Send + 'static,
    ) -> Result<StoredPusherStanding, StorageError> {
        let (slot, id) = (self.store().slot_of_user(&id.user), id.clone());
        let write = self.store().write::<_, StorageError, _>(slot, move |tx| {
            let (user, app_id, pushkey) = id.key();
            for (slot, stamp) in &stale.places {
                PUSH_WAITING.delete(tx, (user, app_id, pushkey, *slot, *stamp))?;
            }
            if let Some((slot, stamp)) = stale.before {
                let older = Scan::prefix(id.key()).before((user, app_id, pushkey, slot, stamp));
                PUSH_WAITING.delete_scan(tx, older)?;
            }
            let before = PUSHER_STANDING.get(tx, id.key())?.unwrap_or_default();
            let mut standing = before;
            change(&mut standing);
            if standing != before && PUSHER.contains(tx, id.key())? {
                PUSHER_STANDING.put(tx, id.key(), &standing)?;
            }
            Ok(standing)
        });
        write.await.map(|committed| committed.value)
    }
}

/// How a task goes on.
enum Step {
    Again,
    Done,
    Rest(Duration),
}

/// Leaves a gateway alone, each time twice as long.
fn fail(standing: &mut StoredPusherStanding, now: u64) {
    let longer = PUSH_RETRY_MIN.saturating_mul(1 << standing.failures.min(16));
    let rest = u64::try_from(longer.min(PUSH_RETRY_MAX).as_millis()).unwrap_or(u64::MAX);
    standing.failures = standing.failures.saturating_add(1);
    standing.retry_at = now.saturating_add(rest);
}

fn note(error: &WebError) {
    tracing::debug!(error = error as &dyn std::error::Error, "a push gateway failed");
}
