//! What people say of themselves.

use serde_json::{Value, json};
use vestibule_types::limits;

use super::*;
use crate::{LookUpProfileError, ProfileForServerError, SetProfileField, SetProfileFieldError};

pub(crate) async fn set(
    house: &House,
    actor: &Actor,
    field: &str,
    value: impl Into<Value>,
) -> Result<(), SetProfileFieldError> {
    put(house, actor, field, Some(value.into())).await
}

async fn put(
    house: &House,
    actor: &Actor,
    field: &str,
    value: Option<Value>,
) -> Result<(), SetProfileFieldError> {
    let command = SetProfileField {
        user_id: actor.user_id().to_owned(),
        field: field.to_owned(),
        value,
        peer: Some(PEER),
    };
    house.accounts.set_profile_field(actor, command).await
}

async fn shown(house: &House, actor: &Actor) -> Value {
    json!(house.accounts.profile(Some(actor), actor.user_id(), None).await.unwrap())
}

#[tokio::test]
async fn fields_are_set_shown_and_removed() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let actor = house.person("alice").await;
        assert_eq!(shown(&house, &actor).await, json!({}));
        set(&house, &actor, "displayname", "Ada").await.unwrap();
        set(&house, &actor, "avatar_url", "mxc://a.example/a").await.unwrap();
        set(&house, &actor, "m.tz", "Europe/London").await.unwrap();
        set(&house, &actor, "org.example.null", Value::Null).await.unwrap();
        let whole = json!({
            "displayname": "Ada",
            "avatar_url": "mxc://a.example/a",
            "m.tz": "Europe/London",
            "org.example.null": null,
        });
        assert_eq!(shown(&house, &actor).await, whole);
        put(&house, &actor, "m.tz", None).await.unwrap();
        put(&house, &actor, "org.example.null", None).await.unwrap();
        put(&house, &actor, "org.example.never", None).await.unwrap();
        set(&house, &actor, "displayname", "").await.unwrap();
        set(&house, &actor, "avatar_url", Value::Null).await.unwrap();
        assert_eq!(shown(&house, &actor).await, json!({}));
    }
}

#[tokio::test]
async fn only_a_changed_name_or_avatar_is_carried_into_rooms() {
    let house = house();
    let actor = house.person("alice").await;
    set(&house, &actor, "m.tz", "Europe/London").await.unwrap();
    assert!(house.jobs().await.is_empty());
    set(&house, &actor, "displayname", "Ada").await.unwrap();
    set(&house, &actor, "displayname", "Ada").await.unwrap();
    set(&house, &actor, "avatar_url", "mxc://a.example/a").await.unwrap();
    assert_eq!(house.jobs().await, ["profile_fan_out"; 2]);
}

#[tokio::test]
async fn names_and_sizes_of_fields_are_bounded() {
    let house = house();
    let actor = house.person("alice").await;
    for bad in ["", "Upper", "sp ace", "9digit", "_x", "é"] {
        let refused = set(&house, &actor, bad, 1).await;
        assert!(matches!(refused, Err(SetProfileFieldError::Field)), "{bad}: {refused:?}");
    }
    set(&house, &actor, &"k".repeat(limits::PROFILE_KEY_BYTES_MAX), 1).await.unwrap();
    let refused = set(&house, &actor, &"k".repeat(limits::PROFILE_KEY_BYTES_MAX + 1), 1).await;
    assert!(matches!(refused, Err(SetProfileFieldError::KeyTooLong)));
    for bad in [json!(1), json!({}), json!("x".repeat(limits::DISPLAYNAME_BYTES_MAX + 1))] {
        let refused = set(&house, &actor, "displayname", bad).await;
        assert!(matches!(refused, Err(SetProfileFieldError::Value)));
    }
}

