//! Finding matches in the index: the best of them, and how many there are.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    ops::ControlFlow,
};

use vestibule_rooms::RoomView;
use vestibule_storage::{Snapshot, StorageError};
use vestibule_types::{
    RoomNo,
    limits::{SEARCH_EVENTS_CHECKED_MAX, SEARCH_PLACES_READ_MAX},
};

use crate::{
    Order, SearchKey,
    cursor::{Budget, Cursor},
    index::sender_word,
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
    /// Where the page before ended: only what comes behind it is wanted.
    pub(crate) behind: Option<SortKey>,
}

/// An event that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    /// What it is sorted by.
    pub(crate) key: SortKey,
    /// How good it is, whatever it is sorted by.
    pub(crate) score: u16,
    /// Which of the rooms it is in.
    pub(crate) index: usize,
}

/// The best matches.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The best of those that are wanted, best first.
    pub(crate) best: Vec<Match>,
    /// How many there are in all; an estimate when they were not all looked at.
    pub(crate) total: usize,
    /// The rooms that have more of those that are wanted.
    pub(crate) more_in: BTreeSet<usize>,
}

/// The events of some rooms that match.
pub(crate) fn matches(
    snapshot: &Snapshot<'_>,
    rooms: &[Readable],
    question: &Question,
) -> Result<Matches, StorageError> {
    let senders: Vec<String> = question.senders.iter().map(|it| sender_word(it)).collect();
    let mut budget = Budget(SEARCH_PLACES_READ_MAX);
    let mut best = Best { question, heap: BinaryHeap::new(), found: Matches::default() };
    for (index, readable) in rooms.iter().enumerate() {
        let room = readable.room.no;
        let mut walk = Walk::new((snapshot, room), (&question.words, &senders), &question.keys);
        let mut seen = 0;
        let ended = walk.each(&mut budget, |place, score| {
            seen += 1;
            best.offer((room, index), place, score)
        })?;
        let all = if ended.is_break() { walk.estimate(seen)? } else { seen };
        best.found.total = best.found.total.saturating_add(all);
    }
    Ok(best.finish())
}

/// The places of one room that hold all words, newest first.
struct Walk<'a, 's> {
    words: Vec<Cursor<'a, 's>>,
    /// Any of them must have said it; anybody when there is nobody.
    senders: Vec<Cursor<'a, 's>>,
    keys: &'a [SearchKey],
}

impl<'a, 's> Walk<'a, 's> {
    fn new(
        (snapshot, room): (&'a Snapshot<'s>, RoomNo),
        (words, senders): (&'a [String], &'a [String]),
        keys: &'a [SearchKey],
    ) -> Self {
        let open = |word: &'a String| Cursor::new(snapshot, (room, word));
        let words = words.iter().map(open).collect();
        Self { words, senders: senders.iter().map(open).collect(), keys }
    }

