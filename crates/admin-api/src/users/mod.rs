//! Accounts.

pub(crate) mod class;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod password;
