//! Durable events per second that come from many servers at once, held against what one core can do
//! of the one thing that cannot be left out: checking their signatures.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _};
use tokio::{sync::Barrier, task::JoinSet};

use super::{Bench, figure};
use crate::{
    client::Client,
    clock,
    matrix::Api,
    peers::{Peers, Seat, Transaction},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

/// Events of one transaction: as many as one may have.
const EVENTS: usize = 50;
/// The servers must be taken this share of the signatures one core can check.
const SHARE_OF_CORE: f64 = 0.2;
/// The size of what is checked beside it: an event without its content.
const CHECKED_BYTES: usize = 500;

/// The samples of one setting.
#[derive(Default)]
struct Series {
    per_second: Vec<f64>,
    server_cpu_s: f64,
    generator_cpu_s: f64,
    events: usize,
}

/// Many servers, each in its own room, and all of them in one.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let peers = Peers::listen(bench.scale.servers).await?;
    let home = Home::among_others(&bench.folder, Durability::Fsync, &peers)?;
    let (server, _) = Server::start(&bench.launch, &home).await?;
    let mut api = Api::anonymous(server.address).await?;
    let host = api.register("host").await?;
    api.speak_for(&host);
    let address = home.federation.context("the server does not federate")?;
    let mut client = Client::connect(address).await?;

    let shared = api.create_room().await?;
    let (mut own, mut same) = (Vec::new(), Vec::new());
    for peer in peers.list() {
        let room = api.create_room().await?;
        own.push(Seat::take(&mut client, peer, "own", &room).await?);
        same.push(Seat::take(&mut client, peer, "same", &shared).await?);
    }
    let setting = Setting { server, address, each: bench.scale.transactions };
    // Keys, connections and caches are warm from here on.
    setting.sample(&mut Series::default(), &mut own, "warm-own").await?;
    setting.sample(&mut Series::default(), &mut same, "warm-same").await?;
    let (mut checks, mut many, mut one) = (Vec::new(), Series::default(), Series::default());
    for round in 0..bench.scale.rounds {
        checks.push(checks_per_second(bench.scale.probe)?);
        setting.sample(&mut many, &mut own, &format!("own{round}")).await?;
        setting.sample(&mut one, &mut same, &format!("same{round}")).await?;
    }
    setting.server.stop().await?;

    let of_core = median(&checks);
    let rule = "0.2 × the signatures one core checks";
    let many = many.row("events from many servers, many rooms");
    let many = many.with_bar(Bar::at_least(SHARE_OF_CORE * of_core, rule));
    Ok(vec![
        many.with("checks_per_s_of_one_core", rounded(of_core)),
        one.row("events from many servers, one room"),
    ])
}

struct Setting {
    server: Server,
    address: std::net::SocketAddr,
    /// Transactions of each server.
    each: usize,
}

impl Setting {
    /// Every server sends its transactions, one after the other, on a connection of its own.
    async fn sample(&self, into: &mut Series, seats: &mut [Seat], run: &str) -> Result<()> {
        let start = Arc::new(Barrier::new(seats.len() + 1));
        let mut senders = JoinSet::new();
        let mut events = 0;
        let mut client = Client::connect(self.address).await?;
        for seat in seats {
            seat.keep_up(&mut client).await?;
            let mut ready = Vec::with_capacity(self.each);
            for number in 0..self.each {
                let transaction = seat.transaction(&format!("{run}-{number}"), EVENTS)?;
                events += transaction.events;
                ready.push(transaction);
            }
            let client = Client::connect(self.address).await?;
            senders.spawn(send(client, ready, Arc::clone(&start)));
        }
        let server_before = process::cpu_seconds(self.server.pid())?;
        let generator_before = process::own_cpu_seconds()?;
        start.wait().await;
        let started = clock::now();
        while let Some(outcome) = senders.join_next().await {
            outcome.context("a server broke off")??;
        }
        let seconds = started.elapsed().as_secs_f64();
        into.per_second.push(figure(u64::try_from(events)?) / seconds);
        into.server_cpu_s += process::cpu_seconds(self.server.pid())? - server_before;
        into.generator_cpu_s += process::own_cpu_seconds()? - generator_before;
        into.events += events;
        Ok(())
    }
}

async fn send(
    mut client: Client,
    transactions: Vec<Transaction>,
    start: Arc<Barrier>,
) -> Result<()> {
    start.wait().await;
    for transaction in &transactions {
        transaction.send(&mut client).await?;
    }
    Ok(())
}

impl Series {
    fn row(self, name: &'static str) -> Row {
        let events = figure(u64::try_from(self.events).unwrap_or(u64::MAX));
        Row::new(name, "events/s", self.per_second)
            .with("server_us_per_event", rounded(self.server_cpu_s * 1e6 / events))
            .with("generator_us_per_event", rounded(self.generator_cpu_s * 1e6 / events))
    }
}

/// How many signatures this thread checks in a second.
fn checks_per_second(lasting: std::time::Duration) -> Result<f64> {
    let key = SigningKey::from_bytes(&[5; 32]);
    let text = vec![b'x'; CHECKED_BYTES];
    let (signature, public) = (key.sign(&text), key.verifying_key());
    let (started, mut checked) = (clock::now(), 0_u64);
    while started.elapsed() < lasting {
        public.verify(&text, &signature)?;
        checked += 1;
    }
    Ok(figure(checked) / started.elapsed().as_secs_f64())
}
