//! `vestibule config`

use std::{path::Path, process::ExitCode};

use super::{
    arguments::ConfigCommand,
    output::{complain, say},
};
use crate::telemetry;

pub(super) fn run(file: &Path, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Example => say(vestibule_config::example().trim_end()),
        ConfigCommand::Check => {
            let loaded = vestibule_config::load(file)?;
            telemetry::filter(&loaded.config.log)?;
            for warning in &loaded.warnings {
                complain(&format!("warning: {warning}"));
            }
            // A missing one that loads all the same was told about.
            let checked =
                if file.exists() { file.display().to_string() } else { "the environment".into() };
            say(&format!("{checked} is right"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
