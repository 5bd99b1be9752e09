//! Proving to somebody else who one is.

use std::time::Duration;

use vestibule_storage::tables::openid::OPENID_TOKEN;
use vestibule_types::limits::OPENID_TOKENS_PER_USER_MAX;

use super::*;
use crate::RequestOpenidTokenError;

async fn made(house: &House, actor: &Actor) -> Secret {
    house.accounts.request_openid_token(actor, actor.user_id()).await.unwrap().token
}

async fn whose(house: &House, token: &Secret) -> Option<OwnedUserId> {
    house.accounts.openid_user(token.expose()).await.unwrap()
}

#[tokio::test]
async fn a_token_tells_its_owner_for_an_hour_and_opens_nothing() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let (alice, bob) = (house.person("alice").await, house.person("bob").await);
        let (first, second) = (made(&house, &alice).await, made(&house, &bob).await);
        assert_eq!(whose(&house, &first).await.unwrap(), "@alice:a.example");
        assert_eq!(whose(&house, &second).await.unwrap(), "@bob:a.example");
        assert_eq!(house.resolve(&first).await, Resolved::Unknown);
        house.time.clock.advance(Duration::from_secs(3_599));
        assert!(whose(&house, &first).await.is_some());
        house.time.clock.advance(Duration::from_secs(1));
        assert_eq!(whose(&house, &first).await, None);
    }
}

#[tokio::test]
async fn other_tokens_and_other_texts_tell_nothing() {
    let house = house();
    let session = house.register("alice").await;
    assert_eq!(whose(&house, &session.access_token).await, None);
    assert_eq!(whose(&house, &secret("vso_made_up")).await, None);
    assert_eq!(whose(&house, &secret("")).await, None);
    let alice = house.actor(&session).await;
    let bob = house.person("bob").await;
    let for_bob = house.accounts.request_openid_token(&alice, bob.user_id()).await;
    assert!(matches!(for_bob, Err(RequestOpenidTokenError::SomebodyElse)));
}

#[tokio::test]
async fn a_locked_owner_is_not_told_and_a_deactivated_one_leaves_no_token() {
    let house = house();
    let alice = house.person("alice").await;
    let token = made(&house, &alice).await;
    let user = alice.user_id().to_owned();
    house.restrain(&user, Restraint::Lock, true).await.unwrap();
    assert_eq!(whose(&house, &token).await, None);
    house.restrain(&user, Restraint::Lock, false).await.unwrap();
    assert!(whose(&house, &token).await.is_some());
    house.accounts.deactivate_account(alice.user_id(), false).await.unwrap();
    assert_eq!(whose(&house, &token).await, None);
    assert_eq!(kept(&house).await, 0);
}

#[tokio::test]
async fn tokens_that_ended_and_too_many_tokens_make_room() {
    let house = house();
    let alice = house.person("alice").await;
    let first = made(&house, &alice).await;
    let pace = house.accounts.config().limits.openid_tokens.every;
    for _ in 0..OPENID_TOKENS_PER_USER_MAX {
        house.time.clock.advance(pace);
        made(&house, &alice).await;
    }
    assert_eq!(kept(&house).await, OPENID_TOKENS_PER_USER_MAX);
    assert_eq!(whose(&house, &first).await, None, "it was the first to end");
    house.time.clock.advance(Duration::from_hours(2));
    let last = made(&house, &alice).await;
    assert_eq!(kept(&house).await, 1);
    assert!(whose(&house, &last).await.is_some());
}

async fn kept(house: &House) -> usize {
    house.store.read(|read| OPENID_TOKEN.scan(read, (), 1_000)).await.unwrap().len()
}
