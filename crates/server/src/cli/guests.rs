//! `vestibule guests`

use std::{path::Path, process::ExitCode};

use http::Method;
use vestibule_admin_api::{GuestsAnswer, GuestsSwitch};

use super::{
    arguments::GuestsCommand,
    ask::{Question, ask},
    output::say,
};

pub(super) fn run(file: &Path, command: &GuestsCommand) -> anyhow::Result<ExitCode> {
    let question = match command {
        GuestsCommand::Off { evict } => switch(GuestsSwitch { off: true, evict: *evict })?,
        GuestsCommand::On => switch(GuestsSwitch { off: false, evict: false })?,
        GuestsCommand::Status => Question::get("/guests"),
    };
    let answer: GuestsAnswer = ask(file, question)?;
    say(&told(&answer));
    Ok(ExitCode::SUCCESS)
}

fn switch(switch: GuestsSwitch) -> anyhow::Result<Question> {
    Question::with(Method::PUT, "/guests/switch", &switch)
}

fn told(answer: &GuestsAnswer) -> String {
    let GuestsAnswer { configured, switched_off, live, epoch, .. } = answer;
    let state = match switched_off {
        Some(off) => {
            let by = off.by.as_deref().unwrap_or("operator");
            let evict = if off.evict { ", and those inside are put out" } else { "" };
            format!(
                "guests are switched off since {} (ms) by {by}{evict}; `vestibule guests on` lifts \
                 that",
                off.at_ms
            )
        }
        None if *configured => "guests are let in where a door is open".to_owned(),
        None => "guests are off: guests.enabled = false in the configuration".to_owned(),
    };
    format!("{state}\nguests with an account: {live}\npolicy epoch {epoch}")
}
