//! What happens to members whose door closed: frozen, then taken out; and guests whose room stops
//! admitting guests: taken out at once.
//!
//! Whatever changes a fact that scope depends on enqueues a durable job in its own batch, so a
//! crash between the change and its consequence loses nothing. Every job may run again: it looks
//! at how things are when it runs.

mod follow;
mod jobs;
mod members;
mod spaces;
mod triggers;
mod waiting;

pub use self::jobs::{JOB_KINDS, JobError, job_lane};
