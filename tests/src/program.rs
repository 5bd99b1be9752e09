//! Which binary is under test.

use std::{
    env,
    io::{Write as _, stderr},
    path::PathBuf,
    sync::OnceLock,
};

use anyhow::{Error, Result, ensure};
use vestibule_bench::server::Launch;

/// The server to run, or nothing where process tests are switched off.
pub fn launch() -> Result<Option<Launch>> {
    if env::var_os("VESTIBULE_SKIP_PROCESS_TESTS").is_some_and(|value| value == "1") {
        say("skipped: VESTIBULE_SKIP_PROCESS_TESTS is set, no server is started here")?;
        return Ok(None);
    }
    let Some(program) = env::var_os("VESTIBULE_BIN").map(PathBuf::from) else {
        // Asked once: cargo would let the tests of a binary wait in line for its answer.
        static BUILT: OnceLock<Result<Launch, String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| Launch::build("dev").map_err(|why| format!("{why:#}")));
        return built.clone().map(Some).map_err(Error::msg);
    };
    ensure!(program.is_file(), "VESTIBULE_BIN: there is no {}", program.display());
    Ok(Some(Launch::of(program, "VESTIBULE_BIN".to_owned())))
}

/// Past the harness, which hides what a passing test prints.
pub fn say(line: &str) -> Result<()> {
    Ok(writeln!(stderr(), "{line}")?)
}
