//! What every engine does. An engine is held to it by one line of [`object_store_contract!`].

use std::io;

use bytes::Bytes;
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::limits::MEDIA_PIECE_BYTES;

use super::ObjectStore;

/// A moment before everything that is written in these tests, and one after it.
const BEFORE: u64 = 1_000;
const AFTER: u64 = u64::MAX;

const ONE: FileDigest = [1; 32];
const TWO: FileDigest = [2; 32];

async fn put(objects: &dyn ObjectStore, name: &str, digest: FileDigest, pieces: &[&'static [u8]]) {
    let mut writer = objects.begin(name.to_owned()).await.unwrap();
    for piece in pieces {
        writer.write(Bytes::from_static(piece)).await.unwrap();
    }
    writer.finish(digest).await.unwrap();
}

/// The bytes of a part, or why they do not come; `None` where there is no such file.
async fn get(
    objects: &dyn ObjectStore,
    digest: FileDigest,
    (from, to): (u64, u64),
) -> io::Result<Option<Vec<u8>>> {
    let Some(mut reader) = objects.open(digest, from..to).await? else { return Ok(None) };
    let mut bytes = Vec::new();
    while let Some(piece) = reader.read().await? {
        assert!((1..=MEDIA_PIECE_BYTES).contains(&piece.len()), "{} bytes", piece.len());
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

pub(super) async fn gives_files_back_whole_and_in_parts(objects: &dyn ObjectStore) {
    put(objects, "a", ONE, &[b"hello ", b"", b"world"]).await;
    for (part, expected) in
        [((0, 11), &b"hello world"[..]), ((4, 8), b"o wo"), ((11, 11), b""), ((3, 3), b"")]
    {
        assert_eq!(get(objects, ONE, part).await.unwrap().unwrap(), expected, "{part:?}");
    }
    put(objects, "b", TWO, &[]).await;
    assert_eq!(get(objects, TWO, (0, 0)).await.unwrap().unwrap(), b"");
    assert!(get(objects, [3; 32], (0, 1)).await.unwrap().is_none());
    for (digest, there) in [(ONE, true), (TWO, true), ([3; 32], false)] {
        assert_eq!(objects.exists(digest).await.unwrap(), there);
    }
}

pub(super) async fn gives_a_large_file_in_small_pieces(objects: &dyn ObjectStore) {
    let (length, shown) = (5 * MEDIA_PIECE_BYTES + 7, 2 * MEDIA_PIECE_BYTES + 1);
    let file: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let mut writer = objects.begin("large".to_owned()).await.unwrap();
    writer.write(file.clone().into()).await.unwrap();
    writer.finish(ONE).await.unwrap();
    let end = u64::try_from(length).unwrap();
    assert!(get(objects, ONE, (0, end)).await.unwrap().unwrap() == file);
    let from = u64::try_from(length - shown).unwrap();
    let part = get(objects, ONE, (from, end)).await.unwrap().unwrap();
    assert!(part == file[length - shown..]);
}

pub(super) async fn a_part_the_file_does_not_have_is_an_error(objects: &dyn ObjectStore) {
    put(objects, "a", ONE, &[b"hello"]).await;
    for part in [(0, 6), (5, 6), (9, 12)] {
        let error = get(objects, ONE, part).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{part:?}");
    }
}

pub(super) async fn keeps_equal_files_once(objects: &dyn ObjectStore) {
    let mut first = objects.begin("first".to_owned()).await.unwrap();
    let mut second = objects.begin("second".to_owned()).await.unwrap();
    for writer in [&mut first, &mut second] {
        writer.write(Bytes::from_static(b"same")).await.unwrap();
    }
    first.finish(ONE).await.unwrap();
    second.finish(ONE).await.unwrap();
    assert_eq!(objects.list(None, 10).await.unwrap(), [ONE]);
    assert!(objects.remove(ONE, AFTER).await.unwrap());
    assert!(!objects.exists(ONE).await.unwrap());
}

pub(super) async fn an_unfinished_file_leaves_nothing(objects: &dyn ObjectStore) {
    put(objects, "whole", TWO, &[b"whole"]).await;
    let mut writer = objects.begin("half".to_owned()).await.unwrap();
    writer.write(Bytes::from_static(b"half a")).await.unwrap();
    assert_eq!(objects.list(None, 10).await.unwrap(), [TWO]);
    drop(writer);
    // The name is free again.
    drop(objects.begin("half".to_owned()).await.unwrap());
    let killed = objects.begin("killed".to_owned()).await.unwrap();
    // A process that is killed drops nothing.
    std::mem::forget(killed);
    objects.forget_unfinished().await.unwrap();
    objects.begin("killed".to_owned()).await.unwrap().finish(ONE).await.unwrap();
    assert_eq!(objects.list(None, 10).await.unwrap(), [ONE, TWO]);
    assert_eq!(get(objects, TWO, (0, 5)).await.unwrap().unwrap(), b"whole");
}

pub(super) async fn removes_what_was_written_before_a_moment(objects: &dyn ObjectStore) {
    put(objects, "a", ONE, &[b"hello"]).await;
    assert!(!objects.remove(ONE, BEFORE).await.unwrap());
    assert!(objects.exists(ONE).await.unwrap());
    assert!(objects.remove(ONE, AFTER).await.unwrap());
    assert!(!objects.remove(ONE, AFTER).await.unwrap());
    assert!(get(objects, ONE, (0, 1)).await.unwrap().is_none());
    put(objects, "b", ONE, &[b"hello"]).await;
    assert_eq!(get(objects, ONE, (0, 5)).await.unwrap().unwrap(), b"hello");
}

pub(super) async fn who_reads_a_file_reads_it_to_its_end(objects: &dyn ObjectStore) {
    put(objects, "a", ONE, &[b"hello"]).await;
    let mut reader = objects.open(ONE, 0..5).await.unwrap().unwrap();
    assert!(objects.remove(ONE, AFTER).await.unwrap());
    assert_eq!(reader.read().await.unwrap().unwrap(), "hello");
    assert!(reader.read().await.unwrap().is_none());
}

pub(super) async fn lists_files_in_order_and_in_stretches(objects: &dyn ObjectStore) {
    assert!(objects.list(None, 10).await.unwrap().is_empty());
    let digests: Vec<FileDigest> = (0..40_u8).map(|at| digest(at.wrapping_mul(37))).collect();
    for (at, digest) in digests.iter().enumerate() {
        put(objects, &at.to_string(), *digest, &[b"x"]).await;
    }
    let mut expected = digests;
    expected.sort_unstable();
    for limit in [1, 7, 40, 100] {
        let mut listed = Vec::new();
        loop {
            let page = objects.list(listed.last().copied(), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected, "{limit}");
    }
}

/// Some share their beginning.
fn digest(at: u8) -> FileDigest {
    let mut digest = [at; 32];
    digest[0] = at % 5;
    digest
}

/// Holds an engine to the contract: its name, and an expression that makes one and what it lives in.
macro_rules! object_store_contract {
    ($engine:ident, $made:expr) => {
        mod $engine {
            use super::*;

            $crate::object::contract::object_store_contract! { each $made;
                gives_files_back_whole_and_in_parts
                gives_a_large_file_in_small_pieces
                a_part_the_file_does_not_have_is_an_error
                keeps_equal_files_once
                an_unfinished_file_leaves_nothing
                removes_what_was_written_before_a_moment
                who_reads_a_file_reads_it_to_its_end
                lists_files_in_order_and_in_stretches
            }
        }
    };
    (each $made:expr; $($fact:ident)+) => {
        $(#[tokio::test]
        async fn $fact() {
            let (objects, _home) = $made;
            $crate::object::contract::$fact(&objects).await;
        })+
    };
}
pub(crate) use object_store_contract;
