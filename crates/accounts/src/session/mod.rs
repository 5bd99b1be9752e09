//! Sessions: what an access token stands for.

mod guest_token;
mod login;
mod login_token;
mod logout;
mod new_guest;
mod open;
mod refresh;
mod refused_token;
mod resolve;
mod standing;

pub(crate) use self::guest_token::{GuestToken, NAME_ALPHABET, NAME_BYTES};
pub(crate) use self::open::{
    Minted, close_all, close_device, cut, is_device_id, make_room, open, open_and_tell, touch,
};
#[cfg(test)]
pub(crate) use self::refused_token::{is_refused, refuse};
pub(crate) use self::standing::wake;
pub use self::{
    login::{LogIn, LogInError, LogInProof, Named},
    login_token::{LoginToken, RequestLoginTokenError},
    new_guest::NewGuest,
    open::NewSession,
    refresh::{RefreshError, Refreshed},
    resolve::{Resolved, Sighting},
    standing::{SessionEnd, session_end},
};
