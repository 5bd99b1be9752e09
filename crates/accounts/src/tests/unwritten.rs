//! Guests who have a token and no rows yet.

use std::time::Duration;

use vestibule_storage::{
    Read,
    tables::{
        account::{GUESTS_LIVE, TokenDigest},
        guest_token::{REFUSED_GUEST_TOKEN, REFUSED_GUEST_TOKENS, StoredGuestTokenKey},
        user_data::FILTER_BY_ID,
    },
};
use vestibule_types::{Credential, limits::REFUSED_GUEST_TOKENS_MAX};

use super::*;
use crate::{
    SetProfileField, SetProfileFieldError, facts,
    session::{GuestToken, NAME_BYTES},
};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

async fn live(house: &House) -> u64 {
    let live = house.store.read(|read| GUESTS_LIVE.get(read, (0_u8,))).await.unwrap();
    live.unwrap_or_default()
}

fn token_of(guest: &Registered) -> &Secret {
    &guest.session.as_ref().unwrap().access_token
}

async fn has_rows(house: &House, guest: &Registered) -> bool {
    let user_id = guest.user_id.clone();
    house.store.read(move |read| facts::account(read, &user_id)).await.unwrap().is_some()
}

fn displayname(guest: &Registered, name: &str) -> SetProfileField {
    SetProfileField {
        user_id: guest.user_id.clone(),
        field: "displayname".to_owned(),
        value: Some(name.into()),
        peer: Some(PEER),
    }
}

#[tokio::test]
async fn ten_thousand_guest_registrations_write_nothing() {
    for slots in [1, 3] {
        let house = house_with(slots, |policy| policy.guests.caps.per_ip = 1, |_| {});
        house.accounts.make_guest_key().await.unwrap();
        let before = house.store.positions();
        let mut last = None;
        for _ in 0..10_000 {
            last = Some(house.unwritten_guest().await);
        }
        assert_eq!(house.store.positions(), before);
        assert_eq!(live(&house).await, 0);
        // Each could do something: the cap counts those who do.
        let last = last.unwrap();
        first_act(&house.accounts, &last, PEER).await.unwrap();
        assert_ne!(house.store.positions(), before);
        assert_eq!(live(&house).await, 1);
    }
}

