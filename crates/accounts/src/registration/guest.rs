//! `POST /register?kind=guest`.
//!
//! A guest is a stored account with a stored session. The policy decides whether one more may come
//! in, from counts read in the same transaction.

use std::net::IpAddr;

use ruma::OwnedUserId;
use tracing::instrument;
use vestibule_policy::{Action, Denial, Facts, PolicyHandle, RateFact, Request, Subject, kind};
use vestibule_storage::{StorageError, Tx};
use vestibule_types::ClassName;

use super::{NewAccount, Registered, guest_tally};
use crate::{
    Accounts,
    account::class_suffix,
    facts,
    gate::{self, Refusal},
    session::{self, Minted},
    username::GUEST_PREFIX,
};

/// A guest wants in.
#[derive(Clone, Debug)]
pub struct RegisterGuest {
    /// The name of its one device.
    pub initial_device_display_name: Option<String>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why a guest was not let in.
#[derive(Debug, thiserror::Error)]
pub enum RegisterGuestError {
    /// The policy does not want one more guest, now or from there.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The guest could not be stored.
    #[error("could not store the guest")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for RegisterGuestError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

#[derive(Clone)]
struct NewGuest {
    account: NewAccount,
    session: Minted,
    device_name: Option<String>,
    policy: PolicyHandle,
    rate: RateFact,
    prefixes: Vec<Vec<u8>>,
    peer: IpAddr,
}

impl Accounts {
    /// Makes a guest. The server picks its name and its device.
    #[instrument(name = "accounts.registration.register_guest", skip_all)]
    pub async fn register_guest(
        &self,
        command: RegisterGuest,
    ) -> Result<Registered, RegisterGuestError> {
        let environment = &self.0.environment;
        let random = environment.random_text(b"abcdefghijklmnopqrstuvwxyz234567", 16);
        let server_name = self.server_name();
        let user_id = OwnedUserId::try_from(format!("@{GUEST_PREFIX}{random}:{server_name}"))
            .map_err(StorageError::engine)?;
        let class = ClassName::guest();
        let policy = self.0.policy.current();
        let mut guest = NewGuest {
            account: NewAccount {
                user_id: user_id.clone(),
                name_suffix: class_suffix(&policy, &class).map(ToOwned::to_owned),
                class,
                password: None,
                displayname: None,
                now: self.0.now_ms(),
            },
            session: self.mint(None, false),
            device_name: command.initial_device_display_name,
            prefixes: guest_tally::prefixes_of(Some(command.peer)),
            policy: self.0.policy.clone(),
            rate: RateFact::NotCharged,
            peer: command.peer,
        };
        let question = guest.clone();
        let decision = self
            .0
            .store
            .read(move |read| {
                let facts = question.facts(read)?;
                Ok::<_, StorageError>(question.decide(&facts))
            })
            .await?;
        if let Some(denial) = decision.denial() {
            self.0.ledger.refuse_stranger(&decision, guest.peer).await;
            return Err(denial.into());
        }
        guest.rate = self.0.ledger.charge(&decision, Some(guest.peer)).await;
        let session = guest.session.clone();
        self.0.write(&user_id, move |tx| guest.write(tx)).await?;
        Ok(Registered { user_id: user_id.clone(), session: Some(session.into_session(user_id)) })
    }
}

impl NewGuest {
    fn facts(&self, read: &impl vestibule_storage::Read) -> Result<Facts, StorageError> {
        let counts = guest_tally::counts(read, &self.prefixes, self.account.now)?;
        Ok(Facts { counts, rate: self.rate, ..Facts::default() })
    }

    fn decide(&self, facts: &Facts) -> vestibule_policy::Decision {
        let created_at = facts::timestamp(self.account.now);
        let subject =
            Subject::new(self.account.user_id.clone(), self.account.class.clone(), created_at);
        let now = created_at.unwrap_or_else(gate::start_of_time);
        let request = Request::new(&subject, Action::RegisterGuest, now, Some(self.peer));
        let decision = self.policy.current().decide(facts, &request);
        // Once for each request: before its rate is charged, and outside of the write.
        if self.rate == RateFact::NotCharged {
            self.policy.record(facts, &request, &decision);
        }
        decision
    }

    fn write(&self, tx: &mut Tx<'_>) -> Result<(), RegisterGuestError> {
        let facts = self.facts(tx)?;
        let permit = self.decide(&facts).permit::<kind::RegisterGuest>()?;
        gate::spend(tx, permit, &self.account.user_id, &vestibule_policy::Object::Own)?;
        if !self.account.write(tx)? {
            // Eighty random bits met a name that was given out: not in this universe.
            return Err(StorageError::Contended.into());
        }
        guest_tally::take(tx, &self.account.user_id, &self.prefixes, self.account.now)?;
        session::open(tx, &self.account.user_id, &self.session, self.device_name.as_deref())?;
        Ok(())
    }
}
