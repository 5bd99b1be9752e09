//! The service and what it is made of.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedUserId, ServerName, UserId};
use tokio::sync::{Notify, broadcast};
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_storage::{
    Executor, StorageError, Store, Tx,
    tables::{account::TokenDigest, guest_token::StoredGuestTokenKey},
};
use vestibule_types::{BoxFuture, Environment, limits};

use crate::{
    Ledger, Post, ProfilesElsewhere, config::AccountsConfig, password::Passwords, seen::Sightings,
    throttle::Throttle, uia::UiaSessions, username::SYSTEM_LOCALPART,
};

/// Accounts, sessions, devices, profiles and account data. Cloning is cheap.
#[derive(Clone)]
pub struct Accounts(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) rates: Arc<RateBuckets>,
    pub(crate) ledger: Ledger,
    pub(crate) environment: Environment,
    pub(crate) system_user: OwnedUserId,
    pub(crate) config: AccountsConfig,
    pub(crate) passwords: Passwords,
    pub(crate) uia: UiaSessions,
    pub(crate) sightings: Sightings,
    pub(crate) throttles: Throttles,
    /// Nonces of shared-secret registration, and until when they are good.
    pub(crate) nonces: Mutex<BTreeMap<String, Duration>>,
    pub(crate) acquaintance: OnceLock<Arc<dyn Acquaintance>>,
    pub(crate) profiles_elsewhere: OnceLock<Arc<dyn ProfilesElsewhere>>,
    pub(crate) job_bell: OnceLock<Arc<Notify>>,
    pub(crate) post: OnceLock<Arc<dyn Post>>,
    pub(crate) mail_bell: Notify,
    /// Rung when guests are to be looked at out of turn.
    pub(crate) guest_bell: Notify,
    /// What guest tokens are signed with, once it was read.
    pub(crate) guest_key: OnceLock<StoredGuestTokenKey>,
    /// Unused guest tokens as they are logged out, for requests of theirs that are under way.
    pub(crate) guest_logouts: broadcast::Sender<TokenDigest>,
}

/// What [`Accounts`] is made of.
pub struct AccountsParts {
    /// Where accounts are kept.
    pub store: Store,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The rate buckets all services share.
    pub rates: Arc<RateBuckets>,
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Who hashes passwords.
    pub executor: Arc<dyn Executor>,
    /// What the operator decided.
    pub config: AccountsConfig,
}

/// The buckets of this service.
pub(crate) struct Throttles {
    pub(crate) logins: Throttle,
    pub(crate) wrong_passwords: Throttle,
    pub(crate) wrong_passwords_of_account: Throttle,
    pub(crate) registrations: Throttle,
    pub(crate) lookups: Throttle,
    pub(crate) openid_tokens: Throttle,
    pub(crate) login_tokens: Throttle,
    pub(crate) mails: Throttle,
    pub(crate) mails_of_address: Throttle,
}

