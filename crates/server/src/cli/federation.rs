//! `vestibule federation`

use std::{path::Path, process::ExitCode, time::Duration};

use http::Method;
use vestibule_admin_api::{DestinationAnswer, DestinationsAnswer, FindingsAnswer, RetryAnswer};
use vestibule_types::segment;

use super::{
    arguments::FederationCommand,
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, command: &FederationCommand) -> anyhow::Result<ExitCode> {
    match command {
        FederationCommand::Test { server } => {
            let answer: FindingsAnswer = ask(file, about(server, "test")?)?;
            let rows = answer.findings.into_iter().map(|it| vec![it.outcome, it.step, it.text]);
            say(&table(&rows.collect::<Vec<_>>()));
            let verdict = if answer.reachable { "can be talked to" } else { "cannot be talked to" };
            say(&format!("{server} {verdict}"));
            Ok(if answer.reachable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        FederationCommand::Destinations { limit } => {
            let question = Question::get(format!("/federation/destinations?limit={limit}"));
            let answer: DestinationsAnswer = ask(file, question)?;
            if answer.destinations.is_empty() {
                say("every server that was asked last has answered");
                return Ok(ExitCode::SUCCESS);
            }
            let head = ["server", "failures", "asked again in", "reason"].map(str::to_owned);
            let mut rows = vec![head.to_vec()];
            rows.extend(answer.destinations.into_iter().map(row));
            say(&table(&rows));
            Ok(ExitCode::SUCCESS)
        }
        FederationCommand::Retry { server } => {
            let RetryAnswer { had_failed } = ask(file, about(server, "retry")?)?;
            let before = if had_failed { "" } else { "; it had not failed" };
            say(&format!("{server} is asked without waiting{before}"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn about(server: &str, what: &str) -> anyhow::Result<Question> {
    let path = format!("/federation/destinations/{}/{what}", segment(server));
    Question::with(Method::POST, path, &serde_json::json!({}))
}

fn row(destination: DestinationAnswer) -> Vec<String> {
    let left = Duration::from_millis(destination.retry_in_ms).as_secs();
    let (hours, minutes, seconds) = (left / 3_600, left / 60 % 60, left % 60);
    vec![
        destination.server,
        destination.failures.to_string(),
        format!("{hours}:{minutes:02}:{seconds:02}"),
        destination.reason,
    ]
}
