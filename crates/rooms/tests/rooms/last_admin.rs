//! The last one who can change a room's power levels is told before the room is left without any.

use serde_json::json;
use vestibule_rooms::{GuardNote, Leave, MembershipError, UnmanagedRoom};

use crate::support::{House, policy};

fn house(guard: &str) -> House {
    House::new(&policy(&format!("[rooms]\nlast_admin_guard = \"{guard}\"\n")), 1)
}

async fn leave(
    house: &House,
    who: &vestibule_types::Actor,
    room: &ruma::RoomId,
) -> Result<GuardNote, MembershipError> {
    house.rooms.leave(who, Leave { room_id: room.to_owned(), reason: None }).await
}

#[tokio::test]
async fn leaving_as_the_last_admin_is_refused_once_and_then_goes_through() {
    let house = house("refuse_once");
    let alice = house.account("alice", "member").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    house.join(&bob, &room).await.expect("public");

    assert!(matches!(leave(&house, &alice, &room).await, Err(MembershipError::LastAdmin)));
    assert_eq!(house.membership(&room, &alice).await.as_deref(), Some("join"));
    assert_eq!(house.rooms.unmanaged_rooms().await.expect("listed"), []);
    assert!(matches!(leave(&house, &alice, &room).await, Ok(GuardNote::NobodyLeft)));
    assert_eq!(house.membership(&room, &alice).await.as_deref(), Some("leave"));
    let unmanaged = UnmanagedRoom { room_id: room, aliases: Vec::new(), joined: 1 };
    assert_eq!(house.rooms.unmanaged_rooms().await.expect("listed"), [unmanaged]);
}

#[tokio::test]
async fn a_refusal_is_forgotten_after_ten_minutes() {
    let house = house("refuse_once");
    let alice = house.account("alice", "member").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    house.join(&bob, &room).await.expect("public");
    leave(&house, &alice, &room).await.expect_err("refused once");
    house.test.clock.advance(std::time::Duration::from_secs(601));
    assert!(matches!(leave(&house, &alice, &room).await, Err(MembershipError::LastAdmin)));
}

#[tokio::test]
async fn whoever_leaves_an_empty_room_or_another_admin_behind_is_not_bothered() {
    let house = house("refuse_once");
    let alice = house.account("alice", "member").await;
    let bob = house.account("bob", "member").await;
    let alone = house.open_room(&alice).await;
    assert!(matches!(leave(&house, &alice, &alone).await, Ok(GuardNote::None)));

    let shared = house.open_room(&alice).await;
    house.join(&bob, &shared).await.expect("public");
    let levels = json!({ "users": { "@bob:home.test": 100 } });
    house.set(&alice, &shared, ("m.room.power_levels", ""), levels).await.expect("set");
    assert!(matches!(leave(&house, &alice, &shared).await, Ok(GuardNote::None)));
    // Bob is a member like any other to the guard once he alone is left with the power.
    assert!(matches!(leave(&house, &bob, &shared).await, Ok(GuardNote::None)));
}

#[tokio::test]
async fn a_warning_does_not_stop_anybody() {
    let house = house("warn");
    let alice = house.account("alice", "member").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    house.join(&bob, &room).await.expect("public");
    assert!(matches!(leave(&house, &alice, &room).await, Ok(GuardNote::NobodyLeft)));
}