    /// Shows the places with their scores until the visitor has enough.
    fn each(
        &mut self,
        budget: &mut Budget,
        mut visit: impl FnMut(Place, u16) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        let mut at_most = Place::LAST;
        while let Some((place, score)) = self.common(at_most, budget)? {
            if visit(place, score).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(before) = place.before() else { break };
            at_most = before;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The newest place, not after this one, that all words share, and what they weigh there.
    fn common(
        &mut self,
        mut at_most: Place,
        budget: &mut Budget,
    ) -> Result<Option<(Place, u16)>, StorageError> {
        loop {
            let (mut score, mut highest) = (0_u16, at_most);
            for cursor in &mut self.words {
                let Some((place, weight)) = wanted(cursor, (highest, self.keys), budget)? else {
                    return Ok(None);
                };
                // Behind a place that one word skips, none of those before it counts.
                score = if place == highest { score } else { 0 };
                highest = place;
                score = score.saturating_add(weight.value());
            }
            let sent = self.newest_by_senders(highest, budget)?;
            let Some(sent) = sent else { return Ok(None) };
            if sent == highest && self.all_at(highest) {
                return Ok(Some((highest, score)));
            }
            at_most = sent;
        }
    }

    /// Whether every word stands at this place.
    fn all_at(&self, place: Place) -> bool {
        self.words.iter().all(|cursor| cursor.stands_at() == Some(place))
    }

    /// The newest place, not after this one, that any of the senders wrote.
    fn newest_by_senders(
        &mut self,
        at_most: Place,
        budget: &mut Budget,
    ) -> Result<Option<Place>, StorageError> {
        if self.senders.is_empty() {
            return Ok(Some(at_most));
        }
        let mut newest = None;
        for cursor in &mut self.senders {
            newest = newest.max(cursor.seek(at_most, budget)?.map(|(place, _)| place));
        }
        Ok(newest)
    }

    /// About how many places there are when so many were seen in what was read.
    fn estimate(&self, seen: usize) -> Result<usize, StorageError> {
        let Some(cursor) = self.words.first() else { return Ok(seen) };
        let (passed, all) = cursor.passed_and_all()?;
        Ok(seen.saturating_mul(all).checked_div(passed).unwrap_or(seen).max(seen))
    }
}

/// The newest place of a word, not after this one, in one of the fields that are asked for.
fn wanted(
    cursor: &mut Cursor<'_, '_>,
    (mut at_most, keys): (Place, &[SearchKey]),
    budget: &mut Budget,
) -> Result<Option<Posting>, StorageError> {
    loop {
        let Some((place, weight)) = cursor.seek(at_most, budget)? else { return Ok(None) };
        if is_wanted(keys, weight.field()) {
            return Ok(Some((place, weight)));
        }
        let Some(before) = place.before() else { return Ok(None) };
        at_most = before;
    }
}

fn is_wanted(keys: &[SearchKey], field: Field) -> bool {
    let key = match field {
        Field::Body => SearchKey::Body,
        Field::Name => SearchKey::Name,
        Field::Topic => SearchKey::Topic,
    };
    keys.is_empty() || keys.contains(&key)
}

/// Keeps the best of what it is offered.
struct Best<'a> {
    question: &'a Question,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Match>>,
    found: Matches,
}

impl Best<'_> {
    /// Takes a match, or leaves it. Breaks when nothing older in the room can be among the best.
    fn offer(
        &mut self,
        (room, index): (RoomNo, usize),
        place: Place,
        score: u16,
    ) -> ControlFlow<()> {
        let by_time = self.question.order == Order::Recent;
        let key = SortKey { score: if by_time { 0 } else { score }, place, millisecond: 0, room };
        // Of those of one second it is known later which came first.
        let is_before = |behind: SortKey| match self.question.order {
            Order::Rank => key >= behind,
            Order::Recent => place.second > behind.place.second,
        };
        if self.question.behind.is_some_and(is_before) {
            return ControlFlow::Continue(());
        }
        if self.heap.len() < SEARCH_EVENTS_CHECKED_MAX {
            self.heap.push(Reverse(Match { key, score, index }));
            return ControlFlow::Continue(());
        }
        let Some(mut worst) = self.heap.peek_mut() else { return ControlFlow::Continue(()) };
        if key > worst.0.key {
            self.found.more_in.insert(worst.0.index);
            *worst = Reverse(Match { key, score, index });
            return ControlFlow::Continue(());
        }
        self.found.more_in.insert(index);
        if by_time { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn finish(self) -> Matches {
        let mut best: Vec<Match> = self.heap.into_iter().map(|Reverse(it)| it).collect();
        best.sort_unstable_by_key(|it| Reverse(it.key));
        Matches { best, ..self.found }
    }
}

/// A room that is searched, as a view.
pub(crate) type View<'a, 's> = RoomView<'a, &'a Snapshot<'s>>;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use vestibule_storage::{
        CommitMode, Durability, InlineExecutor, MemoryEngine, SlotNo, Store, StoreOptions,
    };

    use super::*;
    use crate::{index::insert, postings::Weight};

    const ROOM: RoomNo = RoomNo(3);

    /// The places of some words.
    type Lists = BTreeMap<String, Vec<Posting>>;

