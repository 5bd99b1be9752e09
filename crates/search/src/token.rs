//! Where a page of results ends, as clients carry it.

use std::{cmp::Ordering, fmt};

use ruma::{OwnedRoomId, OwnedUserId};
use vestibule_types::{RoomNo, limits::SEARCH_TOKEN_BYTES_MAX};

use crate::{Order, SearchError, postings::Place};

/// What results are sorted by; the greatest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    /// How good the match is; zero where only time counts.
    pub(crate) score: u16,
    /// When the event was sent.
    pub(crate) place: Place,
    /// The millisecond of that second; zero where only the score counts, and where nothing else that
    /// was found was sent in that second.
    pub(crate) millisecond: u16,
    /// Its room.
    pub(crate) room: RoomNo,
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |it: &Self| (it.score, it.place.second, it.millisecond, it.room, it.place.no);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The one group a page is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    Room(OwnedRoomId),
    Sender(OwnedUserId),
}

/// Behind which result the next page begins, and of which group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) order: Order,
    pub(crate) last: SortKey,
    pub(crate) only: Option<Only>,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SortKey { score, place, millisecond, room } = self.last;
        match self.order {
            Order::Rank => write!(f, "r{score}")?,
            Order::Recent => write!(f, "t{millisecond}")?,
        }
        write!(f, ".{}.{}.{}", place.second, room.0, place.no)?;
        match &self.only {
            Some(Only::Room(room)) => write!(f, ".{room}"),
            Some(Only::Sender(user)) => write!(f, ".{user}"),
            None => Ok(()),
        }
    }
}

impl Token {
    /// Reads a token of a search in this order.
    pub(crate) fn read(text: &str, order: Order) -> Result<Self, SearchError> {
        let token = if text.len() <= SEARCH_TOKEN_BYTES_MAX { parse(text) } else { None };
        token.filter(|token| token.order == order).ok_or(SearchError::BadToken)
    }
}

fn parse(text: &str) -> Option<Token> {
    let (order, rest) = match text.strip_prefix('r') {
        Some(rest) => (Order::Rank, rest),
        None => (Order::Recent, text.strip_prefix('t')?),
    };
    let mut parts = rest.splitn(5, '.');
    let first = parts.next()?.parse().ok()?;
    let (score, millisecond) = match order {
        Order::Rank => (first, 0),
        Order::Recent => (0, first),
    };
    let second = parts.next()?.parse().ok()?;
    let room = RoomNo(parts.next()?.parse().ok()?);
    let no = parts.next()?.parse().ok()?;
    let only = match parts.next() {
        None => None,
        Some(id) if id.starts_with('!') => Some(Only::Room(id.try_into().ok()?)),
        Some(id) => Some(Only::Sender(id.try_into().ok()?)),
    };
    let last = SortKey { score, place: Place { second, no }, millisecond, room };
    Some(Token { order, last, only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written_and_only_for_their_order() {
        let place = Place { second: 1_800_000_000, no: 3 };
        let last = SortKey { score: 7, place, millisecond: 0, room: RoomNo(12) };
        for only in [
            None,
            Some(Only::Room("!a.b:c.example".try_into().unwrap())),
            Some(Only::Sender("@a.b:c.example".try_into().unwrap())),
        ] {
            let token = Token { order: Order::Rank, last, only };
            assert_eq!(Token::read(&token.to_string(), Order::Rank).unwrap(), token);
            assert!(Token::read(&token.to_string(), Order::Recent).is_err());
        }
        let by_time = SortKey { score: 0, millisecond: 999, ..last };
        let token = Token { order: Order::Recent, last: by_time, only: None };
        assert_eq!(Token::read(&token.to_string(), Order::Recent).unwrap(), token);
        for text in ["", "r", "r1.2.3", "x1.2.3.4", "r1.2.3.4.nobody", "r-1.2.3.4"] {
            assert!(Token::read(text, Order::Rank).is_err(), "{text}");
        }
    }

    #[test]
    fn better_and_then_later_comes_first() {
        let key = |score, second, no| SortKey {
            score,
            place: Place { second, no },
            millisecond: 0,
            room: RoomNo(1),
        };
        assert!(key(2, 0, 0) > key(1, 9, 9));
        assert!(key(1, 9, 0) > key(1, 8, 9));
        assert!(key(1, 9, 1) > key(1, 9, 0));
    }
}
