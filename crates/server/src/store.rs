//! Opening the database.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use vestibule_config::{Config, Durability as Wanted, Engine};
use vestibule_storage::{
    CommitMode, Durability, Executor, MemoryEngine, StorageError, Store, StoreOptions, ThreadPool,
};
use vestibule_storage_rocksdb::{RocksEngine, RocksOptions};
use vestibule_types::Clock;

/// The embedded engine is one process on one machine: one slot.
const SLOTS: u16 = 1;

/// How long a process waits for another one to let go of the database.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Passwords that may wait for a thread.
const PASSWORD_QUEUE_MAX: usize = 256;

/// Where the database lies.
pub(crate) fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join("db")
}

/// Opens the store of this configuration, and the pool that hashes passwords: they take long and
/// must not stand before reads.
pub(crate) async fn open(
    config: &Config,
    clock: &dyn Clock,
) -> anyhow::Result<(Store, Arc<dyn Executor>)> {
    prepare(&config.server.data_dir)?;
    let limits = &config.limits;
    let queue_max = usize::try_from(limits.storage_queue_max)?;
    let executor: Arc<dyn Executor> = Arc::new(
        ThreadPool::new("store", usize::from(limits.storage_threads), queue_max)
            .context("cannot start the storage threads")?,
    );
    let durability = match config.storage.durability {
        Wanted::Fsync => Durability::Fsync,
        Wanted::Os => Durability::Os,
    };
    let options = StoreOptions { slots: SLOTS, durability, commit: CommitMode::Thread, executor };
    let checks = usize::from(limits.password_checks_max);
    let hashers = ThreadPool::new("password", checks, PASSWORD_QUEUE_MAX)
        .context("cannot start the password threads")?;
    let store = match config.storage.engine {
        Engine::Memory => Store::open(MemoryEngine::new(SLOTS), options)?,
        Engine::Rocksdb => Store::open(rocksdb(config, clock).await?, options)?,
    };
    Ok((store, Arc::new(hashers)))
}

/// Opens the embedded database. Another process that has it open may be a command that is about to
/// end, so it is waited for a moment.
async fn rocksdb(config: &Config, clock: &dyn Clock) -> anyhow::Result<RocksEngine> {
    let path = database_path(&config.server.data_dir);
    let options = RocksOptions {
        cache_mib: usize::try_from(config.storage.cache_mib)?,
        ..RocksOptions::default()
    };
    let patience = clock.monotonic() + LOCK_PATIENCE;
    loop {
        match RocksEngine::open(&path, &options) {
            Ok(engine) => return Ok(engine),
            Err(error) if clock.monotonic() < patience && is_taken(&error) => {
                clock.sleep(LOCK_PAUSE).await;
            }
            Err(error) => {
                let told =
                    format!("cannot open the database in {}{}", path.display(), advice(&error));
                return Err(error).context(told);
            }
        }
    }
}

/// What to do about a database that cannot be opened. What is damaged nobody can advise on.
fn advice(error: &StorageError) -> &'static str {
    if is_taken(error) {
        "; does another process use it?"
    } else if error.to_string().contains("Permission denied") {
        "; run this as the account it belongs to, for example with `sudo -u vestibule`"
    } else {
        ""
    }
}

/// Whether another process has the database; or this one, when two servers run in one.
fn is_taken(error: &StorageError) -> bool {
    let told = error.to_string();
    ["While lock file", "lock hold by current process"].iter().any(|words| told.contains(words))
}

/// Makes the data folder, closed to everybody else, if it is not there.
fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    let entered = made.and_then(|()| fs::read_dir(data_dir).map(drop));
    match entered {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && data_dir.is_dir() => {
            bail!(
                "server.data_dir: no permission to use {}; run this as the account it belongs to, for example with \
             `sudo -u vestibule`, or give it to this one",
                data_dir.display()
            )
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => bail!(
            "server.data_dir: no permission to make {}; make it and give it to the server's \
             account, or choose another folder",
            data_dir.display()
        ),
        Err(error) => Err(error)
            .with_context(|| format!("cannot make server.data_dir {}", data_dir.display())),
    }
}
