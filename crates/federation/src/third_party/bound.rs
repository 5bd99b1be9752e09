//! An identity server says that one of our users now has an address that others invited.

use std::future::ready;

use futures_util::{StreamExt, stream};
use ruma::{
    OwnedRoomId, OwnedUserId, ServerName, UserId,
    api::federation::thirdparty::exchange_invite::v1::Request,
    events::room::member::{SignedContent, ThirdPartyInvite},
    serde::Raw,
};
use tracing::{debug, instrument};
use vestibule_accounts::{AccountState, StorageError};
use vestibule_events::canonical_content;
use vestibule_remote::{CallOptions, RemoteError};
use vestibule_rooms::ExchangeInvite;
use vestibule_types::limits::{BOUND_INVITES_MAX, EXCHANGE_TIME_MAX, EXCHANGES_AT_ONCE};

use super::{ExchangeError, wire};
use crate::Federation;

/// An invitation that waited for the address to be somebody's.
#[derive(Clone, Debug)]
pub struct BoundInvite {
    /// Where to.
    pub room_id: OwnedRoomId,
    /// By whom.
    pub sender: OwnedUserId,
    /// What the identity server signed; only the servers in the room can check it.
    pub signed: Raw<SignedContent>,
}

/// Why the invitations are not asked for.
#[derive(Debug, thiserror::Error)]
pub enum ThirdPartyBoundError {
    /// It is none of our users, or one whose account is gone.
    #[error("there is no such user here")]
    UnknownUser,
    /// More than [`BOUND_INVITES_MAX`] invitations.
    #[error("more than {BOUND_INVITES_MAX} invitations")]
    TooMany,
    /// Some inviter's server cannot be asked now, and so many wait for theirs that it cannot be asked
    /// later either. The identity server, which keeps the invitations, may say it again: what was
    /// exchanged once does no harm twice.
    #[error("not every inviter's server can be reached")]
    Unreachable,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Federation {
    /// Asks the servers of those who invited the address to invite its owner. They judge what the
    /// identity server signed; each answers by an invitation of its own, or not at all. Whoever cannot
    /// be reached is asked again later, by a durable job.
    #[instrument(name = "federation.third_party.bound", skip_all)]
    pub async fn third_party_bound(
        &self,
        user_id: &UserId,
        invites: Vec<BoundInvite>,
    ) -> Result<(), ThirdPartyBoundError> {
        if invites.len() > BOUND_INVITES_MAX {
            return Err(ThirdPartyBoundError::TooMany);
        }
        let account = self.inner.parts.accounts.account(user_id).await?;
        if account.is_none_or(|account| account.state == AccountState::Deactivated) {
            return Err(ThirdPartyBoundError::UnknownUser);
        }
        let for_us = |invite: &BoundInvite| {
            invite.signed.deserialize().is_ok_and(|signed| signed.mxid == user_id)
        };
        let asked = invites.into_iter().filter(for_us).map(|invite| async move {
            let answered = self.exchange(user_id, invite.clone()).await;
            Some(invite).filter(|_| !answered)
        });
        let asked = stream::iter(asked).buffer_unordered(EXCHANGES_AT_ONCE);
        let unanswered: Vec<BoundInvite> = asked.filter_map(ready).collect().await;
        let mut all = true;
        for invite in unanswered {
            all &= self.exchange_later(user_id.to_owned(), invite).await?;
        }
        if all { Ok(()) } else { Err(ThirdPartyBoundError::Unreachable) }
    }

    /// Says whether there was an answer, whatever it was.
    pub(super) async fn exchange(&self, user_id: &UserId, invite: BoundInvite) -> bool {
        let server = invite.sender.server_name().to_owned();
        let outcome = if server == self.server_name() {
            self.exchange_here(user_id, invite).await
        } else {
            self.exchange_there(&server, user_id, invite).await
        };
        let Err(Failure { reason, answered }) = outcome else { return true };
        debug!(%server, reason, "an invitation by address was not exchanged");
        answered
    }

    /// The inviter is ours as well.
    async fn exchange_here(&self, user_id: &UserId, invite: BoundInvite) -> Result<(), Failure> {
        let BoundInvite { room_id, sender, signed } = invite;
        let signed = canonical_content(signed.json()).map_err(|error| final_failure(&error))?;
        let origin = self.server_name().to_owned();
        let command =
            ExchangeInvite { origin, room_id, sender, invitee: user_id.to_owned(), signed };
        self.exchange_invite(command).await.map_err(|error| {
            let answered = !matches!(error, ExchangeError::Unchecked);
            Failure { reason: error.to_string(), answered }
        })
    }

    async fn exchange_there(
        &self,
        server: &ServerName,
        user_id: &UserId,
        invite: BoundInvite,
    ) -> Result<(), Failure> {
        let request = exchange_request(user_id, invite).map_err(|error| final_failure(&error))?;
        self.ask_for_exchange(server, request).await.map_err(|error| {
            // A server that this one may not talk to is not one to ask later.
            let refused = matches!(error, RemoteError::Refused(_));
            let answered = refused || error.status().is_some_and(|status| status < 500);
            Failure { reason: error.to_string(), answered }
        })
    }

    pub(super) async fn ask_for_exchange(
        &self,
        server: &ServerName,
        request: wire::Exchange,
    ) -> Result<(), RemoteError> {
        let options = CallOptions { time_max: EXCHANGE_TIME_MAX, ..CallOptions::default() };
        self.inner.parts.remote.call_with(server, request, options).await.map(drop)
    }
}

/// What the inviter's server is asked.
pub(super) fn exchange_request(
    user_id: &UserId,
    invite: BoundInvite,
) -> serde_json::Result<wire::Exchange> {
    let BoundInvite { room_id, sender, signed } = invite;
    // The name the address is shown by is in the room; its servers fill it in.
    let signed = ThirdPartyInvite::new(String::new(), signed);
    let request = Request::with_third_party_invite(room_id, sender, user_id.to_owned(), signed);
    Ok(wire::Exchange(request?))
}

/// Why nobody was invited, and whether asking again would be of no use.
struct Failure {
    reason: String,
    answered: bool,
}

fn final_failure(error: &dyn std::fmt::Display) -> Failure {
    Failure { reason: error.to_string(), answered: true }
}
