//! People without an account: whether they may come in at all.

pub(crate) mod show;
pub(crate) mod switch;
