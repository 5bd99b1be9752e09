//! How RocksDB is set up, and why.

use rust_rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel,
    Options, statistics::StatsLevel,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What the operator can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Memory for blocks of tables that were read. It is taken as it is used.
    pub cache_mib: usize,
    /// Whether to count syncs of the log. Counting costs a little on every operation.
    pub count_syncs: bool,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { cache_mib: 256, count_syncs: false }
    }
}

impl RocksOptions {
    pub(crate) fn to_rocks(self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        log(&mut options);
        tables(&mut options, self.cache_mib);
        memory(&mut options);
        start(&mut options);
        if self.count_syncs {
            options.enable_statistics();
            options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
        }
        options
    }
}

/// The write-ahead log: a log cut anywhere is replayed up to the cut.
fn log(options: &mut Options) {
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(4);
}

fn tables(options: &mut Options, cache_mib: usize) {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(8 * KIB);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_cache(&Cache::new_lru_cache(cache_mib.max(1).saturating_mul(MIB)));
    // Indexes and filters count against the cache, so that memory stays bounded; those of the
    // newest tables stay in it.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In small parts: the cache is split into shards, and a filter of one piece is larger than a
    // shard, so it would be read from the file for every row.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(4 * KIB);
    blocks.set_pin_top_level_index_and_filter(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_bytes_per_sync(MIB as u64);
    options.set_max_background_jobs(2);
}

/// Write buffers: their arenas grow block by block, so an idle server holds next to nothing. The
/// size bounds what a start after a kill has to replay.
fn memory(options: &mut Options) {
    options.set_write_buffer_size(32 * MIB);
    options.set_max_write_buffer_number(3);
    options.set_arena_block_size(256 * KIB);
}

/// A start reads the manifest and the newest tables, and nothing else.
fn start(options: &mut Options) {
    options.set_max_open_files(768);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(MIB);
    options.set_keep_log_file_num(2);
}
