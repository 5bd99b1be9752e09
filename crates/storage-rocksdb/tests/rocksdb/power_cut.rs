//! What is left when the machine loses power: everything synced, and nothing of the log after it.
//!
//! The engine under test is wrapped. After each batch the wrapper asks RocksDB whether the log was
//! really synced, and if so remembers how long each log file was. The power cut is a copy of the
//! folder in which every log ends where it was last synced. Tables and manifest are synced by
//! RocksDB before it refers to them; the tests write too little to flush any.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tempfile::TempDir;
use vestibule_storage::{
    CommitMode, Durability, Engine, EngineOp, EngineSnapshot, SlotNo, StorageError, Store,
    StoreOptions, Table, ThreadPool,
};
use vestibule_storage_rocksdb::{RocksEngine, RocksOptions};

const NUMBER: Table<(u64,), u64> = Table::new(0xf000, "test_number");

/// An engine that knows what of its log is on disk.
#[derive(Clone)]
struct Metered {
    inner: Arc<RocksEngine>,
    folder: PathBuf,
    state: Arc<Mutex<Meter>>,
}

#[derive(Default)]
struct Meter {
    syncs: u64,
    lengths: HashMap<PathBuf, u64>,
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

impl Metered {
    fn open(folder: &Path) -> Self {
        let options = RocksOptions { count_syncs: true, ..RocksOptions::default() };
        let inner = Arc::new(RocksEngine::open(folder, &options).unwrap());
        Self { inner, folder: folder.to_owned(), state: Arc::default() }
    }

    /// Copies the folder as a power cut now would leave it.
    fn cut_power(&self) -> TempDir {
        let state = self.state.lock().unwrap();
        let left = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let from = entry.unwrap().path();
            let to = left.path().join(from.file_name().unwrap());
            fs::copy(&from, &to).unwrap();
            if from.extension().is_some_and(|extension| extension == "log") {
                let synced = state.lengths.get(&from).copied().unwrap_or_default();
                let file = fs::OpenOptions::new().write(true).open(&to).unwrap();
                file.set_len(file.metadata().unwrap().len().min(synced)).unwrap();
            }
        }
        left
    }
}

impl Engine for Metered {
    fn slots(&self) -> u16 {
        1
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        self.inner.snapshot()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.inner.get(key)
    }

    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError> {
        self.inner.apply(ops, sync)?;
        let mut state = self.state.lock().unwrap();
        let syncs = self.inner.log_syncs();
        // Believed is RocksDB's own count of syncs, not the flag we passed.
        if syncs > state.syncs {
            state.syncs = syncs;
            let lengths = logs(&self.folder).into_iter().map(|path| {
                let length = fs::metadata(&path).unwrap().len();
                (path, length)
            });
            state.lengths = lengths.collect();
        }
        Ok(())
    }

    fn resume(&self) -> Result<(), StorageError> {
        self.inner.resume()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

fn open(engine: impl Engine, durability: Durability) -> Store {
    let options = StoreOptions {
        slots: 1,
        durability,
        commit: CommitMode::Thread,
        executor: Arc::new(ThreadPool::new("test", 4, 1_000).unwrap()),
    };
    Store::open(engine, options).unwrap()
}

async fn put(store: &Store, number: u64) {
    let written = store.write(SlotNo(0), move |tx| NUMBER.put(tx, (number,), &number)).await;
    written.map_err(|error: StorageError| error).unwrap();
}

/// Writes 200 numbers, eight writers at once, and cuts the power the moment the last one is
/// acknowledged; answers with what is left: numbers and position.
async fn left_after_power_cut(durability: Durability) -> (Vec<u64>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Metered::open(folder.path());
    let store = open(engine.clone(), durability);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                for number in 0..25 {
                    put(&store, writer * 25 + number).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let left = engine.cut_power();
    let engine = RocksEngine::open(left.path(), &RocksOptions::default()).unwrap();
    let store = open(engine, durability);
    let rows = store.read(|snapshot| NUMBER.scan(snapshot, (), 999)).await;
    let rows = rows.map_err(|error: StorageError| error).unwrap();
    (rows.into_iter().map(|(_, number)| number).collect(), store.positions().get(SlotNo(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_fsync_nothing_acknowledged_is_lost() {
    let (numbers, position) = left_after_power_cut(Durability::Fsync).await;
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert_eq!(position, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_os_something_acknowledged_is_lost() {
    let (numbers, position) = left_after_power_cut(Durability::Os).await;
    assert!(numbers.len() < 200, "the test does not drop what was never synced");
    assert_eq!(position, numbers.len() as u64, "a commit was left half");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_anywhere_leaves_the_first_commits_whole() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Metered::open(folder.path());
    let store = open(engine.clone(), Durability::Fsync);
    for number in 0..40 {
        put(&store, number).await;
    }
    let lengths = engine.state.lock().unwrap().lengths.clone();
    let full = *lengths.values().max().unwrap();
    for cut in (0..=full).step_by(97) {
        engine.state.lock().unwrap().lengths.values_mut().for_each(|length| *length = cut);
        let left = engine.cut_power();
        let store = open(
            RocksEngine::open(left.path(), &RocksOptions::default()).unwrap(),
            Durability::Fsync,
        );
        let rows = store.read(|snapshot| NUMBER.scan(snapshot, (), 999)).await;
        let rows = rows.map_err(|error: StorageError| error).unwrap();
        let numbers: Vec<u64> = rows.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(store.positions().get(SlotNo(0)), numbers.len() as u64, "cut at {cut}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clean_stop_the_log_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Metered::open(folder.path());
    let store = open(engine.clone(), Durability::Os);
    for number in 0..10 {
        put(&store, number).await;
    }
    store.close().await;
    engine.state.lock().unwrap().lengths.clear();
    let left = engine.cut_power();
    let engine = RocksEngine::open(left.path(), &RocksOptions::default()).unwrap();
    let store = open(engine, Durability::Os);
    assert_eq!(store.positions().get(SlotNo(0)), 10);
}
