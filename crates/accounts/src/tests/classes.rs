//! Classes: who has which, and that a change acts at once.

use vestibule_types::ClassName;

use super::*;
use crate::{Assigner, SetClass, SetClassError, facts};

async fn assign(
    house: &House,
    by: &Assigner,
    user_id: &OwnedUserId,
    class: &str,
) -> Result<(), SetClassError> {
    let command =
        SetClass { user_id: user_id.clone(), class: ClassName::new(class), even_last_admin: false };
    house.accounts.set_class(by, command).await
}

#[tokio::test]
async fn another_class_acts_on_live_tokens_at_once() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let session = house.register("alice").await;
        house.actor(&session).await;
        assign(&house, &Assigner::Operator, &session.user_id, "moderator").await.unwrap();
        let actor = house.actor(&session).await;
        assert_eq!(actor.class(), &ClassName::moderator());
        let listed = house.accounts.list(Some(ClassName::moderator()), None, 10).await.unwrap();
        assert_eq!(listed.len(), 1);
        let members = house.accounts.list(Some(ClassName::member()), None, 10).await.unwrap();
        assert_eq!(members, []);
    }
}

#[tokio::test]
async fn only_admins_and_the_operator_assign_classes() {
    let house = house();
    let root = house.create("root", "admin").await;
    let session = house.accounts.log_in(login("root", "tea")).await.unwrap();
    let admin = Assigner::Admin(house.actor(&session).await);
    let alice = house.person("alice").await;
    let bob = house.person("bob").await;
    assign(&house, &admin, &bob.user_id().to_owned(), "moderator").await.unwrap();
    let by_member = Assigner::Admin(alice.clone());
    let refused = assign(&house, &by_member, &alice.user_id().to_owned(), "admin").await;
    assert!(matches!(refused, Err(SetClassError::Denied(_))), "{refused:?}");
    let refused = assign(&house, &by_member, &root, "member").await;
    assert!(matches!(refused, Err(SetClassError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn a_guest_is_never_made_admin_nor_anything_else() {
    let house = house();
    let guest = house.guest().await;
    for class in ["admin", "moderator", "member"] {
        let refused = assign(&house, &Assigner::Operator, &guest.user_id, class).await;
        assert!(matches!(refused, Err(SetClassError::Guest)), "{class}: {refused:?}");
    }
    let actor = house.actor(&guest.session.unwrap()).await;
    assert!(actor.is_guest());
}

#[tokio::test]
async fn nobody_is_made_a_guest_or_a_class_that_does_not_exist() {
    let house = house();
    let alice = house.create("alice", "member").await;
    for class in ["guest", "system", "appservice", "nonsense"] {
        let refused = assign(&house, &Assigner::Operator, &alice, class).await;
        assert!(matches!(refused, Err(SetClassError::Class(_))), "{class}");
    }
}

#[tokio::test]
async fn the_last_admin_stays_unless_that_is_meant() {
    let house = house();
    let root = house.create("root", "admin").await;
    let refused = assign(&house, &Assigner::Operator, &root, "member").await;
    assert!(matches!(refused, Err(SetClassError::LastAdmin)));
    let second = house.create("second", "admin").await;
    assign(&house, &Assigner::Operator, &root, "member").await.unwrap();
    let command = SetClass { user_id: second, class: ClassName::member(), even_last_admin: true };
    house.accounts.set_class(&Assigner::Operator, command).await.unwrap();
    assert_eq!(house.accounts.admins().await.unwrap(), 0);
}

#[tokio::test]
async fn a_deactivated_admin_counts_no_more() {
    let house = house();
    let root = house.create("root", "admin").await;
    let second = house.create("second", "admin").await;
    house.accounts.deactivate_account(&second, false).await.unwrap();
    house.accounts.deactivate_account(&second, false).await.unwrap();
    assert_eq!(house.accounts.admins().await.unwrap(), 1);
    let refused = assign(&house, &Assigner::Operator, &root, "member").await;
    assert!(matches!(refused, Err(SetClassError::LastAdmin)));
}

#[tokio::test]
async fn a_class_with_a_suffix_renames_and_another_class_renames_back() {
    let house = house();
    let actor = house.person("alice").await;
    profiles::set(&house, &actor, "displayname", "Ada").await.unwrap();
    let name = async || {
        let user_id = actor.user_id().to_owned();
        let read =
            move |read: &vestibule_storage::Snapshot<'_>| facts::member_profile(read, &user_id);
        house.store.read(read).await.unwrap().displayname.unwrap()
    };
    let alice = actor.user_id().to_owned();
    assign(&house, &Assigner::Operator, &alice, "webchat").await.unwrap();
    assert_eq!(name().await, "Ada [web]");
    assign(&house, &Assigner::Operator, &alice, "member").await.unwrap();
    assert_eq!(name().await, "Ada");
    assert_eq!(house.jobs().await, ["profile_fan_out"; 3]);
}

#[tokio::test]
async fn accounts_are_listed_in_order_and_by_page() {
    let house = house();
    for name in ["carol", "alice", "bob"] {
        house.create(name, "member").await;
    }
    let page = house.accounts.list(None, None, 2).await.unwrap();
    let names: Vec<_> = page.iter().map(|line| line.user_id.localpart()).collect();
    assert_eq!(names, ["alice", "bob"]);
    let after = page.last().map(|line| line.user_id.clone());
    let rest = house.accounts.list(None, after, 2).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].user_id, "@carol:a.example");
}
