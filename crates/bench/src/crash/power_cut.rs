//! A power failure: the process is killed, and what its logs had not synced is cut off.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::{Moments, Plan, register, verify, work_until_killed};
use crate::server::{Durability, Home, Launch, Server};

/// Notes how far each file was synced.
const SHIM: &str = include_str!("../../shim/sync_record.c");

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub struct PowerCut {
    /// Failures of the power.
    pub cuts: usize,
    /// Acknowledged messages and rooms.
    pub acknowledged: usize,
    /// Those of them that were lost.
    pub lost: usize,
    /// Bytes that were cut off the logs.
    pub bytes_cut: u64,
}

/// Cuts the power `plan.kills` times, each time on a fresh server.
pub async fn power_cut(
    launch: &Launch,
    folder: &Path,
    plan: Plan,
    durability: Durability,
) -> Result<PowerCut> {
    let tools = tempfile::Builder::new().prefix("shim-").tempdir_in(folder)?;
    let shim = compile_shim(tools.path())?;
    let mut outcome = PowerCut::default();
    let mut moments = Moments::new(plan.seed);
    for cut in 1..=plan.kills {
        let home = Home::fresh(folder, durability)?;
        let record = tools.path().join(format!("synced-{cut}"));
        let mut shimmed = launch.clone();
        shimmed.environment.push(("LD_PRELOAD".to_owned(), shim.display().to_string()));
        shimmed.environment.push(("SYNC_RECORD".to_owned(), record.display().to_string()));
        let (server, _) = Server::start(&shimmed, &home).await?;
        let mut workers = register(&server, plan.workers).await?;
        let spells = work_until_killed(server, &mut workers, moments.next()).await?;
        let synced = fs::read_to_string(&record).unwrap_or_default();
        ensure!(!synced.is_empty(), "the shim saw no sync: is the server statically linked?");
        outcome.bytes_cut += cut_logs(&home.data(), &synced)?;
        let (server, _) = Server::start(launch, &home).await?;
        for (worker, spell) in workers.iter_mut().zip(&spells) {
            // The room a worker began with was acknowledged before the spell.
            outcome.acknowledged += spell.messages.len() + worker.rooms.len();
            outcome.lost += verify::spell(server.address, worker, spell).await?.len();
        }
        outcome.cuts = cut;
        drop(server);
    }
    Ok(outcome)
}

fn compile_shim(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("sync_record.c"), folder.join("sync_record.so"));
    fs::write(&source, SHIM)?;
    let status = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status()
        .context("run the C compiler")?;
    ensure!(status.success(), "the shim does not compile");
    Ok(library)
}

/// Cuts every write-ahead log where it was synced last; how many bytes that took away.
fn cut_logs(data: &Path, synced: &str) -> Result<u64> {
    let mut offsets = BTreeMap::new();
    for line in synced.lines() {
        if let Some((offset, path)) = line.split_once('\t') {
            let offset: u64 = offset.parse().context("a line of the shim")?;
            offsets.insert(Path::new(path), offset);
        }
    }
    let mut cut = 0;
    for path in logs(data)? {
        let keep = offsets.get(path.as_path()).copied().unwrap_or_default();
        let file = File::options().write(true).open(&path)?;
        let length = file.metadata()?.len();
        if length > keep {
            file.set_len(keep)?;
            cut += length - keep;
        }
    }
    Ok(cut)
}

/// The write-ahead logs below a folder.
fn logs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            found.extend(logs(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn cuts_a_log_at_its_last_sync_and_an_unsynced_one_to_nothing() {
        let data = tempfile::tempdir().unwrap();
        let path = |name: &str| data.path().join(name);
        fs::write(path("1.log"), [1; 100]).unwrap();
        fs::write(path("2.log"), [2; 50]).unwrap();
        fs::write(path("3.sst"), [3; 10]).unwrap();
        let synced = format!("40\t{0}\n70\t{0}\n", path("1.log").display());
        assert_eq!(cut_logs(data.path(), &synced).unwrap(), 30 + 50);
        let length = |name: &str| fs::metadata(path(name)).unwrap().len();
        assert_eq!([length("1.log"), length("2.log"), length("3.sst")], [70, 0, 10]);
    }

    #[test]
    fn the_shim_notes_what_was_synced_and_not_what_came_after() {
        let folder = tempfile::tempdir().unwrap();
        let shim = compile_shim(folder.path()).unwrap();
        let (log, record) = (folder.path().join("a.log"), folder.path().join("record"));
        let mut file = File::create(&log).unwrap();
        file.write_all(b"old").unwrap();
        // `dd` appends five bytes and syncs; the shell then appends unsynced ones.
        let script = format!(
            "printf 12345 | LD_PRELOAD={} SYNC_RECORD={} dd of={log} oflag=append conv=notrunc,fdatasync status=none \
             && printf unsynced >> {log}",
            shim.display(),
            record.display(),
            log = log.display(),
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let synced = fs::read_to_string(&record).unwrap();
        cut_logs(folder.path(), &synced).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"old12345");
    }
}
