//! Logging in and out, refreshing, devices.

use std::time::Duration;

use ruma::device_id;
use vestibule_storage::tables::cross_signing::{CROSS_SIGNING_KEY, SELF_SIGNING, StoredSigningKey};

use super::*;
use crate::{
    ChangePassword, ChangePasswordError, DeleteDevices, DeleteDevicesError, Failure, LogInError,
    RefreshError, Stage, UpdateDeviceError,
};

#[tokio::test]
async fn a_login_names_the_localpart_or_the_identifier_in_any_case() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        house.register("alice").await;
        for user in ["alice", "Alice", "@alice:a.example"] {
            let session = house.accounts.log_in(login(user, "tea")).await.unwrap();
            assert_eq!(session.user_id, "@alice:a.example");
            house.actor(&session).await;
        }
        for (user, password) in
            [("alice", "coffee"), ("bob", "tea"), ("@alice:b.example", "tea"), ("", "tea")]
        {
            let refused = house.accounts.log_in(login(user, password)).await;
            assert!(matches!(refused, Err(LogInError::Wrong)), "{user}");
        }
    }
}

#[tokio::test]
async fn somebody_named_by_email_is_nobody_here() {
    let house = house();
    let refused = house
        .accounts
        .log_in(LogIn {
            proof: LogInProof::Password { user: Named::Nobody, password: secret("tea") },
            ..login("x", "tea")
        })
        .await;
    assert!(matches!(refused, Err(LogInError::Wrong)));
}

#[tokio::test]
async fn wrong_passwords_are_counted_by_address_and_account() {
    let house = house();
    house.register("alice").await;
    house.register("bob").await;
    let burst = house.accounts.config().limits.wrong_passwords.burst;
    for _ in 0..burst {
        let refused = house.accounts.log_in(login("alice", "coffee")).await;
        assert!(matches!(refused, Err(LogInError::Wrong)));
    }
    let refused = house.accounts.log_in(login("alice", "tea")).await;
    assert!(matches!(refused, Err(LogInError::Limited(_))), "even the right one has to wait");
    house.accounts.log_in(login("bob", "tea")).await.unwrap();
    let elsewhere = LogIn { peer: "203.0.113.9".parse().unwrap(), ..login("alice", "tea") };
    house.accounts.log_in(elsewhere).await.unwrap();
    house.time.clock.advance(house.accounts.config().limits.wrong_passwords.every);
    house.accounts.log_in(login("alice", "tea")).await.unwrap();
}

#[tokio::test]
async fn a_login_on_a_known_device_ends_what_it_had_and_keeps_its_name() {
    let house = house();
    let old = house.register("alice").await;
    let command = LogIn {
        device_id: Some(old.device_id.clone()),
        initial_device_display_name: Some("other".to_owned()),
        ..login("alice", "tea")
    };
    let new = house.accounts.log_in(command).await.unwrap();
    assert_eq!(house.resolve(&old.access_token).await, Resolved::Unknown);
    house.actor(&new).await;
    let devices = house.accounts.devices(&old.user_id).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].display_name.as_deref(), Some("phone"));
}

#[tokio::test]
async fn logging_out_ends_the_session_and_forgets_the_device() {
    let house = house();
    let session = house.register("alice").await;
    let other = house.accounts.log_in(login("alice", "tea")).await.unwrap();
    let actor = house.actor(&session).await;
    house.accounts.log_out(&actor).await.unwrap();
    assert_eq!(house.resolve(&session.access_token).await, Resolved::Unknown);
    let devices = house.accounts.devices(actor.user_id()).await.unwrap();
    assert_eq!(devices.len(), 1);
    house.accounts.log_out_all(&actor).await.unwrap();
    assert_eq!(house.resolve(&other.access_token).await, Resolved::Unknown);
    assert_eq!(house.accounts.devices(actor.user_id()).await.unwrap(), []);
}

async fn refreshable(house: &House) -> NewSession {
    let command = Register { refresh_token: Some(true), ..registration("alice") };
    house.accounts.register(command).await.unwrap().session.unwrap()
}

#[tokio::test]
async fn the_old_refresh_token_is_good_until_the_new_pair_is_used() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let first = refreshable(&house).await;
        let old = first.refresh_token.clone().unwrap();
        let lost = house.accounts.refresh(&old).await.unwrap();
        assert_eq!(lost.device_id, first.device_id);
        let second = house.accounts.refresh(&old).await.unwrap();
        assert_eq!(house.resolve(&lost.access_token).await, Resolved::Unknown);
        house.actor(&first).await;

        house.actor(&second).await;
        assert!(matches!(house.accounts.refresh(&old).await, Err(RefreshError::Unknown)));
        assert_eq!(house.resolve(&first.access_token).await, Resolved::Unknown);
        house.actor(&second).await;

        // Using the new refresh token first does the same.
        let third = house.accounts.refresh(&second.refresh_token.unwrap()).await.unwrap();
        let fourth = house.accounts.refresh(third.refresh_token.as_ref().unwrap()).await.unwrap();
        assert_eq!(house.resolve(&second.access_token).await, Resolved::Unknown);
        house.actor(&fourth).await;
        assert_eq!(house.resolve(&third.access_token).await, Resolved::Unknown);
    }
}

