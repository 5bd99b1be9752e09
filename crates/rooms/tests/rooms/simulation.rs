//! One seed, one trace: nothing in a service reads a clock, draws randomness or runs a thread that
//! was not handed in.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    ops::ControlFlow,
};

use serde_json::json;
use vestibule_storage::{Read, ScanRange, StorageError};
use vestibule_testkit::SeededRandom;

use crate::support::{House, open_by_alias};

/// Everything that is stored after a history that the seed determines, as one number.
async fn trace(seed: u64, slots: u16) -> u64 {
    let house = House::new(&open_by_alias(), slots);
    let random = SeededRandom::new(seed);
    let alice = house.account("alice", "moderator").await;
    let people = [
        house.account("bob", "member").await,
        house.account("carol", "member").await,
        house.account("guest-a", "guest").await,
    ];
    let mut rooms = vec![house.open_room(&alice).await];
    for step in 0..60 {
        house.test.clock.advance(std::time::Duration::from_secs(random.below(90)));
        let who = &people[usize::try_from(random.below(3)).expect("small")];
        let room = rooms[usize::try_from(random.below(rooms.len() as u64)).expect("small")].clone();
        match random.below(7) {
            0 => rooms.push(house.open_room(&alice).await),
            1 => drop(house.alias(&alice, &format!("n{step}"), &room).await),
            2 | 3 => drop(house.join(who, &room).await),
            4 => {
                let access = if random.below(2) == 0 { "can_join" } else { "forbidden" };
                let value = json!({ "guest_access": access });
                drop(house.set(&alice, &room, ("m.room.guest_access", ""), value).await);
            }
            _ => drop(house.say(who, &room, &format!("{step}")).await),
        }
        house.run_jobs().await;
    }
    let hashed = house.store.read::<_, StorageError, _>(|snapshot| {
        let mut hasher = DefaultHasher::new();
        snapshot.scan_bytes(&ScanRange::prefix(Vec::new()), &mut |key, value| {
            (key, value).hash(&mut hasher);
            ControlFlow::Continue(())
        })?;
        Ok(hasher.finish())
    });
    hashed.await.expect("read")
}

#[tokio::test]
async fn the_same_seed_gives_the_same_trace() {
    for slots in [1, 3] {
        assert_eq!(trace(11, slots).await, trace(11, slots).await);
        assert_ne!(trace(11, slots).await, trace(12, slots).await);
    }
}
