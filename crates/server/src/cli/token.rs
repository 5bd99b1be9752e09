//! `vestibule token`

use std::{path::Path, process::ExitCode};

use anyhow::anyhow;
use http::Method;
use vestibule_admin_api::{Done, NewToken as Body, TokenAnswer, TokensAnswer};
use vestibule_config::Period;
use vestibule_types::segment;

use super::{
    arguments::{NewToken, TokenCommand},
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, command: &TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create(wanted) => {
            let body = body(wanted)?;
            let made: TokenAnswer = ask(file, Question::with(Method::POST, "/tokens", &body)?)?;
            say(&made.token);
        }
        TokenCommand::List => {
            let answer: TokensAnswer = ask(file, Question::get("/tokens"))?;
            let mut rows =
                vec![["token", "uses left", "expires (ms)", "class"].map(str::to_owned).to_vec()];
            rows.extend(answer.tokens.into_iter().map(row));
            say(&table(&rows));
        }
        TokenCommand::Delete { token } => {
            let path = format!("/tokens/{}", segment(token));
            let Done {} = ask(file, Question::delete(path))?;
            say("the token is withdrawn");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn body(wanted: &NewToken) -> anyhow::Result<Body> {
    let period = wanted.expires.clone().map(Period::try_from).transpose();
    let period = period.map_err(|reason| anyhow!("--expires: {reason}"))?;
    let millis = period.map(|period| u64::try_from(period.duration().as_millis()));
    Ok(Body {
        token: wanted.token.clone(),
        uses: wanted.uses,
        expires_in_ms: millis.transpose()?,
        class: wanted.class.clone(),
    })
}

fn row(token: TokenAnswer) -> Vec<String> {
    let number = |number: Option<u64>, none: &str| {
        number.map_or_else(|| none.to_owned(), |number| number.to_string())
    };
    vec![
        token.token,
        number(token.uses_left, "any number"),
        number(token.expires_at_ms, "never"),
        token.class.unwrap_or_default(),
    ]
}
