//! What is looked at again after the policy changed, and every hour: members out of scope, names
//! the policy pins, transaction ids nobody will repeat, files that are not kept for ever. Guests whose time
//! is over are looked for by themselves.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tracing::{error, warn};
use vestibule_accounts::Accounts;
use vestibule_media::Media;
use vestibule_rooms::Rooms;
use vestibule_types::Environment;

/// The longest time until something that no trigger told of is noticed.
const EVERY_MS: u64 = 3_600_000;
/// The shortest pause between two sweeps.
const PAUSE_MS: u64 = 1_000;

/// Files that are not kept for ever.
pub(crate) struct Kept {
    pub(crate) media: Media,
    /// How long copies of files of other servers are kept.
    pub(crate) remote_keep: Option<Duration>,
}

impl Kept {
    /// Takes away what need not be kept any more.
    async fn purge(&self, now: u64) {
        let before = self
            .remote_keep
            .map(|keep| now.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)));
        if let Err(cause) = self.media.purge_media(before).await {
            error!(cause = &cause as &dyn Error, "files could not be purged");
        }
    }
}

/// Sweeps in the background until the server stops. The first sweep is at the start: the policy may
/// have changed while the server was down.
pub(crate) fn start(
    (rooms, open_registration): (Rooms, bool),
    kept: Kept,
    environment: &Environment,
    swapped: Arc<Notify>,
) {
    let clock = environment.clock.clone();
    let work = async move {
        let mut purge_due = 0;
        loop {
            let now = u64::from(clock.now().get());
            housekeep(&rooms, open_registration).await;
            if now >= purge_due {
                kept.purge(now).await;
                purge_due = now.saturating_add(EVERY_MS);
            }
            let next = match rooms.sweep_all().await {
                Ok(next) => next,
                Err(cause) => {
                    error!(
                        cause = &cause as &dyn Error,
                        "members out of scope could not be looked for"
                    );
                    None
                }
            };
            let pause = next.map_or(EVERY_MS, |due| due.saturating_sub(now));
            let pause = Duration::from_millis(pause.clamp(PAUSE_MS, EVERY_MS));
            tokio::select! {
                biased;
                () = clock.sleep(pause) => {}
                () = swapped.notified() => {}
            }
        }
    };
    until_stopped("sweep", environment, work);
}

/// Ends guests whose time is over, until the server stops.
pub(crate) fn start_ending_guests(accounts: Accounts, environment: &Environment) {
    let clock = environment.clock.clone();
    let work = async move {
        loop {
            let now = u64::from(clock.now().get());
            let next = accounts.expire_guests().await.unwrap_or_else(|cause| {
                error!(
                    cause = &cause as &dyn Error,
                    "guests whose time is over could not be ended"
                );
                now.saturating_add(EVERY_MS)
            });
            let pause = next.saturating_sub(now).clamp(PAUSE_MS, EVERY_MS);
            clock.sleep(Duration::from_millis(pause)).await;
        }
    };
    until_stopped("guests", environment, work);
}

/// Runs in the background until the server stops.
fn until_stopped(
    name: &'static str,
    environment: &Environment,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let stopping = environment.spawner.stopping();
    environment.spawner.spawn(
        name,
        Box::pin(async move {
            tokio::select! {
                biased;
                () = work => {}
                () = stopping => {}
            }
        }),
    );
}

async fn housekeep(rooms: &Rooms, open_registration: bool) {
    if let Err(cause) = rooms.follow_spaces().await {
        error!(cause = &cause as &dyn Error, "spaces to follow could not be looked at");
    }
    match rooms.doubts(open_registration).await {
        Ok(doubts) => {
            for doubt in doubts {
                warn!("policy: {}: {}", doubt.key, doubt.message);
            }
        }
        Err(cause) => error!(cause = &cause as &dyn Error, "names could not be pinned"),
    }
    loop {
        match rooms.forget_transactions().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(cause) => {
                error!(cause = &cause as &dyn Error, "old transaction ids could not be forgotten");
                break;
            }
        }
    }
}
