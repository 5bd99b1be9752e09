//! What rooms need from other servers. `federation` implements it and `server` plugs it in; without
//! it this server is alone, and every question is answered with [`ElsewhereError::Alone`].

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomAliasId, RoomId};
use vestibule_events::Pdu;
use vestibule_types::BoxFuture;

/// Why another server could not help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ElsewhereError {
    /// This server does not federate.
    #[error("this server does not talk to others")]
    Alone,
    /// None of the servers that were asked could be reached.
    #[error("no server that knows the room could be reached")]
    Unreachable,
    /// A server answered with a refusal that the client should be told.
    #[error("{message}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// The error code of its answer.
        errcode: String,
        /// What it said.
        message: String,
    },
    /// What came back does not hold: signatures, authorization, the wrong event.
    #[error("the other server's answer does not hold: {0}")]
    BadAnswer(String),
    /// The room is of a version this server does not know.
    #[error("the room is of version {0}, which this server does not know")]
    UnknownVersion(String),
}

/// A membership handshake with a server that is in the room.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Our user.
    pub user_id: OwnedUserId,
    /// Servers that may be in the room, in the order to be asked. Transport only, never evidence.
    pub via: Vec<OwnedServerName>,
    /// What the membership event is to hold beside `membership`: profile, reason.
    pub content: ruma::CanonicalJsonObject,
}

/// An alias that another server resolved.
#[derive(Clone, Debug)]
pub struct AliasElsewhere {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Servers in it.
    pub servers: Vec<OwnedServerName>,
}

/// An invitation that leaves for the invitee's server, which has to sign it.
#[derive(Clone, Debug)]
pub struct InviteAbroad {
    /// The invitation, signed by us, not yet in the room.
    pub pdu: Arc<Pdu>,
    /// State for the invitee to see: whole events.
    pub stripped: Vec<Arc<Pdu>>,
    /// Servers in the room.
    pub via: Vec<OwnedServerName>,
}

/// What rooms ask of other servers.
pub trait Elsewhere: Send + Sync + 'static {
    /// Joins our user to a room this server is not in; when it returns, the room is here and the
    /// join is part of it.
    fn join(&self, handshake: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>>;

    /// Asks a server in the room to let our user knock; when it returns, the knock is stored.
    fn knock(&self, handshake: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>>;

    /// Leaves a room this server is not in: rejects an invitation or takes back a knock.
    fn leave(&self, handshake: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>>;

    /// Brings an invitation to the invitee's server and returns it with that server's signature.
    fn invite(&self, invite: InviteAbroad) -> BoxFuture<'_, Result<Pdu, ElsewhereError>>;

    /// Resolves an alias of another server.
    fn resolve_alias<'a>(
        &'a self,
        alias: &'a RoomAliasId,
    ) -> BoxFuture<'a, Result<Option<AliasElsewhere>, ElsewhereError>>;

    /// Fetches history from before `from`. Says whether anything came.
    fn backfill<'a>(
        &'a self,
        room_id: &'a RoomId,
        from: Vec<OwnedEventId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<bool, ElsewhereError>>;
}

/// A server that knows no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone;

impl Elsewhere for Alone {
    fn join(&self, _: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn knock(&self, _: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn leave(&self, _: Handshake) -> BoxFuture<'_, Result<(), ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn invite(&self, _: InviteAbroad) -> BoxFuture<'_, Result<Pdu, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn resolve_alias<'a>(
        &'a self,
        _: &'a RoomAliasId,
    ) -> BoxFuture<'a, Result<Option<AliasElsewhere>, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn backfill<'a>(
        &'a self,
        _: &'a RoomId,
        _: Vec<OwnedEventId>,
        _: usize,
    ) -> BoxFuture<'a, Result<bool, ElsewhereError>> {
        Box::pin(async { Ok(false) })
    }
}
