//! Servers on a bad network come to the same end, whatever happened.
//!
//! `VESTIBULE_SEEDS=500` plays so many seeds, from `VESTIBULE_FIRST_SEED=100` on where that is given;
//! `VESTIBULE_SEED=17` plays that one and prints what happened.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use vestibule_testkit::simulator::{Outcome, Plan, Temper, Weather, simulate};

/// Three servers, a room of each generation of state resolution, and everything that may go wrong.
const STORM: Plan = Plan {
    servers: 3,
    people_each: 2,
    versions: &["10", "12"],
    restricted: &[],
    deeds: 60,
    temper: Temper::Talkative,
    weather: Weather::STORM,
    disasters: true,
};

/// The same with people who throw each other out and fight about power, and with rooms into which only
/// some may come.
const QUARREL: Plan = Plan {
    versions: &["11", "12"],
    restricted: &["11", "12"],
    deeds: 120,
    temper: Temper::Quarrelsome,
    ..STORM
};

/// The same with people who also change who may come in, who may see what, and which servers take part.
const UPHEAVAL: Plan = Plan { temper: Temper::Meddlesome, ..QUARREL };

/// Seeds of a run on somebody's own machine, and of one that proves a change.
const SEEDS: u64 = 12;
const SEEDS_IN_CI: u64 = 200;
/// Quarrels and upheavals cost more, and fail for reasons of their own.
const QUARRELS_IN_CI: u64 = 48;
const UPHEAVALS_IN_CI: u64 = 48;
/// How often one seed is played to see that it tells one story.
const STORIES: usize = 5;

fn number(name: &str) -> Option<u64> {
    env::var_os(name)?.to_str()?.parse().ok()
}

/// Plays seeds on all cores.
#[expect(clippy::unwrap_used, reason = "a simulation that panics fails the test")]
fn play(seeds: std::ops::Range<u64>, plan: Plan) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(seeds.start);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut outcomes = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            break outcomes;
                        }
                        outcomes.push((seed, simulate(seed, plan)));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Plays the seeds that are asked for; all of them must hold.
fn all_hold(plan: Plan, in_ci: u64) {
    let first = number("VESTIBULE_FIRST_SEED").unwrap_or_default();
    let seeds = match (number("VESTIBULE_SEED"), number("VESTIBULE_SEEDS")) {
        (Some(one), _) => one..one + 1,
        (None, Some(many)) => first..first + many,
        (None, None) if env::var_os("CI").is_some() => 0..in_ci,
        (None, None) => 0..SEEDS,
    };
    let outcomes = play(seeds.clone(), plan);
    let mut failed = Vec::new();
    for (seed, outcome) in &outcomes {
        if !outcome.problems.is_empty() {
            failed.push(format!("seed {seed}:\n  {}", outcome.problems.join("\n  ")));
        }
    }
    if let (true, Some((_, outcome))) = (seeds.end - seeds.start == 1, outcomes.first()) {
        failed.push(outcome.last.join("\n"));
        assert!(outcome.problems.is_empty(), "{}", failed.join("\n"));
        return;
    }
    assert!(
        outcomes.iter().any(|(_, outcome)| outcome.shared_rooms > 0),
        "in no storm did people of several servers share a room"
    );
    assert!(failed.is_empty(), "{} of {seeds:?} failed\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn after_a_storm_every_server_sees_the_same_rooms() {
    all_hold(STORM, SEEDS_IN_CI);
}

#[test]
fn after_a_quarrel_every_server_sees_the_same_rooms() {
    all_hold(QUARREL, QUARRELS_IN_CI);
}

#[test]
fn after_an_upheaval_every_server_sees_the_same_rooms() {
    all_hold(UPHEAVAL, UPHEAVALS_IN_CI);
}

/// Each seed several times at once: how busy the machine is must not matter either.
#[test]
fn the_same_seed_tells_the_same_story() {
    for (seed, plan) in [(7, STORM), (7, QUARREL), (16, UPHEAVAL), (47, UPHEAVAL)] {
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let playing: Vec<_> =
                (0..STORIES).map(|_| scope.spawn(|| simulate(seed, plan))).collect();
            playing.into_iter().map(|it| it.join().unwrap()).collect()
        });
        for other in outcomes.iter().skip(1) {
            // Line by line, so that the first place where they part is named.
            for (line, told) in outcomes[0].last.iter().zip(&other.last) {
                assert_eq!(line, told, "in seed {seed}");
            }
            assert_eq!(outcomes[0].trace, other.trace, "in seed {seed}");
        }
    }
    assert_ne!(simulate(7, STORM).trace, simulate(8, STORM).trace);
}
