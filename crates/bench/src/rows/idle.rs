//! Resident memory of a server whose database is empty.

use anyhow::Result;

use super::{Bench, figure};
use crate::{
    load::pause,
    process,
    report::{Bar, Row},
    server::{Durability, Home, Server},
};

const BAR_MB: f64 = 60.0;

/// One fresh server per sample, read after it had time to settle.
pub async fn measure(bench: &Bench) -> Result<Row> {
    let mut samples = Vec::new();
    for _ in 0..bench.scale.rounds {
        let home = Home::fresh(&bench.folder, Durability::Fsync)?;
        let (server, _) = Server::start(&bench.launch, &home).await?;
        pause(bench.scale.settle).await;
        samples.push(figure(process::resident_bytes(server.pid())?) / 1e6);
        server.stop().await?;
    }
    Ok(Row::new("idle memory", "MB", samples).with_bar(Bar::at_most(BAR_MB, "60 MB")))
}
