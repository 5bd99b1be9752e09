//! Invitations by addresses that identity servers know (server-server API, "Third-party invites").

mod bound;
mod exchange;
mod identity;
mod later;
mod redeem;
mod wire;

pub(crate) use self::identity::TrustedIdentityServers;
pub use self::{
    bound::{BoundInvite, ThirdPartyBoundError},
    exchange::ExchangeError,
    later::FederationJobError,
};
