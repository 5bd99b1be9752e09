//! Somebody who has no rows yet, and gets them with the first write of theirs that is kept.
//!
//! While a request of theirs is answered, reads show the rows they would have, as if they were stored.
//! A write that was decided from those rows, or that names them in a row of its own, stores them in the
//! same batch; a write that fails, or stages nothing, leaves no trace. So every service works for them as
//! for anybody, and none can forget them.

use std::{cell::Cell, ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use crate::{
    EngineSnapshot, Read, ScanRange, SlotNo, StorageError, Store, Tx, Visit,
    overlay::{Known, Overlay, Staged, Write},
};

tokio::task_local! {
    static PRESENT: Option<Present>;
}

/// Whose request a task answers.
#[derive(Clone)]
struct Present {
    /// Which store they are new to.
    store: usize,
    newcomer: Arc<dyn Newcomer>,
}

/// Somebody without rows.
pub trait Newcomer: Send + Sync + 'static {
    /// Whether they have none still, and may get some. What is read here is asserted.
    fn is_new(&self, read: &dyn Read) -> Result<bool, StorageError>;

    /// The rows they would have.
    fn rows(&self) -> &Draft;

    /// Whether a key or a value names them.
    fn is_named_in(&self, bytes: &[u8]) -> bool;

    /// Counts them in, after their rows were staged. When it fails, the write does.
    fn arrive(&self, tx: &mut Tx<'_>) -> Result<(), StorageError>;
}

impl Store {
    /// Runs `work` as something that a newcomer does.
    pub async fn arriving<F: Future>(&self, newcomer: Arc<dyn Newcomer>, work: F) -> F::Output {
        PRESENT.scope(Some(Present { store: self.id(), newcomer }), work).await
    }

    /// The newcomer to this store whose request this is.
    #[must_use]
    pub fn newcomer(&self) -> Option<Arc<dyn Newcomer>> {
        let present = PRESENT.try_with(Clone::clone).ok().flatten();
        present.filter(|it| it.store == self.id()).map(|it| it.newcomer)
    }
}

/// Runs `work` as nobody's act: what of a newcomer's request is not decided yet gives them no rows.
pub async fn apart<F: Future>(work: F) -> F::Output {
    PRESENT.scope(None, work).await
}

/// Lets work that goes on in a task of its own be the newcomer's all the same.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let present = PRESENT.try_with(Clone::clone).ok().flatten();
    PRESENT.scope(present, work)
}

/// Rows that are not stored. Their keys are nobody else's.
#[derive(Debug, Default)]
pub struct Draft(Overlay);

impl Draft {
    /// The rows that a write to an empty store would leave.
    pub fn of(
        work: impl FnOnce(&mut Tx<'_>) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        let mut tx = Tx::new(&Nothing, SlotNo(0));
        work(&mut tx)?;
        tx.into_draft().map(Self)
    }

    /// The rows, by key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Vec<u8>, &Staged)> {
        self.0.points.iter()
    }

    fn row(&self, key: &[u8]) -> Option<Bytes> {
        match self.0.known(key) {
            Known::Row(row) => row,
            Known::BelowPlus(_) | Known::Below => None,
        }
    }

    pub(crate) fn is_of_rows(overlay: &Overlay) -> bool {
        let mut staged = overlay.points.values();
        overlay.ranges.is_empty()
            && staged.all(|it| {
                let is_row = matches!(&it.write, Write::Put { stamps, .. } if stamps.is_empty());
                is_row && it.key_stamps.is_empty()
            })
    }
}

/// The newcomer who acts in a write, and what became known of the act.
pub(crate) struct Acting {
    pub(crate) newcomer: Arc<dyn Newcomer>,
    /// How many changes could be undone when the act began.
    pub(crate) mark: usize,
    /// Whether a row of the draft was read.
    pub(crate) seen: Cell<bool>,
}

/// A moment of an engine with a draft laid over it.
pub(crate) struct Amid<'a> {
    pub(crate) base: &'a dyn EngineSnapshot,
    pub(crate) draft: &'a Draft,
    pub(crate) seen: &'a Cell<bool>,
}

impl Amid<'_> {
    fn over(&self, key: &[u8], below: Option<Bytes>) -> Option<Bytes> {
        below.or_else(|| self.draft.row(key).inspect(|_| self.seen.set(true)))
    }
}

impl EngineSnapshot for Amid<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.over(key, self.base.get(key)?))
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        let rows = self.base.multi_get(keys)?.into_iter().zip(keys);
        Ok(rows.map(|(row, key)| self.over(key, row)).collect())
    }

    fn scan(&self, range: &ScanRange, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        let mut walk = self.draft.0.walk(range);
        let mut noting = |key: &[u8], value: &[u8]| {
            if self.draft.0.points.contains_key(key) {
                self.seen.set(true);
            }
            visit(key, value)
        };
        let mut flow = ControlFlow::Continue(());
        self.base.scan(range, &mut |key, value| {
            flow = walk.below(key, value, &mut noting);
            flow
        })?;
        if flow.is_continue() {
            let _: ControlFlow<()> = walk.rest(&mut noting);
        }
        Ok(())
    }

    fn missed(&self) -> bool {
        self.base.missed()
    }
}

/// A store in which nothing is.
struct Nothing;

impl EngineSnapshot for Nothing {
    fn get(&self, _key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(None)
    }

    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        Ok(keys.iter().map(|_| None).collect())
    }

    fn scan(&self, _range: &ScanRange, _visit: &mut Visit<'_>) -> Result<(), StorageError> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "newcomer_tests.rs"]
mod tests;
