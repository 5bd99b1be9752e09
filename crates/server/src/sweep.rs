//! What is looked at again after the policy changed, and every hour: members out of scope, names
//! the policy pins, transaction ids nobody will repeat.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tracing::{error, warn};
use vestibule_rooms::Rooms;
use vestibule_types::Environment;

/// The longest time until something that no trigger told of is noticed.
const EVERY_MS: u64 = 3_600_000;
/// The shortest pause between two sweeps.
const PAUSE_MS: u64 = 1_000;

/// Sweeps in the background until the server stops. The first sweep is at the start: the policy may
/// have changed while the server was down.
pub(crate) fn start(
    (rooms, open_registration): (Rooms, bool),
    environment: &Environment,
    swapped: Arc<Notify>,
) {
    let clock = environment.clock.clone();
    let stopping = environment.spawner.stopping();
    let work = async move {
        loop {
            let now = u64::from(clock.now().get());
            housekeep(&rooms, open_registration).await;
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
                () = clock.sleep(pause) => {}
                () = swapped.notified() => {}
            }
        }
    };
    environment.spawner.spawn(
        "sweep",
        Box::pin(async move {
            tokio::select! {
                () = work => {}
                () = stopping => {}
            }
        }),
    );
}

async fn housekeep(rooms: &Rooms, open_registration: bool) {
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
