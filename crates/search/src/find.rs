//! Finding matches in the index.

use vestibule_rooms::RoomView;
use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::search::{POSTINGS, StoredPostings},
};
use vestibule_types::{RoomNo, limits::SEARCH_PLACES_READ_MAX};

use crate::{
    Order, SearchKey,
    index::{postings_in, sender_word},
    postings::{Field, Place, Posting},
    rooms::Readable,
    token::SortKey,
};

/// What the index is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Words that all have to be there.
    pub(crate) words: Vec<String>,
    /// Where they are said; anywhere when it is empty.
    pub(crate) keys: Vec<SearchKey>,
    /// Who said it; anybody when there is nobody.
    pub(crate) senders: Vec<String>,
    /// What comes first.
    pub(crate) order: Order,
}

/// An event that matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    /// What it is sorted by.
    pub(crate) key: SortKey,
    /// How good it is, whatever it is sorted by.
    pub(crate) score: u16,
    /// Which of the rooms it is in.
    pub(crate) index: usize,
}

/// How much may still be read.
struct Budget(usize);

/// The events of some rooms that match, in no order.
pub(crate) fn matches(
    snapshot: &Snapshot<'_>,
    rooms: &[Readable],
    question: &Question,
) -> Result<Vec<Match>, StorageError> {
    let mut budget = Budget(SEARCH_PLACES_READ_MAX);
    let mut found = Vec::new();
    for (index, readable) in rooms.iter().enumerate() {
        let room = readable.room.no;
        for (place, score) in in_room(snapshot, room, question, &mut budget)? {
            let sorted_by = if question.order == Order::Rank { score } else { 0 };
            let key = SortKey { score: sorted_by, place, room };
            found.push(Match { key, score, index });
        }
    }
    Ok(found)
}

/// The places of a room that match, with their scores.
fn in_room(
    snapshot: &Snapshot<'_>,
    room: RoomNo,
    question: &Question,
    budget: &mut Budget,
) -> Result<Vec<(Place, u16)>, StorageError> {
    let mut lists = Vec::with_capacity(question.words.len());
    for word in &question.words {
        let mut list = budget.read(snapshot, (room, word))?;
        list.retain(|(_, weight)| is_wanted(&question.keys, weight.field()));
        if list.is_empty() {
            return Ok(Vec::new());
        }
        lists.push(list);
    }
    lists.sort_by_key(Vec::len);
    let mut lists = lists.into_iter();
    let Some(first) = lists.next() else { return Ok(Vec::new()) };
    let mut found: Vec<(Place, u16)> =
        first.into_iter().map(|(place, weight)| (place, weight.value())).collect();
    for list in lists {
        keep_common(&mut found, &list);
    }
    if question.senders.is_empty() || found.is_empty() {
        return Ok(found);
    }
    let mut by_senders = Vec::new();
    for sender in &question.senders {
        by_senders.extend(budget.read(snapshot, (room, &sender_word(sender)))?);
    }
    by_senders.sort_unstable_by_key(|(place, _)| *place);
    let said = |place: &Place| by_senders.binary_search_by_key(place, |(at, _)| *at).is_ok();
    found.retain(|(place, _)| said(place));
    Ok(found)
}

fn is_wanted(keys: &[SearchKey], field: Field) -> bool {
    let key = match field {
        Field::Body => SearchKey::Body,
        Field::Name => SearchKey::Name,
        Field::Topic => SearchKey::Topic,
    };
    keys.is_empty() || keys.contains(&key)
}

/// Keeps the places that are in the other list too, and adds the weight they have there. Both are
/// sorted.
fn keep_common(found: &mut Vec<(Place, u16)>, list: &[Posting]) {
    let mut rest = list;
    found.retain_mut(|(place, score)| {
        let behind = rest.partition_point(|(at, _)| at < place);
        rest = rest.get(behind..).unwrap_or_default();
        match rest.first() {
            Some((at, weight)) if at == place => {
                *score = score.saturating_add(weight.value());
                true
            }
            _ => false,
        }
    });
}

impl Budget {
    /// The places of a word, oldest first. When there are more than may be read, the newest of them.
    fn read(
        &mut self,
        snapshot: &Snapshot<'_>,
        (room, word): (RoomNo, &str),
    ) -> Result<Vec<Posting>, StorageError> {
        let mut rows: Vec<Vec<Posting>> = Vec::new();
        let mut failed = None;
        let newest_first = Scan::prefix((room, word)).reverse();
        POSTINGS.each(snapshot, newest_first, |_, row: StoredPostings| {
            match postings_in(&row) {
                Ok(postings) if self.0 > 0 => {
                    self.0 = self.0.saturating_sub(postings.len());
                    rows.push(postings);
                    std::ops::ControlFlow::Continue(())
                }
                Ok(_) => std::ops::ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    std::ops::ControlFlow::Break(())
                }
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(rows.into_iter().rev().flatten().collect()),
        }
    }
}

/// A room that is searched, as a view.
pub(crate) type View<'a, 's> = RoomView<'a, &'a Snapshot<'s>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postings::Weight;

    #[test]
    fn what_two_words_share_is_kept_with_both_weights() {
        let place = |no| Place { second: 5, no };
        let weight = Weight::of(Field::Body, 1, 4);
        let mut found: Vec<(Place, u16)> = [1, 4, 6, 9].map(|no| (place(no), 3)).to_vec();
        let other: Vec<Posting> = [0, 4, 5, 9, 12].map(|no| (place(no), weight)).to_vec();
        keep_common(&mut found, &other);
        let score = 3 + weight.value();
        assert_eq!(found, [(place(4), score), (place(9), score)]);
    }
}
