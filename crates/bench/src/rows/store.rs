//! The store without a server: what typed tables, assertions and group commit leave of the disk.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use vestibule_storage::{
    CommitMode, Durability, SlotNo, StorageError, Store, StoreOptions, Table, ThreadPool,
};
use vestibule_storage_rocksdb::{RocksEngine, RocksOptions};

use super::{Bench, figure};
use crate::{
    clock, process,
    report::{Row, rounded},
};

/// Rows of one write, as of one message.
const ROWS_PER_WRITE: u64 = 12;
/// Bytes of one row.
const ROW_BYTES: usize = 150;
/// Threads that run closures, as in a server by default.
const THREADS: usize = 4;
/// Closures that may wait for a thread.
const QUEUE_MAX: usize = 4_096;

/// Rows by writer and number; no released database holds this table.
const ROWS: Table<(u64, u64), Vec<u8>> = Table::new(0x7fff, "bench_row_by_number");

/// Synced writes per second of one and of many writers; each reads one key and writes twelve.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("store-").tempdir_in(&bench.folder)?;
    let store = open(folder.path())?;
    let (mut one, mut many) = (Vec::new(), Vec::new());
    let mut cpu_s = [0.0, 0.0];
    for _ in 0..bench.scale.rounds {
        let before = process::own_cpu_seconds()?;
        one.push(write(bench, &store, 1).await?);
        let between = process::own_cpu_seconds()?;
        many.push(write(bench, &store, bench.scale.senders).await?);
        let [alone, together] = &mut cpu_s;
        *alone += between - before;
        *together += process::own_cpu_seconds()? - between;
    }
    store.close().await;
    let row = |name: &str, samples: Vec<f64>, cpu_s: f64| {
        let seconds = bench.scale.sample.as_secs_f64();
        let writes: f64 = samples.iter().map(|per_second| per_second * seconds).sum();
        Row::new(name, "writes/s", samples).with("cpu_us_per_write", rounded(cpu_s * 1e6 / writes))
    };
    let [alone, together] = cpu_s;
    Ok(vec![row("store, one writer", one, alone), row("store, many writers", many, together)])
}

fn open(folder: &Path) -> Result<Store> {
    let engine = RocksEngine::open(folder, &RocksOptions::default())?;
    let executor = Arc::new(ThreadPool::new("store", THREADS, QUEUE_MAX)?);
    let (durability, commit) = (Durability::Fsync, CommitMode::Thread);
    Ok(Store::open(engine, StoreOptions { slots: 1, durability, commit, executor })?)
}

async fn write(bench: &Bench, store: &Store, writers: usize) -> Result<f64> {
    let mut writing = JoinSet::new();
    let started = clock::now();
    let lasting = bench.scale.sample;
    for writer in 0..u64::try_from(writers)? {
        let store = store.clone();
        writing.spawn(async move {
            let mut number = 0_u64;
            while started.elapsed() < lasting {
                let first = number;
                let closure = move |tx: &mut vestibule_storage::Tx<'_>| {
                    ROWS.get(tx, (writer, first))?;
                    for number in first..first + ROWS_PER_WRITE {
                        ROWS.put(tx, (writer, number), &vec![7; ROW_BYTES])?;
                    }
                    Ok::<_, StorageError>(())
                };
                store.write(SlotNo(0), closure).await?;
                number += ROWS_PER_WRITE;
            }
            Ok::<_, StorageError>(number / ROWS_PER_WRITE)
        });
    }
    let mut total = 0;
    while let Some(written) = writing.join_next().await {
        total += written.context("a writer broke off")??;
    }
    Ok(figure(total) / started.elapsed().as_secs_f64())
}