#[tokio::test]
async fn a_guest_without_rows_is_shown_what_a_fresh_account_is_and_nothing_is_written() {
    let house = house();
    let guest = house.unwritten_guest().await;
    let before = house.store.positions();
    let (actor, arriving) = house.arriving(&guest).await;
    assert!(actor.is_guest());
    assert_eq!(actor.credential(), Credential::GuestToken);
    assert_eq!(actor.user_id(), guest.user_id);
    let accounts = &house.accounts;
    arriving
        .act(async {
            let devices = accounts.devices(&guest.user_id).await.unwrap();
            let [device] = devices.as_slice() else { panic!("one device: {devices:?}") };
            assert_eq!(Some(&*device.device_id), actor.device_id());
            assert_eq!(device.display_name.as_deref(), Some("browser"));
            assert!(device.last_seen.is_some());
            let user_id = guest.user_id.clone();
            let seen = house.store.read(move |read| {
                let account = facts::account(read, &user_id)?;
                Ok::<_, StorageError>((account, facts::member_profile(read, &user_id)?))
            });
            let (account, profile) = seen.await.unwrap();
            assert!(account.is_some_and(|account| account.class.is_guest()));
            let name = format!("{} (guest)", guest.user_id.localpart());
            assert_eq!(profile.displayname, Some(name));
            let filter = accounts.filter(&actor, &guest.user_id, "none").await.unwrap();
            assert_eq!(filter, None);
        })
        .await
        .unwrap();
    accounts.flush_sightings().await.unwrap();
    assert_eq!(house.store.positions(), before);
    assert!(!has_rows(&house, &guest).await, "nobody else sees the rows it would have");
    assert!(accounts.devices(&guest.user_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_first_act_that_is_kept_makes_the_rows_in_its_own_batch() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.unwritten_guest().await;
        house.time.clock.advance(MINUTE);
        let (actor, arriving) = house.arriving(&guest).await;
        let set = house.accounts.set_profile_field(&actor, displayname(&guest, "Visitor"));
        arriving.act(set).await.unwrap().unwrap();
        let user_id = guest.user_id.clone();
        let read = house.store.read(move |read| {
            let account = facts::account(read, &user_id)?.unwrap();
            Ok::<_, StorageError>((account, facts::member_profile(read, &user_id)?))
        });
        let (account, profile) = read.await.unwrap();
        assert_eq!(account.created_at, house.time.environment.now_ms());
        assert_eq!(profile.displayname.as_deref(), Some("Visitor (guest)"), "the act counts");
        assert_eq!(live(&house).await, 1);
        let Resolved::Active(later) = house.resolve(token_of(&guest)).await else {
            panic!("the token is a session now");
        };
        assert_eq!(later.device_id(), actor.device_id());
        house.time.clock.advance(2 * HOUR);
        let later = house.resolve(token_of(&guest)).await;
        assert!(matches!(later, Resolved::Active(_)), "a used token has no end of its own");
    }
}

#[tokio::test]
async fn an_act_that_is_refused_leaves_no_rows() {
    let house = house_with(1, |policy| policy.audit.denials = false, |_| {});
    let guest = house.unwritten_guest().await;
    let before = house.store.positions();
    let (actor, arriving) = house.arriving(&guest).await;
    let avatar = SetProfileField {
        field: "avatar_url".to_owned(),
        value: Some("mxc://a.example/a".into()),
        ..displayname(&guest, "")
    };
    let refused = arriving.act(house.accounts.set_profile_field(&actor, avatar)).await.unwrap();
    assert!(matches!(refused, Err(SetProfileFieldError::Denied(_))), "{refused:?}");
    let protected = displayname(&guest, &"x".repeat(100_000));
    let refused = arriving.act(house.accounts.set_profile_field(&actor, protected)).await.unwrap();
    assert!(refused.is_err());
    assert_eq!(house.store.positions(), before);
    assert!(!has_rows(&house, &guest).await);
}

#[tokio::test]
async fn two_first_acts_at_once_make_one_set_of_rows() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.unwritten_guest().await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (accounts, user_id) = (house.accounts.clone(), guest.user_id.clone());
            let (actor, arriving) = house.arriving(&guest).await;
            tasks.spawn(async move {
                let filter = serde_json::json!({ "event_fields": [number.to_string()] });
                let filter = filter.as_object().unwrap().clone();
                let stored = accounts.create_filter(&actor, user_id, filter);
                arriving.act(stored).await.unwrap().unwrap()
            });
        }
        tasks.join_all().await;
        assert_eq!(live(&house).await, 1);
        let user_id = guest.user_id.clone();
        let filters = house.store.read(move |read| FILTER_BY_ID.scan(read, (&user_id,), 100));
        assert_eq!(filters.await.unwrap().len(), 8);
        assert_eq!(house.accounts.devices(&guest.user_id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_was_altered_or_is_anothers_opens_nothing() {
    let house = house();
    let guest = house.unwritten_guest().await;
    let token = token_of(&guest).expose();
    assert!(token.len() < 600, "{}", token.len());
    for (place, letter) in token.char_indices() {
        for other in ['A', 'b', '7', '_', '='].into_iter().filter(|other| *other != letter) {
            let mut altered = token.clone();
            altered.replace_range(place..=place, &other.to_string());
            assert_eq!(house.resolve(&secret(&altered)).await, Resolved::Unknown, "{altered}");
        }
        let cut = token.get(..place).unwrap();
        assert_eq!(house.resolve(&secret(cut)).await, Resolved::Unknown, "{cut}");
    }
    for more in ["A", "AA", "AAAA", "="] {
        let longer = secret(&format!("{token}{more}"));
        assert_eq!(house.resolve(&longer).await, Resolved::Unknown);
    }
    let elsewhere = super::house();
    let key = StoredGuestTokenKey([9; 32]);
    let now = house.time.environment.now_ms();
    let forged = GuestToken {
        user_id: guest.user_id.clone(),
        device_id: guest.session.clone().unwrap().device_id,
        device_name: None,
        issued_at: now,
        ends_at: now + 60_000,
    };
    assert_eq!(house.resolve(&forged.sign(&key).unwrap()).await, Resolved::Unknown);
    assert_eq!(elsewhere.resolve(token_of(&guest)).await, Resolved::Unknown, "no key, no token");
}

#[tokio::test]
async fn a_token_says_who_its_guest_is_and_is_bounded() {
    let house = house();
    let key = house.accounts.guest_key().await.unwrap();
    let said = GuestToken {
        user_id: format!("@guest-{}:a.example", "a".repeat(NAME_BYTES)).try_into().unwrap(),
        device_id: "ABCDEFGHIJ".into(),
        device_name: Some("\u{1f986}".repeat(1_000)),
        issued_at: 1,
        ends_at: u64::MAX,
    };
    let signed = said.sign(&key).unwrap();
    assert!(signed.expose().len() < 600);
    let server = server_name!("a.example");
    let read = GuestToken::verify(signed.expose(), &key, server).unwrap();
    assert_eq!(read.device_name, Some("\u{1f986}".repeat(64)));
    assert_eq!(GuestToken { device_name: said.device_name.clone(), ..read }, said);
    assert_eq!(GuestToken::verify(signed.expose(), &key, server_name!("b.example")), None);
    let member = GuestToken { user_id: "@alice:a.example".try_into().unwrap(), ..said };
    assert!(member.sign(&key).is_none());
}

#[tokio::test]
async fn an_unused_token_ends_with_the_time_of_guests_who_never_joined() {
    let house = house();
    let guest = house.unwritten_guest().await;
    house.time.clock.advance(59 * MINUTE);
    let (actor, arriving) = house.arriving(&guest).await;
    house.time.clock.advance(MINUTE);
    assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
    // Nor is a request kept that was under way when it ended.
    let stored =
        house.accounts.create_filter(&actor, guest.user_id.clone(), serde_json::Map::new());
    drop(arriving.act(stored).await);
    assert!(!has_rows(&house, &guest).await);
    assert_eq!(live(&house).await, 0);
}

#[tokio::test]
async fn a_token_from_the_future_opens_nothing() {
    let house = house();
    let key = house.accounts.guest_key().await.unwrap();
    let now = house.time.environment.now_ms();
    let signed = |issued_at: u64| {
        let said = GuestToken {
            user_id: format!("@guest-{}:a.example", "b".repeat(NAME_BYTES)).try_into().unwrap(),
            device_id: "ABCDEFGHIJ".into(),
            device_name: None,
            issued_at,
            ends_at: issued_at + 3_600_000,
        };
        said.sign(&key).unwrap()
    };
    let ahead = house.resolve(&signed(now + 3_600_000)).await;
    assert_eq!(ahead, Resolved::Unknown, "the clock was set back by an hour");
    let close = house.resolve(&signed(now + 1_000)).await;
    assert!(matches!(close, Resolved::Arriving(..)), "clocks are set back by a second");
}

#[tokio::test]
async fn a_policy_that_wants_no_guests_or_shorter_ones_ends_unused_tokens() {
    let off = |policy: &mut PolicyConfig| policy.guests.enabled = false;
    let brief = |policy: &mut PolicyConfig| policy.guests.life.never_joined = "1m".to_owned();
    let changes: [&dyn Fn(&mut PolicyConfig); 2] = [&off, &brief];
    for change in changes {
        let house = house();
        let guest = house.unwritten_guest().await;
        house.time.clock.advance(2 * MINUTE);
        let mut rules = policy_config();
        change(&mut rules);
        let (policy, _) = compile(&rules, server_name!("a.example")).unwrap();
        house.policy.swap(policy.at_epoch(1));
        assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
    }
}

#[tokio::test]
async fn the_key_and_what_was_logged_out_outlive_a_restart() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let (stays, goes) = (house.unwritten_guest().await, house.unwritten_guest().await);
        let (actor, _) = house.arriving(&goes).await;
        house.accounts.log_out(&actor).await.unwrap();
        assert_eq!(house.resolve(token_of(&goes)).await, Resolved::Unknown);

        let House { store, time, .. } = house;
        let house = house_over(store, time, (|_: &mut _| {}, |_: &mut _| {}));
        assert_eq!(house.resolve(token_of(&goes)).await, Resolved::Unknown);
        first_act(&house.accounts, &stays, PEER).await.unwrap();
        assert!(has_rows(&house, &stays).await);
        assert!(!has_rows(&house, &goes).await);
    }
}

