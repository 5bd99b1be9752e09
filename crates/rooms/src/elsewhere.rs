//! What rooms need from other servers. `federation` implements it and `server` plugs it in; without
//! it this server is alone, and every question is answered with [`ElsewhereError::Alone`].

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId,
    RoomAliasId, RoomId, ServerName, UInt,
    directory::{Filter, PublicRoomsChunk, RoomNetwork},
};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_types::BoxFuture;

use crate::{Direction, EventAt, PolicyServer, RoomSummary, Wanted};

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
    /// The room is of a version that the invited user's server does not know.
    #[error("the invited user's server does not know rooms of version {0}")]
    UnknownVersionThere(String),
}

/// A membership that a server in the room is asked for.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// What our user wants to become.
    pub wanted: Wanted,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Our user.
    pub user_id: OwnedUserId,
}

/// Where in a room's graph the membership lies, as a server in the room laid it out.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The version of the room.
    pub version: RoomVersion,
    /// The event's parents.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that allow it.
    pub auth_events: Vec<OwnedEventId>,
    /// One more than the depth of its deepest parent.
    pub depth: u64,
    /// In a restricted room: a user of that server who vouches for ours.
    pub voucher: Option<OwnedUserId>,
}

/// What a server answered to a membership event.
#[derive(Debug)]
pub enum Answer {
    /// The room; the signatures of everything in it hold.
    Joined(JoinAnswer),
    /// What may be known of the room from outside, as it was sent.
    Knocked(Vec<Box<RawValue>>),
    /// Nothing more to say.
    Left,
}

/// A room as a server in it hands it over. Signatures and hashes were verified, nothing else.
#[derive(Debug, Default)]
pub struct JoinAnswer {
    /// The join with the signatures that server added, if it sent it back.
    pub event: Option<Verified>,
    /// The state before the join.
    pub state: Vec<Verified>,
    /// The auth chain of the state and of the join.
    pub auth_chain: Vec<Verified>,
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
}

/// What of another server's public rooms is wanted.
#[derive(Clone, Debug, Default)]
pub struct RoomsElsewhereQuery {
    /// At most so many rooms.
    pub limit: usize,
    /// Where the previous page ended, as that server said.
    pub since: Option<String>,
    /// What to look for.
    pub filter: Filter,
    /// Which networks.
    pub network: RoomNetwork,
}

/// A page of another server's public rooms, as it says.
#[derive(Clone, Debug, Default)]
pub struct RoomsElsewhere {
    /// The rooms.
    pub rooms: Vec<PublicRoomsChunk>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Where the page before begins.
    pub previous: Option<String>,
    /// How many rooms are listed in all.
    pub total: Option<UInt>,
}

/// A space as another server tells of it. Nothing in it was checked.
#[derive(Debug)]
pub struct SpaceElsewhere {
    /// The space.
    pub summary: RoomSummary,
    /// Its `m.space.child` events, stripped.
    pub children_state: Vec<Box<RawValue>>,
    /// Those of its children that we could get into.
    pub children: Vec<RoomSummary>,
}

/// What rooms ask of other servers.
pub trait Elsewhere: Send + Sync + 'static {
    /// Asks a server for a membership event of our user. What it lays out is that event, or an error.
    fn prepare<'a>(
        &'a self,
        server: &'a ServerName,
        handshake: &'a Handshake,
    ) -> BoxFuture<'a, Result<Prepared, ElsewhereError>>;

    /// Hands a membership event to the server that laid it out.
    fn hand_in<'a>(
        &'a self,
        server: &'a ServerName,
        wanted: Wanted,
        pdu: &'a Pdu,
    ) -> BoxFuture<'a, Result<Answer, ElsewhereError>>;

    /// Asks a server whether a room admits guests. `None` when it does not tell.
    fn guest_can_join<'a>(
        &'a self,
        server: &'a ServerName,
        room_id: &'a RoomId,
    ) -> BoxFuture<'a, Result<Option<bool>, ElsewhereError>>;

    /// Brings an invitation to the invitee's server and returns it with that server's signature.
    fn invite(&self, invite: InviteAbroad) -> BoxFuture<'_, Result<Pdu, ElsewhereError>>;

    /// Asks a room's policy server to sign an event of ours, and returns the event with what it
    /// signed. Whether the signature holds is not checked.
    fn recommend<'a>(
        &'a self,
        _server: &'a PolicyServer,
        _pdu: &'a Pdu,
    ) -> BoxFuture<'a, Result<Pdu, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    /// Resolves an alias of another server.
    fn resolve_alias<'a>(
        &'a self,
        alias: &'a RoomAliasId,
    ) -> BoxFuture<'a, Result<Option<AliasElsewhere>, ElsewhereError>>;

    /// A space with its children, as a server tells of it. `None` when it does not know it, or does
    /// not tell us.
    fn space<'a>(
        &'a self,
        _server: &'a ServerName,
        _room_id: &'a RoomId,
    ) -> BoxFuture<'a, Result<Option<SpaceElsewhere>, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    /// A page of the public rooms of another server.
    fn public_rooms<'a>(
        &'a self,
        _server: &'a ServerName,
        _query: RoomsElsewhereQuery,
    ) -> BoxFuture<'a, Result<RoomsElsewhere, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    /// The event of a room nearest to a moment, before or after it, as a server in the room says.
    fn event_at<'a>(
        &'a self,
        _room_id: &'a RoomId,
        _moment: MilliSecondsSinceUnixEpoch,
        _direction: Direction,
    ) -> BoxFuture<'a, Result<Option<EventAt>, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    /// Fetches these missing events and what lies before them. Says whether anything came.
    fn backfill<'a>(
        &'a self,
        room_id: &'a RoomId,
        missing: Vec<OwnedEventId>,
    ) -> BoxFuture<'a, Result<bool, ElsewhereError>>;
}

/// A server that knows no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone;

impl Elsewhere for Alone {
    fn prepare<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a Handshake,
    ) -> BoxFuture<'a, Result<Prepared, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn hand_in<'a>(
        &'a self,
        _: &'a ServerName,
        _: Wanted,
        _: &'a Pdu,
    ) -> BoxFuture<'a, Result<Answer, ElsewhereError>> {
        Box::pin(async { Err(ElsewhereError::Alone) })
    }

    fn guest_can_join<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
    ) -> BoxFuture<'a, Result<Option<bool>, ElsewhereError>> {
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
    ) -> BoxFuture<'a, Result<bool, ElsewhereError>> {
        Box::pin(async { Ok(false) })
    }
}
