//! `vestibule db`

use std::{path::Path, process::ExitCode};

use vestibule_admin_api::DatabaseAnswer;

use super::{
    arguments::DbCommand,
    ask::{Question, ask},
    output::{complain, say},
};

pub(super) fn run(file: &Path, command: &DbCommand) -> anyhow::Result<ExitCode> {
    match command {
        DbCommand::Check => {
            let answer: DatabaseAnswer = ask(file, Question::get("/db/check"))?;
            for problem in &answer.problems {
                complain(problem);
            }
            say(&format!("{} rows, {} problems", answer.rows, answer.problems_found));
            let clean = answer.problems_found == 0;
            Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