    /// Numbers that look random (xorshift).
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            u32::try_from(self.0 % u64::from(bound)).unwrap()
        }
    }

    /// Each place holds some of the words, in one of the fields, said by one of two senders.
    fn lists(places: u32, seed: u64) -> Lists {
        let mut chance = Chance(seed);
        let mut lists = Lists::new();
        let mut second = 1_000;
        for no in 0..places {
            second += chance.below(3);
            let place = Place { second, no };
            let field = [Field::Body, Field::Topic][usize::from(chance.below(9) == 0)];
            for (word, one_in) in
                [("all", 1), ("half", 2), ("few", 60), ("rare", 900), ("once", 20_000)]
            {
                if chance.below(one_in) == 0 {
                    let weight = Weight::of(field, 1 + chance.below(4), 9);
                    lists.entry(word.to_owned()).or_default().push((place, weight));
                }
            }
            let sender = ["@a:b", "@c:d"][usize::from(chance.below(3) == 0)];
            let weight = Weight::of(Field::Body, 1, 1);
            lists.entry(sender_word(sender)).or_default().push((place, weight));
        }
        lists
    }

    async fn store(lists: &Lists) -> Store {
        let options = StoreOptions {
            slots: 1,
            durability: Durability::Os,
            commit: CommitMode::Inline,
            executor: Arc::new(InlineExecutor),
        };
        let store = Store::open(MemoryEngine::new(1), options).unwrap();
        let lists = lists.clone();
        let put = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
            for (word, postings) in &lists {
                insert(tx, (ROOM, word), (postings.clone(), None))?;
            }
            Ok(())
        });
        put.await.unwrap();
        store
    }

    /// What a walk must show, worked out from the whole lists.
    fn expected(
        lists: &Lists,
        (words, senders): (&[String], &[String]),
        keys: &[SearchKey],
    ) -> Vec<(Place, u16)> {
        let at = |word: &String, place: Place| {
            let list = lists.get(word)?;
            let found = list.binary_search_by_key(&place, |(at, _)| *at).ok()?;
            Some(list[found].1)
        };
        let candidates = lists.get(&words[0]).into_iter().flatten().rev();
        candidates
            .filter_map(|(place, _)| {
                let weights = words
                    .iter()
                    .map(|word| at(word, *place).filter(|weight| is_wanted(keys, weight.field())));
                let score = weights.map(|it| it.map(Weight::value)).sum::<Option<u16>>()?;
                let said = senders.is_empty() || senders.iter().any(|it| at(it, *place).is_some());
                said.then_some((*place, score))
            })
            .collect()
    }

    #[tokio::test]
    async fn a_walk_shows_what_all_words_and_one_of_the_senders_share_newest_first() {
        let lists = lists(4_000, 7);
        let store = store(&lists).await;
        let [a, c] = ["@a:b", "@c:d"].map(sender_word);
        let nobody = sender_word("@no:body");
        for words in [
            vec!["all"],
            vec!["rare"],
            vec!["half", "all"],
            vec!["all", "rare"],
            vec!["rare", "half"],
            vec!["few", "half", "all"],
            vec!["absent"],
            vec!["all", "absent"],
        ] {
            for senders in [
                vec![],
                vec![a.clone()],
                vec![c.clone(), nobody.clone()],
                vec![a.clone(), c.clone()],
                vec![nobody.clone()],
            ] {
                for keys in
                    [vec![], vec![SearchKey::Body], vec![SearchKey::Topic], vec![SearchKey::Name]]
                {
                    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
                    let wanted = expected(&lists, (&words, &senders), &keys);
                    let senders = senders.clone();
                    let shown = store.read::<_, StorageError, _>(move |snapshot| {
                        let mut walk = Walk::new((snapshot, ROOM), (&words, &senders), &keys);
                        let mut shown = Vec::new();
                        let ended = walk.each(&mut Budget(1_000_000), |place, score| {
                            shown.push((place, score));
                            ControlFlow::Continue(())
                        })?;
                        assert!(ended.is_continue());
                        Ok(shown)
                    });
                    assert_eq!(shown.await.unwrap(), wanted);
                }
            }
        }
    }

    #[tokio::test]
    async fn the_newest_are_found_without_reading_a_common_word_whole() {
        let lists = lists(40_000, 11);
        let store = store(&lists).await;
        let read = store.read::<_, StorageError, _>(|snapshot| {
            let words = ["all", "half"].map(ToOwned::to_owned);
            let mut walk = Walk::new((snapshot, ROOM), (&words, &[]), &[]);
            let (mut budget, mut seen) = (Budget(1_000_000), 0);
            let ended = walk.each(&mut budget, |_, _| {
                seen += 1;
                if seen < 500 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            assert!(ended.is_break());
            Ok((1_000_000 - budget.0, walk.estimate(seen)?))
        });
        let (read, estimated) = read.await.unwrap();
        assert!(read < 4_000, "{read} places were read");
        let there = expected(&lists, (&["all", "half"].map(ToOwned::to_owned), &[]), &[]).len();
        assert!(estimated.abs_diff(there) < there / 5, "{estimated} of {there}");
    }

    #[tokio::test]
    async fn a_rare_word_beside_a_common_one_is_found_by_few_rows() {
        let lists = lists(200_000, 13);
        let store = store(&lists).await;
        let once = lists["once"].len();
        let read = store.read::<_, StorageError, _>(|snapshot| {
            let words = ["all", "once"].map(ToOwned::to_owned);
            let mut walk = Walk::new((snapshot, ROOM), (&words, &[]), &[]);
            let (mut budget, mut seen) = (Budget(1_000_000), 0);
            let _ended = walk.each(&mut budget, |_, _| {
                seen += 1;
                ControlFlow::Continue(())
            })?;
            Ok((1_000_000 - budget.0, seen))
        });
        let (read, seen) = read.await.unwrap();
        assert_eq!(seen, once);
        assert!(read < 20_000, "{read} places were read");
    }

    #[tokio::test]
    async fn what_may_not_be_read_any_more_is_not_found() {
        let lists = lists(4_000, 17);
        let store = store(&lists).await;
        let read = store.read::<_, StorageError, _>(|snapshot| {
            let words = ["all".to_owned()];
            let mut walk = Walk::new((snapshot, ROOM), (&words, &[]), &[]);
            let mut seen = 0;
            let _ended = walk.each(&mut Budget(600), |_, _| {
                seen += 1;
                ControlFlow::Continue(())
            })?;
            Ok(seen)
        });
        assert!((600..=1_200).contains(&read.await.unwrap()));
    }
}
