//! `POST /register?kind=guest`.
//!
//! A guest is a signed token and nothing else, until they do something that is kept: then their rows
//! are written with it, and only then they count (see [`NewGuest`](crate::NewGuest)).

use std::net::IpAddr;

use ruma::OwnedUserId;
use tracing::instrument;
use vestibule_policy::{Action, Counts, Denial, Facts, Request, Subject};
use vestibule_storage::StorageError;
use vestibule_types::ClassName;

use super::Registered;
use crate::{
    Accounts, NewSession, facts, gate,
    session::{GuestToken, NAME_ALPHABET, NAME_BYTES},
    token,
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
    /// The policy does not want guests.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The key that signs tokens could not be had.
    #[error("could not sign the guest's token")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Makes a guest, without writing anything. The server picks its name and its device.
    #[instrument(name = "accounts.registration.register_guest", skip_all)]
    pub async fn register_guest(
        &self,
        command: RegisterGuest,
    ) -> Result<Registered, RegisterGuestError> {
        let environment = &self.0.environment;
        let random = environment.random_text(NAME_ALPHABET, NAME_BYTES);
        let server_name = self.server_name();
        let user_id = OwnedUserId::try_from(format!("@{GUEST_PREFIX}{random}:{server_name}"))
            .map_err(StorageError::engine)?;
        let issued_at = self.0.now_ms();
        self.want_guests(&user_id, issued_at, command.peer).await?;
        let life = self.0.policy.current().guest_life().never_joined_ms;
        let device_id = token::mint_device_id(environment);
        let token = GuestToken {
            user_id: user_id.clone(),
            device_id: device_id.clone(),
            device_name: command.initial_device_display_name,
            issued_at,
            ends_at: issued_at.saturating_add(life),
        };
        let signed = token.sign(&self.guest_key().await?);
        let access_token = signed.ok_or_else(|| StorageError::engine("no name for a guest"))?;
        let session = NewSession {
            user_id: user_id.clone(),
            device_id,
            access_token,
            refresh_token: None,
            expires_in: None,
        };
        Ok(Registered { user_id, session: Some(session) })
    }

    /// Whether the policy wants guests at all. How many there are is looked at when one arrives.
    async fn want_guests(
        &self,
        user_id: &OwnedUserId,
        now: u64,
        peer: IpAddr,
    ) -> Result<(), RegisterGuestError> {
        let created_at = facts::timestamp(now);
        let subject = Subject::new(user_id.clone(), ClassName::guest(), created_at);
        let now = created_at.unwrap_or_else(gate::start_of_time);
        let request = Request::new(&subject, Action::RegisterGuest, now, Some(peer));
        let none = Some(0);
        let counts = Counts {
            live_guests: none,
            new_guests_in_minute: none,
            live_from_address: none,
            live_from_network: none,
            day_from_address: none,
            day_from_network: none,
            ..Counts::default()
        };
        let facts = Facts { counts, ..Facts::default() };
        let decision = self.0.policy.current().decide(&facts, &request);
        if let Some(denial) = decision.denial() {
            self.0.policy.record(&facts, &request, &decision);
            self.0.ledger.refuse_stranger(&decision, peer).await;
            return Err(denial.into());
        }
        self.0.ledger.charge(&decision, Some(peer)).await;
        Ok(())
    }
}
