//! What a sync costs, in reads of the store.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use vestibule_rooms::ReceiptKind;
use vestibule_storage::{
    CommitMode, Durability, Engine, EngineOp, EngineSnapshot, InlineExecutor, MemoryEngine,
    ScanRange, StorageError, Store, StoreOptions, Visit,
};
use vestibule_sync::SyncRequest;
use vestibule_types::{Actor, limits::SYNC_NEWS_MAX};

use crate::{
    sliding::{Client, said},
    support::{Answer, House, LONG, bodies},
};

/// An engine in memory that counts the rows it is asked for.
struct Counting {
    engine: MemoryEngine,
    reads: Arc<AtomicU64>,
}

struct CountingSnapshot<'a> {
    snapshot: Box<dyn EngineSnapshot + 'a>,
    reads: &'a AtomicU64,
}

impl Engine for Counting {
    fn slots(&self) -> u16 {
        self.engine.slots()
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        let snapshot = self.engine.snapshot()?;
        Ok(Box::new(CountingSnapshot { snapshot, reads: &self.reads }))
    }

    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError> {
        self.engine.apply(ops, sync)
    }

    fn resume(&self) -> Result<(), StorageError> {
        self.engine.resume()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.engine.close()
    }
}

impl EngineSnapshot for CountingSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.snapshot.get(key)
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.reads.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.snapshot.multi_get(keys)
    }

    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.snapshot.scan(range, &mut |key, value| {
            self.reads.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        })
    }
}

fn store_counting(reads: &Arc<AtomicU64>) -> Store {
    let engine = Counting { engine: MemoryEngine::new(1), reads: Arc::clone(reads) };
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::new(InlineExecutor),
    };
    Store::open(engine, options).expect("a store")
}

pub(crate) fn counted() -> (House, Arc<AtomicU64>) {
    let reads = Arc::new(AtomicU64::new(0));
    (House::over(store_counting(&reads)), reads)
}

/// The reads of one sync, which must show this.
async fn reads_of(
    (house, reads): (&House, &AtomicU64),
    who: &Actor,
    since: &Answer,
    room: (&ruma::RoomId, &str),
) -> (u64, Answer) {
    let request = SyncRequest { timeout: LONG, ..since.then() };
    let before = reads.load(Ordering::Relaxed);
    let answer = house.sync(who, request).await;
    let cost = reads.load(Ordering::Relaxed) - before;
    assert_eq!(answer.rooms(), 1);
    assert_eq!(bodies(answer.joined(room.0)), [room.1]);
    (cost, answer)
}

#[tokio::test]
async fn one_change_costs_the_same_however_many_rooms_one_is_in() {
    let mut costs = Vec::new();
    for count in [3, 200] {
        let (house, reads) = counted();
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&bob).await;
        house.join(&alice, &room).await;
        for _ in 1..count {
            house.room(&alice).await;
        }
        let busy = house.room(&bob).await;
        let first = house.first(&alice).await;
        // The first sync that waits gets to know the rooms.
        house.say(&bob, &room, "one").await;
        let (_, last) = reads_of((&house, &reads), &alice, &first, (&room, "one")).await;
        house.say(&bob, &room, "two").await;
        let (quiet, last) = reads_of((&house, &reads), &alice, &last, (&room, "two")).await;
        for number in 0..=SYNC_NEWS_MAX {
            house.say(&bob, &busy, &number.to_string()).await;
            // Saying something waits for nobody here; the log is followed in between.
            tokio::task::yield_now().await;
        }
        house.say(&bob, &room, "three").await;
        let (amid_noise, _) = reads_of((&house, &reads), &alice, &last, (&room, "three")).await;
        costs.push((quiet, amid_noise));
    }
    assert_eq!(costs[0], costs[1], "few rooms and many");
    assert!(costs[0].0 <= 80, "{} reads for one message", costs[0].0);
}

#[tokio::test]
async fn lazy_clients_do_not_pay_for_members_they_are_not_shown() {
    let mut costs = Vec::new();
    for members in [2, 40] {
        let (house, reads) = counted();
        let alice = house.account("alice").await;
        let room = house.room(&alice).await;
        let named = serde_json::json!({ "name": "no heroes" });
        house.set(&alice, &room, ("m.room.name", ""), named).await;
        for number in 0..members {
            let member = house.account(&format!("m{number}")).await;
            house.join(&member, &room).await;
        }
        for _ in 0..12 {
            let said = house.say(&alice, &room, "talk").await;
            house.read(&alice, &room, &said, ReceiptKind::Public).await;
        }
        let filter = r#"{"room":{"state":{"lazy_load_members":true}}}"#.to_owned();
        let request = SyncRequest { filter: Some(filter), ..SyncRequest::default() };
        let before = reads.load(Ordering::Relaxed);
        house.sync(&alice, request).await;
        costs.push(reads.load(Ordering::Relaxed) - before);
    }
    assert_eq!(costs[0], costs[1], "few members and many");
}

#[tokio::test]
async fn one_change_on_a_connection_costs_the_same_however_many_rooms_are_in_its_window() {
    let mut costs = Vec::new();
    for count in [3, 200] {
        let (house, reads) = counted();
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&bob).await;
        house.join(&alice, &room).await;
        for _ in 1..count {
            house.room(&alice).await;
        }
        let mut client = Client::of_all(&alice, 1, &[("m.room.member", "$LAZY")]);
        client.body["lists"]["all"]["ranges"] = serde_json::json!([[0, 999]]);
        client.body["lists"]["all"]["filters"] = serde_json::json!({ "is_encrypted": false });
        client.next(&house).await;
        house.say(&bob, &room, "one").await;
        client.next(&house).await;
        house.say(&bob, &room, "two").await;
        let before = reads.load(Ordering::Relaxed);
        let answer = client.next(&house).await;
        costs.push(reads.load(Ordering::Relaxed) - before);
        assert_eq!(said(&answer["rooms"][room.as_str()]), ["two"]);
    }
    assert_eq!(costs[0], costs[1], "few rooms and many");
    assert!(costs[0] <= 100, "{} reads for one message", costs[0]);
}

#[tokio::test]
async fn presence_costs_the_same_however_many_share_a_room() {
    let mut costs = Vec::new();
    for members in [2, 40] {
        let reads = Arc::new(AtomicU64::new(0));
        let house = House::keeping_presence(store_counting(&reads));
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&alice).await;
        house.join(&bob, &room).await;
        for number in 0..members {
            let member = house.account(&format!("m{number}")).await;
            house.join(&member, &room).await;
        }
        let first = house.first(&alice).await;
        house.first(&bob).await;
        let before = reads.load(Ordering::Relaxed);
        let answer = house.next(&alice, &first).await;
        costs.push(reads.load(Ordering::Relaxed) - before);
        assert_eq!(answer.0["presence"]["events"][0]["sender"], "@bob:home.test");
    }
    assert_eq!(costs[0], costs[1], "few members and many");
    assert!(costs[0] <= 40, "{} reads for one presence", costs[0]);
}
