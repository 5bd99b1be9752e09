//! A database of the first format, which knew of no other servers in its rooms.

use serde_json::json;
use vestibule_storage::{
    SlotNo, StorageError,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        meta::FORMAT_VERSION,
        room::{ROOM_BY_SERVER, SERVER_BY_ROOM},
    },
};
use vestibule_testkit::server::{Blueprint, Network, TestServer};

use crate::town::{eventually, join};

/// Makes the database what it would be if a server of the first format had written it.
async fn set_back(server: &TestServer) {
    let write = server.running().rooms().store().write::<_, StorageError, _>(SlotNo(0), |tx| {
        SERVER_BY_ROOM.delete_prefix(tx, ())?;
        ROOM_BY_SERVER.delete_prefix(tx, ())?;
        JOINED_ROOM_BY_USER.delete_prefix(tx, ())?;
        FORMAT_VERSION.put(tx, (0_u8,), &1)
    });
    write.await.expect("written");
}

async fn problems(server: &TestServer) -> u64 {
    let checked = server.operator("GET", "/db/check", &json!(null)).await.ok();
    checked["problems_found"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_database_of_the_first_format_is_told_from_and_synced_from_as_before() {
    let network = Network::new();
    let a = Blueprint::default().on_disk().on(&network, "a.example").start().await;
    let b = Blueprint::default().on(&network, "b.example").start().await;
    let (alice, bob) = (a.register("alice").await, b.register("bob").await);
    let room = alice.create_room(&json!({ "preset": "public_chat" })).await;
    a.register("carol").await.join(&room).await.ok();
    join(&bob, &room, "a.example").await.ok();
    assert_eq!(problems(&a).await, 0);
    set_back(&a).await;
    assert!(problems(&a).await > 0, "the check sees what is missing");

    let a = a.restart().await;
    assert_eq!(problems(&a).await, 0);
    let (alice, carol) = (a.login("alice").await, a.login("carol").await);
    let since = carol.sync("").await["next_batch"].as_str().expect("a token").to_owned();
    let (said, told) = tokio::join!(alice.say(&room, "after"), carol.sync_for(&since, 10_000));
    assert!(told.to_string().contains(&said), "a waiting sync is woken: {told}");
    eventually("the other server is told", async || {
        bob.messages(&room).await.contains(&"after".to_owned()).then_some(())
    })
    .await;
    bob.say(&room, "heard").await;
    eventually("and tells back", async || {
        alice.messages(&room).await.contains(&"heard".to_owned()).then_some(())
    })
    .await;
}
