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

use crate::policy_metrics::Sweeps;

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
    (rooms, open_registration, sweeps): (Rooms, bool, Arc<Sweeps>),
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
                Ok(next) => {
                    sweeps.evictions.set(next);
                    next
                }
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
pub(crate) fn start_ending_guests(
    (accounts, sweeps): (Accounts, Arc<Sweeps>),
    environment: &Environment,
) {
    let clock = environment.clock.clone();
    let work = async move {
        loop {
            let now = u64::from(clock.now().get());
            let next = match accounts.expire_guests().await {
                Ok(next) => {
                    sweeps.expiries.set(Some(next));
                    next
                }
                Err(cause) => {
                    let cause = &cause as &dyn Error;
                    error!(cause, "guests whose time is over could not be ended");
                    now.saturating_add(EVERY_MS)
                }
            };
            let pause = next.saturating_sub(now).clamp(PAUSE_MS, EVERY_MS);
            tokio::select! {
                biased;
                () = clock.sleep(Duration::from_millis(pause)) => {}
                () = accounts.guests_to_look_at() => {}
            }
        }
    };
    until_stopped("guests", environment, work);
}

/// Removes devices and filters that nobody uses, until the server stops. Not at once when it starts: a machine whose clock
/// is wrong at first has time to learn the hour before anything is taken for old.
pub(crate) fn start_ending_devices(accounts: Accounts, environment: &Environment) {
    let clock = environment.clock.clone();
    let work = async move {
        loop {
            clock.sleep(Duration::from_millis(EVERY_MS)).await;
            if let Err(cause) = accounts.expire_devices().await {
                error!(cause = &cause as &dyn Error, "devices nobody uses could not be removed");
            }
            if let Err(cause) = accounts.expire_filters().await {
                error!(cause = &cause as &dyn Error, "filters nobody uses could not be removed");
            }
        }
    };
    until_stopped("devices", environment, work);
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ruma::server_name;
    use vestibule_accounts::{
        AccountsConfig, AccountsParts, CreateAccount, LogIn, LogInProof, Named, Resolved, Sighting,
    };
    use vestibule_policy::{PolicyConfig, PolicyHandle, RateBuckets, compile};
    use vestibule_storage::InlineExecutor;
    use vestibule_testkit::{environment, memory_store};
    use vestibule_types::{ClassName, Secret};

    use super::*;

    const LIFE: Duration = Duration::from_hours(48);

    #[tokio::test]
    async fn a_device_that_nobody_uses_is_removed_by_and_by() {
        let test = environment(7);
        let mut config = AccountsConfig::new(server_name!("a.example").to_owned());
        config.sessions.device_idle_life = Some(LIFE);
        let (policy, _) = compile(&PolicyConfig::default(), &config.server_name).unwrap();
        let accounts = Accounts::new(AccountsParts {
            store: memory_store(1),
            policy: PolicyHandle::new(policy),
            rates: Arc::new(RateBuckets::default()),
            environment: test.environment.clone(),
            executor: Arc::new(InlineExecutor),
            config,
        });
        let password = || Secret::new("tea".to_owned());
        let alice = CreateAccount {
            username: "alice".to_owned(),
            password: password(),
            class: ClassName::new("member"),
            displayname: None,
        };
        accounts.create_account(alice).await.unwrap();
        let named = Named::User("alice".to_owned());
        let login = LogIn {
            proof: LogInProof::Password { user: named, password: password() },
            device_id: None,
            initial_device_display_name: None,
            refresh_token: false,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let session = accounts.log_in(login).await.unwrap();
        let devices = async || accounts.devices(&session.user_id).await.unwrap().len();

        start_ending_devices(accounts.clone(), &test.environment);
        let asleep = async || {
            while test.clock.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
        };
        asleep().await;
        test.clock.advance(Duration::from_hours(47));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(devices().await, 1, "an hour too early");
        asleep().await;
        test.clock.advance(Duration::from_millis(EVERY_MS));
        while devices().await == 1 {
            tokio::task::yield_now().await;
        }
        let token = session.access_token.expose();
        let found = accounts.resolve(token, Sighting::default()).await.unwrap();
        assert_eq!(found, Resolved::Unknown);
    }
}