#[tokio::test]
async fn the_whole_profile_is_bounded_not_its_fields() {
    let house = house();
    let actor = house.person("alice").await;
    let half = "x".repeat(limits::PROFILE_BYTES_MAX / 2);
    set(&house, &actor, "org.example.a", half.as_str()).await.unwrap();
    let refused = set(&house, &actor, "org.example.b", half.as_str()).await;
    assert!(matches!(refused, Err(SetProfileFieldError::TooLarge)));
    set(&house, &actor, "org.example.a", "small").await.unwrap();
    set(&house, &actor, "org.example.b", half.as_str()).await.unwrap();
    let whole = shown(&house, &actor).await.to_string().len();
    let most = limits::PROFILE_BYTES_MAX - whole - r#","org.example.c":"""#.len();
    set(&house, &actor, "org.example.c", "y".repeat(most)).await.unwrap();
    assert_eq!(shown(&house, &actor).await.to_string().len(), limits::PROFILE_BYTES_MAX);
    let refused = set(&house, &actor, "org.example.c", "y".repeat(most + 1)).await;
    assert!(matches!(refused, Err(SetProfileFieldError::TooLarge)));
}

#[tokio::test]
async fn somebody_elses_profile_is_not_changed_and_an_unknown_one_not_shown() {
    let house = house();
    let actor = house.person("alice").await;
    let bob = house.person("bob").await;
    let command = SetProfileField {
        user_id: bob.user_id().to_owned(),
        field: "displayname".to_owned(),
        value: Some(json!("Bob")),
        peer: None,
    };
    let refused = house.accounts.set_profile_field(&actor, command).await;
    assert!(matches!(refused, Err(SetProfileFieldError::NotOwn)));
    house.accounts.profile(Some(&actor), bob.user_id(), None).await.unwrap();
    let nobody = ruma::user_id!("@nobody:a.example");
    let refused = house.accounts.profile(Some(&actor), nobody, None).await;
    assert!(matches!(refused, Err(LookUpProfileError::UnknownUser)));
}

#[tokio::test]
async fn whoever_is_gone_and_left_no_field_has_no_profile() {
    let house = house();
    let actor = house.person("alice").await;
    let bob = house.person("bob").await;
    let look_up = async || house.accounts.profile(Some(&actor), bob.user_id(), None).await;
    assert!(look_up().await.unwrap().is_empty(), "who has just come may have none either");
    set(&house, &bob, "displayname", "Bob").await.unwrap();
    house.accounts.deactivate_account(bob.user_id(), false).await.unwrap();
    assert_eq!(look_up().await.unwrap()["displayname"], json!("Bob"));
    house.accounts.deactivate_account(bob.user_id(), true).await.unwrap();
    assert!(matches!(look_up().await, Err(LookUpProfileError::UnknownUser)));
    let server = ruma::server_name!("b.example");
    let elsewhere = house.accounts.profile_for_server(server, bob.user_id(), None).await;
    assert!(matches!(elsewhere, Err(ProfileForServerError::UnknownUser)));
}

#[tokio::test]
async fn a_guest_sees_only_those_it_shares_a_room_with() {
    let house = house();
    let guest = house.guest().await;
    let actor = house.actor(&guest.session.unwrap()).await;
    let alice = house.create("alice", "member").await;
    let bob = house.create("bob", "member").await;
    let refused = house.accounts.profile(Some(&actor), &bob, None).await;
    assert!(matches!(refused, Err(LookUpProfileError::Denied(_))), "unknown counts as no");
    house.accounts.set_acquaintance(Arc::new(Known { to: "bob", near: "", joined: true }));
    house.accounts.profile(Some(&actor), &bob, None).await.unwrap();
    house.accounts.profile(Some(&actor), actor.user_id(), None).await.unwrap();
    let refused = house.accounts.profile(Some(&actor), &alice, None).await;
    assert!(matches!(refused, Err(LookUpProfileError::Denied(_))));
}

