//! People without an account.

use std::time::Duration;

use vestibule_policy::DenialKind;
use vestibule_storage::tables::{account::GUESTS_LIVE, user_data::PROFILE_FIELD};

use super::*;
use crate::{RegisterGuestError, facts};

fn denial(result: Result<Registered, RegisterGuestError>) -> (DenialKind, &'static str) {
    match result {
        Err(RegisterGuestError::Denied(denial)) => (denial.kind, denial.reason.code()),
        other => panic!("not denied: {other:?}"),
    }
}

async fn live(house: &House) -> u64 {
    let live = house.store.read(|read| GUESTS_LIVE.get(read, (0_u8,))).await.unwrap();
    live.unwrap_or_default()
}

#[tokio::test]
async fn a_guest_gets_a_name_a_device_and_a_suffix() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.guest().await;
        let localpart = guest.user_id.localpart();
        let random = localpart.strip_prefix("guest-").unwrap();
        assert_eq!(random.len(), 16);
        assert!(random.bytes().all(|c| c.is_ascii_lowercase() || (b'2'..=b'7').contains(&c)));
        let actor = house.actor(&guest.session.unwrap()).await;
        assert!(actor.is_guest());
        let user_id = guest.user_id.clone();
        let profile =
            house.store.read(move |read| facts::member_profile(read, &user_id)).await.unwrap();
        assert_eq!(profile.displayname, Some(format!("{localpart} (guest)")));
        assert_eq!(live(&house).await, 1);
    }
}

#[tokio::test]
async fn while_guests_are_off_nobody_is_let_in() {
    let house = house_with(1, |policy| policy.guests.enabled = false, |_| {});
    let (kind, _) = denial(house.guest_from(PEER).await);
    assert_eq!(kind, DenialKind::GuestAccessForbidden);
    assert_eq!(live(&house).await, 0);
}

#[tokio::test]
async fn an_address_holds_so_many_guests_and_the_others_wait() {
    let house = house_with(1, |policy| policy.guests.caps.per_ip = 2, |_| {});
    house.guest().await;
    let second = house.guest().await;
    let (kind, reason) = denial(house.guest_from(PEER).await);
    assert_eq!((kind, reason), (DenialKind::LimitExceeded, "cap_per_ip"));
    house.guest_from("203.0.113.9".parse().unwrap()).await.unwrap();

    house.accounts.deactivate_account(&second.user_id, true).await.unwrap();
    house.guest().await;
}

