//! The roof: wiring, lifecycle, the command line.
//!
//! [`start::start`] builds a whole server out of a configuration and an [`Environment`]; the binary
//! hands it the machine's own, tests hand it theirs. Nothing here decides anything about rooms,
//! accounts or policy.
//!
//! [`Environment`]: vestibule_types::Environment

pub mod cli;
pub mod environment;
mod guests_switch;
mod health;
mod house;
mod identity;
mod jobs;
mod listeners;
mod mail;
mod maintenance;
mod metrics;
mod policy_metrics;
mod reaching;
pub mod reload;
pub mod start;
mod store;
mod sweep;
mod telemetry;

use std::path::{Path, PathBuf};

/// The socket at which a running server answers the command line.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("vestibule.sock")
}