/// What is to be known of people in rooms: whether two share one that lies in the first one's scope. Rooms
/// know; the server plugs the answers in.
pub trait Acquaintance: Send + Sync + 'static {
    /// Whether `user` and `other` do.
    fn share_room<'a>(
        &'a self,
        user: &'a UserId,
        other: &'a UserId,
    ) -> BoxFuture<'a, Result<bool, StorageError>>;

    /// Whether somebody of another server is in a room with `user`.
    fn share_room_with_server<'a>(
        &'a self,
        user: &'a UserId,
        server: &'a ServerName,
    ) -> BoxFuture<'a, Result<bool, StorageError>>;

    /// Whether `user` is or was in a room.
    fn was_in_a_room<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Result<bool, StorageError>>;
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// The service over a store.
    #[must_use]
    pub fn new(parts: AccountsParts) -> Self {
        let AccountsParts { store, policy, rates, environment, executor, config } = parts;
        let limits = &config.limits;
        let mut of_account = limits.wrong_passwords;
        of_account.burst = of_account.burst.saturating_mul(10);
        of_account.every /= 10;
        let throttles = Throttles {
            logins: Throttle::new(limits.logins),
            wrong_passwords: Throttle::new(limits.wrong_passwords),
            wrong_passwords_of_account: Throttle::new(of_account),
            registrations: Throttle::new(limits.registrations),
            lookups: Throttle::new(limits.lookups),
            openid_tokens: Throttle::new(limits.openid_tokens),
            login_tokens: Throttle::new(limits.login_tokens),
            mails: Throttle::new(limits.mails),
            mails_of_address: Throttle::new(limits.mails_of_address),
        };
        let passwords = Passwords::new(executor, environment.clone(), limits.hashes_at_once);
        let system_user = system_user_of(&config.server_name);
        let ledger = Ledger::new(store.clone(), policy.clone(), rates.clone(), environment.clone());
        Self(Arc::new(Inner {
            ledger,
            store,
            system_user,
            policy,
            rates,
            environment,
            config,
            passwords,
            uia: UiaSessions::default(),
            sightings: Sightings::default(),
            throttles,
            nonces: Mutex::default(),
            acquaintance: OnceLock::new(),
            profiles_elsewhere: OnceLock::new(),
            job_bell: OnceLock::new(),
            post: OnceLock::new(),
            mail_bell: Notify::new(),
            guest_bell: Notify::new(),
            guest_key: OnceLock::new(),
            guest_logouts: broadcast::Sender::new(limits::GUEST_LOGOUTS_HEARD_MAX),
        }))
    }

    /// Plugs in who shares rooms with whom. Only the first call counts.
    pub fn set_acquaintance(&self, acquaintance: Arc<dyn Acquaintance>) {
        // A second call is a mistake in the wiring that changes nothing.
        let _already_set = self.0.acquaintance.set(acquaintance);
    }

    /// Plugs in who asks other servers for profiles. Only the first call counts; without one, only our
    /// own users have profiles.
    pub fn set_profiles_elsewhere(&self, profiles: Arc<dyn ProfilesElsewhere>) {
        // As above.
        let _already_set = self.0.profiles_elsewhere.set(profiles);
    }

    /// Plugs in what wakes the runner of durable jobs. Only the first call counts; without one,
    /// jobs wait until the runner looks by itself.
    pub fn set_job_bell(&self, bell: Arc<Notify>) {
        // As above.
        let _already_set = self.0.job_bell.set(bell);
    }

    /// Plugs in who carries mail out. Only the first call counts; without one, mail waits.
    pub fn set_post(&self, post: Arc<dyn Post>) {
        // As above.
        let _already_set = self.0.post.set(post);
    }

    /// The name behind the colon of every account.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.0.config.server_name
    }

    /// The server's own user, who does what the operator and the server itself want.
    #[must_use]
    pub fn system_user(&self) -> OwnedUserId {
        self.0.system_user.clone()
    }

    /// Where decisions about requests go.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// What the operator decided about accounts.
    #[must_use]
    pub fn config(&self) -> &AccountsConfig {
        &self.0.config
    }
}

impl Inner {
    /// Runs a write in the slot of the user.
    pub(crate) async fn write<T, E, F>(&self, user_id: &UserId, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let slot = self.store.slot_of_user(user_id);
        Ok(self.store.write(slot, closure).await?.value)
    }

    /// Tells the runner of durable jobs that there may be one.
    pub(crate) fn ring(&self) {
        if let Some(bell) = self.job_bell.get() {
            bell.notify_one();
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.environment.now_ms()
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.environment.clock.monotonic()
    }
}

/// The key an address is counted under: the address itself, or the /64 of an IPv6 address. `None`
/// for the machine itself.
pub(crate) fn counted_address(address: IpAddr) -> Option<String> {
    match address.to_canonical() {
        ip if ip.is_loopback() || ip.is_unspecified() => None,
        IpAddr::V4(ip) => Some(ip.to_string()),
        IpAddr::V6(ip) => Some(format!("{:x}", ip.to_bits() >> 64)),
    }
}

/// The name of the server's own user.
#[must_use]
pub fn system_user_of(server_name: &ServerName) -> OwnedUserId {
    // A server name that is valid makes a valid identifier with this localpart; were it not, a
    // user nobody can be is as good as any.
    let text = format!("@{SYSTEM_LOCALPART}:{server_name}");
    OwnedUserId::try_from(text).unwrap_or_else(|_| ruma::owned_user_id!("@vestibule:localhost"))
}
