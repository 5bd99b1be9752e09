//! Suspended, locked, deactivated.

use vestibule_storage::tables::account::StoredAccountState;

use super::*;
use crate::{
    Deactivate, DeactivateError, LogInError, LookUpProfileError, RefreshError, RestrainError,
    Restraint, SetProfileFieldError, Stage,
};

async fn put(house: &House, user_id: &OwnedUserId, restraint: Restraint, on: bool) {
    house.restrain(user_id, restraint, on).await.unwrap();
}

#[tokio::test]
async fn a_state_acts_at_once_and_sessions_survive_it() {
    let house = house();
    let session = house.register("alice").await;
    let alice = &session.user_id;
    put(&house, alice, Restraint::Lock, true).await;
    assert!(matches!(house.resolve(&session.access_token).await, Resolved::Locked(_)));
    let refused = house.accounts.log_in(login("alice", "tea")).await;
    assert!(matches!(refused, Err(LogInError::Locked)));
    put(&house, alice, Restraint::Lock, false).await;
    put(&house, alice, Restraint::Suspension, true).await;
    assert!(matches!(house.resolve(&session.access_token).await, Resolved::Suspended(_)));
    house.accounts.log_in(login("alice", "tea")).await.unwrap();
    put(&house, alice, Restraint::Suspension, false).await;
    house.actor(&session).await;
}

#[tokio::test]
async fn a_locked_account_cannot_refresh_until_it_is_free() {
    let house = house();
    let command = Register { refresh_token: Some(true), ..registration("alice") };
    let session = house.accounts.register(command).await.unwrap().session.unwrap();
    let token = session.refresh_token.unwrap();
    put(&house, &session.user_id, Restraint::Lock, true).await;
    assert!(matches!(house.accounts.refresh(&token).await, Err(RefreshError::Locked)));
    put(&house, &session.user_id, Restraint::Lock, false).await;
    house.accounts.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn a_suspended_account_does_not_change_its_profile() {
    let house = house();
    let actor = house.person("alice").await;
    put(&house, &actor.user_id().to_owned(), Restraint::Suspension, true).await;
    let refused = profiles::set(&house, &actor, "displayname", "Ada").await;
    let Err(SetProfileFieldError::Denied(denial)) = refused else { panic!("{refused:?}") };
    assert_eq!(denial.kind, vestibule_policy::DenialKind::UserSuspended);
}

#[tokio::test]
async fn an_admin_is_not_locked_and_what_was_done_is_noted_once() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let (root, alice) =
            (house.create("root", "admin").await, house.create("alice", "member").await);
        let refused = house.restrain(&root, Restraint::Lock, true).await;
        assert!(matches!(refused, Err(RestrainError::Admin)));
        for on in [true, true, false] {
            put(&house, &alice, Restraint::Lock, on).await;
        }
        let acts = house.accounts.moderation_acts(10).await.unwrap();
        let acts = acts.iter().map(|act| (act.act, &act.user_id)).collect::<Vec<_>>();
        assert_eq!(acts, [("unlock", &alice), ("lock", &alice)]);
    }
}

#[tokio::test]
async fn the_end_of_an_account_takes_its_password_and_leaves_each_job_once() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let session = house.register("alice").await;
        let actor = house.actor(&session).await;
        profiles::set(&house, &actor, "m.pronouns", "she").await.unwrap();
        let end = |attempt| Deactivate { erase: true, attempt, peer: PEER };
        let told = house.accounts.deactivate(&actor, end(None)).await;
        let Err(DeactivateError::Uia(UiaError::Challenge(told))) = told else { panic!() };
        assert_eq!(told.flows, [[Stage::Password]]);
        house.accounts.deactivate(&actor, end(Some(password("tea")))).await.unwrap();

        assert_eq!(house.resolve(&session.access_token).await, Resolved::Unknown);
        let refused = house.accounts.log_in(login("alice", "tea")).await;
        assert!(matches!(refused, Err(LogInError::Wrong)));
        let row = house.accounts.account(actor.user_id()).await.unwrap().unwrap();
        assert_eq!(row.state, StoredAccountState::Deactivated);
        assert_eq!((row.password, row.erased), (None, true));
        let profile = house.accounts.profile(Some(&actor), actor.user_id(), None).await;
        assert!(matches!(profile, Err(LookUpProfileError::UnknownUser)));
        assert_eq!(house.jobs().await, ["delete_media", "forget_words", "leave_all"]);

        house.accounts.deactivate_account(actor.user_id(), false).await.unwrap();
        assert_eq!(
            house.jobs().await,
            ["delete_media", "forget_words", "leave_all"],
            "doing it again adds nothing"
        );
    }
}

#[tokio::test]
async fn an_account_without_a_password_ends_itself_by_its_token_alone() {
    let house = house();
    let guest = house.guest().await;
    let actor = house.actor(&guest.session.unwrap()).await;
    let command = Deactivate { erase: true, attempt: Some(dummy()), peer: PEER };
    house.accounts.deactivate(&actor, command).await.unwrap();
}