#[expect(clippy::disallowed_methods, reason = "a request is a task of its own")]
#[tokio::test]
async fn logging_an_unused_token_out_makes_no_account_and_ends_what_is_under_way() {
    for everywhere in [false, true] {
        let house = house_with(3, |_| {}, |_| {});
        let guest = house.unwritten_guest().await;
        let (actor, poll) = house.arriving(&guest).await;
        let other = house.unwritten_guest().await;
        let (_, others) = house.arriving(&other).await;
        let waits = tokio::spawn(async move { poll.act(std::future::pending::<()>()).await });
        let mut stays = tokio::spawn(async move { others.act(std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        if everywhere {
            house.accounts.log_out_all(&actor).await.unwrap();
        } else {
            house.accounts.log_out(&actor).await.unwrap();
        }
        assert_eq!(waits.await.unwrap(), None, "the poll ends");
        let patience = tokio::time::timeout(Duration::ZERO, &mut stays).await;
        assert!(patience.is_err(), "somebody else's goes on");
        stays.abort();
        assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
        assert!(!has_rows(&house, &guest).await);
        assert_eq!(live(&house).await, 0);
        assert!(house.jobs().await.is_empty());
    }
}

#[tokio::test]
async fn logging_out_beside_the_first_act_ends_the_guest_either_way() {
    for act_first in [false, true] {
        let house = house();
        let guest = house.unwritten_guest().await;
        let (actor, arriving) = house.arriving(&guest).await;
        let filter = serde_json::Map::new();
        let stored = house.accounts.create_filter(&actor, guest.user_id.clone(), filter);
        if act_first {
            arriving.act(stored).await.unwrap().unwrap();
            house.accounts.log_out(&actor).await.unwrap();
        } else {
            house.accounts.log_out(&actor).await.unwrap();
            drop(arriving.act(stored).await);
        }
        assert_eq!(has_rows(&house, &guest).await, act_first);
        assert_eq!(live(&house).await, 0);
        assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
    }
}

#[tokio::test]
async fn a_guest_that_ended_never_comes_back() {
    for slots in [1, 3] {
        let house = house_with(slots, |policy| policy.audit.denials = false, |_| {});
        let guest = house.unwritten_guest().await;
        let (actor, arriving) = house.arriving(&guest).await;
        first_act(&house.accounts, &guest, PEER).await.unwrap();
        assert!(house.accounts.end_guest(&guest.user_id, true).await.unwrap());
        assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
        // A request that began before the guest had rows.
        let before = house.store.positions();
        let set = house.accounts.set_profile_field(&actor, displayname(&guest, "Visitor"));
        let late = arriving.act(set).await.unwrap();
        assert!(matches!(late, Err(SetProfileFieldError::Denied(_))), "{late:?}");
        assert_eq!(house.store.positions(), before);
        assert_eq!(live(&house).await, 0);
    }
}

#[tokio::test]
async fn a_guest_without_rows_becomes_an_account() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let guest = house.unwritten_guest().await;
        let localpart = guest.user_id.localpart().to_owned();
        let command = |username: &str| Register {
            guest_access_token: Some(token_of(&guest).clone()),
            ..registration(username)
        };
        let other = house.accounts.register(command("alice")).await;
        assert!(matches!(other, Err(RegisterError::NotOwnName)));
        assert!(!has_rows(&house, &guest).await);

        let account = house.accounts.register(command(&localpart)).await.unwrap();
        assert_eq!(account.user_id, guest.user_id);
        let actor = house.actor(&account.session.unwrap()).await;
        assert_eq!(actor.class(), &ClassName::member());
        assert_eq!(live(&house).await, 0);
        assert_eq!(house.resolve(token_of(&guest)).await, Resolved::Unknown);
        let again = house.accounts.register(command(&localpart)).await;
        assert!(matches!(again, Err(RegisterError::GuestToken)), "the token was spent");
        let user_id = guest.user_id.clone();
        let profile = house.store.read(move |read| facts::member_profile(read, &user_id));
        assert_eq!(profile.await.unwrap().displayname, None, "it never was called a guest");
    }
}

#[tokio::test]
async fn logged_out_tokens_are_forgotten_when_they_end_and_never_are_too_many() {
    let house = house();
    let max = REFUSED_GUEST_TOKENS_MAX;
    let digest = |number: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TokenDigest(bytes)
    };
    let now = house.time.environment.now_ms();
    let store = &house.store;
    let refuse = |from: u64, to: u64, now: u64| {
        store.write(vestibule_storage::SlotNo(0), move |tx| {
            for number in from..to {
                crate::session::refuse(tx, (now + 1 + number, digest(number)), now)?;
            }
            let kept = REFUSED_GUEST_TOKENS.get(tx, (0,))?.unwrap_or_default();
            let rows = REFUSED_GUEST_TOKEN.scan(tx, (), usize::MAX)?;
            let refused = |number: u64| {
                let read: &dyn Read = tx;
                crate::session::is_refused(read, (now + 1 + number, digest(number)))
            };
            let first_and_last = (refused(from)?, refused(to - 1)?, refused(to)?);
            Ok::<_, StorageError>((kept, rows.len(), first_and_last))
        })
    };
    let full = refuse(0, max, now).await.unwrap().value;
    assert_eq!((full.0.count, full.0.until), (max, 0));
    assert_eq!(full.2, (true, true, false));

    let over = refuse(0, max + 20, now).await.unwrap().value;
    assert!(over.0.count <= max);
    assert_eq!(over.0.count, over.1 as u64);
    assert_eq!(over.2, (true, true, false), "the first to end are refused without being kept");
    assert!(over.0.until > now);

    let later = now + 10 * max;
    let past = refuse(0, 10, later).await.unwrap().value;
    assert_eq!(past.0.count, past.1 as u64);
    assert!(past.0.count < over.0.count, "what ended is forgotten");
}
