//! Accounts.

pub(crate) mod class;
pub(crate) mod create;
pub(crate) mod deactivate;
pub(crate) mod list;
pub(crate) mod moderation;
pub(crate) mod password;
pub(crate) mod restrain;
