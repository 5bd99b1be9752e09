//! Walking the places of a word, newest first, without reading more rows than are looked at.

use std::{collections::VecDeque, ops::ControlFlow};

use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::search::{POSTINGS, StoredPostings},
};
use vestibule_types::{
    RoomNo,
    limits::{SEARCH_ROW_EVENTS_MAX, SEARCH_ROWS_AHEAD_MAX, SEARCH_ROWS_COUNTED_MAX},
};

use crate::postings::{Place, Posting, unpack};

/// How much may still be read.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) usize);

/// A word's places in a room. It only moves towards older ones.
pub(crate) struct Cursor<'a, 's> {
    snapshot: &'a Snapshot<'s>,
    room: RoomNo,
    word: &'a str,
    /// The row that is looked at, oldest first; what was passed is gone.
    row: Vec<Posting>,
    /// Where the oldest row that was fetched begins; `None` before the first.
    reached: Option<Place>,
    /// Rows that were fetched together with the last one, newest first.
    ahead: VecDeque<(Place, StoredPostings)>,
    /// How many rows are fetched at once: more while none is passed over.
    stride: usize,
    /// Rows that were unpacked, and the places in them.
    unpacked: (usize, usize),
    /// The places in the first of them: it may have been begun only lately.
    newest: usize,
}

impl<'a, 's> Cursor<'a, 's> {
    /// Before the newest place of a word.
    pub(crate) fn new(snapshot: &'a Snapshot<'s>, (room, word): (RoomNo, &'a str)) -> Self {
        Self {
            snapshot,
            room,
            word,
            row: Vec::new(),
            reached: None,
            ahead: VecDeque::new(),
            stride: 1,
            unpacked: (0, 0),
            newest: 0,
        }
    }

    /// The newest place that is not after this one; `None` when there is none, or when no more may be
    /// read.
    pub(crate) fn seek(
        &mut self,
        at_most: Place,
        budget: &mut Budget,
    ) -> Result<Option<Posting>, StorageError> {
        loop {
            self.pass(at_most);
            if let Some(posting) = self.row.last() {
                return Ok(Some(*posting));
            }
            if budget.0 == 0 || !self.next_row(at_most)? {
                return Ok(None);
            }
            budget.0 = budget.0.saturating_sub(self.row.len());
        }
    }

    /// The place that was found last.
    pub(crate) fn stands_at(&self) -> Option<Place> {
        self.row.last().map(|(place, _)| *place)
    }

    /// Drops what is after a place from the row.
    fn pass(&mut self, at_most: Place) {
        // Mostly it is the last one only.
        for _ in 0..4 {
            match self.row.last() {
                Some((place, _)) if *place > at_most => self.row.pop(),
                _ => return,
            };
        }
        let kept = self.row.partition_point(|(place, _)| *place <= at_most);
        self.row.truncate(kept);
    }

    /// Unpacks the next older row that may hold the place or older ones. Says whether there is one.
    fn next_row(&mut self, at_most: Place) -> Result<bool, StorageError> {
        let fetched = self.ahead.len();
        // The row that holds a place is the newest that does not begin after it.
        while self.ahead.front().is_some_and(|(begin, _)| *begin > at_most) {
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() {
            self.stride = if fetched > 0 { 1 } else { self.stride };
            self.fetch(at_most)?;
            self.stride = (self.stride * 2).min(SEARCH_ROWS_AHEAD_MAX);
        }
        let Some((_, row)) = self.ahead.pop_front() else { return Ok(false) };
        self.row.clear();
        unpack(&row.0, &mut self.row)
            .ok_or_else(|| StorageError::corrupt("postings", "the places cannot be read"))?;
        if self.unpacked.0 == 0 {
            self.newest = self.row.len();
        }
        self.unpacked = (self.unpacked.0 + 1, self.unpacked.1 + self.row.len());
        Ok(true)
    }

    fn fetch(&mut self, at_most: Place) -> Result<(), StorageError> {
        let scan = self.older(at_most).reverse().limit(self.stride);
        let (ahead, reached) = (&mut self.ahead, &mut self.reached);
        POSTINGS.each(self.snapshot, scan, |(_, _, second, no), row| {
            let begin = Place { second, no };
            ahead.push_back((begin, row));
            *reached = Some(begin);
            ControlFlow::Continue(())
        })
    }

    /// The rows that were not fetched yet and do not begin after a place.
    fn older(&self, at_most: Place) -> Scan<(RoomNo, String, u32, u32)> {
        let all = Scan::prefix((self.room, self.word));
        match self.reached {
            Some(reached) if reached <= at_most => {
                all.before((self.room, self.word, reached.second, reached.no))
            }
            _ => all.to((self.room, self.word, at_most.second, at_most.no)),
        }
    }

    /// The places that were passed, and about how many there are with those that were not.
    pub(crate) fn passed_and_all(&self) -> Result<(usize, usize), StorageError> {
        let (rows, places) = self.unpacked;
        let mut left = self.ahead.len();
        let rest = self.older(Place::LAST).reverse().limit(SEARCH_ROWS_COUNTED_MAX);
        POSTINGS.each(self.snapshot, rest, |_, _| {
            left += 1;
            ControlFlow::Continue(())
        })?;
        let usual = places.saturating_sub(self.newest).checked_div(rows.saturating_sub(1));
        let usual = usual.unwrap_or(SEARCH_ROW_EVENTS_MAX);
        let passed = places.saturating_sub(self.row.len());
        Ok((passed, places.saturating_add(left.saturating_mul(usual))))
    }
}
