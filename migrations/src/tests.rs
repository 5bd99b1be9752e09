use std::{collections::BTreeMap, sync::Arc};

use ruma::{OwnedEventId, OwnedServerName, OwnedUserId, server_name};
use vestibule_storage::{
    CommitMode, Durability, InlineExecutor, MemoryEngine, Stamp, StorageError, StoreOptions,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        meta::StoredServer,
        relation::{AGGREGATED, RELATION_BY_SENDER, RELATION_BY_TYPE, StoredAggregated},
        room::{
            EVENT_BY_NO, MEMBER_BY_ROOM, RELATION_BY_PARENT, ROOM_BY_SERVER, SERVER_BY_ROOM,
            StoredEvent, StoredEventNo, StoredMembership, StoredRelation,
        },
    },
};
use vestibule_types::{EventNo, RoomNo};

use super::*;

fn store(engine: &MemoryEngine) -> Store {
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::new(InlineExecutor),
    };
    Store::open(engine.clone(), options).unwrap()
}

async fn put_format(store: &Store, format: u64) {
    store.write(SlotNo(0), move |tx| FORMAT_VERSION.put(tx, (0_u8,), &format)).await.unwrap();
}

async fn server_of(store: &Store) -> Option<StoredServer> {
    store.read::<_, StorageError, _>(|snapshot| SERVER.get(snapshot, (0_u8,))).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_becomes_this_servers_and_stays_as_it_is() {
    let store = store(&MemoryEngine::new(1));
    let name = server_name!("example.org");
    assert_eq!(run(&store, name, 7).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(run(&store, name, 8).await.unwrap(), [0_u64; 0]);
    let server = server_of(&store).await.unwrap();
    assert_eq!(server, StoredServer { name: name.to_owned(), created_at: 7 });
}

#[tokio::test]
async fn another_server_name_is_refused() {
    let store = store(&MemoryEngine::new(1));
    run(&store, server_name!("example.org"), 7).await.unwrap();
    let error = run(&store, server_name!("example.com"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::OtherServer { .. }));
    assert!(error.to_string().contains("`example.org`"), "{error}");
    assert!(error.to_string().contains("`[server] name`"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let store = store(&MemoryEngine::new(1));
    put_format(&store, newest_format() + 1).await;
    let error = run(&store, server_name!("example.org"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::UnknownFormat { found: 5, newest: 4 }), "{error}");
    assert_eq!(server_of(&store).await, None);
}

#[tokio::test]
async fn a_database_with_rows_but_without_a_format_is_refused() {
    let store = store(&MemoryEngine::new(1));
    store
        .write(SlotNo(0), |tx| {
            SERVER.put(
                tx,
                (0_u8,),
                &StoredServer { name: server_name!("example.org").to_owned(), created_at: 1 },
            )
        })
        .await
        .map_err(|error: StorageError| error)
        .unwrap();
    let error = run(&store, server_name!("example.org"), 7).await.unwrap_err();
    assert!(matches!(error, MigrationError::NotOurs), "{error}");
}

#[tokio::test]
async fn an_interrupted_step_goes_on_where_it_stopped() {
    static COUNTS_TO_THREE: Step = Step {
        number: 1,
        name: "counts_to_three",
        run: |_, _, from| match from {
            None => Ok(Progress::More(vec![1])),
            Some([3]) => Ok(Progress::Done),
            Some(from) => Ok(Progress::More(vec![from[0] + 1])),
        },
    };
    let engine = MemoryEngine::new(1);
    let context = || Context::new(server_name!("example.org"), 7);
    for through in [false, false] {
        assert_eq!(advance(&store(&engine), &COUNTS_TO_THREE, context()).await.unwrap(), through);
    }
    // The server dies here; the next one finds the cursor at two.
    let store = store(&engine);
    assert!(!advance(&store, &COUNTS_TO_THREE, context()).await.unwrap());
    assert!(advance(&store, &COUNTS_TO_THREE, context()).await.unwrap());
    assert_eq!(run(&store, server_name!("example.org"), 7).await.unwrap(), [2, 3, 4]);
}

#[test]
fn steps_are_numbered_without_gaps_and_named_after_their_files() {
    for (step, number) in STEPS.iter().zip(1..) {
        assert_eq!(step.number, number);
        assert!(step.name.starts_with(&format!("m{number:04}_")), "{}", step.name);
    }
}

/// The rows of the three indexes.
#[derive(Debug, PartialEq)]
struct Indexes {
    servers: BTreeMap<(RoomNo, OwnedServerName), u64>,
    rooms: Vec<(OwnedServerName, RoomNo)>,
    joined: Vec<(OwnedUserId, RoomNo)>,
}

async fn indexes_of(store: &Store) -> Indexes {
    let read = store.read::<_, StorageError, _>(|snapshot| {
        let all = usize::MAX;
        Ok(Indexes {
            servers: SERVER_BY_ROOM.scan(snapshot, (), all)?.into_iter().collect(),
            rooms: keys(ROOM_BY_SERVER.scan(snapshot, (), all)?),
            joined: keys(JOINED_ROOM_BY_USER.scan(snapshot, (), all)?),
        })
    });
    read.await.unwrap()
}

fn keys<K>(rows: Vec<(K, ())>) -> Vec<K> {
    rows.into_iter().map(|(key, ())| key).collect()
}

fn user(number: usize) -> OwnedUserId {
    OwnedUserId::try_from(format!("@u{number}:s{}.example", number % 3)).unwrap()
}

/// A database of the first format, with rows that a later server began to write.
async fn first_format(store: &Store, members: usize) {
    run(store, server_name!("s0.example"), 7).await.unwrap();
    let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
        FORMAT_VERSION.put(tx, (0_u8,), &1)?;
        let joined = StoredMembership::Join.key();
        for number in 0..members {
            let event = StoredEventNo(EventNo(1));
            MEMBER_BY_ROOM.put(tx, (RoomNo(1), joined, &user(number)), &event)?;
            let left = StoredMembership::Leave.key();
            MEMBER_BY_ROOM.put(tx, (RoomNo(2), left, &user(number)), &event)?;
        }
        MEMBER_BY_ROOM.put(tx, (RoomNo(2), joined, &user(0)), &StoredEventNo(EventNo(1)))?;
        SERVER_BY_ROOM.put(tx, (RoomNo(1), server_name!("s1.example")), &1)?;
        ROOM_BY_SERVER.put(tx, (server_name!("gone.example"), RoomNo(9)), &())?;
        JOINED_ROOM_BY_USER.put(tx, (&user(0), RoomNo(9)), &())
    });
    write.await.unwrap();
}

#[tokio::test]
async fn the_second_step_indexes_everybody_who_is_joined_and_nobody_else() {
    let store = store(&MemoryEngine::new(1));
    // More than one transaction takes.
    first_format(&store, 2_500).await;
    assert_eq!(run(&store, server_name!("s0.example"), 8).await.unwrap(), [2, 3, 4]);
    let found = indexes_of(&store).await;
    let server = |number| OwnedServerName::try_from(format!("s{number}.example")).unwrap();
    assert_eq!(
        found.servers,
        BTreeMap::from([
            ((RoomNo(1), server(0)), 834),
            ((RoomNo(1), server(1)), 833),
            ((RoomNo(1), server(2)), 833),
            ((RoomNo(2), server(0)), 1),
        ])
    );
    let rooms = [(0, 1), (0, 2), (1, 1), (2, 1)].map(|(it, room)| (server(it), RoomNo(room)));
    assert_eq!(found.rooms, rooms);
    assert_eq!(found.joined.len(), 2_501);
    assert!(!found.joined.contains(&(user(0), RoomNo(9))));
}

#[tokio::test]
async fn the_second_step_counts_nobody_twice_when_it_is_interrupted() {
    let (engine, context) = (MemoryEngine::new(1), || Context::new(server_name!("s0.example"), 7));
    let step = &STEPS[1];
    first_format(&store(&engine), 2_500).await;
    for _ in 0..4 {
        assert!(!advance(&store(&engine), step, context()).await.unwrap());
    }
    run(&store(&engine), server_name!("s0.example"), 8).await.unwrap();
    let interrupted = indexes_of(&store(&engine)).await;
    let whole = store(&MemoryEngine::new(1));
    first_format(&whole, 2_500).await;
    run(&whole, server_name!("s0.example"), 8).await.unwrap();
    assert_eq!(interrupted, indexes_of(&whole).await);
}

const KINDS: [&str; 5] =
    ["m.annotation", "m.replace", "m.thread", "m.reference", "org.example.tea"];

fn parent(number: usize) -> OwnedEventId {
    OwnedEventId::try_from(format!("$p{:04}", number / 7)).unwrap()
}

/// The rows of relations.
#[derive(Debug, Default, PartialEq)]
struct Relations {
    by_type: BTreeMap<(RoomNo, OwnedEventId, String, Stamp), StoredEventNo>,
    aggregated: BTreeMap<(RoomNo, OwnedEventId), StoredAggregated>,
}

async fn relations_of(store: &Store) -> Relations {
    let read = store.read::<_, StorageError, _>(|snapshot| {
        let all = usize::MAX;
        Ok(Relations {
            by_type: RELATION_BY_TYPE.scan(snapshot, (), all)?.into_iter().collect(),
            aggregated: AGGREGATED.scan(snapshot, (), all)?.into_iter().collect(),
        })
    });
    read.await.unwrap()
}

/// A database of the second format with relations in two rooms, the last of which a later server
/// stored with all its rows. Answers with what is to be there in the end.
async fn second_format(store: &Store, relations: usize) -> Relations {
    run(store, server_name!("s0.example"), 7).await.unwrap();
    let mut wanted = Relations::default();
    for number in 0..relations {
        let room = RoomNo(1 + number as u64 % 2);
        let (parent, kind) = (parent(number), KINDS[number % KINDS.len()]);
        let event = EventNo(1_000_000 + number as u64);
        let row = StoredRelation { rel_type: kind.to_owned(), event };
        let later = number + 1 == relations;
        let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
            FORMAT_VERSION.put(tx, (0_u8,), &2)?;
            let stamp = tx.next_stamp();
            RELATION_BY_PARENT.put(tx, (room, &parent, stamp), &row)?;
            if later {
                let place = (room, &parent, &row.rel_type, stamp);
                RELATION_BY_TYPE.put(tx, place, &StoredEventNo(row.event))?;
            }
            Ok(())
        });
        write.await.unwrap();
    }
    let rows =
        store.read::<_, StorageError, _>(|read| RELATION_BY_PARENT.scan(read, (), usize::MAX));
    for ((room, parent, stamp), row) in rows.await.unwrap() {
        let place = (room, parent.clone(), row.rel_type.clone(), stamp);
        wanted.by_type.insert(place, StoredEventNo(row.event));
        let is = |kind: &str| row.rel_type == kind;
        if is("m.thread") || is("m.replace") || is("m.reference") {
            let kinds = wanted.aggregated.entry((room, parent)).or_default();
            kinds.thread |= is("m.thread");
            kinds.replaced |= is("m.replace");
            kinds.referenced |= is("m.reference");
        }
    }
    assert_eq!(wanted.by_type.len(), relations);
    wanted
}

