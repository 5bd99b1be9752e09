//! Sessions: what an access token stands for.

mod login;
mod logout;
mod open;
mod refresh;
mod resolve;

pub(crate) use self::open::{Minted, close_all, close_device, is_device_id, open, touch};
pub use self::{
    login::{LogIn, LogInError},
    open::NewSession,
    refresh::{RefreshError, Refreshed},
    resolve::{Resolved, Sighting},
};
