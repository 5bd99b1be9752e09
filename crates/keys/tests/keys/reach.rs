//! Whose keys a guest reaches: people with whom a room in its scope is shared, and itself.

use serde_json::json;
use vestibule_keys::UploadKeys;
use vestibule_policy::PolicyConfig;
use vestibule_rooms::{CreateRoom, InitialState, Preset};
use vestibule_types::ClassName;

use crate::{
    claims::claim,
    support::{House, Person, raw},
};

fn guests_by_alias() -> PolicyConfig {
    let text = r#"
        [guests]
        enabled = true
        [aliases]
        create = "moderator"
    "#;
    toml::from_str(text).expect("a policy")
}

async fn lobby(house: &House, owner: &Person) -> ruma::OwnedRoomId {
    let guests = InitialState {
        event_type: "m.room.guest_access".to_owned(),
        state_key: String::new(),
        content: serde_json::from_value(json!({ "guest_access": "can_join" })).expect("JSON"),
    };
    let command = CreateRoom {
        preset: Some(Preset::PublicChat),
        alias_localpart: Some("lobby".to_owned()),
        initial_state: vec![guests],
        ..CreateRoom::default()
    };
    house.rooms.create_room(&owner.actor, command).await.expect("created").room_id
}

#[tokio::test]
async fn a_guest_reaches_itself_and_whom_it_meets_in_a_room_that_is_open_to_it() {
    for slots in [1, 3] {
        let house = House::under(&guests_by_alias(), slots);
        let mona = house.person("mona", "DESK", ClassName::moderator()).await;
        let bob = house.member("bob", "PHONE").await;
        let guest = house.person("guest-aaaaaaaaaaaaaaaa", "VISIT", ClassName::guest()).await;
        for person in [&mona, &bob, &guest] {
            person.introduce(&house).await;
            person.leave_keys(&house, &["AA", "AB"]).await;
        }
        let seen = |who: Person| {
            let (house, targets) =
                (&house, [mona.user.clone(), bob.user.clone(), guest.user.clone()]);
            async move {
                let targets: Vec<&ruma::UserId> = targets.iter().map(AsRef::as_ref).collect();
                let shown = house.query(&who, &targets).await.keys;
                shown
                    .device_keys
                    .into_keys()
                    .map(|it| it.localpart().to_owned())
                    .collect::<Vec<_>>()
            }
        };
        assert_eq!(seen(guest.clone()).await, ["guest-aaaaaaaaaaaaaaaa"]);
        assert_eq!(claim(&house, &guest, &mona).await, None);
        assert_eq!(seen(bob.clone()).await.len(), 3, "members see everybody");

        let room = lobby(&house, &mona).await;
        house.join(&guest, &room).await;
        assert_eq!(seen(guest.clone()).await, ["guest-aaaaaaaaaaaaaaaa", "mona"]);
        assert!(claim(&house, &guest, &mona).await.is_some());
        assert_eq!(claim(&house, &guest, &bob).await, None);
        let noted = house.rooms.ledger().denials(10).await.unwrap();
        assert!(noted.iter().any(|denial| denial.user_id == guest.user.as_str()), "{noted:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_elsewhere_for_a_guest_that_shares_no_room_there() {
    let house = House::under(&guests_by_alias(), 1);
    let guest = house.person("guest-aaaaaaaaaaaaaaaa", "VISIT", ClassName::guest()).await;
    let zoe: ruma::OwnedUserId = "@zoe:far.test".try_into().unwrap();
    let shown = house.query(&guest, &[&zoe]).await;
    assert!(shown.keys.device_keys.is_empty() && shown.failures.is_empty());
    assert!(house.elsewhere.asked().is_empty(), "not even their server is contacted");
    let command = UploadKeys { device_keys: Some(raw(&guest.identity())), ..Default::default() };
    guest.upload(&house, command).await.unwrap();
}

#[tokio::test]
async fn many_strangers_in_one_question_are_one_refusal_and_the_thirty_first_is_too_many() {
    let house = House::under(&guests_by_alias(), 3);
    let guest = house.person("guest-aaaaaaaaaaaaaaaa", "VISIT", ClassName::guest()).await;
    let strangers: Vec<ruma::OwnedUserId> =
        (0..40).map(|n| format!("@u{n}:home.test").try_into().unwrap()).collect();
    let targets: Vec<&ruma::UserId> = strangers.iter().map(AsRef::as_ref).collect();
    house.query(&guest, &targets).await;
    let noted = house.rooms.ledger().denials(100).await.unwrap();
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert!(noted.first().unwrap().object.ends_with(" and 39 more"), "{noted:?}");
    for _ in 1..30 {
        house.query(&guest, &targets).await;
    }
    let device_keys = targets.iter().map(|user| ((*user).to_owned(), Vec::new())).collect();
    let command = vestibule_keys::QueryKeys { device_keys, timeout: None };
    let refused = house.keys.query_keys(&guest.actor, command).await.unwrap_err();
    let vestibule_keys::QueryKeysError::Denied(denial) = refused else { panic!("{refused}") };
    assert!(denial.retry_after_ms.is_some());
    assert_eq!(house.rooms.ledger().denials(100).await.unwrap().len(), 30, "it wrote nothing");
}

#[tokio::test]
async fn a_server_takes_keys_of_a_guest_only_where_they_share_a_room() {
    for slots in [1, 3] {
        let house = House::under(&guests_by_alias(), slots);
        let mona = house.person("mona", "DESK", ClassName::moderator()).await;
        let guest = house.person("guest-aaaaaaaaaaaaaaaa", "VISIT", ClassName::guest()).await;
        for person in [&mona, &guest] {
            person.introduce(&house).await;
            person.leave_keys(&house, &["AA", "AB"]).await;
        }
        let far = ruma::user_id!("@zoe:far.test");
        let taken = async || {
            let of = |who: &Person| {
                (who.user.clone(), [(who.device.clone(), "signed_curve25519".to_owned())].into())
            };
            let claims = [of(&mona), of(&guest)].into();
            let claimed = house.keys.claim_keys_for_server(far.server_name(), claims).await;
            claimed.unwrap().len()
        };
        assert_eq!(taken().await, 1, "mona's alone");
        let room = lobby(&house, &mona).await;
        house.join(&guest, &room).await;
        assert_eq!(taken().await, 1, "nobody of theirs is there");
        house.place(far, &room).await;
        mona.leave_keys(&house, &["AC"]).await;
        assert_eq!(taken().await, 2);
    }
}
