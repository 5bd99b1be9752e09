//! `POST /_matrix/client/v3/user_directory/search`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch>

use axum::extract::State;
use ruma::{
    UInt,
    api::client::user_directory::search_users::v3::{Response, User},
};
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{FoundUser, Rooms};

use crate::room::answer;

/// How many are found where nobody says how many are wanted.
const FOUND_USUAL: u64 = 10;

/// Whom to look for.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    search_term: String,
    limit: Option<UInt>,
}

#[instrument(name = "client_api.user_directory.search_users", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let limit = body.limit.map_or(FOUND_USUAL, u64::from);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = rooms.search_users(&actor, &body.search_term, limit).await;
    let found = found.map_err(answer::ask)?;
    let users = found.users.into_iter().map(shown).collect();
    Ok(Outgoing(Response::new(users, found.limited)))
}

fn shown(found: FoundUser) -> User {
    let mut user = User::new(found.user_id);
    user.display_name = found.displayname;
    user.avatar_url = found.avatar_url.map(Into::into);
    user
}
