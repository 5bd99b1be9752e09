//! Guest links: a door of one room for so many guests.

use std::time::Duration;

use ruma::{OwnedRoomId, RoomId, user_id};
use vestibule_accounts::job::{LEAVE_ALL, LeaveAll};
use vestibule_policy::DenialKind;
use vestibule_rooms::{
    Administrator, AskError, GuestLink, GuestLinkError, MembershipError, NewGuestLink,
};
use vestibule_storage::{StorageError, tables::directory::GUEST_GRANT};
use vestibule_types::{Actor, Secret, limits::GUEST_LINK_USES_MAX};

use crate::support::{House, open_by_alias};

const HOUR_MS: u64 = 3_600_000;

fn operator() -> Administrator {
    Administrator::Operator(user_id!("@vestibule:home.test").to_owned())
}

async fn link(house: &House, room: &RoomId, uses: u32) -> (GuestLink, Secret) {
    let wanted = NewGuestLink { room_id: room.to_owned(), uses, life_ms: HOUR_MS };
    house.rooms.create_guest_link(&operator(), wanted).await.expect("a link")
}

async fn redeem(house: &House, who: &Actor, token: &Secret) -> Result<OwnedRoomId, GuestLinkError> {
    house.rooms.redeem_guest_link(who, token.expose()).await
}

fn refusal(refused: Result<(), MembershipError>) -> &'static str {
    match refused {
        Err(MembershipError::Ask(AskError::Denied(denial))) => denial.reason.code(),
        other => panic!("not a refusal of the policy: {other:?}"),
    }
}

async fn uses_left(house: &House) -> Vec<u32> {
    let links = house.rooms.guest_links().await.expect("read");
    links.into_iter().map(|link| link.uses_left).collect()
}

async fn grants(house: &House) -> usize {
    let rows = house.store.read::<_, StorageError, _>(|it| GUEST_GRANT.scan(it, (), 10));
    rows.await.expect("read").len()
}

#[tokio::test]
async fn a_link_opens_its_room_and_no_other_to_as_many_as_it_says() {
    for slots in [1, 3] {
        let house = House::new(&open_by_alias(), slots);
        let alice = house.account("alice", "moderator").await;
        let one = house.account("guest-aaaa", "guest").await;
        let two = house.account("guest-bbbb", "guest").await;
        let (room, other) = (house.open_room(&alice).await, house.open_room(&alice).await);
        let (_, token) = link(&house, &room, 1).await;
        assert_eq!(refusal(house.join(&one, &room).await), "out_of_scope");

        assert_eq!(redeem(&house, &one, &token).await.expect("good"), room);
        house.join(&one, &room).await.expect("the link opened it");
        house.say(&one, &room, "hello").await.expect("heard");
        assert_eq!(refusal(house.join(&one, &other).await), "out_of_scope");
        // Again takes no use, and there is none for anybody else.
        redeem(&house, &one, &token).await.expect("redeemed before");
        assert_eq!(uses_left(&house).await, [0]);
        assert!(matches!(redeem(&house, &two, &token).await, Err(GuestLinkError::UsedUp)));
        assert_eq!(refusal(house.join(&two, &room).await), "out_of_scope");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_redeem_the_last_use_at_once_one_gets_in() {
    for _ in 0..10 {
        let house = House::threaded(&open_by_alias());
        let alice = house.account("alice", "moderator").await;
        let one = house.account("guest-aaaa", "guest").await;
        let two = house.account("guest-bbbb", "guest").await;
        let room = house.open_room(&alice).await;
        let (_, token) = link(&house, &room, 1).await;
        let (first, second) =
            tokio::join!(redeem(&house, &one, &token), redeem(&house, &two, &token));
        assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
        assert_eq!((uses_left(&house).await, grants(&house).await), (vec![0], 1));
    }
}

#[tokio::test]
async fn a_second_link_counts_only_where_it_opens_the_room_for_longer() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    let (first, token) = link(&house, &room, 5).await;
    house.test.clock.advance(Duration::from_millis(HOUR_MS / 2));
    let (second, later) = link(&house, &room, 5).await;
    let left = async || {
        let links = house.rooms.guest_links().await.expect("read");
        let of = |id: &str| links.iter().find(|link| link.id == id).map(|link| link.uses_left);
        (of(&first.id), of(&second.id))
    };
    redeem(&house, &guest, &token).await.expect("good");
    redeem(&house, &guest, &later).await.expect("open for longer");
    assert_eq!(left().await, (Some(4), Some(4)));
    redeem(&house, &guest, &token).await.expect("open already");
    assert_eq!(left().await, (Some(4), Some(4)), "nothing was used up");
    house.join(&guest, &room).await.expect("open");
    house.test.clock.advance(Duration::from_millis(HOUR_MS * 3 / 4));
    house.say(&guest, &room, "still here").await.expect("the second link is good");
}

#[tokio::test]
async fn whoever_came_by_a_link_goes_when_it_has_expired() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let late = house.account("guest-bbbb", "guest").await;
    let room = house.open_room(&alice).await;
    let (_, token) = link(&house, &room, 5).await;
    redeem(&house, &guest, &token).await.expect("good");
    house.join(&guest, &room).await.expect("open");

    house.test.clock.advance(Duration::from_millis(HOUR_MS));
    assert!(matches!(redeem(&house, &late, &token).await, Err(GuestLinkError::Expired)));
    house.say(&guest, &room, "late").await.expect_err("the door is shut");
    // The link left its own job behind.
    house.run_jobs().await;
    house.test.clock.advance(Duration::from_hours(24));
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
    house.rooms.sweep_all().await.expect("swept");
    assert_eq!((uses_left(&house).await.len(), grants(&house).await), (0, 0));
    assert!(matches!(redeem(&house, &late, &token).await, Err(GuestLinkError::Unknown)));
}

