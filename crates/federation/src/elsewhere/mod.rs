//! What is asked of other servers because somebody here wants something that lies elsewhere.

mod backfill;
mod event_at;
mod failure;
mod hand_in;
mod hierarchy;
mod invite;
mod prepare;
mod profile;
mod public_rooms;
mod recommend;
mod resolve_alias;
mod summary;

use std::sync::{Arc, Weak};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, RoomAliasId, RoomId, ServerName};
use vestibule_events::Pdu;
use vestibule_rooms::{
    AliasElsewhere, Answer, Direction, Elsewhere, ElsewhereError, EventAt, Handshake, InviteAbroad,
    PolicyServer, Prepared, RoomsElsewhere, RoomsElsewhereQuery, SpaceElsewhere, Wanted,
};
use vestibule_types::BoxFuture;

pub use self::hand_in::as_sent;
pub(crate) use self::{backfill::HistoryTurns, failure::failed, profile::Profiles};
use crate::{Federation, service::Inner};

/// The other servers, as the services below ask for them. They are part of what federation is made
/// of, so they do not keep it alive.
pub(crate) struct Abroad(Weak<Inner>);

impl Abroad {
    pub(crate) fn of(federation: &Federation) -> Self {
        Self(Arc::downgrade(&federation.inner))
    }

    fn federation(&self) -> Result<Federation, ElsewhereError> {
        let inner = self.0.upgrade().ok_or(ElsewhereError::Alone)?;
        Ok(Federation { inner })
    }
}

impl Elsewhere for Abroad {
    fn prepare<'a>(
        &'a self,
        server: &'a ServerName,
        handshake: &'a Handshake,
    ) -> BoxFuture<'a, Result<Prepared, ElsewhereError>> {
        Box::pin(async move { self.federation()?.prepare(server, handshake).await })
    }

    fn hand_in<'a>(
        &'a self,
        server: &'a ServerName,
        wanted: Wanted,
        pdu: &'a Pdu,
    ) -> BoxFuture<'a, Result<Answer, ElsewhereError>> {
        Box::pin(async move { self.federation()?.hand_in(server, wanted, pdu).await })
    }

    fn guest_can_join<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
    ) -> BoxFuture<'a, Result<Option<bool>, ElsewhereError>> {
        Box::pin(async move { self.federation()?.guest_can_join(server, room_id).await })
    }

    fn invite(&self, invite: InviteAbroad) -> BoxFuture<'_, Result<Pdu, ElsewhereError>> {
        Box::pin(async move { self.federation()?.bring_invite(invite).await })
    }

    fn recommend<'a>(
        &'a self,
        server: &'a PolicyServer,
        pdu: &'a Pdu,
    ) -> BoxFuture<'a, Result<Pdu, ElsewhereError>> {
        Box::pin(async move { self.federation()?.bring_to_policy_server(server, pdu).await })
    }

    fn resolve_alias<'a>(
        &'a self,
        alias: &'a RoomAliasId,
    ) -> BoxFuture<'a, Result<Option<AliasElsewhere>, ElsewhereError>> {
        Box::pin(async move { self.federation()?.ask_for_alias(alias).await })
    }

    fn space<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
    ) -> BoxFuture<'a, Result<Option<SpaceElsewhere>, ElsewhereError>> {
        Box::pin(async move { self.federation()?.ask_for_space(server, room_id).await })
    }

    fn public_rooms<'a>(
        &'a self,
        server: &'a ServerName,
        query: RoomsElsewhereQuery,
    ) -> BoxFuture<'a, Result<RoomsElsewhere, ElsewhereError>> {
        Box::pin(async move { self.federation()?.ask_for_public_rooms(server, query).await })
    }

    fn event_at<'a>(
        &'a self,
        room_id: &'a RoomId,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> BoxFuture<'a, Result<Option<EventAt>, ElsewhereError>> {
        Box::pin(
            async move { self.federation()?.ask_for_event_at(room_id, moment, direction).await },
        )
    }

    fn backfill<'a>(
        &'a self,
        room_id: &'a RoomId,
        from: Vec<OwnedEventId>,
    ) -> BoxFuture<'a, Result<bool, ElsewhereError>> {
        Box::pin(async move { self.federation()?.backfill(room_id, from).await })
    }
}
