//! State resolution in memory: two forks of a room with fifty thousand members, as the server resolves them:
//! what differs is known, what is agreed on is asked for.

use std::{convert::Infallible, sync::Arc};

use anyhow::{Result, ensure};
use ruma::{EventId, OwnedEventId};
use vestibule_events::{Pdu, RoomVersion};
use vestibule_state_res::{Agreed, FactSource, StateKey, StateMap, resolve_parts};

use super::Bench;
use crate::{
    clock,
    peers::{Peer, Room},
    report::{Bar, Row, median},
};

/// Members of the room before the fork.
const MEMBERS: u32 = 50_000;
/// Conflicting keys on each side.
const CONFLICTS: [u32; 4] = [1, 10, 100, 500];
/// Resolutions in one sample.
const TIMES: usize = 5;
/// The number of conflicts that has a bar ...
const BAR_CONFLICTS: u32 = 100;
/// ... and how long they may take.
const BAR_MS: f64 = 50.0;

/// One row for each version and number of conflicts: one fork lets members join again, the other
/// bans them.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let host = Arc::new(Peer::new(0)?);
    for version in [RoomVersion::V11, RoomVersion::V12] {
        let mut room = Room::with_members(&host, version, (MEMBERS, 0))?;
        for conflicts in CONFLICTS {
            let states = [room.fork(conflicts, false)?, room.fork(conflicts, true)?];
            let [first, second] = &states;
            let forks = [beside(first, second), beside(second, first)];
            let agreed = AgreedOn { state: first, conflicted: &forks[0] };
            let mut samples = Vec::new();
            for _ in 0..bench.scale.rounds {
                let mut took_ms = Vec::new();
                for _ in 0..TIMES {
                    let started = clock::now();
                    let resolved = resolve_parts(version, &forks, &agreed, &room)?;
                    took_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
                    ensure!(resolved == forks[1], "the bans did not stay");
                }
                samples.push(median(&took_ms));
            }
            let name = format!("resolve {conflicts} joins, bans v{version}");
            let row = Row::new(name, "ms", samples).with("state_entries", room.state.len());
            rows.push(match conflicts {
                BAR_CONFLICTS => row.with_bar(Bar::at_most(BAR_MS, "50 ms")),
                _ => row,
            });
        }
    }
    Ok(rows)
}

/// What of a state another one has not.
fn beside(state: &StateMap, other: &StateMap) -> StateMap {
    let own = state.iter().filter(|(place, id)| other.get(*place) != Some(*id));
    own.map(|(place, id)| (place.clone(), id.clone())).collect()
}

/// A state without the places on which another one differs.
struct AgreedOn<'a> {
    state: &'a StateMap,
    conflicted: &'a StateMap,
}

impl Agreed<Infallible> for AgreedOn<'_> {
    fn get(&self, place: &StateKey) -> Result<Option<OwnedEventId>, Infallible> {
        let agreed = !self.conflicted.contains_key(place);
        Ok(self.state.get(place).filter(|_| agreed).cloned())
    }

    fn events_from(&self, _: u64) -> Result<Vec<OwnedEventId>, Infallible> {
        let agreed = self.state.iter().filter(|(place, _)| !self.conflicted.contains_key(*place));
        Ok(agreed.map(|(_, id)| id.clone()).collect())
    }
}

impl FactSource for Room {
    type Error = Infallible;

    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, Infallible> {
        Ok(self.events.get(id).map(|(_, event)| Arc::clone(event)))
    }

    fn number(&self, id: &EventId) -> Result<Option<u64>, Infallible> {
        Ok(self.events.get(id).map(|(number, _)| *number))
    }

    fn has_numbers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use vestibule_state_res::resolve;

    use super::*;

    #[test]
    fn of_a_join_and_a_ban_the_ban_stays() {
        for version in [RoomVersion::V11, RoomVersion::V12] {
            let host = Arc::new(Peer::new(0).unwrap());
            let mut room = Room::with_members(&host, version, (1_000, 0)).unwrap();
            let forks = [room.fork(2, false).unwrap(), room.fork(2, true).unwrap()];
            let resolved = resolve(version, &forks, &room).unwrap();
            let place = |number| ("m.room.member".to_owned(), host.member(number));
            assert_eq!(resolved[&place(1)], forks[1][&place(1)], "{version}");
            assert_ne!(forks[0][&place(1)], forks[1][&place(1)]);
            assert_eq!(resolved[&place(2)], room.state[&place(2)]);
            assert_eq!(resolved.len(), 1_006);
        }
    }
}
