//! `vestibule notice`

use std::{path::Path, process::ExitCode};

use http::Method;
use vestibule_admin_api::{Done, NewNotice, NoticeAnswer, UnpinnedAnswer, UsageLimitReached};
use vestibule_types::segment;

use super::{
    arguments::NoticeCommand,
    ask::{Question, ask},
    output::say,
};

/// The one kind of limit the specification knows.
const LIMIT_TYPE: &str = "monthly_active_user";

pub(super) fn run(file: &Path, command: NoticeCommand) -> anyhow::Result<ExitCode> {
    match command {
        NoticeCommand::Send { to, all: _, usage_limit, text } => {
            let usage_limit = usage_limit.map(|admin_contact| UsageLimitReached {
                limit_type: LIMIT_TYPE.to_owned(),
                admin_contact,
            });
            let notice = NewNotice { body: text, usage_limit };
            if let Some(user) = to {
                let path = format!("/users/{}/notices", segment(&user));
                let sent: NoticeAnswer = ask(file, Question::with(Method::POST, path, &notice)?)?;
                say(&format!("sent as {} in {}", sent.event_id, sent.room_id));
            } else {
                let Done {} = ask(file, Question::with(Method::POST, "/notices", &notice)?)?;
                say("everybody is being told");
            }
        }
        NoticeCommand::Unpin { user } => {
            let path = format!("/users/{}/notices/pinned", segment(&user));
            let answer: UnpinnedAnswer = ask(file, Question::delete(path))?;
            say(&format!("{} notices are taken down", answer.notices));
        }
    }
    Ok(ExitCode::SUCCESS)
}
