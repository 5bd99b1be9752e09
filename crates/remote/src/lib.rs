//! Reaching other servers: discovery, TLS, request signing, address filtering, back-off.
//!
//! [`Remote::call`] is the one way out of this process to another homeserver. What comes back is
//! hostile input: its size and time are bounded here, its meaning is checked by whoever asked.

mod error;
mod service;
mod transport;

pub use self::{
    error::RemoteError,
    service::{Remote, RemoteConfig, RemoteParts},
    transport::{Exchange, NoTransport, Reply, Transport, TransportError},
};
