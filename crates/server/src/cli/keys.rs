//! `vestibule keys`

use std::{path::Path, process::ExitCode};

use http::Method;
use vestibule_admin_api::{Done, SigningKeyAnswer, SigningKeysAnswer};

use super::{
    arguments::KeysCommand,
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, command: &KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::List => {
            let answer: SigningKeysAnswer = ask(file, Question::get("/keys"))?;
            say(&table(&answer.keys.into_iter().map(row).collect::<Vec<_>>()));
        }
        KeysCommand::Rotate => {
            let question = Question::with(Method::POST, "/keys/rotate", &serde_json::json!({}))?;
            let Done {} = ask(file, question)?;
            say("the next start makes a new key; until then the old one is used");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(key: SigningKeyAnswer) -> Vec<String> {
    let state = match key.expired_at {
        None => "in use".to_owned(),
        Some(at) => format!("used until {at} (milliseconds since 1970)"),
    };
    vec![key.key_id, state]
}
