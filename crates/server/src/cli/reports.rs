//! `vestibule reports`

use std::{path::Path, process::ExitCode};

use vestibule_admin_api::{ReportAnswer, ReportsAnswer};

use super::{
    ask::{Question, ask},
    output::{say, table},
};

pub(super) fn run(file: &Path, limit: usize) -> anyhow::Result<ExitCode> {
    let answer: ReportsAnswer = ask(file, Question::get(format!("/reports?limit={limit}")))?;
    let mut rows = vec![["when (ms)", "by", "about", "why"].map(str::to_owned).to_vec()];
    rows.extend(answer.reports.into_iter().map(row));
    say(&table(&rows));
    Ok(ExitCode::SUCCESS)
}

fn row(report: ReportAnswer) -> Vec<String> {
    let about = [report.user_id, report.event_id, report.room_id];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(" in ");
    // Their words fill one line, and steer no terminal.
    let reason = report.reason.replace(char::is_control, " ");
    vec![report.at_ms.to_string(), report.reporter, about, reason]
}
