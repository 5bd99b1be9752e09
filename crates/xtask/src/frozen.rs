//! Released migrations never change: a database somewhere has already run them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// Where the checksums of released migrations are kept, one `SUM  FILE` per line.
const RECORD: &str = "migrations/frozen.sha256";

/// What is wrong with the released migrations.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (file, sum) in read(root)? {
        match fs::read(root.join(&file)) {
            Ok(bytes) if checksum(&bytes) == sum => {}
            Ok(_) => complaints.push(format!("{file}: was released and may not change any more")),
            Err(_) => complaints.push(format!("{file}: was released and may not go away")),
        }
    }
    Ok(complaints)
}

/// Adds a migration to the record.
pub(crate) fn freeze(root: &Path, file: &str) -> Result<()> {
    ensure!(file.starts_with("migrations/src/"), "{file}: is not a migration");
    let mut record = read(root)?;
    if record.contains_key(file) {
        bail!("{file}: is frozen already");
    }
    let bytes = fs::read(root.join(file)).with_context(|| format!("{file}: cannot be read"))?;
    record.insert(file.to_owned(), checksum(&bytes));
    let mut text = String::new();
    for (file, sum) in record {
        writeln!(text, "{sum}  {file}")?;
    }
    fs::write(path(root), text).with_context(|| format!("{RECORD}: cannot be written"))
}

fn read(root: &Path) -> Result<BTreeMap<String, String>> {
    if !path(root).exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path(root)).with_context(|| format!("{RECORD}: no text"))?;
    let line = |line: &str| {
        let (sum, file) = line
            .split_once("  ")
            .with_context(|| format!("{RECORD}: `{line}` is not `SUM  FILE`"))?;
        Ok((file.to_owned(), sum.to_owned()))
    };
    text.lines().map(line).collect()
}

fn path(root: &Path) -> PathBuf {
    root.join(RECORD)
}

fn checksum(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_migration_that_changes_or_goes_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("migrations/src")).unwrap();
        let (file, at) = ("migrations/src/m0001_a.rs", root.join("migrations/src/m0001_a.rs"));
        fs::write(&at, "one").unwrap();
        assert_eq!(complaints(root).unwrap(), [""; 0]);

        freeze(root, file).unwrap();
        assert_eq!(complaints(root).unwrap(), [""; 0]);
        assert!(freeze(root, file).is_err());

        fs::write(&at, "two").unwrap();
        assert!(complaints(root).unwrap().join("").contains("may not change"));
        fs::remove_file(&at).unwrap();
        assert!(complaints(root).unwrap().join("").contains("may not go away"));
    }
}