#[tokio::test]
async fn the_third_step_finds_every_relation_by_its_type() {
    let store = store(&MemoryEngine::new(1));
    let wanted = second_format(&store, 2_503).await;
    assert_eq!(relations_of(&store).await.by_type.len(), 1);
    assert_eq!(run(&store, server_name!("s0.example"), 8).await.unwrap(), [3, 4]);
    assert_eq!(relations_of(&store).await, wanted);
}

#[tokio::test]
async fn the_third_step_ends_alike_when_it_is_interrupted_and_on_a_full_last_page() {
    for relations in [0, 1, 2_000, 2_503] {
        let engine = MemoryEngine::new(1);
        let wanted = second_format(&store(&engine), relations).await;
        // Every transaction is the last one before the server dies.
        let mut transactions = 1;
        let context = || Context::new(server_name!("s0.example"), 8);
        while !advance(&store(&engine), &STEPS[2], context()).await.unwrap() {
            transactions += 1;
        }
        assert_eq!(transactions, relations / 1_000 + 1);
        assert_eq!(relations_of(&store(&engine)).await, wanted);
    }
}

/// Relations of the third format: room, parent, type, sender, when.
type BySender = BTreeMap<(RoomNo, OwnedEventId, String, OwnedUserId, Stamp), StoredEventNo>;

