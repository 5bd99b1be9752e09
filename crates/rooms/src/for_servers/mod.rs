//! What other servers may read of a room, and which servers may take part in one.
//!
//! *Invariant: nothing here is answered before the room's access control list and the history
//! visibility were asked about the asking server, by whatever name the thing is asked for.*

mod access;
mod acl;
mod presence;
mod viewer;

pub(crate) use self::acl::AclAnswers;
pub use self::{access::ServerReadError, viewer::ServerViewer};
