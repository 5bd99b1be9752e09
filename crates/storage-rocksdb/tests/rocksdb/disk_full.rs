//! A disk that is full, and then is not. Needs a small file system of its own: where mounting one
//! is not allowed, the test says so and passes; the same facts are then proven only on an engine
//! that pretends.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use vestibule_storage::{
    CommitMode, Durability, Health, SlotNo, StorageError, Store, StoreOptions, Table, ThreadPool,
};
use vestibule_storage_rocksdb::{RocksEngine, RocksOptions};

const BLOB: Table<(u64,), Vec<u8>> = Table::new(0xf000, "test_blob");

struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(folder: &'a Path, mib: u32) -> Option<Self> {
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _: io::Result<_> = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

pub(crate) fn open(folder: &Path) -> Store {
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Fsync,
        commit: CommitMode::Thread,
        executor: Arc::new(ThreadPool::new("test", 2, 100).unwrap()),
    };
    let engine = RocksEngine::open(folder, &RocksOptions::default()).unwrap();
    Store::open(engine, options).unwrap()
}

pub(crate) async fn put(store: &Store, at: u64) -> Result<u64, StorageError> {
    // Bytes that do not compress.
    let blob: Vec<u8> = (0..16_384_u64)
        .map(|byte| (byte.wrapping_mul(at * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let written = store.write(SlotNo(0), move |tx| BLOB.put(tx, (at,), &blob)).await?;
    Ok(written.position)
}

async fn kept(store: &Store) -> Vec<u64> {
    let rows = store.read(|snapshot| BLOB.scan(snapshot, (), usize::MAX)).await;
    let rows = rows.map_err(|error: StorageError| error).unwrap();
    rows.into_iter().map(|((at,), _)| at).collect()
}

async fn until_ready(store: &Store) {
    for _ in 0..300 {
        if store.health() == Health::Ready {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("still {:?}", store.health());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(folder.path(), 160) else {
        writeln!(io::stderr(), "skipped: mounting a small file system is not allowed here")
            .unwrap();
        return;
    };
    let database = folder.path().join("db");
    let ballast = folder.path().join("ballast");
    let store = open(&database);
    // RocksDB goes on once a write buffer's worth of space, 32 MiB, is free.
    fs::write(&ballast, vec![7; 64 << 20]).unwrap();
    let mut acknowledged = Vec::new();
    let mut at = 0;
    let refused = loop {
        match put(&store, at).await {
            Ok(_) => acknowledged.push(at),
            Err(error) => break error,
        }
        at += 1;
        assert!(at < 20_000, "the disk never got full");
    };
    assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused:?}");
    assert!(matches!(store.health(), Health::WritesRefused(_)));
    assert_eq!(kept(&store).await, acknowledged);
    // It stays full for a while: trying again must not make it worse.
    for _ in 0..5 {
        assert!(put(&store, 100_000).await.is_err());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    fs::remove_file(&ballast).unwrap();
    until_ready(&store).await;
    let position = put(&store, 200_000).await.unwrap();
    acknowledged.push(200_000);
    assert_eq!(position, acknowledged.len() as u64);
    assert_eq!(kept(&store).await, acknowledged);
    store.close().await;
    drop(store);
    assert_eq!(kept(&open(&database)).await, acknowledged);
}
