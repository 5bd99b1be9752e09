//! A guest without rows: who they would be, and how they come to be.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use vestibule_policy::{Action, Decision, Denial, Facts, RateFact, Request, Subject, kind};
use vestibule_storage::{
    Draft, Newcomer, Read, StorageError, Tx,
    tables::account::{SEEN_BY_DEVICE, StoredAccountState, StoredSeen, TokenDigest},
};
use vestibule_types::{Actor, ClassName, Credential, Secret, limits};

use super::{
    GuestToken, Minted, Resolved, Sighting, open,
    refused_token::{has_no_rows, is_refused},
};
use crate::{
    Accounts,
    account::class_suffix,
    facts,
    gate::{self, Refusal, start_of_time},
    registration::{NewAccount, guest_tally},
    token,
};

/// A guest who has no rows, in one request. Whatever of it is kept makes their rows, in the same batch.
#[derive(Clone)]
pub struct NewGuest(Arc<Unwritten>);

struct Unwritten {
    accounts: Accounts,
    token: GuestToken,
    digest: TokenDigest,
    address: Option<IpAddr>,
    /// When the request came, in milliseconds since the Unix epoch.
    now: u64,
    rows: Draft,
    /// Why they got no rows.
    refusal: Mutex<Option<Decision>>,
    /// Whether the decision was recorded.
    recorded: AtomicBool,
    logouts: Mutex<Option<broadcast::Receiver<TokenDigest>>>,
}

impl fmt::Debug for NewGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewGuest").field(&self.0.token.user_id).finish()
    }
}

impl PartialEq for NewGuest {
    fn eq(&self, other: &Self) -> bool {
        (&self.0.token, self.0.now) == (&other.0.token, other.0.now)
    }
}

impl Eq for NewGuest {}

impl Accounts {
    /// Whose guest token it is. The first write that is kept gives it a session, like any other token.
    pub(super) async fn resolve_guest(
        &self,
        token: &str,
        seen: Sighting<'_>,
    ) -> Result<Resolved, StorageError> {
        let Some(key) = self.known_guest_key().await? else { return Ok(Resolved::Unknown) };
        let Some(said) = GuestToken::verify(token, &key, self.server_name()) else {
            return Ok(Resolved::Unknown);
        };
        match self.resolve_stored(token, seen).await? {
            Resolved::Unknown => self.resolve_unwritten(token, said, seen.address).await,
            resolved => Ok(resolved),
        }
    }

    async fn resolve_unwritten(
        &self,
        token: &str,
        said: GuestToken,
        address: Option<IpAddr>,
    ) -> Result<Resolved, StorageError> {
        // Whoever logs out later is heard.
        let logouts = self.0.guest_logouts.subscribe();
        let (now, digest) = (self.0.now_ms(), token::digest(token));
        let actor = Actor::new(
            said.user_id.clone(),
            Some(said.device_id.clone()),
            ClassName::guest(),
            Credential::GuestToken,
        )
        .in_session(digest.0)
        .ending_at(said.ends_at)
        .at_address(address.filter(|ip| !ip.is_unspecified()));
        let rows = self.rows_of_guest(token, &said, (now, address))?;
        let guest = NewGuest(Arc::new(Unwritten {
            accounts: self.clone(),
            token: said,
            digest,
            address,
            now,
            rows,
            refusal: Mutex::new(None),
            recorded: AtomicBool::new(false),
            logouts: Mutex::new(Some(logouts)),
        }));
        let asked = guest.clone();
        let is_new = self.0.store.read(move |read| asked.0.is_new(read)).await?;
        Ok(if is_new { Resolved::Arriving(actor, guest) } else { Resolved::Unknown })
    }

    /// Everything a guest begins with, but for what is counted.
    fn rows_of_guest(
        &self,
        token: &str,
        said: &GuestToken,
        (now, address): (u64, Option<IpAddr>),
    ) -> Result<Draft, StorageError> {
        let class = ClassName::guest();
        let account = NewAccount {
            user_id: said.user_id.clone(),
            name_suffix: class_suffix(&self.0.policy.current(), &class).map(ToOwned::to_owned),
            class,
            password: None,
            displayname: None,
            now,
        };
        let session = Minted {
            device_id: said.device_id.clone(),
            access: Secret::new(token.to_owned()),
            refresh: None,
            expires_in: None,
            now,
        };
        let address = address.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
        Draft::of(|tx| {
            account.write(tx)?;
            open(tx, &said.user_id, &session, said.device_name.as_deref())?;
            let seen = StoredSeen { at: now, address };
            SEEN_BY_DEVICE.put(tx, (&said.user_id, &said.device_id), &seen)
        })
    }
}

