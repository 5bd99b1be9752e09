//! What a client holds of a connection between two requests: the step it has, and where it is.

use std::fmt;

use crate::SyncToken;

/// A step of a connection, and how far its answer went. Clients see an opaque text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pos {
    pub(crate) step: u64,
    pub(crate) token: SyncToken,
}

impl Pos {
    /// Reads a position of a store with this many slots. `None` when it is none of ours.
    pub(crate) fn parse(text: &str, slots: u16) -> Option<Self> {
        let (step, token) = text.split_once('.')?;
        let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        let step = if digits { step.parse().ok().filter(|step| *step > 0)? } else { return None };
        Some(Self { step, token: SyncToken::parse(token, slots)? })
    }
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step, self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was_given_out_and_nothing_else_does() {
        let token = SyncToken { positions: vec![4, 5].into(), typing: 6, ..SyncToken::default() };
        let pos = Pos { step: 7, token };
        assert_eq!(Pos::parse(&pos.to_string(), 2), Some(pos.clone()));
        assert_eq!(Pos::parse(&pos.to_string(), 1), None, "of a store with other slots");
        for text in ["", "7", "0.s1_2_t3_d0_0", "+7.s1_2_t3_d0_0", "s1_2_t3_d0_0"] {
            assert_eq!(Pos::parse(text, 2), None, "{text}");
        }
    }
}
