//! `DELETE /media/{server}/{id}` and `DELETE /users/{user}/media`: taking files away for good.

use axum::extract::State;
use ruma::OwnedServerName;
use vestibule_http::{MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_media::{DeleteMediaError, Purged};

use crate::{AdminServices, PurgedAnswer, user_name::local_user};

pub(crate) async fn one(
    State(services): State<AdminServices>,
    PathArgs((server, media_id)): PathArgs<(String, String)>,
) -> Result<OutgoingJson<PurgedAnswer>, MatrixError> {
    let server = OwnedServerName::try_from(server)
        .map_err(|_| MatrixError::invalid_param("not a server name"))?;
    let purged = services.media.delete_media(&server, &media_id).await;
    Ok(told(purged.map_err(|error| answer(&error))?))
}

pub(crate) async fn of_user(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
) -> Result<OutgoingJson<PurgedAnswer>, MatrixError> {
    let user = local_user(&name, services.accounts.server_name())?;
    let purged = services.media.delete_media_of(&user).await;
    Ok(told(purged.map_err(|error| answer(&error))?))
}

fn told(purged: Purged) -> OutgoingJson<PurgedAnswer> {
    OutgoingJson(PurgedAnswer { media: purged.media, files: purged.files })
}

fn answer(error: &DeleteMediaError) -> MatrixError {
    match error {
        DeleteMediaError::NotFound => MatrixError::not_found(error.to_string()),
        DeleteMediaError::Unreadable | DeleteMediaError::Disk(_) | DeleteMediaError::Storage(_) => {
            internal(error)
        }
    }
}