/// A database of the third format with relations in two rooms and the events that make them, the last of
/// which a later server stored with all its rows. Answers with what is to be there in the end.
async fn third_format(store: &Store, relations: usize) -> BySender {
    run(store, server_name!("s0.example"), 7).await.unwrap();
    let mut wanted = BySender::new();
    for number in 0..relations {
        let room = RoomNo(1 + number as u64 % 2);
        let (parent, kind) = (parent(number), KINDS[number % KINDS.len()].to_owned());
        let (no, sender) = (EventNo(1_000_000 + number as u64), user(number % 9));
        let event = StoredEvent {
            event_id: OwnedEventId::try_from(format!("$e{number}")).unwrap(),
            auth: Vec::new(),
            rejected: false,
            json: format!(r#"{{"content":{{}},"sender":"{sender}"}}"#).into_bytes().into(),
        };
        let later = number + 1 == relations;
        let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
            FORMAT_VERSION.put(tx, (0_u8,), &3)?;
            let stamp = tx.next_stamp();
            EVENT_BY_NO.put(tx, (room, no), &event)?;
            RELATION_BY_TYPE.put(tx, (room, &parent, &kind, stamp), &StoredEventNo(no))?;
            if later {
                let place = (room, &parent, &kind, &sender, stamp);
                RELATION_BY_SENDER.put(tx, place, &StoredEventNo(no))?;
            }
            Ok(())
        });
        write.await.unwrap();
    }
    let rows = store.read::<_, StorageError, _>(|read| RELATION_BY_TYPE.scan(read, (), usize::MAX));
    for ((room, parent, kind, stamp), row) in rows.await.unwrap() {
        let sender = user(usize::try_from((row.0.0 - 1_000_000) % 9).unwrap());
        wanted.insert((room, parent, kind, sender, stamp), row);
    }
    assert_eq!(wanted.len(), relations);
    wanted
}

#[tokio::test]
async fn the_fourth_step_finds_who_sent_every_relation_and_ends_alike_when_it_is_interrupted() {
    for relations in [0, 1, 2_000, 2_503] {
        let engine = MemoryEngine::new(1);
        let wanted = third_format(&store(&engine), relations).await;
        // Every transaction is the last one before the server dies.
        let mut transactions = 1;
        let context = || Context::new(server_name!("s0.example"), 8);
        while !advance(&store(&engine), &STEPS[3], context()).await.unwrap() {
            transactions += 1;
        }
        assert_eq!(transactions, relations / 1_000 + 1);
        let store = store(&engine);
        let rows =
            store.read::<_, StorageError, _>(|read| RELATION_BY_SENDER.scan(read, (), usize::MAX));
        assert_eq!(rows.await.unwrap().into_iter().collect::<BySender>(), wanted);
    }
}
