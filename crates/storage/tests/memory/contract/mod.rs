//! What every engine must keep, with the store on top of it: one macro line makes it a test suite.

pub(crate) mod commits;
pub(crate) mod conflicts;
pub(crate) mod counters;
pub(crate) mod engines;
pub(crate) mod failures;
pub(crate) mod groups;
pub(crate) mod jobs;
pub(crate) mod stamps;

use std::{any::Any, sync::Arc};

use vestibule_storage::{
    CommitMode, Durability, Engine, Read, SlotNo, StorageError, Store, StoreOptions, Table,
    ThreadPool, Tx,
};

/// A fresh engine, and whatever must live as long as it does.
pub(crate) struct Rig {
    pub(crate) engine: Arc<dyn Engine>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Rig {
    pub(crate) fn keeping(engine: impl Engine, keep: impl Any + Send + Sync) -> Self {
        Self { engine: Arc::new(engine), _keep: Box::new(keep) }
    }

    /// A store with a commit thread and a pool of four.
    pub(crate) fn store(&self) -> Store {
        self.store_with(CommitMode::Thread)
    }

    pub(crate) fn store_with(&self, commit: CommitMode) -> Store {
        open(Arc::clone(&self.engine), commit)
    }

    /// The last slot: the only one, or one that is not the first.
    pub(crate) fn slot(&self) -> SlotNo {
        SlotNo(self.engine.slots() - 1)
    }
}

pub(crate) fn open(engine: impl Engine, commit: CommitMode) -> Store {
    let options = StoreOptions {
        slots: engine.slots(),
        durability: Durability::Fsync,
        commit,
        executor: Arc::new(ThreadPool::new("test", 4, 10_000).unwrap()),
    };
    Store::open(engine, options).unwrap()
}

/// Numbers by name.
pub(crate) const NUMBER: Table<(String,), u64> = Table::new(0xf000, "test_number");

pub(crate) fn number(reader: &impl Read, name: &str) -> Result<u64, StorageError> {
    Ok(NUMBER.get(reader, (name,))?.unwrap_or_default())
}

pub(crate) async fn number_in(store: &Store, name: &'static str) -> u64 {
    store.read(move |snapshot| number(snapshot, name)).await.unwrap()
}

/// Commits a closure that is expected to work, and answers with its position.
pub(crate) async fn commit(
    store: &Store,
    slot: SlotNo,
    f: impl FnMut(&mut Tx<'_>) -> Result<(), StorageError> + Send + 'static,
) -> u64 {
    store.write(slot, f).await.unwrap().position
}

macro_rules! contract_suite {
    ($name:ident, $rig:expr) => {
        #[cfg(test)]
        mod $name {
            use super::contract;

            contract_facts! { $rig;
                engines::a_snapshot_shows_one_moment,
                engines::scans_walk_a_stretch_in_both_directions_until_told_to_stop,
                engines::several_rows_come_in_the_order_of_their_keys,
                engines::a_batch_applies_its_changes_in_order,
                engines::random_histories_agree_with_a_plain_map,
                commits::a_write_is_there_when_it_is_acknowledged,
                commits::positions_move_in_order_and_without_gaps,
                commits::a_write_without_changes_commits_nothing,
                commits::a_refused_closure_commits_nothing,
                commits::a_rolled_back_savepoint_leaves_no_trace,
                commits::committing_inline_gives_the_same_positions,
                commits::slots_count_for_themselves,
                commits::positions_survive_opening_again,
                commits::a_slot_that_is_not_there_is_refused,
                conflicts::concurrent_read_modify_writes_all_count,
                conflicts::money_is_neither_made_nor_lost,
                conflicts::a_write_whose_reads_are_stale_runs_again,
                conflicts::a_write_that_always_loses_gets_to_run_alone,
                conflicts::scans_and_fixed_reads_are_not_asserted,
                conflicts::a_range_delete_conflicts_with_the_rows_it_covers,
                conflicts::a_missing_row_is_asserted_too,
                counters::concurrent_additions_are_summed_up_without_conflict,
                counters::a_counter_stops_at_zero,
                counters::additions_after_a_deletion_start_from_zero,
                counters::a_read_counter_is_asserted,
                stamps::stamps_are_filled_in_keys_and_values,
                stamps::a_scan_shows_pending_rows_last,
                stamps::a_pending_row_can_be_taken_back,
                stamps::stamps_of_later_commits_are_greater,
                stamps::more_stamps_than_a_batch_can_number_are_refused,
                groups::everything_that_waits_shares_one_sync,
                failures::a_panicking_closure_fails_alone,
                failures::a_full_disk_refuses_writes_and_recovers_by_itself,
                failures::nothing_acknowledged_is_lost_when_writes_fail_now_and_then,
                failures::closing_commits_what_waits_and_refuses_the_rest,
                jobs::a_job_is_found_when_due_and_gone_when_finished,
                jobs::a_job_that_is_put_off_counts_its_attempts,
                jobs::a_job_is_finished_once,
                jobs::jobs_behind_another_are_found,
            }
        }
    };
}

macro_rules! contract_facts {
    ($rig:expr; $($module:ident::$fact:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                contract::$module::$fact(($rig)()).await;
            }
        )+
    };
}
