//! `DELETE /users/{user}/notices/pinned`: taking down what is pinned in a user's room of notices.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, PathArgs};

use super::answer;
use crate::{AdminServices, UnpinnedAnswer, user_name::local_user};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
) -> Result<OutgoingJson<UnpinnedAnswer>, MatrixError> {
    let user = local_user(&name, services.accounts.server_name())?;
    let notices = services.rooms.unpin_notices(&user).await.map_err(|error| answer(&error))?;
    Ok(OutgoingJson(UnpinnedAnswer { notices }))
}
