//! The database.

pub(crate) mod check;