#[tokio::test]
async fn ipv6_addresses_are_counted_by_64_and_by_48() {
    let house = house_with(1, |policy| policy.guests.caps.per_ip = 1, |_| {});
    house.guest_from("2001:db8:1:1::1".parse().unwrap()).await.unwrap();
    let same_64 = house.guest_from("2001:db8:1:1::2".parse().unwrap()).await;
    assert_eq!(denial(same_64).1, "cap_per_ip");
    for subnet in 2..=8 {
        let address = format!("2001:db8:1:{subnet}::1");
        house.guest_from(address.parse().unwrap()).await.unwrap();
    }
    let ninth = house.guest_from("2001:db8:1:9::1".parse().unwrap()).await;
    assert_eq!(denial(ninth).1, "cap_per_ip");
    house.guest_from("2001:db8:2:1::1".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_day_of_an_address_is_counted_though_guests_go() {
    let house = house_with(1, |policy| policy.guests.caps.per_ip_per_day = 2, |_| {});
    for _ in 0..2 {
        let guest = house.guest().await;
        house.accounts.deactivate_account(&guest.user_id, true).await.unwrap();
    }
    assert_eq!(denial(house.guest_from(PEER).await).1, "cap_per_ip_per_day");
    house.time.clock.advance(Duration::from_hours(24));
    house.guest().await;
}

#[tokio::test]
async fn the_server_holds_so_many_guests_and_makes_so_many_a_minute() {
    let house = house_with(1, |policy| policy.guests.caps.live = 1, |_| {});
    house.guest().await;
    let (kind, reason) = denial(house.guest_from("203.0.113.9".parse().unwrap()).await);
    assert_eq!((kind, reason), (DenialKind::GuestAccessForbidden, "cap_live"));

    let house = house_with(1, |policy| policy.guests.caps.new_per_minute = 1, |_| {});
    house.guest().await;
    let refused = house.guest_from("203.0.113.9".parse().unwrap()).await;
    assert_eq!(denial(refused).1, "cap_new_per_minute");
    house.time.clock.advance(Duration::from_mins(1));
    house.guest_from("203.0.113.9".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_guest_cannot_log_in_with_a_password() {
    let house = house();
    let guest = house.guest().await;
    let refused = house.accounts.log_in(login(guest.user_id.as_str(), "")).await;
    assert!(matches!(refused, Err(crate::LogInError::Wrong)));
}

fn upgrade(guest: &Registered, username: Option<&str>) -> Register {
    let token = guest.session.as_ref().map(|session| session.access_token.clone());
    Register {
        username: username.map(str::to_owned),
        guest_access_token: token,
        ..registration("x")
    }
}

#[tokio::test]
async fn a_guest_becomes_an_account_under_its_own_name() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.guest().await;
        let localpart = guest.user_id.localpart().to_owned();
        house.time.clock.advance(Duration::from_mins(1));
        let command = upgrade(&guest, Some(&localpart));
        let account = house.accounts.register(command).await.unwrap();
        assert_eq!(account.user_id, guest.user_id);
        let actor = house.actor(&account.session.unwrap()).await;
        assert_eq!(actor.class(), &ClassName::member());
        assert!(!actor.is_guest());
        let old = house.resolve(&guest.session.unwrap().access_token).await;
        assert_eq!(old, Resolved::Unknown, "the guest's token is revoked");
        assert_eq!(live(&house).await, 0, "its place is free again");
        let row = house.accounts.account(&guest.user_id).await.unwrap().unwrap();
        let now = vestibule_testkit::EPOCH_MS + 60_000;
        assert_eq!(row.created_at, now, "as an account it is new");
        let key = guest.user_id.clone();
        let name = house.store.read(move |read| PROFILE_FIELD.get(read, (key, "displayname")));
        assert_eq!(name.await.unwrap(), None, "the suffix is gone");
        assert_eq!(house.jobs().await, ["profile_fan_out"]);
        house.accounts.log_in(login(&localpart, "tea")).await.unwrap();
    }
}

#[tokio::test]
async fn a_guest_may_take_no_name_but_its_own() {
    let house = house();
    let guest = house.guest().await;
    let other = house.guest().await;
    house.register("bob").await;
    for name in [None, Some("alice")] {
        let refused = house.accounts.register(upgrade(&guest, name)).await;
        assert!(matches!(refused, Err(RegisterError::NotOwnName)), "{name:?}: {refused:?}");
    }
    // That of a guest is its own also while it has no rows.
    for name in ["bob", "guest-aaaaaaaaaaaaaaaa", other.user_id.localpart()] {
        let refused = house.accounts.register(upgrade(&guest, Some(name))).await;
        assert!(matches!(refused, Err(RegisterError::OthersName)), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn an_upgrade_passes_the_whole_registration_mode() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Closed;
        },
    );
    let guest = house.guest().await;
    let localpart = guest.user_id.localpart().to_owned();
    let refused = house.accounts.register(upgrade(&guest, Some(&localpart))).await;
    assert!(matches!(refused, Err(RegisterError::Closed)));

    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Token;
        },
    );
    let guest = house.guest().await;
    let localpart = guest.user_id.localpart().to_owned();
    let refused = house.accounts.register(upgrade(&guest, Some(&localpart))).await;
    assert_eq!(challenge(refused.unwrap_err()).flows, [[crate::Stage::RegistrationToken]]);
}

#[tokio::test]
async fn a_members_token_upgrades_nobody() {
    let house = house();
    let session = house.register("alice").await;
    let command =
        Register { guest_access_token: Some(session.access_token), ..registration("alice") };
    let refused = house.accounts.register(command).await;
    assert!(matches!(refused, Err(RegisterError::GuestToken)));
}

#[tokio::test]
async fn a_guest_keeps_its_suffix_whatever_it_calls_itself() {
    let house = house();
    let guest = house.guest().await;
    let actor = house.actor(&guest.session.unwrap()).await;
    for name in ["Ada", "Ada (guest)", "Ada (guest) (guest)"] {
        profiles::set(&house, &actor, "displayname", name).await.unwrap();
        let user_id = guest.user_id.clone();
        let profile =
            house.store.read(move |read| facts::member_profile(read, &user_id)).await.unwrap();
        assert_eq!(profile.displayname.as_deref(), Some("Ada (guest)"));
    }
}

#[tokio::test]
async fn many_guests_that_arrive_together_do_not_pass_the_cap() {
    let house = house_with(1, |policy| policy.guests.caps.per_ip = 3, |_| {});
    let (mut made, mut refused) = (0, 0);
    for result in futures(&house, 8).await {
        match result {
            Ok(()) => made += 1,
            Err(_) => refused += 1,
        }
    }
    assert_eq!((made, refused, live(&house).await), (3, 5, 3));
}

