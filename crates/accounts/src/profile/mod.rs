//! Profiles: a display name, an avatar, and whatever else people say of themselves.

mod elsewhere;
mod look_up;
mod look_up_for_server;
mod rename;
mod set_field;

pub use self::{
    elsewhere::{ProfileElsewhereError, ProfilesElsewhere},
    look_up::LookUpProfileError,
    look_up_for_server::ProfileForServerError,
    set_field::{SetProfileField, SetProfileFieldError},
};
pub(crate) use self::{rename::rename_for_class, set_field::touch};
