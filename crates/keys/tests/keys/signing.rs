//! Cross-signing: which keys and signatures are stored, and who sees them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vestibule_accounts::{Attempt, Proof, UiaError};
use vestibule_keys::{
    ObjectError, SignatureFailure, SignatureFailures, UploadKeys, UploadKeysError,
    UploadSigningKeysError,
};
use vestibule_types::ClassName;

use crate::support::{CrossSigning, House, Key, Person, raw, value};

async fn upload(
    house: &House,
    who: &Person,
    signed: &[(&ruma::UserId, &str, &Value)],
) -> SignatureFailures {
    let mut keys: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (owner, name, object) in signed {
        keys.entry((*owner).to_owned()).or_default().insert((*name).to_owned(), raw(object));
    }
    house.keys.upload_signatures(&who.actor, keys).await.expect("an answer")
}

/// Alice with a device and cross-signing keys.
async fn alice(house: &House) -> (Person, CrossSigning) {
    let alice = house.member("alice", "LAPTOP").await;
    alice.introduce(house).await;
    let keys = CrossSigning::new(&alice.user, "first");
    keys.store(house, &alice).await.expect("stored");
    (alice, keys)
}

#[tokio::test]
async fn the_first_keys_are_free_the_same_again_too_and_others_need_a_proof() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, keys) = alice(&house).await;
        keys.store(&house, &alice).await.unwrap();
        let others = CrossSigning::new(&alice.user, "second");
        let refused = others.store(&house, &alice).await;
        let Err(UploadSigningKeysError::Uia(UiaError::Challenge(challenge))) = refused else {
            panic!("{refused:?}");
        };
        let shown = house.query(&alice, &[&alice.user]).await.keys;
        assert_eq!(value(&shown.master_keys[&alice.user]), keys.master_key(), "nothing changed");

        let mut command = others.upload();
        // This account has no password, so nothing is left to prove but the session.
        let session = Some(challenge.session.clone());
        command.attempt = Some(Attempt { session, proof: Some(Proof::Dummy) });
        house.keys.upload_signing_keys(&alice.actor, command).await.unwrap();
        let shown = house.query(&alice, &[&alice.user]).await.keys;
        assert_eq!(value(&shown.master_keys[&alice.user]), others.master_key());
    }
}

#[tokio::test]
async fn a_single_new_key_beside_the_known_master_needs_a_proof_too() {
    let house = House::new(1);
    let (alice, keys) = alice(&house).await;
    let mut command = keys.upload();
    command.self_signing = Some(raw(&keys.object("self_signing", &Key::new("new"))));
    let refused = house.keys.upload_signing_keys(&alice.actor, command).await;
    assert!(matches!(refused, Err(UploadSigningKeysError::Uia(UiaError::Challenge(_)))));
}

#[tokio::test]
async fn keys_that_the_master_key_did_not_sign_are_refused() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let keys = CrossSigning::new(&alice.user, "a");
    let stranger = CrossSigning { master: Key::new("stranger"), ..keys.clone() };
    let mut unsigned = keys.object("self_signing", &keys.own);
    unsigned.as_object_mut().unwrap().remove("signatures");
    let mut forged = keys.object("self_signing", &keys.own);
    stranger.master.sign(&mut forged, &alice.user, &keys.master.public());
    for wrong in [unsigned, forged, stranger.object("self_signing", &keys.own)] {
        let mut command = keys.upload();
        command.self_signing = Some(raw(&wrong));
        let refused = house.keys.upload_signing_keys(&alice.actor, command).await;
        let expected =
            matches!(refused, Err(UploadSigningKeysError::Object(ObjectError::Signature)));
        assert!(expected, "{refused:?}");
    }
    let mut command = keys.upload();
    command.master = None;
    let refused = house.keys.upload_signing_keys(&alice.actor, command).await;
    assert!(matches!(refused, Err(UploadSigningKeysError::NoMaster)));
    assert!(house.query(&alice, &[&alice.user]).await.keys.master_keys.is_empty());
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let keys = CrossSigning::new(&alice.user, "a");
    let with = |field: &str, to: Value| {
        let mut object = keys.master_key();
        object[field] = to;
        object
    };
    let public = keys.master.public();
    let id = format!("ed25519:{public}");
    let table = [
        with("usage", json!(["self_signing"])),
        with("usage", json!("master")),
        with("keys", json!({})),
        with("keys", json!({ id.clone(): public, "ed25519:b": "b" })),
        with("keys", json!({ "ed25519:name": public })),
        with("keys", json!({ "ed25519:short": "short" })),
        with("user_id", json!("@bob:home.test")),
    ];
    for wrong in table {
        let mut command = keys.upload();
        command.master = Some(raw(&wrong));
        let refused = house.keys.upload_signing_keys(&alice.actor, command).await;
        assert!(matches!(refused, Err(UploadSigningKeysError::Object(_))), "{wrong}: {refused:?}");
    }
}