#[tokio::test]
async fn a_server_sees_guests_only_where_it_is_in_a_room_with_them() {
    let house = house();
    house.accounts.set_acquaintance(Arc::new(Known { to: "", near: "near.example", joined: true }));
    let guest = house.guest().await;
    let actor = house.actor(&guest.session.unwrap()).await;
    set(&house, &actor, "displayname", "Visitor").await.unwrap();
    let guest = actor.user_id().to_owned();
    let alice = house.create("alice", "member").await;
    let (near, far) = (server_name!("near.example"), server_name!("far.example"));
    let asked = house.accounts.profile_for_server(far, &guest, None).await;
    assert!(matches!(asked, Err(ProfileForServerError::Hidden)), "{asked:?}");
    house.accounts.profile_for_server(near, &guest, None).await.unwrap();
    house.accounts.profile_for_server(far, &alice, None).await.unwrap();
    let nobody = ruma::user_id!("@nobody:a.example");
    let asked = house.accounts.profile_for_server(near, nobody, None).await;
    assert!(matches!(asked, Err(ProfileForServerError::UnknownUser)), "{asked:?}");
    let foreign = ruma::user_id!("@alice:near.example");
    let asked = house.accounts.profile_for_server(near, foreign, None).await;
    assert!(matches!(asked, Err(ProfileForServerError::Foreign)), "{asked:?}");
}

#[tokio::test]
async fn whoever_dropped_the_token_sees_no_guests_and_nobody_where_the_policy_says_so() {
    let nobody = ruma::user_id!("@nobody:a.example");
    let closed = |policy: &mut PolicyConfig| policy.users.profiles_without_login = false;
    let house = house_with(1, closed, |_| {});
    let guest = house.guest().await;
    let alice = house.create("alice", "member").await;
    for target in [&*alice, &*guest.user_id, nobody] {
        let refused = house.accounts.profile(None, target, None).await;
        let Err(LookUpProfileError::Denied(denial)) = refused else { panic!("{refused:?}") };
        assert_eq!(denial.reason, vestibule_policy::Reason::NoSharedRoom);
        assert_eq!(denial.kind, vestibule_policy::DenialKind::Forbidden);
    }
    // Members see each other, and guests where they meet.
    let bob = house.person("bob").await;
    house.accounts.profile(Some(&bob), &alice, None).await.unwrap();
    let refused = house.accounts.profile(Some(&bob), &guest.user_id, None).await;
    assert!(matches!(refused, Err(LookUpProfileError::Denied(_))), "{refused:?}");

    let house = self::house();
    let guest = house.guest().await;
    let alice = house.create("alice", "member").await;
    house.accounts.profile(None, &alice, None).await.unwrap();
    for hidden in [&*guest.user_id, nobody] {
        let refused = house.accounts.profile(None, hidden, None).await;
        assert!(matches!(refused, Err(LookUpProfileError::UnknownUser)), "{refused:?}");
    }
    let far = server_name!("far.example");
    let asked = house.accounts.profile_for_server(far, &guest.user_id, None).await;
    assert!(matches!(asked, Err(ProfileForServerError::Hidden)), "{asked:?}");
}

#[tokio::test]
async fn a_permit_of_an_earlier_policy_changes_nothing() {
    use vestibule_storage::tables::policy::POLICY_EPOCH;

    let house = house();
    let actor = house.person("alice").await;
    let slot = house.store.slot_of_user(actor.user_id());
    let raised = house.store.write(slot, |tx| POLICY_EPOCH.put(tx, (0_u8,), &1));
    raised.await.unwrap();
    let refused = set(&house, &actor, "displayname", "Ada").await;
    assert!(matches!(refused, Err(SetProfileFieldError::Denied(_))), "{refused:?}");
    let (policy, _) = compile(&policy_config(), server_name!("a.example")).unwrap();
    house.policy.swap(policy.at_epoch(1));
    set(&house, &actor, "displayname", "Ada").await.unwrap();
}
