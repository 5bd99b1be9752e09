//! `cargo xtask bench`: measures the release server and prints what was reached.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;
use vestibule_bench::{
    broadcast,
    crash::{Plan, RESTART_MAX, kill_loop, power_cut},
    rehearsal,
    report::{Document, Machine, quantile},
    rows::{Bench, Name, Scale},
    server::{Durability, Launch},
};

/// Measures the server against its bars over loopback.
#[derive(Parser)]
struct Arguments {
    /// Measure only these rows (may be repeated).
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// Scale the sizes down; the figures are then no claim.
    #[arg(long)]
    quick: bool,
    /// Write the whole document here.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Take this binary and do not build one.
    #[arg(long, global = true, value_name = "FILE")]
    server_bin: Option<PathBuf>,
    /// An older server: processor time of a message is held against it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Build the server with this cargo profile.
    #[arg(long, global = true, default_value = "release")]
    profile: String,
    /// Keep data folders and probes below this folder: its filesystem is the one measured.
    #[arg(long, global = true, value_name = "FOLDER", default_value = "target/bench")]
    folder: PathBuf,
    /// Prove the bench on a stand-in server; measures nothing.
    #[arg(long, global = true)]
    self_test: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Kill the server under load and look for what it had acknowledged.
    Crash(Crash),
    /// Kill the server under load and drop what was not synced.
    PowerCut(Crash),
    /// Be the stand-in server of a rehearsal.
    #[command(hide = true)]
    Rehearse {
        #[command(subcommand)]
        command: Rehearse,
    },
}

#[derive(Args)]
struct Crash {
    /// How often.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Users who write at once.
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Chooses the moments of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Rehearse {
    Serve {
        #[arg(long)]
        config: PathBuf,
    },
    Broadcast {
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        bytes: usize,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vestibule-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Rehearse { command: Rehearse::Serve { config } }) => {
            return rehearsal::serve(config);
        }
        Some(Command::Rehearse { command: Rehearse::Broadcast { address, bytes } }) => {
            return broadcast::serve(*address, *bytes);
        }
        Some(Command::Crash(_) | Command::PowerCut(_)) | None => {}
    }
    let launch = launch(&arguments)?;
    fs::create_dir_all(&arguments.folder)?;
    let folder = fs::canonicalize(&arguments.folder)?;
    // One thread: the generator must leave the other cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &arguments.command {
        Some(Command::Crash(crash)) => kill(&arguments, &runtime, &launch, &folder, crash),
        Some(Command::PowerCut(crash)) => cut(&arguments, &runtime, &launch, &folder, crash),
        Some(Command::Rehearse { .. }) | None => measure(arguments, &runtime, launch, folder),
    }
}

fn measure(arguments: Arguments, runtime: &Runtime, launch: Launch, folder: PathBuf) -> Result<()> {
    let machine = Machine::of(&folder);
    if machine.filesystem == "tmpfs" && !arguments.self_test {
        bail!("{} is in memory: choose a --folder on a disk", folder.display());
    }
    let scale = match (arguments.self_test, arguments.quick) {
        (true, _) => Scale::REHEARSAL,
        (false, true) => Scale::QUICK,
        (false, false) => Scale::FULL,
    };
    let quick = arguments.self_test || arguments.quick;
    let mut document = Document::new(machine, quick, launch.build.clone());
    let given = |file: PathBuf| Launch::of(file.clone(), format!("given: {}", file.display()));
    let against = arguments.against.map(given);
    ensure!(
        against.is_some() || !arguments.only.contains(&Name::CpuPerSend),
        "processor time of a message is held against an older server: name it with --against"
    );
    let bench = Bench { launch, against, folder, scale, only: arguments.only };
    let mut progress = |next: &str| eprintln!("measuring: {next}");
    (document.rows, document.probes) = runtime.block_on(bench.run(&mut progress))?;
    if let Some(path) = &arguments.json {
        document.write(path)?;
    }
    println!("{}", document.table());
    Ok(())
}

fn kill(
    arguments: &Arguments,
    runtime: &Runtime,
    launch: &Launch,
    folder: &Path,
    crash: &Crash,
) -> Result<()> {
    let outcome = runtime.block_on(kill_loop(launch, folder, crash.plan()))?;
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_vec_pretty(&outcome)?)?;
    }
    println!(
        "{} kills, {} messages and {} rooms acknowledged, slowest restart {:.0} ms, {} faults",
        outcome.kills,
        outcome.messages,
        outcome.rooms,
        quantile(&outcome.restart_ms, 1.0),
        outcome.faults.len(),
    );
    outcome.verdict()
}

fn cut(
    arguments: &Arguments,
    runtime: &Runtime,
    launch: &Launch,
    folder: &Path,
    crash: &Crash,
) -> Result<()> {
    let cut = |durability| runtime.block_on(power_cut(launch, folder, crash.plan(), durability));
    let (fsync, os) = (cut(Durability::Fsync)?, cut(Durability::Os)?);
    for (name, seen) in [("fsync", &fsync), ("os", &os)] {
        println!(
            "{name}: {} power cuts, {} of {} acknowledged writes lost, {} bytes cut",
            seen.cuts, seen.lost, seen.acknowledged, seen.bytes_cut,
        );
    }
    if let Some(path) = &arguments.json {
        let both = serde_json::json!({ "fsync": fsync, "os": os });
        fs::write(path, serde_json::to_vec_pretty(&both)?)?;
    }
    ensure!(fsync.lost == 0, "fsync lost {} acknowledged writes", fsync.lost);
    ensure!(os.lost > 0, "os lost nothing: the cut does not cut");
    Ok(())
}

impl Crash {
    fn plan(&self) -> Plan {
        Plan { kills: self.kills, workers: self.workers, seed: self.seed, restart_max: RESTART_MAX }
    }
}

fn launch(arguments: &Arguments) -> Result<Launch> {
    if arguments.self_test {
        let mut launch = Launch::of(std::env::current_exe()?, "stand-in".to_owned());
        launch.leading.push("rehearse".to_owned());
        launch.stands_in = true;
        return Ok(launch);
    }
    match &arguments.server_bin {
        Some(program) => Ok(Launch::of(program.clone(), format!("given: {}", program.display()))),
        None => Launch::build(&arguments.profile),
    }
}
