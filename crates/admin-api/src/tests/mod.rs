//! Facts about the surface, asked over HTTP without a socket.

mod generated;
mod permissions;
mod scene;