#[tokio::test]
async fn devices_and_cross_signing_keys_do_not_share_names() {
    let house = House::new(1);
    let alice = house.member("alice", "LAPTOP").await;
    let keys = CrossSigning::new(&alice.user, "a");
    let twin = house.device(&alice.user, &keys.own.public(), ClassName::member()).await;
    let refused = keys.store(&house, &alice).await;
    assert!(matches!(refused, Err(UploadSigningKeysError::NameTaken)));
    house.accounts.log_out(&twin.actor).await.unwrap();
    keys.store(&house, &alice).await.unwrap();
    let twin = house.device(&alice.user, &keys.own.public(), ClassName::member()).await;
    let command = UploadKeys { device_keys: Some(raw(&twin.identity())), ..Default::default() };
    let refused = twin.upload(&house, command).await;
    assert!(matches!(refused, Err(UploadKeysError::NamedLikeAKey)));
}

#[tokio::test]
async fn the_user_signing_key_is_shown_to_its_owner_only() {
    let house = House::new(1);
    let (alice, keys) = alice(&house).await;
    let bob = house.member("bob", "PHONE").await;
    let own = house.query(&alice, &[&alice.user]).await.keys;
    let expected = keys.object("user_signing", &keys.others);
    assert_eq!(value(&own.user_signing_keys[&alice.user]), expected);
    let shown = house.query(&bob, &[&alice.user]).await.keys;
    assert!(shown.user_signing_keys.is_empty());
    assert!(shown.master_keys.contains_key(&alice.user));
    assert!(shown.self_signing_keys.contains_key(&alice.user));
    let abroad = [(alice.user.clone(), Vec::new())].into();
    let shown = house.keys.query_keys_for_server(abroad).await.unwrap();
    assert!(shown.user_signing_keys.is_empty());
}

#[tokio::test]
async fn a_device_signed_by_the_self_signing_key_is_shown_so_to_everybody() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, keys) = alice(&house).await;
        let bob = house.member("bob", "PHONE").await;
        let before = house.told(&alice.user).await;
        let mut signed = alice.identity();
        keys.own.sign(&mut signed, &alice.user, &keys.own.public());
        let failures = upload(&house, &alice, &[(&alice.user, "LAPTOP", &signed)]).await;
        assert!(failures.is_empty(), "{failures:?}");
        assert!(house.told(&alice.user).await > before);
        let shown = house.query(&bob, &[&alice.user]).await.keys;
        let shown = value(&shown.device_keys[&alice.user][&alice.device]);
        assert_eq!(shown["signatures"], signed["signatures"]);
        let told = house.told(&alice.user).await;
        upload(&house, &alice, &[(&alice.user, "LAPTOP", &signed)]).await;
        assert_eq!(house.told(&alice.user).await, told, "the same again is no news");
    }
}

#[tokio::test]
async fn a_forged_signature_is_never_stored() {
    let house = House::new(1);
    let (alice, keys) = alice(&house).await;
    let bob = house.member("bob", "PHONE").await;
    bob.introduce(&house).await;
    let bobs = CrossSigning::new(&bob.user, "bob");
    bobs.store(&house, &bob).await.unwrap();
    let stranger = Key::new("stranger");
    let (own, others, master) = (keys.own.public(), keys.others.public(), keys.master.public());

    let with = |mut object: Value, by: &Key, user: &ruma::UserId, name: &str| {
        by.sign(&mut object, user, name);
        object
    };
    let device = alice.identity();
    let bobs_master = bobs.master_key();
    let bobs_name = bobs.master.public();
    // What is signed, under which name, and what the answer should be.
    let table: Vec<(&ruma::UserId, &str, Value)> = vec![
        // By nobody who could.
        (&alice.user, "LAPTOP", with(device.clone(), &stranger, &alice.user, &own)),
        (&alice.user, "LAPTOP", with(device.clone(), &keys.others, &alice.user, &others)),
        (&alice.user, "LAPTOP", with(device.clone(), &keys.master, &alice.user, &master)),
        (&alice.user, &master, with(keys.master_key(), &stranger, &alice.user, "LAPTOP")),
        (&bob.user, &bobs_name, with(bobs_master.clone(), &keys.own, &alice.user, &own)),
        (&bob.user, &bobs_name, with(bobs_master.clone(), &alice.key, &alice.user, "LAPTOP")),
        (&bob.user, &bobs_name, with(bobs_master.clone(), &stranger, &alice.user, &others)),
        // In somebody else's name.
        (
            &bob.user,
            &bobs_name,
            with(bobs_master.clone(), &bobs.others, &bob.user, &bobs.others.public()),
        ),
        // Nothing at all.
        (&bob.user, &bobs_name, bobs_master.clone()),
    ];
    for (owner, name, object) in &table {
        let failures = upload(&house, &alice, &[(owner, name, object)]).await;
        assert_eq!(failures[*owner][*name], SignatureFailure::Invalid, "{object}");
    }
    // Devices of others are not signed at all, and unknown keys cannot be.
    let foreign = with(bob.identity(), &keys.others, &alice.user, &others);
    let failures = upload(&house, &alice, &[(&bob.user, "PHONE", &foreign)]).await;
    assert_eq!(failures[&bob.user]["PHONE"], SignatureFailure::Unknown);
    let mut changed = bobs_master.clone();
    changed["usage"] = json!(["master", "more"]);
    let changed = with(changed, &keys.others, &alice.user, &others);
    let failures = upload(&house, &alice, &[(&bob.user, &bobs_name, &changed)]).await;
    assert_eq!(failures[&bob.user][&bobs_name], SignatureFailure::Differs);

    let shown = house.query(&alice, &[&alice.user, &bob.user]).await.keys;
    let laptop = value(&shown.device_keys[&alice.user][&alice.device]);
    assert_eq!(laptop["signatures"], alice.identity()["signatures"]);
    assert_eq!(value(&shown.master_keys[&bob.user]), bobs_master);
    assert_eq!(value(&shown.master_keys[&alice.user]), keys.master_key());
}

