//! Making accounts.

mod available;
mod create;
mod expire_guests;
mod guest;
pub(crate) mod guest_tally;
mod guests_switch;
mod live_guests;
mod register;
mod repeat;
mod shared_secret;
mod tokens;
mod upgrade;

pub use self::{
    available::AvailableError,
    create::{CreateAccount, CreateAccountError},
    guest::{RegisterGuest, RegisterGuestError},
    register::{Register, RegisterError, Registered},
    shared_secret::{RegisterShared, RegisterSharedError},
    tokens::{CreateTokenError, NewRegistrationToken, RegistrationToken},
};
pub(crate) use self::{
    create::{NewAccount, put_account},
    guest_tally::release as release_guest,
    repeat::Outcome,
    tokens::is_good,
};
