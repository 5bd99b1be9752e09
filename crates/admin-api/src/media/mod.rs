//! Files of this server, and copies of those of others.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod purge;
pub(crate) mod quarantine;
