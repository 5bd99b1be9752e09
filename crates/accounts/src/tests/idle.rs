//! Devices and filters that nobody uses.

use std::time::Duration;

use serde_json::json;
use vestibule_storage::{
    Scan,
    tables::{
        account::{REFRESH_BY_TOKEN, SEEN_BY_DEVICE, SESSION_BY_TOKEN, TOKEN_BY_DEVICE},
        dehydrated::StoredDehydratedDevice,
    },
};

use super::*;
use crate::{RefreshError, device::dehydrated, renew_filter};

const DAY: Duration = Duration::from_hours(24);
const LIFE: Duration = Duration::from_hours(30 * 24);

fn house_that_forgets(slots: u16) -> House {
    house_with(slots, |_| {}, |config| config.sessions.device_idle_life = Some(LIFE))
}

/// Rows that belong to sessions.
async fn rows(house: &House) -> [usize; 4] {
    let read = |read: &vestibule_storage::Snapshot<'_>| {
        Ok::<_, StorageError>([
            SESSION_BY_TOKEN.scan_with(read, Scan::prefix(()))?.len(),
            REFRESH_BY_TOKEN.scan_with(read, Scan::prefix(()))?.len(),
            TOKEN_BY_DEVICE.scan_with(read, Scan::prefix(()))?.len(),
            SEEN_BY_DEVICE.scan_with(read, Scan::prefix(()))?.len(),
        ])
    };
    house.store.read(read).await.unwrap()
}

#[tokio::test]
async fn a_device_nobody_uses_ends_with_all_its_tokens_and_one_in_use_stays() {
    for slots in [1, 3] {
        let house = house_that_forgets(slots);
        let used = house.register("alice").await;
        let refreshing = LogIn { refresh_token: true, ..login("alice", "tea") };
        let idle = house.accounts.log_in(refreshing).await.unwrap();
        house.resolve(&idle.access_token).await;
        house.accounts.flush_sightings().await.unwrap();

        house.time.clock.advance(DAY * 29);
        house.actor(&used).await;
        assert_eq!(house.accounts.expire_devices().await.unwrap(), 0, "not yet");
        house.time.clock.advance(DAY);
        assert_eq!(house.accounts.expire_devices().await.unwrap(), 1);

        house.actor(&used).await;
        assert_eq!(house.resolve(&idle.access_token).await, Resolved::Unknown);
        let refreshed = house.accounts.refresh(&idle.refresh_token.unwrap()).await;
        assert!(matches!(refreshed, Err(RefreshError::Unknown)));
        let devices = house.accounts.devices(&used.user_id).await.unwrap();
        let ids: Vec<_> = devices.into_iter().map(|device| device.device_id).collect();
        assert_eq!(ids, std::slice::from_ref(&used.device_id));
        house.accounts.flush_sightings().await.unwrap();
        assert_eq!(rows(&house).await, [1, 0, 1, 1], "nothing is left of the other");
        assert_eq!(house.accounts.expire_devices().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_login_on_an_old_device_is_a_use_of_it() {
    let house = house_that_forgets(1);
    let old = house.register("alice").await;
    house.time.clock.advance(LIFE + DAY);
    let again = LogIn { device_id: Some(old.device_id), ..login("alice", "tea") };
    let again = house.accounts.log_in(again).await.unwrap();
    assert_eq!(house.accounts.expire_devices().await.unwrap(), 0);
    house.actor(&again).await;
}

#[tokio::test]
async fn what_was_seen_a_moment_ago_counts_before_it_is_written() {
    let house = house_that_forgets(1);
    let session = house.register("alice").await;
    house.time.clock.advance(LIFE + DAY);
    house.actor(&session).await;
    assert_eq!(house.accounts.expire_devices().await.unwrap(), 0);
    house.actor(&session).await;
}

#[tokio::test]
async fn a_dehydrated_device_waits_for_its_owner() {
    let house = house_that_forgets(1);
    let session = house.register("alice").await;
    let user = session.user_id.clone();
    let put = dehydrated::Dehydrate {
        device: StoredDehydratedDevice { device_id: "ASLEEP".into(), data: "{}".to_owned() },
        display_name: None,
        asking: Some(session.device_id),
        now: house.accounts.0.now_ms(),
    };
    let owner = user.clone();
    let kept =
        house.accounts.0.write(&user, move |tx| dehydrated::put_dehydrated(tx, &owner, &put));
    assert_eq!(kept.await.unwrap(), dehydrated::Dehydrated::New);
    house.time.clock.advance(LIFE + DAY);
    assert_eq!(house.accounts.expire_devices().await.unwrap(), 1);
    let devices = house.accounts.devices(&user).await.unwrap();
    let ids: Vec<_> = devices.into_iter().map(|device| device.device_id).collect();
    assert_eq!(ids, ["ASLEEP"]);
}

#[tokio::test]
async fn filters_that_are_used_now_and_then_stay_and_others_go() {
    let house = house_that_forgets(1);
    let alice = house.person("alice").await;
    let mut ids = Vec::new();
    for limit in [1, 2] {
        let filter = json!({ "room": { "timeline": { "limit": limit } } });
        let filter = filter.as_object().cloned().unwrap();
        let user = alice.user_id().to_owned();
        ids.push(house.accounts.create_filter(&alice, user, filter).await.unwrap());
    }
    let kept = async |id: &str| {
        house.accounts.filter(&alice, alice.user_id(), id).await.unwrap().is_some()
    };
    house.time.clock.advance(LIFE);
    assert_eq!(
        house.accounts.expire_filters().await.unwrap(),
        0,
        "one may have been used yesterday"
    );
    let (owner, used, now) =
        (alice.user_id().to_owned(), ids[1].clone(), house.accounts.0.now_ms());
    let renew =
        house.accounts.0.write(alice.user_id(), move |tx| renew_filter(tx, (&owner, &used), now));
    renew.await.unwrap();
    house.time.clock.advance(DAY);
    assert_eq!(house.accounts.expire_filters().await.unwrap(), 1);
    assert_eq!((kept(&ids[0]).await, kept(&ids[1]).await), (false, true));
}

#[tokio::test]
async fn devices_are_kept_for_ever_where_the_operator_wants_it() {
    let house = house();
    let session = house.register("alice").await;
    house.time.clock.advance(DAY * 10_000);
    assert_eq!(house.accounts.expire_devices().await.unwrap(), 0);
    house.actor(&session).await;
}
