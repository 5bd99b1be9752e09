//! Invitations by addresses that identity servers know (server-server API, "Third-party invites").

mod bound;

pub use self::bound::{BoundInvite, ThirdPartyBoundError};
