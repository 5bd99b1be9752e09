//! `vestibule room`

use std::{path::Path, process::ExitCode};

use anyhow::anyhow;
use http::Method;
use vestibule_admin_api::{BlockChange, Done, HistoryPurge};
use vestibule_config::Period;
use vestibule_types::segment;

use super::{
    arguments::RoomCommand,
    ask::{Question, ask},
    output::say,
};

pub(super) fn run(file: &Path, command: RoomCommand) -> anyhow::Result<ExitCode> {
    match command {
        RoomCommand::Block { room } => block(file, &room, true)?,
        RoomCommand::Unblock { room } => block(file, &room, false)?,
        RoomCommand::PurgeHistory { room, before } => {
            let period =
                Period::try_from(before).map_err(|reason| anyhow!("--before: {reason}"))?;
            let age_ms = u64::try_from(period.duration().as_millis())?;
            let body = HistoryPurge { older_than_ms: age_ms };
            let path = format!("/rooms/{}/purge_history", segment(&room));
            let Done {} = ask(file, Question::with(Method::POST, path, &body)?)?;
            say("the history is being purged");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn block(file: &Path, room: &str, blocked: bool) -> anyhow::Result<()> {
    let path = format!("/rooms/{}/block", segment(room));
    let Done {} = ask(file, Question::with(Method::PUT, path, &BlockChange { blocked })?)?;
    say(if blocked {
        "the room is blocked; everybody leaves it"
    } else {
        "the room is open again"
    });
    Ok(())
}
