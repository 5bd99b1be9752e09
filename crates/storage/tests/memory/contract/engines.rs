//! The engine itself.

use std::{collections::BTreeMap, ops::ControlFlow};

use vestibule_storage::{EngineOp, EngineSnapshot, ScanRange};

use super::Rig;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn put(key: &str, value: &str) -> EngineOp {
    EngineOp::Put(key.into(), value.into())
}

fn range(start: &str, end: Option<&str>, reverse: bool) -> ScanRange {
    ScanRange { start: start.into(), end: end.map(Into::into), reverse }
}

fn scanned(snapshot: &dyn EngineSnapshot, range: &ScanRange, enough: usize) -> Rows {
    let mut rows = Vec::new();
    snapshot
        .scan(range, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            if rows.len() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    rows
}

fn keys(snapshot: &dyn EngineSnapshot, range: &ScanRange, enough: usize) -> String {
    let rows = scanned(snapshot, range, enough);
    rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn a_snapshot_shows_one_moment(rig: Rig) {
    rig.engine.apply(&[put("a", "1"), put("b", "1")], true).unwrap();
    let before = rig.engine.snapshot().unwrap();
    let changes = [put("a", "2"), EngineOp::Delete("b".into()), put("c", "2")];
    rig.engine.apply(&changes, true).unwrap();
    rig.engine.apply(&[put("a", "3")], true).unwrap();
    let after = rig.engine.snapshot().unwrap();
    let all = range("", None, false);
    assert_eq!(keys(&*before, &all, 9), "a b");
    assert_eq!(before.get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(before.get(b"c").unwrap(), None);
    assert_eq!(keys(&*after, &all, 9), "a c");
    assert_eq!(after.get(b"a").unwrap().as_deref(), Some(b"3".as_slice()));
    assert_eq!(rig.engine.get(b"a").unwrap().as_deref(), Some(b"3".as_slice()));
}

pub(crate) async fn scans_walk_a_stretch_in_both_directions_until_told_to_stop(rig: Rig) {
    let ops: Vec<EngineOp> = ["a", "b", "ba", "c", "d"].iter().map(|key| put(key, "")).collect();
    rig.engine.apply(&ops, true).unwrap();
    let snapshot = rig.engine.snapshot().unwrap();
    assert_eq!(keys(&*snapshot, &range("b", Some("d"), false), 9), "b ba c");
    assert_eq!(keys(&*snapshot, &range("b", Some("d"), true), 9), "c ba b");
    assert_eq!(keys(&*snapshot, &range("b", None, true), 2), "d c");
    assert_eq!(keys(&*snapshot, &range("aa", None, false), 1), "b");
    assert_eq!(keys(&*snapshot, &range("d", Some("a"), false), 9), "");
    assert_eq!(keys(&*snapshot, &range("e", None, true), 9), "");
}

pub(crate) async fn several_rows_come_in_the_order_of_their_keys(rig: Rig) {
    rig.engine.apply(&[put("a", "1"), put("b", "2")], true).unwrap();
    let snapshot = rig.engine.snapshot().unwrap();
    let keys: Vec<Vec<u8>> = ["b", "x", "a", "b"].iter().map(|key| (*key).into()).collect();
    let rows = snapshot.multi_get(&keys).unwrap();
    let rows: Vec<Option<&[u8]>> = rows.iter().map(|row| row.as_deref()).collect();
    assert_eq!(rows, [Some(b"2".as_slice()), None, Some(b"1"), Some(b"2")]);
}

pub(crate) async fn a_batch_applies_its_changes_in_order(rig: Rig) {
    rig.engine.apply(&[put("a", "1"), put("b", "1"), put("c", "1")], true).unwrap();
    let changes = [
        put("b", "2"),
        EngineOp::DeleteRange("a".into(), "c".into()),
        put("ab", "2"),
        EngineOp::DeleteRange("c".into(), "a".into()),
    ];
    rig.engine.apply(&changes, true).unwrap();
    let snapshot = rig.engine.snapshot().unwrap();
    assert_eq!(keys(&*snapshot, &range("", None, false), 9), "ab c");
}

/// Numbers that look random and are the same in every run.
fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

pub(crate) async fn random_histories_agree_with_a_plain_map(rig: Rig) {
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut held = None;
    for round in 0..300_u64 {
        let key = |salt: u64| vec![b'k', u8::try_from(mixed(round * 7 + salt) % 200).unwrap()];
        let (one, other) = (key(1), key(2));
        let op = match mixed(round) % 8 {
            0 => EngineOp::Delete(one.clone()),
            1 => EngineOp::DeleteRange(one.clone(), other.clone()),
            _ => EngineOp::Put(one.clone(), round.to_be_bytes().to_vec()),
        };
        rig.engine.apply(std::slice::from_ref(&op), round % 16 == 0).unwrap();
        match op {
            EngineOp::Delete(key) => drop(model.remove(&key)),
            EngineOp::DeleteRange(start, end) => {
                model.retain(|key, _| *key < start || *key >= end);
            }
            EngineOp::Put(key, value) => drop(model.insert(key, value)),
        }
        let snapshot = rig.engine.snapshot().unwrap();
        let stretch = ScanRange { start: key(3), end: Some(key(4)), reverse: round % 2 == 0 };
        let mut expected: Rows = model
            .iter()
            .filter(|(key, _)| **key >= stretch.start && Some(*key) < stretch.end.as_ref())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if stretch.reverse {
            expected.reverse();
        }
        assert_eq!(scanned(&*snapshot, &stretch, usize::MAX), expected, "round {round}");
        // One old moment is kept while the rest goes on, and must not move.
        if round == 100 {
            held = Some((snapshot, model.clone()));
        }
    }
    let (snapshot, then) = held.unwrap();
    let all = scanned(&*snapshot, &ScanRange::prefix(Vec::new()), usize::MAX);
    assert_eq!(all, then.into_iter().collect::<Vec<_>>());
}
