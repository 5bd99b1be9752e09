//! Slots, and positions in them.

use ruma::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::key::take;

/// One of the store's lines of commits. Order is kept within a slot, not between slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotNo(pub u16);

/// Where a row was committed: a commit of one slot, and the place in that commit's batch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp {
    /// The commit in its slot, counted from 1.
    pub commit: u64,
    /// The place in the batch.
    pub index: u16,
}

impl Stamp {
    /// Bytes of a stamp in a key or value.
    pub const LEN: usize = 10;
    /// What `commit` holds until the batch is committed: later than everything.
    pub const PENDING: u64 = u64::MAX;

    /// A stamp at the very end of a commit: everything up to `commit` is at or before it.
    #[must_use]
    pub const fn end_of(commit: u64) -> Self {
        Self { commit, index: u16::MAX }
    }

    /// Whether the batch this stamp belongs to is not committed yet.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        self.commit == Self::PENDING
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (commit, index) = bytes.split_at_mut(size_of::<u64>());
        commit.copy_from_slice(&self.commit.to_be_bytes());
        index.copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let mut rest = bytes.as_slice();
        let commit = take(&mut rest).map_or(0, u64::from_be_bytes);
        Self { commit, index: take(&mut rest).map_or(0, u16::from_be_bytes) }
    }
}

/// The last commit of each slot at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct Positions(SmallPositions);

type SmallPositions = SmallVec<[u64; 2]>;

impl Positions {
    /// Before the first commit of every one of `slots` slots.
    #[must_use]
    pub fn start(slots: u16) -> Self {
        Self(SmallVec::from_elem(0, usize::from(slots)))
    }

    /// The last commit of a slot; 0 before the first one and for a slot that is not there.
    #[must_use]
    pub fn get(&self, slot: SlotNo) -> u64 {
        self.0.get(usize::from(slot.0)).copied().unwrap_or_default()
    }

    /// Moves one slot.
    pub fn set(&mut self, slot: SlotNo, commit: u64) {
        if let Some(position) = self.0.get_mut(usize::from(slot.0)) {
            *position = commit;
        }
    }

    /// How many slots these are.
    #[must_use]
    pub fn slots(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    /// Every slot with its last commit, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SlotNo, u64)> + '_ {
        (0..).map(SlotNo).zip(self.0.iter().copied())
    }
}

impl From<Vec<u64>> for Positions {
    fn from(commits: Vec<u64>) -> Self {
        Self(commits.into())
    }
}

impl From<Positions> for Vec<u64> {
    fn from(positions: Positions) -> Self {
        positions.0.into_vec()
    }
}

impl FromIterator<u64> for Positions {
    fn from_iter<I: IntoIterator<Item = u64>>(commits: I) -> Self {
        Self(commits.into_iter().collect())
    }
}

pub(crate) fn slot_of_room(room_id: &RoomId, slots: u16) -> SlotNo {
    slot_of(room_id.as_str(), slots)
}

pub(crate) fn slot_of_user(user_id: &UserId, slots: u16) -> SlotNo {
    slot_of(user_id.as_str(), slots)
}

/// The slot a text belongs to. Positions on disk and in clients' hands depend on it, so it may
/// never change.
fn slot_of(text: &str, slots: u16) -> SlotNo {
    let slot = hash(text.as_bytes()) % u64::from(slots.max(1));
    SlotNo(u16::try_from(slot).unwrap_or_default())
}

/// FNV-1a over the bytes, then a finalizer so that the low bits are as good as the high ones.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_text_never_changes() {
        // Frozen: they are on disk and in clients' hands.
        let slots: Vec<u16> =
            ["!a:b.org", "!b:b.org", "!c:b.org", "@a:b.org", "@b:b.org", "@alice:example.org"]
                .iter()
                .map(|text| slot_of(text, 3).0)
                .collect();
        assert_eq!(slots, [0, 1, 0, 1, 2, 0]);
    }

    #[test]
    fn stamps_sort_as_their_bytes_do() {
        let stamps = [
            Stamp { commit: 1, index: 300 },
            Stamp { commit: 2, index: 0 },
            Stamp { commit: 256, index: 1 },
            Stamp::end_of(256),
            Stamp { commit: Stamp::PENDING, index: 0 },
        ];
        assert!(stamps.windows(2).all(|pair| pair[0].to_bytes() < pair[1].to_bytes()));
        assert!(stamps.iter().all(|stamp| Stamp::from_bytes(stamp.to_bytes()) == *stamp));
    }
}