#[tokio::test]
async fn one_bad_signature_does_not_spoil_the_good_ones_beside_it() {
    let house = House::new(1);
    let (alice, keys) = alice(&house).await;
    let mut good = keys.master_key();
    alice.key.sign(&mut good, &alice.user, "LAPTOP");
    let mut bad = alice.identity();
    Key::new("stranger").sign(&mut bad, &alice.user, &keys.own.public());
    let master = keys.master.public();
    let both: [(&ruma::UserId, &str, &Value); 2] =
        [(&alice.user, "LAPTOP", &bad), (&alice.user, &master, &good)];
    let failures = upload(&house, &alice, &both).await;
    assert_eq!(failures[&alice.user].len(), 1);
    assert_eq!(failures[&alice.user]["LAPTOP"], SignatureFailure::Invalid);
    let shown = house.query(&alice, &[&alice.user]).await.keys;
    assert_eq!(value(&shown.master_keys[&alice.user])["signatures"], good["signatures"]);
}

#[tokio::test]
async fn who_verified_whom_is_seen_by_nobody_but_the_one_who_did() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, keys) = alice(&house).await;
        let bob = house.member("bob", "PHONE").await;
        let carol = house.member("carol", "TABLET").await;
        let bobs = CrossSigning::new(&bob.user, "bob");
        bobs.store(&house, &bob).await.unwrap();
        let mut signed = bobs.master_key();
        keys.others.sign(&mut signed, &alice.user, &keys.others.public());
        let told = house.told(&bob.user).await;
        let name = bobs.master.public();
        let failures = upload(&house, &alice, &[(&bob.user, &name, &signed)]).await;
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(house.told(&bob.user).await, told, "nobody else is told");
        let mut seen = Vec::new();
        for who in [&alice, &bob, &carol] {
            let shown = house.query(who, &[&bob.user]).await.keys;
            seen.push(value(&shown.master_keys[&bob.user]) == signed);
        }
        assert_eq!(seen, [true, false, false]);
        let abroad = [(bob.user.clone(), Vec::new())].into();
        let shown = house.keys.query_keys_for_server(abroad).await.unwrap();
        assert_eq!(value(&shown.master_keys[&bob.user]), bobs.master_key());
    }
}

#[tokio::test]
async fn signatures_over_keys_that_changed_go_with_the_old_keys() {
    let house = House::new(1);
    let (alice, keys) = alice(&house).await;
    let mut signed = alice.identity();
    keys.own.sign(&mut signed, &alice.user, &keys.own.public());
    upload(&house, &alice, &[(&alice.user, "LAPTOP", &signed)]).await;
    let mut other = alice.identity();
    other["algorithms"] = json!(["m.new"]);
    other.as_object_mut().unwrap().remove("signatures");
    alice.key.sign(&mut other, &alice.user, "LAPTOP");
    let command = UploadKeys { device_keys: Some(raw(&other)), ..Default::default() };
    alice.upload(&house, command).await.unwrap();
    let shown = house.query(&alice, &[&alice.user]).await.keys;
    let shown = value(&shown.device_keys[&alice.user][&alice.device]);
    assert_eq!(shown["signatures"], other["signatures"]);
}

#[tokio::test]
async fn a_new_master_key_takes_the_keys_it_did_not_sign_with_it() {
    let house = House::new(1);
    let (alice, _) = alice(&house).await;
    let others = CrossSigning::new(&alice.user, "second");
    let mut command = others.upload();
    (command.self_signing, command.user_signing) = (None, None);
    let refused = house.keys.upload_signing_keys(&alice.actor, command).await;
    let Err(UploadSigningKeysError::Uia(UiaError::Challenge(challenge))) = refused else {
        panic!("{refused:?}");
    };
    let mut command = others.upload();
    (command.self_signing, command.user_signing) = (None, None);
    let session = Some(challenge.session.clone());
    command.attempt = Some(Attempt { session, proof: Some(Proof::Dummy) });
    house.keys.upload_signing_keys(&alice.actor, command).await.unwrap();
    let shown = house.query(&alice, &[&alice.user]).await.keys;
    assert_eq!(value(&shown.master_keys[&alice.user]), others.master_key());
    assert!(shown.self_signing_keys.is_empty() && shown.user_signing_keys.is_empty());
}
