//! Backups of room keys.

use std::collections::BTreeMap;

use serde_json::json;
use vestibule_keys::backup::{
    BackupError, NewBackup, PutRoomKeysError, RoomKey, UpdateBackup, UpdateBackupError, Which,
};
use vestibule_types::limits::{ROOM_KEY_BYTES_MAX, ROOM_KEYS_BYTES_MAX};

use crate::support::{House, Person, raw};

const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

fn key(is_verified: bool, first_message_index: u64, forwarded_count: u64) -> RoomKey {
    let session_data = json!({ "of": [is_verified, first_message_index, forwarded_count] });
    let session_data = session_data.to_string();
    RoomKey { first_message_index, forwarded_count, is_verified, session_data }
}

async fn make(house: &House, who: &Person) -> String {
    let command = NewBackup {
        algorithm: ALGORITHM.to_owned(),
        auth_data: raw(&json!({ "public_key": "p" })),
    };
    house.keys.create_backup(&who.user, command).await.expect("made")
}

async fn put(
    house: &House,
    who: &Person,
    version: &str,
    (room, session): (&str, &str),
    key: RoomKey,
) -> Result<(String, u64), PutRoomKeysError> {
    let keys = BTreeMap::from([(room.to_owned(), [(session.to_owned(), key)].into())]);
    let state = house.keys.put_room_keys(&who.user, version, keys).await?;
    Ok((state.etag, state.count))
}

#[tokio::test]
async fn of_two_copies_of_a_key_the_better_one_is_kept() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.member("alice", "LAPTOP").await;
        let version = make(&house, &alice).await;
        let place = ("!r:home.test", "session");
        // Each beats the one before it; the ones in between do not.
        let better = [key(false, 5, 5), key(false, 5, 2), key(false, 3, 9), key(true, 7, 7)];
        let worse = [key(false, 6, 0), key(false, 5, 3), key(false, 3, 9), key(false, 0, 0)];
        let mut etags = Vec::new();
        for (better, worse) in better.into_iter().zip(worse) {
            let (etag, count) = put(&house, &alice, &version, place, better.clone()).await.unwrap();
            assert_eq!(count, 1);
            let unchanged = put(&house, &alice, &version, place, worse).await.unwrap();
            assert_eq!(unchanged, (etag.clone(), 1), "what changes nothing is no change");
            etags.push(etag);
            let (room, session) = (place.0.to_owned(), place.1.to_owned());
            let kept = house.keys.room_key(&alice.user, &version, (room, session)).await.unwrap();
            assert_eq!(kept, better);
        }
        etags.dedup();
        assert_eq!(etags.len(), 4, "every change has an etag of its own");
    }
}

#[tokio::test]
async fn keys_go_to_the_newest_backup_only() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let place = ("!r:home.test", "session");
    let none = put(&house, &alice, "1", place, key(true, 0, 0)).await;
    assert!(matches!(none, Err(PutRoomKeysError::Unknown)));
    let old = make(&house, &alice).await;
    put(&house, &alice, &old, place, key(true, 0, 0)).await.unwrap();
    let new = make(&house, &alice).await;
    for wrong in [old.as_str(), "99", "first", ""] {
        let refused = put(&house, &alice, wrong, place, key(true, 0, 0)).await;
        let current = match refused {
            Err(PutRoomKeysError::WrongVersion { current }) => current,
            other => panic!("{other:?}"),
        };
        assert_eq!(current, new);
    }
    let kept = house.keys.room_keys(&alice.user, &old, Which::All).await.unwrap();
    assert_eq!(kept.len(), 1, "the old one can still be read");
    house.keys.delete_backup(&alice.user, &new).await.unwrap();
    put(&house, &alice, &old, place, key(true, 0, 0)).await.unwrap();
    assert!(make(&house, &alice).await > new, "a version is never used again");
}

#[tokio::test]
async fn keys_are_read_and_removed_in_every_shape() {
    let house = House::new(3);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    let version = make(&house, &alice).await;
    let places = [("!a", "1"), ("!a", "2"), ("!b", "1"), ("!b", "2"), ("!c", "1")];
    for place in places {
        put(&house, &alice, &version, place, key(true, 0, 0)).await.unwrap();
    }
    let count = |which: Which| {
        let (house, user, version) = (&house, &alice.user, &version);
        async move {
            let keys = house.keys.room_keys(user, version, which).await.unwrap();
            keys.values().map(BTreeMap::len).sum::<usize>()
        }
    };
    let room = |name: &str| Which::Room(name.to_owned());
    assert_eq!((count(Which::All).await, count(room("!a")).await), (5, 2));
    assert_eq!(count(room("!unknown")).await, 0);
    let unknown = ("!a".to_owned(), "9".to_owned());
    let missing = house.keys.room_key(&alice.user, &version, unknown).await;
    assert!(matches!(missing, Err(BackupError::UnknownKey)));
    let theirs = house.keys.room_keys(&bob.user, &version, Which::All).await;
    assert!(matches!(theirs, Err(BackupError::Unknown)), "nobody reads somebody else's");

    let remove = |which: Which| house.keys.delete_room_keys(&alice.user, &version, which);
    let one = Which::Session("!a".to_owned(), "1".to_owned());
    assert_eq!(remove(one.clone()).await.unwrap().count, 4);
    assert_eq!(remove(one).await.unwrap().count, 4, "it was gone");
    assert_eq!(remove(room("!b")).await.unwrap().count, 2);
    assert_eq!(count(Which::All).await, 2);
    let left = remove(Which::All).await.unwrap();
    assert_eq!(left.count, 0);
    assert_eq!(house.keys.backup(&alice.user, None).await.unwrap().state, left);
    assert_eq!(count(Which::All).await, 0);
}

