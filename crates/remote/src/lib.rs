//! Reaching other servers: discovery, TLS, request signing, address filtering, back-off.
//!
//! [`Remote::call`] is the one way out of this process to another homeserver, [`Web`] the one to anything
//! else on the web. Both go over one [`Transport`], which judges every address after it was looked up.
//! What comes back is hostile input: its size and time are bounded here, its meaning is checked by
//! whoever asked.

mod back_off;
mod call;
mod error;
mod examine;
mod network;
mod path;
mod permitted;
mod reply;
mod service;
mod sign;
mod streamed;
mod transport;
mod web;

pub use self::{
    back_off::FailingServer,
    call::{CallOptions, RemoteRequest},
    error::RemoteError,
    network::{
        Finding, Names, Network, NetworkError, NetworkOptions, Outcome, ServiceRecord, SystemNames,
    },
    path::RemotePath,
    permitted::ServerLists,
    reply::{OpenReply, Reply, ReplyBody},
    service::{Remote, RemoteConfig, RemoteParts},
    sign::RemoteAuthentication,
    transport::{Exchange, NoTransport, Transport, TransportError},
    web::{Letter, Web, WebError, WebPurpose, WebRequest, redirect},
};
