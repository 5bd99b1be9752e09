//! `vestibule guest-link`

use std::{path::Path, process::ExitCode};

use anyhow::anyhow;
use http::Method;
use vestibule_admin_api::{Done, GuestLinkAnswer, GuestLinksAnswer, NewGuestLink};
use vestibule_config::Period;
use vestibule_types::segment;

use super::{
    arguments::GuestLinkCommand,
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, command: GuestLinkCommand) -> anyhow::Result<ExitCode> {
    match command {
        GuestLinkCommand::Create { room, uses, expires } => {
            let period =
                Period::try_from(expires).map_err(|reason| anyhow!("--expires: {reason}"))?;
            let expires_in_ms = u64::try_from(period.duration().as_millis())?;
            let body = NewGuestLink { room, uses, expires_in_ms };
            let question = Question::with(Method::POST, "/guest_links", &body)?;
            let made: GuestLinkAnswer = ask(file, question)?;
            say(&made.token.unwrap_or_default());
        }
        GuestLinkCommand::List => {
            let answer: GuestLinksAnswer = ask(file, Question::get("/guest_links"))?;
            let head = ["id", "room", "uses left", "expires (ms)", "made by"];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            rows.extend(answer.links.into_iter().map(row));
            say(&table(&rows));
        }
        GuestLinkCommand::Revoke { id } => {
            let path = format!("/guest_links/{}", segment(&id));
            let Done {} = ask(file, Question::delete(path))?;
            say("the link opens nothing any more");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(link: GuestLinkAnswer) -> Vec<String> {
    let (uses_left, expires_at) = (link.uses_left.to_string(), link.expires_at_ms.to_string());
    vec![link.id, link.room_id, uses_left, expires_at, link.made_by]
}