impl NewGuest {
    /// Does what the request asks for. `None` when the guest logs out meanwhile: nothing of it was kept.
    pub async fn act<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let newcomer: Arc<dyn Newcomer> = self.0.clone();
        tokio::select! {
            biased;
            done = self.0.accounts.0.store.arriving(newcomer, work) => Some(done),
            () = self.logged_out() => None,
        }
    }

    /// Why they got no rows, if an act was kept back for that.
    pub async fn refusal(&self) -> Option<Denial> {
        let decision = self.0.refusal.lock().take()?;
        if let Some(address) = self.0.address {
            self.0.accounts.0.ledger.refuse_stranger(&decision, address).await;
        }
        decision.denial()
    }

    /// Whether they still have no rows, and their token is good. What is read is asserted.
    pub(crate) fn is_new(&self, tx: &Tx<'_>) -> Result<bool, StorageError> {
        self.0.is_new(tx)
    }

    async fn logged_out(&self) {
        let logouts = self.0.logouts.lock().take();
        let Some(mut logouts) = logouts else { return std::future::pending().await };
        loop {
            match logouts.recv().await {
                Ok(digest) if digest == self.0.digest => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    let asked = self.0.clone();
                    let read = move |read: &vestibule_storage::Snapshot<'_>| {
                        is_refused(read, (asked.token.ends_at, asked.digest))
                    };
                    if matches!(self.0.accounts.0.store.read(read).await, Ok(true)) {
                        return;
                    }
                }
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Unwritten {
    /// Whether the time of the unused token is over, by the policy in force too.
    fn is_over(&self) -> bool {
        let policy = self.accounts.0.policy.current();
        let now = self.accounts.0.now_ms();
        let life = policy.guest_life().never_joined_ms;
        let ends_at = self.token.ends_at.min(self.token.issued_at.saturating_add(life));
        let ahead = now.saturating_add(limits::GUEST_TOKEN_AHEAD_MS_MAX);
        !policy.guests_enabled() || ends_at <= now || self.token.issued_at > ahead
    }

    fn decide(&self, facts: &Facts) -> Decision {
        let created_at = facts::timestamp(self.now);
        let subject = Subject::new(self.token.user_id.clone(), ClassName::guest(), created_at);
        let now = created_at.unwrap_or_else(start_of_time);
        let request = Request::new(&subject, Action::RegisterGuest, now, self.address);
        let policy = &self.accounts.0.policy;
        let decision = policy.current().decide(facts, &request);
        // Once for each request, before its rate is charged, though the write may run again.
        if facts.rate == RateFact::NotCharged && !self.recorded.swap(true, Ordering::Relaxed) {
            policy.record(facts, &request, &decision);
        }
        decision
    }

    /// Decides whether there may be one more guest, and counts it.
    fn count(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let prefixes = guest_tally::prefixes_of(self.address);
        let counts = guest_tally::counts(tx, &prefixes, self.now)?;
        let mut facts = Facts { counts, rate: RateFact::NotCharged, ..Facts::default() };
        let accounts = &self.accounts.0;
        facts.rate = accounts.rates.take(self.decide(&facts).charges(), accounts.monotonic());
        let decision = self.decide(&facts);
        if decision.denial().is_some() {
            *self.refusal.lock() = Some(decision.clone());
        }
        let permit = decision.permit::<kind::RegisterGuest>()?;
        gate::spend(tx, permit, &self.token.user_id, &vestibule_policy::Object::Own)?;
        Ok(guest_tally::take(tx, &self.token.user_id, &prefixes, self.now)?)
    }
}

impl Newcomer for Unwritten {
    fn is_new(&self, read: &dyn Read) -> Result<bool, StorageError> {
        Ok(has_no_rows(read, &self.token.user_id)?
            && !self.is_over()
            && !is_refused(read, (self.token.ends_at, self.digest))?)
    }

    fn rows(&self) -> &Draft {
        &self.rows
    }

    fn is_named_in(&self, bytes: &[u8]) -> bool {
        let name = self.token.user_id.as_bytes();
        bytes.windows(name.len()).any(|part| part == name)
    }

    fn arrive(&self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        *self.refusal.lock() = None;
        let account = facts::account(tx, &self.token.user_id)?;
        let is_guest = account.is_some_and(|account| {
            account.class.is_guest() && account.state != StoredAccountState::Deactivated
        });
        // Whoever ended with the very act takes no place.
        if !is_guest {
            return Ok(());
        }
        match self.count(tx) {
            Ok(()) => Ok(()),
            Err(Refusal::Storage(cause)) => Err(cause),
            Err(Refusal::Denied(_)) if self.refusal.lock().is_some() => Err(StorageError::NotLetIn),
            // The policy changes at this moment.
            Err(Refusal::Denied(_)) => Err(StorageError::Contended),
        }
    }
}
