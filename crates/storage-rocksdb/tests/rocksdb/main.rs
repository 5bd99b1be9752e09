//! The RocksDB engine: the contract of every engine, a power cut, a full disk, a damaged file.

#[cfg(test)]
#[macro_use]
#[path = "../../../storage/tests/memory/contract/mod.rs"]
mod contract;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod power_cut;

contract_suite!(rocksdb, || {
    let folder = tempfile::tempdir().unwrap();
    let options = vestibule_storage_rocksdb::RocksOptions::default();
    let engine = vestibule_storage_rocksdb::RocksEngine::open(folder.path(), &options).unwrap();
    contract::Rig::keeping(engine, folder)
});
