//! `POST /_matrix/client/v3/user_directory/search`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch>

use axum::extract::State;
use ruma::api::client::user_directory::search_users::v3::{Request, Response, User};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::{FoundUser, Rooms};

use crate::room::answer;

#[instrument(name = "client_api.user_directory.search_users", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let limit = usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX);
    let found = rooms.search_users(&actor, &request.search_term, limit).await;
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
