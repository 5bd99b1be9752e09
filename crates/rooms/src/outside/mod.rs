//! Memberships of our users in rooms this server is not in: invitations from elsewhere, knocks, and
//! what became of them.
//!
//! They are kept beside the rooms, because there is no room to keep them in, or only what is left of
//! one. Once a user of ours is joined the room's own state says who is what, and the row goes.

mod be_invited;
mod earlier;
mod row;
mod withdraw;

pub(crate) use self::row::Outside;
pub use self::{
    be_invited::{BeInvited, BeInvitedError},
    row::OutsideRoom,
};
