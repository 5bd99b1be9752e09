//! The Rust SDK as a client of the server: end-to-end encryption over several devices, and sliding sync.
//!
//! `scenario STAGE.json`; `tests/clients/run matrix-sdk` sets the stage and calls it.

#![recursion_limit = "512"]
#![allow(clippy::expect_used, reason = "this is a test")]

mod device;
mod facts;
mod parts;
mod stage;

use std::process::ExitCode;

use crate::{facts::Facts, parts::World, stage::Stage};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let stage = Stage::read()?;
    let abroad = stage.elsewhere.is_some();
    let facts = Facts::of(if abroad { "matrix-sdk abroad" } else { "matrix-sdk" });
    facts.part("the greeting", parts::greeting::play(&stage, &facts)).await;
    match World::begin(&stage, &facts).await {
        Ok(mut world) if abroad => parts::play_abroad(&mut world).await,
        Ok(mut world) => parts::play(&mut world).await,
        Err(stop) => {
            facts.check("three devices log in", false, stop);
        }
    }
    Ok(if facts.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
