//! One group: the batches that one sync makes durable.

use std::{collections::HashMap, sync::Arc};

use super::{Batch, window::Window};
use crate::{
    Engine, EngineOp, Positions, SlotNo, StorageError,
    key::StampOffsets,
    lately::LogLine,
    overlay::{Staged, Write},
    stamp::hash,
    tables::{meta::SLOT_POSITION, room::STREAM, sender::SERVER_CHANGE},
};

/// Changes of a group in the making.
pub(super) struct Group {
    engine: Arc<dyn Engine>,
    pub(super) ops: Vec<EngineOp>,
    /// The lines of the log among them.
    pub(super) lines: Vec<LogLine>,
    /// Where each slot will be once the group is applied.
    pub(super) positions: Positions,
    /// Number of the group's first batch.
    first: u64,
    /// Counters this group added to.
    counters: HashMap<Vec<u8>, u64>,
}

impl Group {
    pub(super) fn new(engine: Arc<dyn Engine>, positions: Positions, first: u64) -> Self {
        let (ops, lines) = (Vec::new(), Vec::new());
        Self { engine, ops, lines, positions, first, counters: HashMap::new() }
    }

    /// Takes a batch in and answers with its commit number; on failure the group is as before.
    pub(super) fn take(
        &mut self,
        batch: Batch,
        number: u64,
        window: &mut Window,
    ) -> Result<u64, StorageError> {
        let slot = batch.slot;
        let commit = self.positions.get(slot) + 1;
        let before = (self.ops.len(), self.lines.len());
        let added = self.stage(batch, commit, number, window);
        if let Err(error) = added {
            // Counters may hold sums of the refused batch; forgetting them only costs reads,
            // because the sums of earlier batches stand among the changes.
            self.ops.truncate(before.0);
            self.lines.truncate(before.1);
            self.counters.clear();
            return Err(error);
        }
        self.positions.set(slot, commit);
        Ok(commit)
    }

    fn stage(
        &mut self,
        batch: Batch,
        commit: u64,
        number: u64,
        window: &mut Window,
    ) -> Result<(), StorageError> {
        for (start, end) in batch.ranges {
            window.deleted(&start, &end, number);
            self.counters.retain(|key, _| *key < start || *key >= end);
            self.ops.push(EngineOp::DeleteRange(start, end));
        }
        let (first_line, mut servers_moved) = (self.lines.len(), false);
        for (mut key, Staged { write, key_stamps }) in batch.points {
            fill(&mut key, &key_stamps, commit);
            let hash = hash(&key);
            let op = match write {
                Write::Put { mut value, stamps } => {
                    fill(&mut value, &stamps, commit);
                    self.forget_counter(&key);
                    if STREAM.holds(&key) {
                        self.lines.push(log_line(&key, &value)?);
                    }
                    servers_moved |= SERVER_CHANGE.holds(&key);
                    EngineOp::Put(key, value)
                }
                Write::Delete => {
                    self.forget_counter(&key);
                    EngineOp::Delete(key)
                }
                Write::Add(delta) => {
                    let touched = window.touched_since(hash, self.first);
                    let before = self.counter(&key, touched)?;
                    let sum = before.saturating_add_signed(delta);
                    self.counters.insert(key.clone(), sum);
                    EngineOp::Put(key, sum.to_be_bytes().to_vec())
                }
            };
            window.wrote(hash, number);
            self.ops.push(op);
        }
        for line in self.lines.iter_mut().skip(first_line) {
            line.servers_moved = servers_moved;
        }
        Ok(())
    }

    /// What a counter holds after the changes so far.
    fn counter(&self, key: &Vec<u8>, touched: bool) -> Result<u64, StorageError> {
        if let Some(number) = self.counters.get(key) {
            return Ok(*number);
        }
        if touched {
            for op in self.ops.iter().rev() {
                match op {
                    EngineOp::Put(put, value) if put == key => return Ok(number(value)),
                    EngineOp::Delete(deleted) if deleted == key => return Ok(0),
                    EngineOp::DeleteRange(start, end) if start <= key && key < end => {
                        return Ok(0);
                    }
                    _ => {}
                }
            }
        }
        Ok(self.engine.get(key)?.map_or(0, |value| number(&value)))
    }

    fn forget_counter(&mut self, key: &[u8]) {
        if !self.counters.is_empty() {
            self.counters.remove(key);
        }
    }

    /// Adds the rows that say where each slot is.
    pub(super) fn seal(&mut self, before: &Positions) {
        let moved: Vec<(SlotNo, u64)> =
            self.positions.iter().filter(|(slot, commit)| before.get(*slot) != *commit).collect();
        self.ops.extend(moved.into_iter().map(|(slot, commit)| position_row(slot, commit)));
    }
}

/// The row that says where a slot is.
pub(super) fn position_row(slot: SlotNo, commit: u64) -> EngineOp {
    EngineOp::Put(SLOT_POSITION.key_bytes((slot.0,)), commit.to_be_bytes().to_vec())
}

fn log_line(key: &[u8], value: &[u8]) -> Result<LogLine, StorageError> {
    let ((slot, stamp), news) = STREAM.row(key, value)?;
    Ok(LogLine { bytes: value.len(), ..LogLine::new(SlotNo(slot), stamp, news) })
}

fn number(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_be_bytes)
}

/// Fills pending stamps with the commit's number.
fn fill(bytes: &mut [u8], stamps: &StampOffsets, commit: u64) {
    for offset in stamps {
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        if let Some(pending) = bytes.get_mut(start..start.saturating_add(8)) {
            pending.copy_from_slice(&commit.to_be_bytes());
        }
    }
}
