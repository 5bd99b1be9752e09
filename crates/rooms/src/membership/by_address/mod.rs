//! Inviting whoever owns an address, when nobody knows yet who that is (client-server API,
//! "Third-party invites").
//!
//! An identity server keeps the invitation and names the keys it will sign with; they go into the room
//! as `m.room.third_party_invite`. When the address becomes somebody's, that user's server comes with
//! what the identity server signed, and the inviter's server turns both into an invitation.

mod exchange;
mod identity;
mod invite;
mod redeem;

pub(crate) use self::identity::NoIdentityServers;
pub use self::{
    exchange::{ExchangeInvite, ExchangeInviteError},
    identity::{
        Address, AddressInvite, IdentityAccess, IdentityError, IdentityServers, KeptInvite,
    },
    invite::InviteByAddress,
    redeem::AddressProof,
};
