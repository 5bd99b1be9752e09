//! What other servers may read of a room, and which servers may take part in one.
//!
//! *Invariant: nothing here is answered before the room's access control list and the history
//! visibility were asked about the asking server, by whatever name the thing is asked for.*

mod access;
mod acl;
mod alias;
mod auth_chain;
mod directory;
mod event;
mod event_at;
mod event_auth;
mod hierarchy;
mod history;
mod own_leaves;
mod presence;
mod render;
mod state;
mod viewer;

pub(crate) use self::acl::{AclAnswers, shuts_out};
pub use self::{
    access::ServerReadError,
    alias::NamedRoom,
    directory::DirectoryForServerError,
    hierarchy::SpaceForServer,
    history::MissingEvents,
    render::EventList,
    state::{StateForServer, StateIdsForServer},
    viewer::ServerViewer,
};
