//! What a client holds of us between two requests: where it is in every slot.

use std::fmt;

use vestibule_storage::{Positions, SlotNo, Stamp};

/// How far a client has come: one commit for each slot, and the notices of typing it has seen.
/// Clients see an opaque text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncToken {
    /// The last commit of each slot that the client has been told of.
    pub positions: Positions,
    /// The last notice of typing.
    pub typing: u64,
    /// The last message to the device.
    pub to_device: Stamp,
    /// The last change of presence.
    pub presence: u64,
}

impl SyncToken {
    /// Reads a token of a store with this many slots. `None` when it is none of ours.
    #[must_use]
    pub fn parse(text: &str, slots: u16) -> Option<Self> {
        let (commits, rest) = text.strip_prefix('s')?.split_once("_t")?;
        let (typing, to_device) = rest.split_once("_d")?;
        let (to_device, presence) = match to_device.split_once("_p") {
            Some((to_device, presence)) => (to_device, number(presence).filter(|it| *it > 0)?),
            None => (to_device, 0),
        };
        let (commit, index) = to_device.split_once('_')?;
        let index = u16::try_from(number(index)?).ok()?;
        let to_device = Stamp { commit: number(commit)?, index };
        let positions: Positions =
            commits.split('_').map(number).collect::<Option<Vec<u64>>>()?.into();
        if positions.slots() != slots {
            return None;
        }
        Some(Self { positions, typing: number(typing)?, to_device, presence })
    }

    /// The earlier of this and where the store is, slot by slot; messages to the device lie in the
    /// user's `own` slot. A token can be ahead after a store lost its last commits; what comes next
    /// must reach its holder all the same.
    pub(crate) fn at_most(mut self, now: &Positions, own: SlotNo) -> Self {
        for (slot, commit) in now.iter() {
            let told = self.positions.get(slot);
            self.positions.set(slot, told.min(commit));
        }
        self.to_device = letters_at_most(self.to_device, now, own);
        self
    }
}

/// The earlier of a point in the messages to a device and where the slot of its user is.
pub(crate) fn letters_at_most(has: Stamp, now: &Positions, own: SlotNo) -> Stamp {
    has.min(Stamp::end_of(now.get(own)))
}

/// A number in the one way we write it.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (slot, commit) in self.positions.iter() {
            let before = if slot.0 == 0 { 's' } else { '_' };
            write!(f, "{before}{commit}")?;
        }
        let Stamp { commit, index } = self.to_device;
        write!(f, "_t{}_d{commit}_{index}", self.typing)?;
        // Where presence is not kept there is nothing to say.
        if self.presence > 0 { write!(f, "_p{}", self.presence) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given_out() {
        for commits in [vec![7], vec![0, 12, u64::MAX]] {
            let slots = u16::try_from(commits.len()).expect("few");
            let to_device = Stamp { commit: 3, index: 4 };
            for presence in [0, 5] {
                let positions = commits.clone().into();
                let token = SyncToken { positions, typing: 99, to_device, presence };
                assert_eq!(SyncToken::parse(&token.to_string(), slots), Some(token));
            }
        }
    }

    #[test]
    fn a_token_of_another_shape_is_none_of_ours() {
        for text in [
            "",
            "s",
            "s1",
            "s_t1_d1_1",
            "s1_2_t3_d1_1",
            "s+1_t2_d1_1",
            "s1_t_d1_1",
            "t1_t2_d1_1",
            "s1_t2_t3_d1_1",
            "s 1_t2_d1_1",
            "s1_t2",
            "s1_t2_d1",
            "s1_t2_d1_70000",
            "s1_t2_d1_1_p",
            "s1_t2_d1_1_p0",
        ] {
            assert_eq!(SyncToken::parse(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_token_ahead_of_the_store_counts_as_its_end() {
        let to_device = Stamp { commit: 5, index: 2 };
        let token = SyncToken { positions: vec![5, 5].into(), to_device, ..SyncToken::default() };
        let now = vec![3, 9].into();
        let here = token.clone().at_most(&now, SlotNo(1));
        assert_eq!((here.positions, here.to_device), (vec![3, 5].into(), to_device));
        assert_eq!(token.at_most(&now, SlotNo(0)).to_device, Stamp::end_of(3));
    }
}