#[tokio::test]
async fn an_access_token_ends_softly_and_is_refreshed() {
    let house = house();
    let session = refreshable(&house).await;
    let life = session.expires_in.unwrap();
    house.time.clock.advance(life.checked_sub(Duration::from_millis(1)).unwrap());
    house.actor(&session).await;
    house.time.clock.advance(Duration::from_millis(1));
    assert_eq!(house.resolve(&session.access_token).await, Resolved::Expired);
    let next = house.accounts.refresh(&session.refresh_token.unwrap()).await.unwrap();
    house.actor(&next).await;
}

#[tokio::test]
async fn a_token_opens_only_what_its_kind_opens() {
    let house = house();
    let session = refreshable(&house).await;
    assert_eq!(house.resolve(&session.refresh_token.unwrap()).await, Resolved::Unknown);
    assert_eq!(house.resolve(&secret("vsg_anything")).await, Resolved::Unknown);
    assert_eq!(house.resolve(&secret("nonsense")).await, Resolved::Unknown);
    let refused = house.accounts.refresh(&session.access_token).await;
    assert!(matches!(refused, Err(RefreshError::Unknown)));
}

#[tokio::test]
async fn a_device_is_named_by_its_owner_and_seen_at_its_last_request() {
    let house = house();
    let session = house.register("alice").await;
    let actor = house.actor(&session).await;
    let device = &*session.device_id;
    house.accounts.update_device(&actor, device, Some("laptop".to_owned())).await.unwrap();
    house.accounts.update_device(&actor, device, None).await.unwrap();
    let refused = house.accounts.update_device(&actor, device_id!("NONE"), None).await;
    assert!(matches!(refused, Err(UpdateDeviceError::Unknown)));

    let seen = async || {
        let shown = house.accounts.device(actor.user_id(), device).await.unwrap().unwrap();
        assert_eq!(shown.display_name.as_deref(), Some("laptop"));
        let seen = shown.last_seen.unwrap();
        assert_eq!(seen.address.as_deref(), Some("198.51.100.7"));
        seen.at - vestibule_testkit::EPOCH_MS
    };
    assert_eq!(seen().await, 0);
    house.time.clock.advance(Duration::from_secs(5));
    house.actor(&session).await;
    assert_eq!(seen().await, 5_000);
    house.accounts.flush_sightings().await.unwrap();
    assert_eq!(seen().await, 5_000, "the flush wrote it");
}

#[tokio::test]
async fn a_device_was_seen_when_its_session_was_opened() {
    let house = house();
    let registered = house.register("alice").await;
    house.time.clock.advance(Duration::from_secs(5));
    let command = LogIn { peer: "203.0.113.9".parse().unwrap(), ..login("alice", "tea") };
    let logged_in = house.accounts.log_in(command).await.unwrap();
    for (session, after_ms, address) in
        [(registered, 0, "198.51.100.7"), (logged_in, 5_000, "203.0.113.9")]
    {
        let shown = house.accounts.device(&session.user_id, &session.device_id).await.unwrap();
        let seen = shown.unwrap().last_seen.unwrap();
        assert_eq!(seen.at - vestibule_testkit::EPOCH_MS, after_ms);
        assert_eq!(seen.address.as_deref(), Some(address));
    }
}

#[tokio::test]
async fn a_sighting_of_a_device_that_logged_out_is_not_written() {
    let house = house();
    let session = house.register("alice").await;
    let actor = house.actor(&session).await;
    house.accounts.log_out(&actor).await.unwrap();
    house.accounts.flush_sightings().await.unwrap();
    let key = (session.user_id, session.device_id);
    let seen = house
        .store
        .read(move |read| vestibule_storage::tables::account::SEEN_BY_DEVICE.get(read, key));
    assert_eq!(seen.await.unwrap(), None);
}

