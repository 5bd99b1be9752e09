//! What every HTTP surface shares: reading Matrix requests, writing Matrix responses, the error
//! body, the route table, and the listener.
//!
//! The crate knows the shape of Matrix over HTTP and nothing about any endpoint. Who a token
//! belongs to and what a class may reach are asked through [`Authenticator`] and [`Gate`].

mod address;
mod body;
mod caller;
mod denial;
mod entrance;
mod error;
mod extract;
mod listener;
mod message;
mod path;
mod routes;
mod socket;
mod tls;

pub use self::{
    address::{ClientAddress, Peer, TrustedProxies},
    body::{ReadBody, read_signed_body},
    caller::{
        Authenticator, Caller, Doorway, Escort, Gate, Guard, Login, LoginScheme, MaybeCaller,
        Presented, Recognised, Visit,
    },
    entrance::Entrance,
    error::{MatrixError, internal, unavailable},
    extract::{PathArgs, QueryArgs},
    listener::{Listener, ListenerOptions},
    message::{Incoming, IncomingForm, IncomingJson, Outgoing, OutgoingJson},
    path::WrittenTarget,
    routes::{RouteEntry, Routes},
    socket::{Bind, connect_unix},
    tls::{CertificateError, Certificates, LoadedCertificates},
};
