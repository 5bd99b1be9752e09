//! What servers that do not answer cost per event: processor time of one sender's message, in a room
//! nobody else is in and in one that many such servers are in.

use anyhow::{Context as _, Result, ensure};

use super::{Bench, figure};
use crate::{
    client::Client,
    load::{Lane, Load, Until, pause, send},
    matrix::Api,
    peers::{Peers, Seat},
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

/// With dead servers in the room a message may cost so many times as much: what is beyond one is the
/// grain of the kernel's clock.
const TIMES: f64 = 1.25;
/// How long to wait for the last of them to be left alone.
const LOOKS: usize = 600;

/// Sends into both rooms in turn.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut peers = Peers::listen(bench.scale.servers).await?;
    let home = Home::among_others(&bench.folder, Durability::Fsync, &peers)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let user = api.register("speaker").await?;
    api.speak_for(&user);
    let lane = |room| vec![Lane::of(user.clone(), room)];
    let alone = lane(api.create_room().await?);
    let room = api.create_room().await?;
    let address = home.federation.context("the server does not federate")?;
    let mut client = Client::connect(address).await?;
    for peer in peers.list() {
        Seat::take(&mut client, peer, "gone", &room).await?;
    }
    drop(client);
    peers.vanish().await;
    let deserted = lane(room);

    let until = Until::EachSent(bench.scale.weighed);
    let sample = async |lanes: &[Lane], run: &str| {
        send(server.address, server.pid(), lanes, until, run).await
    };
    sample(&alone, "warm-alone").await?;
    sample(&deserted, "warm-deserted").await?;
    settle(&server, bench).await?;
    let (mut ratios, mut few, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.scale.rounds {
        let one = cost(&sample(&alone, &format!("alone{round}")).await?);
        let other = cost(&sample(&deserted, &format!("deserted{round}")).await?);
        few.push(one);
        many.push(other);
        ratios.push(other / one);
    }
    server.stop().await?;
    let row = Row::new("a message, dead servers in the room/none", "ratio", ratios)
        .with_bar(Bar::at_most(TIMES, "1.25: no work per event"))
        .with("dead_servers", peers.list().len())
        .with("us_without", rounded(median(&few)))
        .with("us_with", rounded(median(&many)));
    Ok(vec![row])
}

/// Processor time of one message, in microseconds.
fn cost(load: &Load) -> f64 {
    load.server_cpu_s * 1e6 / figure(load.events.max(1))
}

/// Waits until the server has found out about everybody and rests.
async fn settle(server: &Server, bench: &Bench) -> Result<()> {
    let mut rests = 0;
    for _ in 0..LOOKS {
        let before = crate::process::cpu_seconds(server.pid())?;
        pause(bench.scale.probe).await;
        let busy = crate::process::cpu_seconds(server.pid())? - before;
        rests = if busy <= 0.05 * bench.scale.probe.as_secs_f64() { rests + 1 } else { 0 };
        if rests == 3 {
            return Ok(());
        }
    }
    ensure!(rests > 0, "the server does not come to rest");
    Ok(())
}