#[tokio::test]
async fn removing_devices_takes_the_password_for_exactly_those() {
    let house = house();
    let first = house.register("alice").await;
    let second = house.accounts.log_in(login("alice", "tea")).await.unwrap();
    let actor = house.actor(&first).await;
    let remove = async |devices: &[&NewSession], attempt| {
        let device_ids = devices.iter().map(|session| session.device_id.clone()).collect();
        let command = DeleteDevices { device_ids, attempt, peer: PEER };
        match house.accounts.delete_devices(&actor, command).await {
            Ok(()) => Ok(()),
            Err(DeleteDevicesError::Uia(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    };
    let told = challenge(remove(&[&second], None).await.unwrap_err());
    assert_eq!(told.flows, [[Stage::Password]]);
    let wrong = challenge(remove(&[&second], Some(password("coffee"))).await.unwrap_err());
    assert_eq!(wrong.failure, Some(Failure::Password));
    // The proof for one device is none for another.
    let proof = Proof::Password { user: None, password: secret("tea") };
    let attempt = Some(Attempt { session: Some(told.session), proof: Some(proof) });
    let other = remove(&[&first], attempt.clone()).await;
    assert!(matches!(other, Err(UiaError::OtherOperation)), "{other:?}");
    remove(&[&second], attempt).await.unwrap();
    assert_eq!(house.resolve(&second.access_token).await, Resolved::Unknown);
    house.actor(&first).await;
    remove(&[&second], Some(password("tea"))).await.unwrap();
}

#[tokio::test]
async fn nobody_elses_password_counts() {
    let house = house();
    let actor = house.person("alice").await;
    house.register("bob").await;
    let delete = async |user: Named, password: &str| {
        let proof = Proof::Password { user: Some(user), password: secret(password) };
        let attempt = Some(Attempt { session: None, proof: Some(proof) });
        let command = DeleteDevices { device_ids: vec![], attempt, peer: PEER };
        match house.accounts.delete_devices(&actor, command).await {
            Err(DeleteDevicesError::Uia(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let bob = || Named::User("bob".to_owned());
    let refused = delete(bob(), "tea").await;
    assert!(matches!(refused, UiaError::OtherUser), "{refused:?}");
    let nobody = Named::User("nobody".to_owned());
    for (user, password) in [(bob(), "coffee"), (nobody, "tea"), (Named::Nobody, "tea")] {
        let told = challenge(delete(user, password).await);
        assert_eq!(told.failure, Some(Failure::Password));
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_only_if_wanted() {
    let house = house();
    let first = house.register("alice").await;
    let second = house.accounts.log_in(login("alice", "tea")).await.unwrap();
    let actor = house.actor(&first).await;
    let change = |old: &str, new: &str, logout_devices| ChangePassword {
        new_password: secret(new),
        logout_devices,
        attempt: Some(password(old)),
        peer: PEER,
    };
    house.accounts.change_password(&actor, change("tea", "mate", false)).await.unwrap();
    house.actor(&second).await;
    assert!(matches!(house.accounts.log_in(login("alice", "tea")).await, Err(LogInError::Wrong)));
    house.accounts.change_password(&actor, change("mate", "cocoa", true)).await.unwrap();
    house.actor(&first).await;
    assert_eq!(house.resolve(&second.access_token).await, Resolved::Unknown);
    let wrong = house.accounts.change_password(&actor, change("mate", "x", true)).await;
    assert!(matches!(wrong, Err(ChangePasswordError::Uia(UiaError::Challenge(_)))));
}

#[tokio::test]
async fn an_account_holds_a_bounded_number_of_devices() {
    let house = house();
    let first = house.register("alice").await;
    let user_id = first.user_id.clone();
    house
        .store
        .write(house.store.slot_of_user(&user_id), {
            let user_id = user_id.clone();
            move |tx| {
                use vestibule_storage::tables::account::{DEVICE_BY_USER, StoredDevice};
                for number in 1..vestibule_types::limits::DEVICES_PER_USER_MAX {
                    let device = StoredDevice { display_name: None, created_at: u64::MAX };
                    DEVICE_BY_USER.put(
                        tx,
                        (&user_id, ruma::OwnedDeviceId::from(format!("D{number}"))),
                        &device,
                    )?;
                }
                Ok::<_, StorageError>(())
            }
        })
        .await
        .unwrap();
    house.accounts.log_in(login("alice", "tea")).await.unwrap();
    let devices = house.accounts.devices(&user_id).await.unwrap();
    assert_eq!(devices.len(), vestibule_types::limits::DEVICES_PER_USER_MAX);
    assert_eq!(house.resolve(&first.access_token).await, Resolved::Unknown, "the oldest went");
}

#[tokio::test]
async fn a_device_cannot_have_the_name_of_a_cross_signing_key() {
    let house = house();
    let session = house.register("alice").await;
    let user = session.user_id.clone();
    let row = StoredSigningKey { public_key: "PUBLIC".to_owned(), json: "{}".to_owned() };
    let slot = house.store.slot_of_user(&user);
    let owner = user.clone();
    house
        .store
        .write::<_, StorageError, _>(slot, move |tx| {
            CROSS_SIGNING_KEY.put(tx, (&owner, SELF_SIGNING), &row)
        })
        .await
        .unwrap();
    let mut command = login("alice", "tea");
    command.device_id = Some(device_id!("PUBLIC").to_owned());
    assert!(matches!(house.accounts.log_in(command.clone()).await, Err(LogInError::KeyId)));
    command.device_id = Some(device_id!("LAPTOP").to_owned());
    house.accounts.log_in(command).await.unwrap();
}
