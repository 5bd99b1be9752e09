//! `vestibule policy`

use std::{path::Path, process::ExitCode};

use serde_json::Value;
use vestibule_admin_api::{
    DenialAnswer, DenialsAnswer, OpenRoomsAnswer, PolicyAnswer, UnmanagedRoomsAnswer,
};
use vestibule_types::segment;

use super::{
    arguments::PolicyCommand,
    ask::{Question, ask},
    output::{complain, say, table},
    simulate,
};
use crate::store::database_path;

pub(super) fn run(file: &Path, command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check => check(file),
        PolicyCommand::Explain { user, action, room, json } => {
            let path = format!(
                "/policy/explain?user={}&action={}&room={}",
                segment(user),
                segment(action),
                segment(room)
            );
            let answer: Value = ask(file, Question::get(path))?;
            if *json {
                say(&serde_json::to_string_pretty(&answer)?);
            } else {
                let text = answer.get("text").and_then(Value::as_str);
                say(text.unwrap_or_default());
            }
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Simulate { new, examples, json } => {
            simulate::run(file, new, (*examples, *json))
        }
        PolicyCommand::Denials { limit } => denials(file, *limit),
        PolicyCommand::Rooms { class } => {
            let path = format!("/policy/rooms?class={}", segment(class));
            let answer: OpenRoomsAnswer = ask(file, Question::get(path))?;
            let mut rows = vec![["room", "aliases", "open by"].map(str::to_owned).to_vec()];
            rows.extend(
                answer
                    .rooms
                    .into_iter()
                    .map(|room| vec![room.room_id, room.aliases.join(" "), doors(&room.because)]),
            );
            say(&table(&rows));
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Unmanaged => {
            let answer: UnmanagedRoomsAnswer = ask(file, Question::get("/policy/unmanaged"))?;
            let mut rows = vec![["room", "aliases", "joined"].map(str::to_owned).to_vec()];
            rows.extend(
                answer.rooms.into_iter().map(|room| {
                    vec![room.room_id, room.aliases.join(" "), room.joined.to_string()]
                }),
            );
            say(&table(&rows));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The file on disk is what is checked. A database that exists adds the doubts only it can know.
fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let loaded = vestibule_config::load(file)?;
    for warning in &loaded.warnings {
        complain(&format!("warning: {warning}"));
    }
    let mut doubts = loaded.warnings.len();
    if database_path(&loaded.config.server.data_dir).exists() {
        let answer: PolicyAnswer = ask(file, Question::get("/policy/check"))?;
        for warning in &answer.warnings {
            complain(&format!("warning: {warning}"));
        }
        doubts += answer.warnings.len();
    }
    say(&format!("the policy is right, with {doubts} warnings"));
    Ok(ExitCode::SUCCESS)
}

fn denials(file: &Path, limit: usize) -> anyhow::Result<ExitCode> {
    let path = format!("/policy/denials?limit={limit}");
    let answer: DenialsAnswer = ask(file, Question::get(path))?;
    let head = ["at (ms)", "user", "class", "action", "object", "reason"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(answer.denials.into_iter().map(|denial| {
        let DenialAnswer { at_ms, user_id, class, action, object, reason, observed, .. } = denial;
        let reason = if observed { format!("{reason} (let pass)") } else { reason };
        vec![at_ms.to_string(), user_id, class, action, object, reason]
    }));
    say(&table(&rows));
    Ok(ExitCode::SUCCESS)
}

/// Of all rules that let somebody in, those that are doors.
fn doors(because: &[String]) -> String {
    let names = ["alias:", "list:", "space:", "guest_link:", "any:"];
    let is_door = |rule: &&String| names.iter().any(|name| rule.starts_with(name));
    let doors = because.iter().filter(is_door).map(String::as_str).collect::<Vec<_>>();
    if doors.is_empty() { "the class is not confined".to_owned() } else { doors.join("; ") }
}
