//! Places in a timeline between two rows.
//!
//! A timeline is ordered by stamps: a commit of the room's slot, and a place in that commit's batch.
//! Most stamps between two rows of one room were given to nobody, since the commits between them were
//! about other rooms, and a commit hardly uses its places. What is fetched later is put there.

use vestibule_storage::Stamp;

/// Places in one commit. The last stamp of a commit stands for its end, and is no place.
const PLACES: u128 = u16::MAX as u128;

/// The `count` places right before `before` and after `after`, in order. `None` when there are fewer.
pub(super) fn places_between(
    after: Option<Stamp>,
    before: Stamp,
    count: usize,
) -> Option<Vec<Stamp>> {
    let first = after.map_or(0, |after| number(after) + 1);
    let end = number(before);
    let begin = end.checked_sub(count as u128).filter(|begin| *begin >= first)?;
    (begin..end).map(stamp).collect()
}

fn number(stamp: Stamp) -> u128 {
    u128::from(stamp.commit) * PLACES + u128::from(stamp.index)
}

fn stamp(number: u128) -> Option<Stamp> {
    let commit = u64::try_from(number / PLACES).ok()?;
    Some(Stamp { commit, index: u16::try_from(number % PLACES).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(commit: u64, index: u16) -> Stamp {
        Stamp { commit, index }
    }

    #[test]
    fn places_lie_right_before_and_in_order() {
        let places = places_between(Some(at(3, 0)), at(9, 2), 4).unwrap();
        assert_eq!(places, [at(8, 65_533), at(8, 65_534), at(9, 0), at(9, 1)]);
    }

    #[test]
    fn the_end_of_a_commit_is_no_place() {
        let places = places_between(None, at(2, 0), 70_000).unwrap();
        assert!(places.iter().all(|place| place.index < u16::MAX));
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn between_neighbours_there_is_no_place() {
        assert_eq!(places_between(Some(at(5, 1)), at(5, 2), 1), None);
        assert_eq!(places_between(Some(at(5, 1)), at(5, 4), 2), Some(vec![at(5, 2), at(5, 3)]));
        assert_eq!(places_between(None, at(0, 1), 2), None);
    }
}
