//! Time from starting the process to its first answer, after a clean stop with many events.

use anyhow::Result;

use super::{Bench, figure, register};
use crate::{
    load::{Lane, Until, send},
    matrix::Api,
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

const BAR_MS: f64 = 300.0;
/// Rooms that hold the events.
const ROOMS: usize = 64;
/// Connections that fill each room.
const FILLERS_PER_ROOM: usize = 4;

/// Fills a server, then stops and starts it once per sample.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let home = Home::fresh(&bench.folder, Durability::Fsync)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let mut lanes = Vec::new();
    for user in register(&mut api, "filler", ROOMS).await? {
        api.speak_for(&user);
        let lane = Lane::of(user, api.create_room().await?);
        lanes.extend(std::iter::repeat_n(lane, FILLERS_PER_ROOM));
    }
    drop(api);
    let each = bench.scale.events.div_ceil(u64::try_from(lanes.len())?);
    let filled = send(server.address, server.pid(), &lanes, Until::EachSent(each), "fill").await?;
    let mut stop_ms = vec![server.stop().await?.as_secs_f64() * 1_000.0];

    let (mut samples, mut resident_mb) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.rounds {
        let (server, took) = Server::start(&bench.launch, &home).await?;
        samples.push(took.as_secs_f64() * 1_000.0);
        resident_mb.push(figure(process::resident_bytes(server.pid())?) / 1e6);
        stop_ms.push(server.stop().await?.as_secs_f64() * 1_000.0);
    }
    let row = Row::new("ready after a clean stop", "ms", samples)
        .with_bar(Bar::at_most(BAR_MS, "300 ms"))
        .with("events", filled.events)
        .with("filled_per_s", rounded(filled.per_second()))
        .with(
            "fill_server_us_per_event",
            rounded(filled.server_cpu_s * 1e6 / figure(filled.events)),
        )
        .with("fill_generator_cpu_s", rounded(filled.generator_cpu_s))
        .with("resident_mb", rounded(median(&resident_mb)))
        .with("stop_ms", rounded(median(&stop_ms)));
    Ok(vec![row])
}
