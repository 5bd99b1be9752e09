//! From batches to commits: one committer, many batches at once.

mod batch;
mod committer;
mod group;
mod thread;
mod window;

pub(crate) use self::{
    batch::{Asserts, Batch, Done, Outcome, Request, Say},
    committer::{Committer, Shared},
    thread::CommitThread,
};
