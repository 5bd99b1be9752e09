//! `vestibule media`

use std::{path::Path, process::ExitCode};

use anyhow::{Context, anyhow};
use http::Method;
use vestibule_admin_api::{
    Done, MediaAnswer, MediaListAnswer, MediaPurge, PurgedAnswer, QuarantineChange,
};
use vestibule_config::Period;
use vestibule_types::segment;

use super::{
    arguments::MediaCommand,
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, command: &MediaCommand) -> anyhow::Result<ExitCode> {
    match command {
        MediaCommand::List { server, user, limit } => {
            let server = server.iter().map(|it| format!("&server={}", segment(it)));
            let user = user.iter().map(|it| format!("&user={}", segment(it)));
            let only = server.chain(user).collect::<String>();
            let path = format!("/media?limit={limit}{only}");
            let answer: MediaListAnswer = ask(file, Question::get(path))?;
            let heads = ["address", "bytes", "type", "made (ms)", "uploader", "withheld"];
            let mut rows = vec![heads.map(str::to_owned).to_vec()];
            rows.extend(answer.media.into_iter().map(row));
            say(&table(&rows));
        }
        MediaCommand::Quarantine { address } => {
            withhold(file, address, true)?;
            say("nobody is given the file any more");
        }
        MediaCommand::Release { address } => {
            withhold(file, address, false)?;
            say("the file is given again");
        }
        MediaCommand::Delete { address, user } => {
            let path = match (address, user) {
                (_, Some(user)) => format!("/users/{}/media", segment(user)),
                (Some(address), None) => file_path(address)?,
                (None, None) => anyhow::bail!("say which file, or whose"),
            };
            let question = Question::with(Method::DELETE, path, &serde_json::json!({}))?;
            let purged: PurgedAnswer = ask(file, question)?;
            say(&format!("{} ids are gone, with {} files so far", purged.media, purged.files));
        }
        MediaCommand::Purge { older_than } => {
            let period = Period::try_from(older_than.clone())
                .map_err(|reason| anyhow!("--older-than: {reason}"))?;
            let older_than_ms = u64::try_from(period.duration().as_millis())?;
            let body = MediaPurge { older_than_ms };
            let question = Question::with(Method::POST, "/media/purge", &body)?;
            let purged: PurgedAnswer = ask(file, question)?;
            say(&format!("{} copies are gone, with {} files", purged.media, purged.files));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn withhold(file: &Path, address: &str, quarantined: bool) -> anyhow::Result<()> {
    let path = format!("{}/quarantine", file_path(address)?);
    let body = QuarantineChange { quarantined };
    let Done {} = ask(file, Question::with(Method::PUT, path, &body)?)?;
    Ok(())
}

fn file_path(address: &str) -> anyhow::Result<String> {
    let named = address.strip_prefix("mxc://").and_then(|rest| rest.split_once('/'));
    let (server, id) = named.context("write the address as mxc://server/id")?;
    Ok(format!("/media/{}/{}", segment(server), segment(id)))
}

fn row(media: MediaAnswer) -> Vec<String> {
    vec![
        format!("mxc://{}/{}", media.server, media.media_id),
        media.size.map_or_else(|| "not here yet".to_owned(), |size| size.to_string()),
        media.content_type.unwrap_or_default(),
        media.created_at_ms.to_string(),
        media.uploader.unwrap_or_default(),
        if media.quarantined { "yes" } else { "" }.to_owned(),
    ]
}
