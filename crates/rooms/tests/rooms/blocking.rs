//! Rooms an operator blocked.

use ruma::user_id;
use vestibule_rooms::{Administrator, AskError, DirectoryError, Invite, MembershipError};

use crate::support::{House, open_by_alias};

fn operator() -> Administrator {
    Administrator::Operator(user_id!("@vestibule:home.test").to_owned())
}

fn reason(refused: Result<(), MembershipError>) -> &'static str {
    match refused {
        Err(MembershipError::Ask(AskError::Denied(denial))) => denial.reason.code(),
        other => panic!("not a refusal of the policy: {other:?}"),
    }
}

#[tokio::test]
async fn a_blocked_room_is_left_by_everybody_and_entered_by_nobody() {
    for slots in [1, 3] {
        let house = House::new(&open_by_alias(), slots);
        let alice = house.account("alice", "moderator").await;
        let bob = house.account("bob", "member").await;
        let carol = house.account("carol", "member").await;
        let room = house.open_room(&alice).await;
        house.join(&bob, &room).await.expect("public");
        let invite =
            Invite { room_id: room.clone(), user_id: carol.user_id().to_owned(), reason: None };
        house.rooms.invite(&alice, invite.clone()).await.expect("invited");

        house.rooms.block_room(&operator(), &room, true).await.expect("blocked");
        house.say(&bob, &room, "still here?").await.expect_err("blocked");
        assert_eq!(reason(house.join(&carol, &room).await), "room_blocked");
        assert_eq!(reason(house.rooms.invite(&alice, invite).await), "room_blocked");
        house.run_jobs().await;
        for who in [&alice, &bob, &carol] {
            assert_eq!(house.membership(&room, who).await.as_deref(), Some("leave"));
        }
    }
}

#[tokio::test]
async fn a_room_that_is_unblocked_at_once_is_left_by_nobody() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    let mona = Administrator::Admin(alice.clone());
    house.rooms.block_room(&mona, &room, true).await.expect("a moderator may");
    assert_eq!(reason(house.join(&bob, &room).await), "room_blocked");
    house.rooms.block_room(&mona, &room, false).await.expect("a moderator may");
    house.join(&bob, &room).await.expect("open again");
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &alice).await.as_deref(), Some("join"));

    let refused = house.rooms.block_room(&Administrator::Admin(bob), &room, true).await;
    assert!(matches!(refused, Err(DirectoryError::Ask(AskError::Denied(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_room_is_blocked_before_anybody_knows_of_it() {
    let house = House::new(&open_by_alias(), 1);
    let bob = house.account("bob", "member").await;
    let nowhere = ruma::room_id!("!nowhere:far.test");
    let refused = house.rooms.block_room(&Administrator::Admin(bob.clone()), nowhere, true).await;
    assert!(matches!(refused, Err(DirectoryError::Ask(AskError::Denied(_)))), "{refused:?}");
    assert!(!matches!(
        house.join(&bob, nowhere).await,
        Err(MembershipError::Ask(AskError::Denied(_)))
    ));
    house.rooms.block_room(&operator(), nowhere, true).await.expect("blocked");
    assert_eq!(reason(house.join(&bob, nowhere).await), "room_blocked");
    house.rooms.block_room(&operator(), nowhere, false).await.expect("open again");
    assert!(!matches!(
        house.join(&bob, nowhere).await,
        Err(MembershipError::Ask(AskError::Denied(_)))
    ));
}
