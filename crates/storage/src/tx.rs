//! A write in the making: reads that become assertions, staged changes, savepoints.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    EncodeBuf, EngineSnapshot, Fixed, Read, ScanRange, SlotNo, Snapshot, Stamp, StorageError,
    Visit,
    commit::{Asserts, Batch},
    key::StampOffsets,
    newcomer::{Acting, Amid, Draft, Newcomer},
    overlay::{Known, Overlay, Staged, Write},
};

/// A write in the making. Its closure may run more than once, so it touches nothing but this.
///
/// Reads see the batch's own writes. A row read with `get` is asserted: the batch commits only if
/// nobody wrote it in between. Scans are not asserted; assert the guard key of the range.
pub struct Tx<'a> {
    snapshot: &'a dyn EngineSnapshot,
    slot: SlotNo,
    overlay: Overlay,
    asserts: RefCell<Asserts>,
    stamps: u32,
    acting: Option<Acting>,
}

/// A moment of a [`Tx`] to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    mark: usize,
    stamps: u32,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(snapshot: &'a dyn EngineSnapshot, slot: SlotNo) -> Self {
        let (overlay, asserts) = (Overlay::default(), RefCell::default());
        Self { snapshot, slot, overlay, asserts, stamps: 0, acting: None }
    }

    /// Runs part of the write as an act of a newcomer, if there is one: they see the rows they would have,
    /// and have them when the act is kept. After an `Err` the caller drops or undoes what was staged.
    pub fn act<T, E: From<StorageError>>(
        &mut self,
        newcomer: Option<&Arc<dyn Newcomer>>,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin_act(newcomer)?;
        let outcome = act(self);
        self.end_act(outcome)
    }

    /// The beginning of [`Tx::act`], for acts that are not one closure.
    pub fn begin_act(&mut self, newcomer: Option<&Arc<dyn Newcomer>>) -> Result<(), StorageError> {
        self.acting = None;
        if let Some(newcomer) = newcomer
            && newcomer.is_new(&*self)?
        {
            let (newcomer, mark) = (Arc::clone(newcomer), self.overlay.mark());
            self.acting = Some(Acting { newcomer, mark, seen: Cell::new(false) });
        }
        Ok(())
    }

    /// The end of [`Tx::act`].
    pub fn end_act<T, E: From<StorageError>>(&mut self, outcome: Result<T, E>) -> Result<T, E> {
        let acting = self.acting.take();
        let value = outcome?;
        if let Some(Acting { newcomer, mark, seen }) = acting {
            let named = |bytes: &[u8]| newcomer.is_named_in(bytes);
            if self.overlay.is_changed_since(mark)
                && (seen.get() || self.overlay.changed_since(mark).any(named))
            {
                self.settle(&*newcomer)?;
            }
        }
        Ok(value)
    }

    /// Whether somebody acts who has no rows yet. What only notes how a client reads is not worth rows.
    #[must_use]
    pub fn is_newcomers(&self) -> bool {
        self.acting.is_some()
    }

    /// Stages the rows of a newcomer, but for those their act changed already, and counts them in.
    pub(crate) fn settle(&mut self, newcomer: &dyn Newcomer) -> Result<(), StorageError> {
        for (key, staged) in newcomer.rows().rows() {
            if !self.overlay.known(key).is_row() {
                self.overlay.stage(key.clone(), staged.clone());
            }
        }
        newcomer.arrive(self)
    }

    pub(crate) fn into_draft(self) -> Result<Overlay, StorageError> {
        if self.stamps == 0 && Draft::is_of_rows(&self.overlay) {
            Ok(self.overlay)
        } else {
            Err(StorageError::engine("a draft holds more than rows"))
        }
    }

    /// What lies under this batch.
    fn below<T>(&self, look: impl FnOnce(&dyn EngineSnapshot) -> T) -> T {
        match &self.acting {
            Some(Acting { newcomer, seen, .. }) => {
                look(&Amid { base: self.snapshot, draft: newcomer.rows(), seen })
            }
            None => look(self.snapshot),
        }
    }

    /// The slot this batch commits to.
    #[must_use]
    pub fn slot(&self) -> SlotNo {
        self.slot
    }

    /// Reads that are not asserted: for rows that never change once written.
    #[must_use]
    pub fn fixed(&self) -> Fixed<'_> {
        Fixed { tx: self }
    }

    /// The next stamp of this batch. It is pending: whatever is put with it, in a key or a value,
    /// gets the commit's number when the batch commits. Scans show pending rows last.
    pub fn next_stamp(&mut self) -> Stamp {
        let index = u16::try_from(self.stamps).unwrap_or(u16::MAX);
        self.stamps = self.stamps.saturating_add(1);
        Stamp { commit: Stamp::PENDING, index }
    }

    /// Remembers this moment.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint { mark: self.overlay.mark(), stamps: self.stamps }
    }

    /// Drops everything staged since the savepoint. What was read stays asserted, since whatever
    /// was refused was refused because of it.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        self.overlay.undo_to(savepoint.mark);
        self.stamps = savepoint.stamps;
    }

    /// Whether nothing is staged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overlay.is_empty()
    }

    /// The last commit of this batch's slot that its snapshot shows. Not asserted.
    pub fn position(&self) -> Result<u64, StorageError> {
        Snapshot::new(self.snapshot, 0).position(self.slot)
    }

    pub(crate) fn into_batch(self, snapshot: u64) -> Result<Batch, StorageError> {
        if self.stamps > u32::from(u16::MAX) + 1 {
            return Err(StorageError::TooLarge { what: "stamps of one batch" });
        }
        Ok(Batch {
            slot: self.slot,
            snapshot,
            asserts: self.asserts.into_inner(),
            points: self.overlay.points,
            ranges: self.overlay.ranges,
        })
    }

    pub(crate) fn put_encoded(&mut self, key: EncodeBuf, value: EncodeBuf) {
        let write = Write::Put { value: value.bytes, stamps: value.stamps };
        self.overlay.stage(key.bytes, Staged { write, key_stamps: key.stamps });
    }

    pub(crate) fn delete_encoded(&mut self, key: EncodeBuf) {
        if key.stamps.is_empty() {
            let staged = Staged { write: Write::Delete, key_stamps: StampOffsets::new() };
            self.overlay.stage(key.bytes, staged);
        } else {
            // A pending row exists only here.
            self.overlay.unstage(key.bytes);
        }
    }

    pub(crate) fn delete_range(&mut self, start: Vec<u8>, end: Vec<u8>) {
        self.overlay.stage_range(start, end);
    }

    pub(crate) fn add_encoded(&mut self, key: EncodeBuf, delta: i64) {
        self.overlay.add(key.bytes, key.stamps, delta);
    }

    pub(crate) fn get_unasserted(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.resolve(key, self.overlay.known(key))
    }

    /// A row, given what the overlay says about its key.
    fn resolve(&self, key: &[u8], known: Known) -> Result<Option<Bytes>, StorageError> {
        let below = if known.is_row() { None } else { self.below(|it| it.get(key))? };
        Ok(known.over(below))
    }

    pub(crate) fn multi_get_unasserted(
        &self,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.resolve_all(keys, keys.iter().map(|key| self.overlay.known(key)).collect())
    }

    fn resolve_all(
        &self,
        keys: &[Vec<u8>],
        known: Vec<Known>,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        if !known.iter().any(Known::is_row) {
            let below = self.below(|it| it.multi_get(keys))?.into_iter().zip(known);
            return Ok(below.map(|(row, known)| known.over(row)).collect());
        }
        let wanted = keys.iter().zip(&known).filter(|(_, known)| !known.is_row());
        let wanted: Vec<Vec<u8>> = wanted.map(|(key, _)| key.clone()).collect();
        let mut below = self.below(|it| it.multi_get(&wanted))?.into_iter();
        let rows = known.into_iter().map(|known| {
            let row = if known.is_row() { None } else { below.next().flatten() };
            known.over(row)
        });
        Ok(rows.collect())
    }

    /// Asserts a key unless the batch itself decided what it holds.
    fn assert(&self, key: &[u8], known: &Known) {
        if !known.is_row() {
            self.asserts.borrow_mut().add(key);
        }
    }
}

impl Read for Tx<'_> {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let known = self.overlay.known(key);
        self.assert(key, &known);
        self.resolve(key, known)
    }

    fn multi_get_bytes(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let known: Vec<Known> = keys.iter().map(|key| self.overlay.known(key)).collect();
        for (key, known) in keys.iter().zip(&known) {
            self.assert(key, known);
        }
        self.resolve_all(keys, known)
    }

    fn scan_bytes(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut walk = self.overlay.walk(range);
        let mut flow = ControlFlow::Continue(());
        self.below(|it| {
            it.scan(range, &mut |key, value| {
                flow = walk.below(key, value, visit);
                flow
            })
        })?;
        if flow.is_continue() {
            let _: ControlFlow<()> = walk.rest(visit);
        }
        Ok(())
    }
}