/// The first acts of so many guests, all at once.
async fn futures(house: &House, count: usize) -> Vec<Result<(), Denial>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (accounts, guest) = (house.accounts.clone(), house.unwritten_guest().await);
        tasks.spawn(async move { first_act(&accounts, &guest, PEER).await });
    }
    tasks.join_all().await
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_guest_that_never_joined_ends_and_gives_its_place_back() {
    for slots in [1, 3] {
        let house = house_with(slots, |policy| policy.guests.caps.per_ip = 1, |_| {});
        let known = Known { to: "", near: "", joined: false };
        house.accounts.set_acquaintance(Arc::new(known));
        let token = house.guest().await.session.unwrap().access_token;
        let born = house.time.environment.now_ms();
        house.time.clock.advance(HOUR / 2);
        assert_eq!(house.accounts.expire_guests().await.unwrap(), born + 3_600_000);
        assert!(matches!(house.resolve(&token).await, Resolved::Active(_)));

        house.time.clock.advance(HOUR / 2);
        house.accounts.expire_guests().await.unwrap();
        assert!(matches!(house.resolve(&token).await, Resolved::Unknown));
        assert_eq!(live(&house).await, 0);
        house.guest().await;
    }
}

#[tokio::test]
async fn a_guest_in_a_room_lasts_while_it_is_heard_of_but_not_for_ever() {
    let house = house();
    let known = Known { to: "", near: "", joined: true };
    house.accounts.set_acquaintance(Arc::new(known));
    let active = house.guest().await;
    let idle = house.guest().await;
    let token = active.session.unwrap().access_token;
    for _ in 0..23 {
        house.time.clock.advance(HOUR);
        house.resolve(&token).await;
    }
    house.accounts.flush_sightings().await.unwrap();
    house.accounts.expire_guests().await.unwrap();
    assert_eq!(live(&house).await, 2);

    house.time.clock.advance(HOUR);
    house.accounts.expire_guests().await.unwrap();
    assert_eq!(live(&house).await, 1, "who was silent for a day is gone");
    let user_id = idle.user_id.clone();
    let row = house.store.read(move |read| facts::account(read, &user_id)).await.unwrap().unwrap();
    assert!(row.erased);

    for _ in 0..6 * 24 {
        house.time.clock.advance(HOUR);
        house.resolve(&token).await;
    }
    house.accounts.expire_guests().await.unwrap();
    assert_eq!(live(&house).await, 0, "nobody lasts over a week");
}

#[tokio::test]
async fn a_guest_that_became_an_account_is_not_ended_as_one() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.guest().await;
        let localpart = guest.user_id.localpart().to_owned();
        let account = house.accounts.register(upgrade(&guest, Some(&localpart))).await.unwrap();
        assert!(!house.accounts.end_guest(&guest.user_id, true).await.unwrap());
        let token = account.session.unwrap().access_token;
        assert!(matches!(house.resolve(&token).await, Resolved::Active(_)));

        let other = house.guest().await;
        assert!(house.accounts.end_guest(&other.user_id, true).await.unwrap());
        assert!(!house.accounts.end_guest(&other.user_id, true).await.unwrap(), "it is over");
    }
}

#[tokio::test]
async fn a_guest_that_logs_out_is_gone_and_its_place_is_free() {
    for everywhere in [false, true] {
        let house = house_with(3, |policy| policy.guests.caps.live = 1, |_| {});
        let guest = house.guest().await;
        let token = guest.session.unwrap().access_token;
        let Resolved::Active(actor) = house.resolve(&token).await else { panic!("a guest") };
        if everywhere {
            house.accounts.log_out_all(&actor).await.unwrap();
        } else {
            house.accounts.log_out(&actor).await.unwrap();
        }
        assert!(matches!(house.resolve(&token).await, Resolved::Unknown));
        assert_eq!(live(&house).await, 0);
        let user_id = guest.user_id.clone();
        let row =
            house.store.read(move |read| facts::account(read, &user_id)).await.unwrap().unwrap();
        assert!(row.erased && row.deactivated_at.is_some());
        let jobs = house.store.read(|read| jobs::due(read, None, u64::MAX, 9));
        let jobs = jobs.await.unwrap();
        assert!(jobs.iter().any(|(_, job)| job.kind == crate::job::LEAVE_ALL), "{jobs:?}");
        assert!(jobs.iter().any(|(_, job)| job.kind == crate::job::DELETE_MEDIA), "{jobs:?}");
        house.guest().await;
    }
}
