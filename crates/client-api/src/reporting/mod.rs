//! Telling the operators about something.

mod report_content;
mod report_room;
mod report_user;

use ruma::api::client::{reporting, room};
use vestibule_http::MatrixError;
use vestibule_policy::{Ability, EndpointRule};
use vestibule_rooms::ReportError;

use crate::{ClientRoutes, room::answer};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let rule = EndpointRule::May(Ability::Report);
    routes
        .mount::<room::report_room::v3::Request, _>(rule, report_room::handle)
        .mount::<room::report_content::v3::Request, _>(rule, report_content::handle)
        .mount::<reporting::report_user::v3::Request, _>(rule, report_user::handle)
}

fn report_answer(error: ReportError) -> MatrixError {
    match error {
        ReportError::UnknownEvent => MatrixError::not_found(error.to_string()),
        ReportError::Ask(error) => answer::ask(error),
    }
}