#[tokio::test]
async fn backups_are_made_changed_and_removed() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let missing = house.keys.backup(&alice.user, None).await;
    assert!(matches!(missing, Err(BackupError::Unknown)));
    let version = make(&house, &alice).await;
    let backup = house.keys.backup(&alice.user, None).await.unwrap();
    assert_eq!((backup.version.as_str(), backup.state.count), (version.as_str(), 0));
    assert_eq!(backup.auth_data.get(), r#"{"public_key":"p"}"#);

    let change = |algorithm: &str, named: Option<&str>| UpdateBackup {
        algorithm: algorithm.to_owned(),
        auth_data: raw(&json!({ "public_key": "q" })),
        version: named.map(ToOwned::to_owned),
    };
    let update = |version: &str, command| {
        let (keys, user, version) = (house.keys.clone(), alice.user.clone(), version.to_owned());
        async move { keys.update_backup(&user, &version, command).await }
    };
    let wrong = update(&version, change("m.other", None)).await;
    assert!(matches!(wrong, Err(UpdateBackupError::Algorithm)));
    let wrong = update(&version, change(ALGORITHM, Some("7"))).await;
    assert!(matches!(wrong, Err(UpdateBackupError::Version)));
    let wrong = update("7", change(ALGORITHM, None)).await;
    assert!(matches!(wrong, Err(UpdateBackupError::Unknown)));
    update(&version, change(ALGORITHM, Some(&version))).await.unwrap();
    let backup = house.keys.backup(&alice.user, Some(&version)).await.unwrap();
    assert_eq!(backup.auth_data.get(), r#"{"public_key":"q"}"#);

    for _ in 0..2 {
        house.keys.delete_backup(&alice.user, &version).await.unwrap();
    }
    let unknown = house.keys.delete_backup(&alice.user, "99").await;
    assert!(matches!(unknown, Err(BackupError::Unknown)));
    assert!(house.keys.backup(&alice.user, Some(&version)).await.is_err());
}

#[tokio::test]
async fn an_account_that_ends_takes_its_backups_and_cross_signing_keys_with_it() {
    let house = House::new(3);
    let alice = house.member("alice", "LAPTOP").await;
    let bob = house.member("bob", "PHONE").await;
    alice.introduce(&house).await;
    let keys = crate::support::CrossSigning::new(&alice.user, "a");
    keys.store(&house, &alice).await.unwrap();
    let version = make(&house, &alice).await;
    put(&house, &alice, &version, ("!a", "1"), key(true, 0, 0)).await.unwrap();
    house.accounts.deactivate_account(&alice.user, false).await.unwrap();
    assert!(house.keys.room_keys(&alice.user, &version, Which::All).await.is_err());
    let shown = house.query(&bob, &[&alice.user]).await.keys;
    assert!(shown.master_keys.is_empty() && shown.device_keys[&alice.user].is_empty());
}

#[tokio::test]
async fn all_backups_of_a_user_together_hold_so_many_bytes_and_no_more() {
    let house = House::new(3);
    let alice = house.member("alice", "LAPTOP").await;
    let large = |first_message_index| RoomKey {
        first_message_index,
        session_data: format!("\"{}\"", "x".repeat(ROOM_KEY_BYTES_MAX - 2)),
        ..key(false, 0, 0)
    };
    let first = make(&house, &alice).await;
    let most = usize::try_from(ROOM_KEYS_BYTES_MAX).unwrap() / ROOM_KEY_BYTES_MAX;
    for part in 0..4 {
        let keys = (0..most / 4).map(|it| (format!("{part}-{it}"), large(5)));
        let keys = BTreeMap::from([("!r:home.test".to_owned(), keys.collect())]);
        let put = house.keys.put_room_keys(&alice.user, &first, keys).await;
        assert_eq!(put.is_ok(), part < 3, "the names count as well");
    }
    let second = make(&house, &alice).await;
    let more = (0..most / 4).map(|it| (it.to_string(), large(5))).collect();
    let more = BTreeMap::from([("!r:home.test".to_owned(), more)]);
    let refused = house.keys.put_room_keys(&alice.user, &second, more.clone()).await;
    assert!(matches!(refused, Err(PutRoomKeysError::TooMuch)), "{refused:?}");
    for session in ["0-0", "0-1"] {
        let which = Which::Session("!r:home.test".to_owned(), session.to_owned());
        house.keys.delete_room_keys(&alice.user, &first, which).await.unwrap();
    }
    house.keys.put_room_keys(&alice.user, &second, more).await.unwrap();
    house.keys.delete_backup(&alice.user, &first).await.unwrap();
    put(&house, &alice, &second, ("!s:home.test", "one"), large(1)).await.unwrap();
}
