use proptest::prelude::*;

use super::*;

/// One staged change of a property test, over a handful of keys.
#[derive(Clone, Debug)]
enum Change {
    Put(u8, u64),
    Delete(u8),
    Add(u8, i64),
    DeleteRange(u8, u8),
    Mark,
    Undo,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = 0_u8..8;
    let change = prop_oneof![
        4 => (key.clone(), 0_u64..50).prop_map(|(key, value)| Change::Put(key, value)),
        2 => key.clone().prop_map(Change::Delete),
        2 => (key.clone(), -9_i64..9).prop_map(|(key, delta)| Change::Add(key, delta)),
        1 => (key.clone(), key).prop_map(|(start, end)| Change::DeleteRange(start, end)),
        1 => Just(Change::Mark),
        1 => Just(Change::Undo),
    ];
    proptest::collection::vec(change, 0..24)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn number(row: Option<&Vec<u8>>) -> u64 {
    row.map_or(0, |bytes| u64::from_be_bytes(bytes.as_slice().try_into().unwrap()))
}

fn put(value: u64) -> Staged {
    let write = Write::Put { value: value.to_be_bytes().to_vec(), stamps: StampOffsets::new() };
    Staged { write, key_stamps: StampOffsets::new() }
}

/// Stages the changes as a `Tx` does, and applies them to a plain map.
fn staged(below: &Model, changes: &[Change]) -> (Overlay, Model) {
    let (mut overlay, mut model) = (Overlay::default(), below.clone());
    let mut marks = Vec::new();
    for change in changes {
        match change {
            Change::Put(key, value) => {
                overlay.stage(vec![*key], put(*value));
                model.insert(vec![*key], value.to_be_bytes().to_vec());
            }
            Change::Delete(key) => {
                let staged = Staged { write: Write::Delete, key_stamps: StampOffsets::new() };
                overlay.stage(vec![*key], staged);
                model.remove(&vec![*key]);
            }
            Change::Add(key, delta) => {
                overlay.add(vec![*key], StampOffsets::new(), *delta);
                let sum = number(model.get(&vec![*key])).saturating_add_signed(*delta);
                model.insert(vec![*key], sum.to_be_bytes().to_vec());
            }
            Change::DeleteRange(start, end) if start < end => {
                overlay.stage_range(vec![*start], vec![*end]);
                model.retain(|key, _| key[0] < *start || key[0] >= *end);
            }
            Change::DeleteRange(..) => {}
            Change::Mark => marks.push((overlay.mark(), model.clone())),
            Change::Undo => {
                if let Some((mark, before)) = marks.pop() {
                    overlay.undo_to(mark);
                    model = before;
                }
            }
        }
    }
    (overlay, model)
}

fn seen(
    overlay: &Overlay,
    below: &Model,
    range: &ScanRange,
    enough: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let mut below: Vec<_> = below
        .iter()
        .filter(|(key, _)| **key >= range.start && range.end.as_ref().is_none_or(|end| *key < end))
        .collect();
    if range.reverse {
        below.reverse();
    }
    let mut walk = overlay.walk(range);
    let mut flow = ControlFlow::Continue(());
    for (key, value) in below {
        flow = walk.below(key, value, &mut visit);
        if flow.is_break() {
            break;
        }
    }
    if flow.is_continue() {
        let _: ControlFlow<()> = walk.rest(&mut visit);
    }
    rows
}

proptest! {
    #[test]
    fn scans_and_reads_see_what_a_plain_map_would_hold(
        // Every counter is there and large: the floor at zero is the committer's business.
        below in proptest::collection::vec(300_u64..350, 8),
        changes in changes(),
        (start, end) in (0_u8..8, proptest::option::of(0_u8..9)),
        reverse in any::<bool>(),
        enough in 1_usize..9,
    ) {
        let below: Model =
            (0..).zip(below).map(|(key, value)| (vec![key], value.to_be_bytes().to_vec())).collect();
        let (overlay, model) = staged(&below, &changes);
        let range = ScanRange { start: vec![start], end: end.map(|end| vec![end]), reverse };
        let mut expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| key[0] >= start && end.is_none_or(|end| key[0] < end))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if reverse {
            expected.reverse();
        }
        expected.truncate(enough);
        prop_assert_eq!(seen(&overlay, &below, &range, enough), expected);
        for key in (0_u8..8).map(|key| vec![key]) {
            let row = overlay.known(&key).over(below.get(&key).cloned().map(Bytes::from));
            let row = row.map(|row| row.to_vec());
            prop_assert_eq!(row.as_ref(), model.get(&key));
        }
    }
}