#[tokio::test]
async fn whoever_came_by_a_link_is_put_out_when_it_is_revoked() {
    let house = House::new(
        &crate::support::policy(
            "[guests]\nenabled = true\nwhen_room_leaves_scope = { do = \"evict\" }\n\
             [aliases]\ncreate = \"moderator\"\n",
        ),
        1,
    );
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    let (made, token) = link(&house, &room, 5).await;
    let (kept, other) = link(&house, &room, 5).await;
    let by_other = house.account("guest-bbbb", "guest").await;
    redeem(&house, &guest, &token).await.expect("good");
    redeem(&house, &by_other, &other).await.expect("good");
    house.join(&guest, &room).await.expect("open");
    house.join(&by_other, &room).await.expect("open");

    house.rooms.revoke_guest_link(&operator(), &made.id).await.expect("revoked");
    house.say(&guest, &room, "still there?").await.expect_err("the door is shut");
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
    assert_eq!(house.membership(&room, &by_other).await.as_deref(), Some("join"));
    assert!(matches!(redeem(&house, &guest, &token).await, Err(GuestLinkError::Unknown)));
    let links = house.rooms.guest_links().await.expect("read");
    assert_eq!(links.into_iter().map(|link| link.id).collect::<Vec<_>>(), [kept.id]);
    let again = house.rooms.revoke_guest_link(&operator(), &made.id).await;
    assert!(matches!(again, Err(GuestLinkError::Unknown)), "{again:?}");
}

#[tokio::test]
async fn an_account_that_needs_no_door_takes_no_use() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    let (_, token) = link(&house, &room, 1).await;
    assert_eq!(redeem(&house, &bob, &token).await.expect("told the room"), room);
    assert_eq!((uses_left(&house).await, grants(&house).await), (vec![1], 0));
}

#[tokio::test]
async fn a_link_opens_no_room_on_a_never_list_and_none_that_admits_no_guests() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let (never, shut) = (house.open_room(&alice).await, house.open_room(&alice).await);
    let forbidden = serde_json::json!({ "guest_access": "forbidden" });
    house.set(&alice, &shut, ("m.room.guest_access", ""), forbidden).await.expect("set");
    house.swap(&format!(
        "[guests]\nenabled = true\nnever = [\"{never}\"]\n[aliases]\ncreate = \"moderator\"\n"
    ));
    for (room, reason) in [(&never, "room_never"), (&shut, "guest_access_missing")] {
        let (_, token) = link(&house, room, 1).await;
        match redeem(&house, &guest, &token).await {
            Err(GuestLinkError::Ask(AskError::Denied(denial))) => {
                assert_eq!(denial.reason.code(), reason);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(uses_left(&house).await, [1, 1], "a refusal takes no use");
}

#[tokio::test]
async fn what_a_link_opened_ends_with_the_guest() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let guest = house.account("guest-aaaa", "guest").await;
    let room = house.open_room(&alice).await;
    let (_, token) = link(&house, &room, 1).await;
    redeem(&house, &guest, &token).await.expect("good");
    assert_eq!(grants(&house).await, 1);
    let about = LeaveAll { user_id: guest.user_id().to_owned() };
    let payload = serde_json::to_vec(&about).expect("JSON");
    house.rooms.run_job(LEAVE_ALL, &payload).await.expect("done");
    assert_eq!(grants(&house).await, 0);
}

#[tokio::test]
async fn members_make_no_links_and_nobody_makes_boundless_ones() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    let wanted = |uses, life_ms| NewGuestLink { room_id: room.clone(), uses, life_ms };
    let refused =
        house.rooms.create_guest_link(&Administrator::Admin(bob), wanted(1, HOUR_MS)).await;
    assert!(matches!(refused, Err(GuestLinkError::Ask(AskError::Denied(_)))), "{refused:?}");
    for bad in [(0, HOUR_MS), (GUEST_LINK_USES_MAX + 1, HOUR_MS), (1, 0), (1, u64::MAX)] {
        let refused = house.rooms.create_guest_link(&operator(), wanted(bad.0, bad.1)).await;
        assert!(matches!(refused, Err(GuestLinkError::OutOfBounds)), "{refused:?}");
    }
    house
        .rooms
        .create_guest_link(&Administrator::Admin(alice), wanted(1, HOUR_MS))
        .await
        .expect("may");
}

#[tokio::test]
async fn links_cannot_be_tried_out_quickly() {
    let house = House::new(&open_by_alias(), 1);
    let guest = house.account("guest-aaaa", "guest").await;
    let wrong = Secret::new("vgl_wrong".to_owned());
    for _ in 0..10 {
        assert!(matches!(redeem(&house, &guest, &wrong).await, Err(GuestLinkError::Unknown)));
    }
    match redeem(&house, &guest, &wrong).await {
        Err(GuestLinkError::Ask(AskError::Denied(denial))) => {
            assert_eq!(denial.kind, DenialKind::LimitExceeded);
        }
        other => panic!("{other:?}"),
    }
}
