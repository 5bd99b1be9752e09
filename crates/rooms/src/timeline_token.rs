//! A place in a room's timeline as clients carry it. It lies right before the event at its position,
//! whichever way one reads on: who turns round meets the event again that was read last.

use std::{fmt, str::FromStr};

use vestibule_storage::Stamp;

use crate::TimelinePosition;

/// The text is not a place in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pagination token of this server")]
pub struct BadToken;

impl fmt::Display for TimelinePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}_{}_{}", self.side, self.stamp.commit, self.stamp.index)
    }
}

impl FromStr for TimelinePosition {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let mut parts = text.strip_prefix('t').ok_or(BadToken)?.split('_');
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).ok_or(BadToken);
        let (side, commit, index) = (number()?, number()?, number()?);
        if parts.next().is_some() || side > 1 {
            return Err(BadToken);
        }
        let index = u16::try_from(index).map_err(|_| BadToken)?;
        let side = u8::try_from(side).map_err(|_| BadToken)?;
        Ok(Self { side, stamp: Stamp { commit, index } })
    }
}

impl TimelinePosition {
    /// The position right behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        let Stamp { commit, index } = self.stamp;
        let stamp = index.checked_add(1).map_or(
            Stamp { commit: commit.saturating_add(1), index: 0 },
            |index| Stamp { commit, index },
        );
        Self { stamp, ..self }
    }

    /// The position right before this one; the first has none and stays where it is.
    #[must_use]
    pub fn previous(self) -> Self {
        let Stamp { commit, index } = self.stamp;
        let stamp = match index.checked_sub(1) {
            Some(index) => Stamp { commit, index },
            None => commit.checked_sub(1).map_or(self.stamp, Stamp::end_of),
        };
        Self { stamp, ..self }
    }

    /// The place a token names in a room of this slot: one of our own, or one that `/sync` gave
    /// out (`s`, and one commit per slot), which stands for the end of that commit. A position of
    /// sliding sync has the step of its connection before that.
    pub fn of_token(text: &str, slot: u16) -> Result<Self, BadToken> {
        let digits = |step: &str| step.bytes().all(|byte| byte.is_ascii_digit());
        let text = match text.split_once('.') {
            Some((step, token)) if !step.is_empty() && digits(step) => token,
            _ => text,
        };
        if text.starts_with('t') {
            return text.parse();
        }
        let commits = text.strip_prefix('s').ok_or(BadToken)?.split('_');
        let commit = commits.clone().nth(usize::from(slot)).ok_or(BadToken)?;
        let commit = commit.parse::<u64>().map_err(|_| BadToken)?;
        Ok(Self { side: 1, stamp: Stamp::end_of(commit) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_carried() {
        let place = TimelinePosition { side: 1, stamp: Stamp { commit: 7, index: 65_535 } };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!(TimelinePosition::of_token("t1_7_65535", 0), Ok(place));
    }

    #[test]
    fn a_sync_token_stands_for_the_end_of_its_commit_in_the_rooms_slot() {
        let place = TimelinePosition { side: 1, stamp: Stamp::end_of(9) };
        assert_eq!(TimelinePosition::of_token("s4_9_2", 1), Ok(place));
        assert_eq!(TimelinePosition::of_token("12.s4_9_2", 1), Ok(place), "of sliding sync");
        assert_eq!(TimelinePosition::of_token(".s4_9_2", 1), Err(BadToken));
    }

    #[test]
    fn positions_follow_each_other_across_commits() {
        let at = |commit, index| TimelinePosition { side: 1, stamp: Stamp { commit, index } };
        for (one, two) in [(at(7, 3), at(7, 4)), (at(7, u16::MAX), at(8, 0)), (at(0, 0), at(0, 1))]
        {
            assert_eq!((one.next(), two.previous()), (two, one));
        }
        assert_eq!(at(0, 0).previous(), at(0, 0));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "t", "t1", "t1_2", "t2_1_1", "t1_1_70000", "t1_1_1_1", "x", "s", "sx", "s1"]
        {
            assert_eq!(TimelinePosition::of_token(text, 1), Err(BadToken), "{text}");
        }
    }
}
