//! The configuration file, the environment over it, and their checks.
//!
//! Everything that is wrong is reported at once, each with the key, the value and the remedy. This
//! is the only crate that reads the environment.

mod check;
mod example;
mod load;
mod overlay;
mod period;
mod policy_example;
mod problem;
mod read;
mod section;
mod sections;
mod suggest;
mod tree;

pub use self::{
    example::example,
    load::{Config, DEFAULT_FILE, LoadError, Loaded, environment, load, parse},
    period::Period,
    problem::{Problem, Problems},
    sections::{
        Contact, Durability, Email, EmailAtRegistration, EmailTls, Engine, Federation, Identity,
        Limits, Listener, Log, LogFormat, Login, Media, Network, Notices, Presence, Previews, Push,
        Registration, RegistrationMode, Rooms, Server, Storage, Support, Surface, Terms, Tls, Voip,
    },
};
