//! Reaching other servers: discovery, TLS, request signing, address filtering, back-off.
//!
//! [`Remote::call`] is the one way out of this process to another homeserver, [`Remote::fetch`] the one to
//! anything else on the web, [`Web`] the one to an address that a user named. What comes back is
//! hostile input: its size and time are bounded here, its meaning is checked by whoever asked.

mod back_off;
mod call;
mod error;
mod examine;
mod network;
mod pages;
mod path;
mod permitted;
mod service;
mod sign;
mod transport;
mod web;

pub use self::{
    back_off::FailingServer,
    call::CallOptions,
    error::RemoteError,
    network::{
        Finding, Letter, Names, Network, NetworkError, NetworkOptions, Outcome, PageNetwork,
        ServiceRecord, SystemNames, Web, WebError, WebOptions,
    },
    pages::{PageReply, PageRequest, Pages},
    path::RemotePath,
    permitted::ServerLists,
    service::{Remote, RemoteConfig, RemoteParts},
    sign::RemoteAuthentication,
    transport::{Exchange, NoTransport, Reply, Transport, TransportError, WebRequest},
};
