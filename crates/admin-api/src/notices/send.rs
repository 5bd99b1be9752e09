//! `POST /notices` and `POST /users/{user}/notices`: saying something to everybody, or to one user.

use axum::extract::State;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, PathArgs};
use vestibule_rooms::{ServerNotice, UsageLimit};

use super::answer;
use crate::{AdminServices, Done, NewNotice, NoticeAnswer, user_name::local_user};

pub(crate) async fn to_user(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
    IncomingJson(notice): IncomingJson<NewNotice>,
) -> Result<OutgoingJson<NoticeAnswer>, MatrixError> {
    let user = local_user(&name, services.accounts.server_name())?;
    let sent = services.rooms.send_notice(&user, &read(notice)).await;
    let sent = sent.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(NoticeAnswer {
        room_id: sent.room_id.to_string(),
        event_id: sent.event_id.to_string(),
    }))
}

pub(crate) async fn to_all(
    State(services): State<AdminServices>,
    IncomingJson(notice): IncomingJson<NewNotice>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let lined_up = services.rooms.send_notice_to_all(read(notice)).await;
    lined_up.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(Done {}))
}

fn read(notice: NewNotice) -> ServerNotice {
    let usage_limit = notice.usage_limit.map(|limit| UsageLimit {
        limit_type: limit.limit_type,
        admin_contact: limit.admin_contact,
    });
    ServerNotice { body: notice.body, usage_limit }
}
