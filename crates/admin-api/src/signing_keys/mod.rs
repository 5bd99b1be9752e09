//! The keys this server signs with.

pub(crate) mod list;
pub(crate) mod rotate;
