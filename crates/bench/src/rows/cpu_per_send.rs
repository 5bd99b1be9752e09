//! Processor time of a message, held against an older server that runs beside the new one.

use anyhow::{Context as _, Result};

use super::{Bench, figure, register};
use crate::{
    load::{Lane, Until, pause, send},
    matrix::Api,
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Launch, Server},
};

/// The new one may take this many times what the old one takes.
const BAR_RATIO: f64 = 1.1;
/// Messages are sent this many times in one sample, in turn by both.
const TURNS: usize = 2;

/// One of the two servers.
struct Side {
    server: Server,
    own_rooms: Vec<Lane>,
    us_alone: Vec<f64>,
    us_together: Vec<f64>,
    /// Held so that the folder lives as long as the server.
    _home: Home,
}

/// Sends to both in turn: one sender, then many.
pub async fn measure(bench: &Bench, against: &Launch) -> Result<Vec<Row>> {
    let mut sides = [Side::start(bench, &bench.launch).await?, Side::start(bench, against).await?];
    for side in &mut sides {
        side.warm(bench).await?;
    }
    for round in 0..bench.scale.rounds {
        let mut seen = [[0.0; 2]; 2];
        for turn in 0..TURNS {
            // The order alternates, so that neither always comes second.
            for who in [(turn + round) % 2, (turn + round + 1) % 2] {
                let side = sides.get_mut(who).context("there are two")?;
                let taken = [
                    side.us_per_message(bench, 1, &format!("one{round}-{turn}")).await?,
                    side.us_per_message(bench, usize::MAX, &format!("many{round}-{turn}")).await?,
                ];
                for (sum, taken) in seen.iter_mut().filter_map(|of| of.get_mut(who)).zip(taken) {
                    *sum += taken;
                }
            }
        }
        let turns = figure(u64::try_from(TURNS)?);
        let [alone, together] = seen;
        for ((side, alone), together) in sides.iter_mut().zip(alone).zip(together) {
            side.us_alone.push(alone / turns);
            side.us_together.push(together / turns);
        }
    }
    let [new, old] = sides;
    let rows = vec![
        row("processor time of a message, new/old", &new.us_alone, &old.us_alone),
        row("… of many senders, new/old", &new.us_together, &old.us_together),
    ];
    new.server.stop().await?;
    old.server.stop().await?;
    Ok(rows.into_iter().map(|row| row.with("against", against.build.clone())).collect())
}

fn row(name: &str, new: &[f64], old: &[f64]) -> Row {
    let ratios = new.iter().zip(old).map(|(new, old)| new / old).collect();
    Row::new(name, "ratio", ratios)
        .with_bar(Bar::at_most(BAR_RATIO, "1.1 × the older server"))
        .with("new_us", rounded(median(new)))
        .with("old_us", rounded(median(old)))
}

impl Side {
    async fn start(bench: &Bench, launch: &Launch) -> Result<Self> {
        let home = Home::fresh(&bench.folder, Durability::Fsync)?;
        let (server, _) = Server::start(launch, &home).await?;
        let mut api = Api::anonymous(server.address).await?;
        let mut own_rooms = Vec::new();
        for user in register(&mut api, "sender", bench.scale.senders).await? {
            api.speak_for(&user);
            own_rooms.push(Lane::of(user, api.create_room().await?));
        }
        let (us_alone, us_together) = (Vec::new(), Vec::new());
        Ok(Self { server, own_rooms, us_alone, us_together, _home: home })
    }

    async fn warm(&self, bench: &Bench) -> Result<()> {
        self.us_per_message(bench, 1, "warm-one").await?;
        self.us_per_message(bench, usize::MAX, "warm-many").await.map(drop)
    }

    /// Microseconds of processor time per message, with what the server does of it afterwards.
    async fn us_per_message(&self, bench: &Bench, lanes: usize, run: &str) -> Result<f64> {
        let lanes = self.own_rooms.get(..lanes.min(self.own_rooms.len())).unwrap_or_default();
        let until = Until::Elapsed(bench.scale.sample);
        let pid = self.server.pid();
        let before = process::cpu_seconds(pid)?;
        let load = send(self.server.address, pid, lanes, until, run).await?;
        // The index and other followers of the log come to their end.
        pause(bench.scale.settle).await;
        let taken = process::cpu_seconds(pid)? - before;
        Ok(taken * 1e6 / figure(load.events))
    }
}
