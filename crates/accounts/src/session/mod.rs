//! Sessions: what an access token stands for.

mod login;
mod login_token;
mod logout;
mod open;
mod refresh;
mod resolve;
mod standing;

pub(crate) use self::open::{
    Minted, close_all, close_device, cut, is_device_id, make_room, open, touch,
};
pub(crate) use self::standing::wake;
pub use self::{
    login::{LogIn, LogInError, LogInProof, Named},
    login_token::{LoginToken, RequestLoginTokenError},
    open::NewSession,
    refresh::{RefreshError, Refreshed},
    resolve::{Resolved, Sighting},
    standing::{SessionEnd, session_end},
};
