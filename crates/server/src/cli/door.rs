//! `vestibule alias` and `vestibule space`

use std::{path::Path, process::ExitCode};

use http::Method;
use vestibule_admin_api::Done;
use vestibule_types::segment;

use super::{
    arguments::{AliasCommand, SpaceCommand},
    ask::{Question, ask},
    output::say,
};

pub(super) fn alias(file: &Path, command: &AliasCommand) -> anyhow::Result<ExitCode> {
    let AliasCommand::Adopt { alias } = command;
    let path = format!("/aliases/{}/adopt", segment(alias));
    let Done {} = ask(file, Question::with(Method::POST, path, &serde_json::json!({}))?)?;
    say(&format!("{alias} opens doors as if an admin had made it"));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn space(file: &Path, command: &SpaceCommand) -> anyhow::Result<ExitCode> {
    let SpaceCommand::Approve { space, child } = command;
    let path = format!("/spaces/{}/children/{}/approve", segment(space), segment(child));
    let Done {} = ask(file, Question::with(Method::POST, path, &serde_json::json!({}))?)?;
    say(&format!("{child} counts as a part of {space}"));
    Ok(ExitCode::SUCCESS)
}
