//! Questions to the policy.

pub(crate) mod check;
pub(crate) mod denials;
pub(crate) mod explain;
pub(crate) mod recorded;
pub(crate) mod rooms;
pub(crate) mod unmanaged;
