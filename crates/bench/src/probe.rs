//! What the machine can do at best: the disk alone, and RocksDB alone.
//!
//! Both run on one thread in the folder where the server keeps its data, between the samples of the
//! rows that are held against them.

use std::{fs::File, io::Write as _, path::Path, time::Duration};

use anyhow::Result;
use rust_rocksdb::{DB, Options, WriteBatch, WriteOptions};
use serde::Serialize;

use crate::{clock, report::median};

/// Keys of one probed batch: what a message writes, roughly.
const KEYS_PER_BATCH: usize = 12;
/// The probe file starts anew at this size.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Samples of both probes, in operations per second.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Probes {
    /// Bytes written by one operation of either probe.
    pub bytes_per_operation: usize,
    /// Append and `fdatasync`, one writer.
    pub append_fdatasync_per_s: Vec<f64>,
    /// A synced RocksDB batch of twelve keys, one writer.
    pub rocksdb_batch_per_s: Vec<f64>,
}

impl Probes {
    /// An empty set of samples for operations of this size.
    #[must_use]
    pub fn new(bytes_per_operation: usize) -> Self {
        Self { bytes_per_operation, ..Self::default() }
    }

    /// Takes one sample of each probe.
    pub fn sample(&mut self, folder: &Path, lasting: Duration) -> Result<()> {
        self.append_fdatasync_per_s.push(append(folder, self.bytes_per_operation, lasting)?);
        self.rocksdb_batch_per_s.push(batch(folder, self.bytes_per_operation, lasting)?);
        Ok(())
    }

    /// The median of the slower probe.
    #[must_use]
    pub fn slower(&self) -> f64 {
        median(&self.append_fdatasync_per_s).min(median(&self.rocksdb_batch_per_s))
    }
}

/// Appends of `bytes` with `fdatasync` after each, per second.
fn append(folder: &Path, bytes: usize, lasting: Duration) -> Result<f64> {
    let folder = tempfile::Builder::new().prefix("probe-append-").tempdir_in(folder)?;
    let path = folder.path().join("log");
    let mut file = File::create(&path)?;
    let mut noise = Noise::new();
    let mut record = vec![0; bytes];
    let mut written = 0_u64;
    timed(lasting, || {
        if written > FILE_BYTES_MAX {
            file = File::create(&path)?;
            written = 0;
        }
        noise.fill(&mut record);
        file.write_all(&record)?;
        written = written.saturating_add(u64::try_from(bytes)?);
        Ok(file.sync_data()?)
    })
}

/// Synced batches of twelve keys with `bytes` in all, per second.
fn batch(folder: &Path, bytes: usize, lasting: Duration) -> Result<f64> {
    let folder = tempfile::Builder::new().prefix("probe-rocksdb-").tempdir_in(folder)?;
    let mut options = Options::default();
    options.create_if_missing(true);
    // As the server's own engine has it: an overwritten log file needs no new blocks.
    options.set_recycle_log_file_num(4);
    let db = DB::open(&options, folder.path().join("db"))?;
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    let mut noise = Noise::new();
    let mut value = vec![0; (bytes / KEYS_PER_BATCH).saturating_sub(16)];
    let mut number = 0_u64;
    timed(lasting, || {
        let mut batch = WriteBatch::default();
        for table in 0..KEYS_PER_BATCH {
            number = number.saturating_add(1);
            let mut key = [0; 16];
            for (to, from) in
                key.iter_mut().zip(table.to_be_bytes().into_iter().chain(number.to_be_bytes()))
            {
                *to = from;
            }
            noise.fill(&mut value);
            batch.put(key, &value);
        }
        Ok(db.write_opt(&batch, &synced)?)
    })
}

/// Runs the operation for the given time; how often per second it ran.
fn timed(lasting: Duration, mut operation: impl FnMut() -> Result<()>) -> Result<f64> {
    let started = clock::now();
    let mut count = 0_u32;
    loop {
        operation()?;
        count = count.saturating_add(1);
        let took = started.elapsed();
        if took >= lasting {
            return Ok(f64::from(count) / took.as_secs_f64());
        }
    }
}

/// Bytes that do not compress, made faster than the disk takes them (xorshift).
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            for (to, from) in chunk.iter_mut().zip(self.0.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_leaves_figures_and_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut probes = Probes::new(1_000);
        probes.sample(folder.path(), Duration::from_millis(20)).unwrap();
        // On a busy disk one of them takes as long as it likes.
        assert!(probes.append_fdatasync_per_s[0] > 0.0);
        assert!(probes.rocksdb_batch_per_s[0] > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_slower_probe_is_the_lower_median() {
        let probes = Probes {
            bytes_per_operation: 1,
            append_fdatasync_per_s: vec![900.0, 100.0, 800.0],
            rocksdb_batch_per_s: vec![850.0],
        };
        assert!((probes.slower() - 800.0).abs() < 1e-9);
    }
}
