//! The sections of the file, one module each. Those of the policy live in `vestibule-policy`.

mod email;
mod federation;
mod identity;
mod limits;
mod listener;
mod log;
mod login;
mod media;
mod notices;
mod presence;
mod previews;
mod push;
mod registration;
mod rooms;
mod server;
mod storage;
mod support;
mod voip;

pub use self::{
    email::{Email, EmailTls},
    federation::Federation,
    identity::Identity,
    limits::Limits,
    listener::{Listener, Network, Surface, Tls},
    log::{Log, LogFormat},
    login::Login,
    media::Media,
    notices::Notices,
    presence::Presence,
    previews::Previews,
    push::Push,
    registration::{EmailAtRegistration, Registration, RegistrationMode, Terms},
    rooms::Rooms,
    server::Server,
    storage::{Durability, Engine, Storage},
    support::{Contact, Support},
    voip::Voip,
};
