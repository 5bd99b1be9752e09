//! `GET /reports`: what people told the operators about, newest first.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};
use vestibule_rooms::Reported;

use crate::{AdminServices, ReportAnswer, ReportsAnswer, newest::Newest};

/// Reports in one answer, unless fewer are asked for.
const REPORTS: usize = 100;

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(newest): QueryArgs<Newest>,
) -> Result<OutgoingJson<ReportsAnswer>, MatrixError> {
    let limit = newest.limit(REPORTS);
    let found = services.rooms.reports(limit).await.map_err(|cause| internal(&cause))?;
    let reports = found.into_iter().map(|report| {
        let (room_id, event_id, user_id) = match report.about {
            Reported::Room(room) => (Some(room.to_string()), None, None),
            Reported::Event(room, event) => (Some(room.to_string()), Some(event.to_string()), None),
            Reported::User(user) => (None, None, Some(user.to_string())),
        };
        let (reporter, reason) = (report.reporter.to_string(), report.reason);
        ReportAnswer { at_ms: report.at, reporter, room_id, event_id, user_id, reason }
    });
    Ok(OutgoingJson(ReportsAnswer { reports: reports.collect() }))
}
