use std::cmp::Reverse;

use proptest::prelude::*;
use ruma::{OwnedUserId, user_id};
use vestibule_types::RoomNo;

use super::*;

fn encoded<K: Key>(key: &K) -> Vec<u8> {
    let mut out = EncodeBuf::default();
    key.encode(&mut out);
    out.bytes
}

fn check<K: Key + Ord + fmt::Debug>(one: &K, other: &K) {
    let (one_bytes, other_bytes) = (encoded(one), encoded(other));
    assert_eq!(one_bytes.cmp(&other_bytes), one.cmp(other), "{one:?} against {other:?}");
    assert_eq!(K::decode(&one_bytes).as_ref(), Some(one));
}

/// Bytes that try the escaping: mostly zeros, ones and 0xff.
fn tricky_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(0xff), Just(0xfe), any::<u8>()];
    proptest::collection::vec(byte, 0..6)
}

fn tricky_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![Just('\0'), Just('\u{1}'), Just('ÿ'), Just('a'), any::<char>()];
    proptest::collection::vec(character, 0..5).prop_map(|text| text.into_iter().collect())
}

proptest! {
    #[test]
    fn bytes_sort_as_the_keys_do(
        one in (tricky_bytes(), tricky_text(), any::<u8>(), any::<i64>()),
        other in (tricky_bytes(), tricky_text(), any::<u8>(), any::<i64>()),
    ) {
        check(&one, &other);
    }

    #[test]
    fn equal_first_parts_leave_the_order_to_the_later_ones(
        first in tricky_bytes(), one in (tricky_text(), any::<u64>()), other in (tricky_text(), any::<u64>()),
    ) {
        check(&(first.clone(), one.0, one.1), &(first, other.0, other.1));
    }

    #[test]
    fn optional_fixed_and_reversed_parts_sort_as_they_do_in_rust(
        one in (proptest::option::of(tricky_text()), any::<[u8; 3]>(), any::<u32>(), any::<bool>()),
        other in (proptest::option::of(tricky_text()), any::<[u8; 3]>(), any::<u32>(), any::<bool>()),
    ) {
        check(&(one.0, one.1, Reverse(one.2), one.3), &(other.0, other.1, Reverse(other.2), other.3));
    }

    #[test]
    fn stamps_sort_by_commit_and_then_by_index(
        one in (any::<u64>(), any::<u16>()), other in (any::<u64>(), any::<u16>()),
    ) {
        let stamp = |(commit, index)| (Stamp { commit, index },);
        check(&stamp(one), &stamp(other));
    }

    #[test]
    fn a_key_begins_with_the_bytes_of_its_first_parts_and_no_other_key_does(
        key in (tricky_bytes(), tricky_text()), other in tricky_bytes(),
    ) {
        let mut prefix = EncodeBuf::default();
        AsPrefix::<(Vec<u8>, String)>::encode_prefix((&other,), &mut prefix);
        prop_assert_eq!(encoded(&key).starts_with(&prefix.bytes), key.0 == other);
    }

    #[test]
    fn any_bytes_decode_to_a_key_that_encodes_to_them_or_to_nothing(bytes in tricky_bytes()) {
        if let Some(key) = <(Vec<u8>, u8)>::decode(&bytes) {
            prop_assert_eq!(encoded(&key), bytes);
        }
    }
}

#[test]
fn borrowed_parts_encode_as_the_owned_ones() {
    type K = (OwnedUserId, String, Vec<u8>, RoomNo);
    let user = user_id!("@alice:example.org");
    let owned: K = (user.to_owned(), "a\0b".to_owned(), vec![0, 1], RoomNo(3));
    let mut out = EncodeBuf::default();
    AsKey::<K>::encode_key((user, "a\0b", [0, 1].as_slice(), RoomNo(3)), &mut out);
    assert_eq!(out.bytes, encoded(&owned));
    assert_eq!(K::decode(&out.bytes), Some(owned));
}

#[test]
fn an_identifier_that_is_none_does_not_decode() {
    let bytes = encoded(&("alice".to_owned(),));
    assert_eq!(<(OwnedUserId,)>::decode(&bytes), None);
}

#[test]
fn only_pending_stamps_are_remembered_with_their_place() {
    let mut out = EncodeBuf::default();
    (Stamp { commit: 4, index: 0 }, Stamp { commit: Stamp::PENDING, index: 1 }).encode(&mut out);
    assert_eq!(out.stamps.as_slice(), [10]);
}
