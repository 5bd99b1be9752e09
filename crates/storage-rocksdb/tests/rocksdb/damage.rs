//! A byte on the disk that is not the one that was written.

use std::{fs, path::PathBuf};

use vestibule_storage::{StorageError, check};

use crate::disk_full::{open, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_found_by_the_check_in_the_words_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for at in 0..20 {
        put(&store, at).await.unwrap();
    }
    store.close().await;
    drop(store);
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let tables = files.filter(|path| path.extension().is_some_and(|it| it == "sst"));
    let file: PathBuf = tables.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).unwrap();

    let store = open(folder.path());
    let report = store.read::<_, StorageError, _>(|read| Ok(check(read))).await.unwrap();
    // The table of the test is in no list, which is told of each row that can be read.
    let told = report.problems.iter().find(|it| it.detail.contains("cannot be read")).unwrap();
    assert!(told.detail.contains("Corruption") && told.detail.contains(".sst"), "{told:?}");
    assert!(report.damaged > 5 && report.damaged < 20, "{report:?}");
}
