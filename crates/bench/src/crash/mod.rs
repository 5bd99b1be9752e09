//! Killing the server under load: what it acknowledged must be there when it comes back.
//!
//! `kill -9` keeps the page cache, so it proves atomicity and recovery. `power_cut` drops what was
//! not synced as well, and so proves durability.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    load::pause,
    matrix::Api,
    server::{Durability, Home, Launch, Server},
};

mod power_cut;
mod verify;
mod worker;

pub use power_cut::{PowerCut, power_cut};
use worker::{Spell, Worker};

/// A restart after a kill must not take longer, where nothing else runs.
pub const RESTART_MAX: Duration = Duration::from_secs(1);
/// The database is checked as a whole after so many kills, and at the end.
const CHECK_EVERY: usize = 10;
/// Faults beyond this number are counted, not shown.
const SHOWN_MAX: usize = 20;

/// How the kills are done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many kills.
    pub kills: usize,
    /// How many users write at once.
    pub workers: usize,
    /// Which moments are chosen.
    pub seed: u64,
    /// How long a restart may take.
    pub restart_max: Duration,
}

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Kills that were survived.
    pub kills: usize,
    /// Messages acknowledged and found again.
    pub messages: usize,
    /// Rooms acknowledged and found complete.
    pub rooms: usize,
    /// Times from start to ready after a kill.
    pub restart_ms: Vec<f64>,
    /// What was lost, doubled, half written or slow.
    pub faults: Vec<String>,
}

impl Outcome {
    fn note(&mut self, faults: Vec<String>) {
        self.faults.extend(faults);
    }

    /// An error that shows the first faults, if there are any.
    pub fn verdict(&self) -> Result<()> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let shown = self.faults.get(..SHOWN_MAX).unwrap_or(&self.faults).join("\n  ");
        bail!("{} faults after {} kills:\n  {shown}", self.faults.len(), self.kills)
    }
}

/// Kills the server again and again while users write, and looks for what it had acknowledged.
pub async fn kill_loop(launch: &Launch, folder: &std::path::Path, plan: Plan) -> Result<Outcome> {
    let home = Home::fresh(folder, Durability::Fsync)?;
    let (mut server, _) = Server::start(launch, &home).await?;
    let mut workers = register(&server, plan.workers).await?;
    let mut outcome = Outcome::default();
    let mut moments = Moments::new(plan.seed);
    for kill in 1..=plan.kills {
        let spells = work_until_killed(server, &mut workers, moments.next()).await?;
        if kill % CHECK_EVERY == 0 {
            outcome.note(check_database(launch, &home)?);
        }
        let (restarted, took) = Server::start(launch, &home).await?;
        server = restarted;
        let took_ms = took.as_secs_f64() * 1_000.0;
        outcome.restart_ms.push(took_ms);
        if took > plan.restart_max {
            outcome.note(vec![format!("restart {kill} took {took_ms:.0} ms")]);
        }
        for (worker, spell) in workers.iter_mut().zip(&spells) {
            outcome.messages += spell.messages.len();
            outcome.rooms += spell.rooms.len();
            outcome.note(verify::spell(server.address, worker, spell).await?);
            outcome.note(verify::repeat(server.address, worker, spell).await?);
        }
        outcome.kills = kill;
    }
    for worker in &workers {
        outcome.note(verify::history(server.address, worker).await?);
    }
    server.stop().await?;
    outcome.note(check_database(launch, &home)?);
    Ok(outcome)
}

async fn register(server: &Server, count: usize) -> Result<Vec<Worker>> {
    let mut workers = Vec::new();
    for number in 0..count {
        let mut api = Api::anonymous(server.address).await?;
        let user = api.register(&format!("worker{number}")).await?;
        api.speak_for(&user);
        let room = api.create_room().await?;
        workers.push(Worker::new(user, room));
    }
    Ok(workers)
}

/// All workers write; after the given time the server is killed. What each of them saw.
async fn work_until_killed(
    server: Server,
    workers: &mut [Worker],
    after: Duration,
) -> Result<Vec<Spell>> {
    let address = server.address;
    let working = workers.iter_mut().map(|worker| worker.work(address));
    let killing = async {
        pause(after).await;
        server.kill();
    };
    let (spells, ()) = tokio::join!(join_all(working), killing);
    spells.into_iter().collect()
}

/// Runs the futures side by side on this task; results in their order.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waits = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// `vestibule db check` on a stopped server's data.
fn check_database(launch: &Launch, home: &Home) -> Result<Vec<String>> {
    let (clean, said) = launch.check_database(home)?;
    Ok(if clean { Vec::new() } else { vec![format!("db check: {said}")] })
}

/// Moments between 30 and 500 ms, the same for the same seed (xorshift).
struct Moments(u64);

impl Moments {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(30 + self.0 % 470)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_kills_at_the_same_moments() {
        let moments = |seed| {
            let mut moments = Moments::new(seed);
            [(); 20].map(|()| moments.next().as_millis())
        };
        assert_eq!(moments(1), moments(1));
        assert_ne!(moments(1), moments(2));
        assert!(moments(1).iter().all(|moment| (30..500).contains(moment)));
    }

    #[tokio::test]
    async fn joined_futures_keep_their_order() {
        let slow_first = (0..3_u32).map(|number| async move {
            for _ in number..3 {
                tokio::task::yield_now().await;
            }
            number
        });
        assert_eq!(join_all(slow_first).await, [0, 1, 2]);
    }

    #[test]
    fn a_fault_is_an_error_that_shows_it() {
        let mut outcome = Outcome { kills: 3, ..Outcome::default() };
        assert!(outcome.verdict().is_ok());
        outcome.note(vec!["lost: $x".to_owned()]);
        assert!(outcome.verdict().unwrap_err().to_string().contains("lost: $x"));
    }
}
