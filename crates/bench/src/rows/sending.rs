//! Durable messages per second: one sender, many in many rooms, many in one room.

use anyhow::{Context as _, Result};

use super::{Bench, Name, figure, register};
use crate::{
    load::{Lane, Load, Until, send},
    matrix::Api,
    probe::Probes,
    report::{Bar, Row, median, quantile, rounded},
    server::{Durability, Home, Server},
};

/// The rows that are held against the disk.
pub const WITH_FSYNC: [Name; 3] = [Name::OneSender, Name::ManyRooms, Name::OneRoom];
/// One sender must reach this share of the slower probe.
const SHARE_OF_PROBE: f64 = 0.7;
/// Many rooms need not be faster than this per second ...
const MANY_ENOUGH: f64 = 10_000.0;
/// ... nor than this many times one sender.
const MANY_TIMES: f64 = 20.0;
/// One room must reach this share of many rooms.
const SHARE_OF_MANY: f64 = 0.5;
/// The size of a probed write when the server's own cannot be seen.
const PROBE_BYTES: usize = 2_048;

/// Where everybody sends.
struct Setting {
    server: Server,
    own_rooms: Vec<Lane>,
    one_room: Vec<Lane>,
    /// Held so that the folder lives as long as the server.
    home: Home,
}

/// The samples of one row.
#[derive(Default)]
struct Series {
    loads: Vec<Load>,
}

/// The three rows with `durability = "fsync"` and the probes beside them.
pub async fn measure(bench: &Bench) -> Result<(Vec<Row>, Probes)> {
    let setting = prepare(bench, Durability::Fsync).await?;
    let mut probes = Probes::new(setting.weigh(bench).await?);
    let [mut one, mut many, mut same] = [(); 3].map(|()| Series::default());
    let wants_same = bench.wants(Name::OneRoom);
    let wants_many = wants_same || bench.wants(Name::ManyRooms);
    for round in 0..bench.scale.rounds {
        probes.sample(&bench.folder, bench.scale.probe)?;
        setting.sample(bench, &mut one, setting.alone(), &format!("one{round}")).await?;
        if wants_many {
            setting.sample(bench, &mut many, &setting.own_rooms, &format!("many{round}")).await?;
        }
        if wants_same {
            setting.sample(bench, &mut same, &setting.one_room, &format!("same{round}")).await?;
        }
    }
    setting.server.stop().await?;

    let one = one.row("one sender");
    let many = many.row("many senders, many rooms");
    let same = same.row("many senders, one room");
    let slower = probes.slower();
    let enough = (MANY_TIMES * one.value).min(MANY_ENOUGH);
    let many_value = many.value;
    let mut rows =
        vec![one.with_bar(Bar::at_least(SHARE_OF_PROBE * slower, "0.7 × the slower probe"))];
    if wants_many {
        let rule = "10,000 or 20 × one sender, whichever is less";
        rows.push(many.with_bar(Bar::at_least(enough, rule)));
    }
    if wants_same {
        rows.push(same.with_bar(Bar::at_least(SHARE_OF_MANY * many_value, "0.5 × many rooms")));
    }
    Ok((rows, probes))
}

/// The same with `durability = "os"`, for comparison; no bar.
pub async fn measure_os(bench: &Bench) -> Result<Vec<Row>> {
    let setting = prepare(bench, Durability::Os).await?;
    let [mut one, mut many, mut same] = [(); 3].map(|()| Series::default());
    for round in 0..bench.scale.rounds {
        setting.sample(bench, &mut one, setting.alone(), &format!("one{round}")).await?;
        setting.sample(bench, &mut many, &setting.own_rooms, &format!("many{round}")).await?;
        setting.sample(bench, &mut same, &setting.one_room, &format!("same{round}")).await?;
    }
    setting.server.stop().await?;
    Ok(vec![one.row("one sender, os"), many.row("many rooms, os"), same.row("one room, os")])
}

async fn prepare(bench: &Bench, durability: Durability) -> Result<Setting> {
    let home = Home::fresh(&bench.folder, durability)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let users = register(&mut api, "sender", bench.scale.senders).await?;
    api.speak_for(users.first().context("there are no senders")?);
    let shared = api.create_room().await?;
    let (mut own_rooms, mut one_room) = (Vec::new(), Vec::new());
    for (number, user) in users.into_iter().enumerate() {
        api.speak_for(&user);
        if number > 0 {
            api.join(&shared).await?;
        }
        own_rooms.push(Lane::of(user.clone(), api.create_room().await?));
        one_room.push(Lane::of(user, shared.clone()));
    }
    Ok(Setting { server, own_rooms, one_room, home })
}

impl Setting {
    fn alone(&self) -> &[Lane] {
        self.own_rooms.get(..1).unwrap_or_default()
    }

    async fn sample(
        &self,
        bench: &Bench,
        into: &mut Series,
        lanes: &[Lane],
        run: &str,
    ) -> Result<()> {
        let until = Until::Elapsed(bench.scale.sample);
        let load = send(self.server.address, self.server.pid(), lanes, until, run).await?;
        into.loads.push(load);
        Ok(())
    }

    /// How many bytes one message adds to the log: the probes write as much. Also warms the server.
    async fn weigh(&self, bench: &Bench) -> Result<usize> {
        let before = self.home.log_bytes()?;
        let until = Until::EachSent(bench.scale.weighed);
        send(self.server.address, self.server.pid(), self.alone(), until, "weigh").await?;
        let grown = self.home.log_bytes()?.saturating_sub(before);
        let each = usize::try_from(grown / bench.scale.weighed.max(1))?;
        // A recycled log file does not grow; then a usual size is taken.
        Ok(if each == 0 { PROBE_BYTES } else { each })
    }
}

impl Series {
    fn row(&self, name: &'static str) -> Row {
        let all = |of: fn(&Load) -> f64| self.loads.iter().map(of).collect::<Vec<_>>();
        let events = figure(self.loads.iter().map(|load| load.events).sum());
        let generator: f64 = all(|load| load.generator_cpu_s).iter().sum();
        let server: f64 = all(|load| load.server_cpu_s).iter().sum();
        Row::new(name, "events/s", all(Load::per_second))
            .with("generator_cpu_s", rounded(generator))
            .with("server_cpu_s", rounded(server))
            .with("generator_us_per_event", rounded(generator * 1e6 / events))
            .with("server_us_per_event", rounded(server * 1e6 / events))
            .with("p50_ms", rounded(median(&all(|load| load.latency_ms(0.5)))))
            .with("p99_ms", rounded(median(&all(|load| load.latency_ms(0.99)))))
            .with("worst_ms", rounded(quantile(&all(|load| load.latency_ms(1.0)), 1.0)))
    }
}
