//! What server admins ask about accounts and do to them. Who is no admin is refused at the door, before
//! anything is looked up.

mod get_user_info;
mod is_user_locked;
mod is_user_suspended;
mod lock_user;
mod suspend_user;

use http::StatusCode;
use ruma::api::{client::admin, error::ErrorKind};
use vestibule_accounts::RestrainError;
use vestibule_http::MatrixError;
use vestibule_policy::EndpointRule;

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Admin, Authenticated};
    routes
        .mount::<admin::get_user_info::v3::Request, _>(Authenticated, get_user_info::handle)
        .mount::<admin::is_user_locked::v1::Request, _>(Admin, is_user_locked::handle)
        .mount::<admin::lock_user::v1::Request, _>(Admin, lock_user::handle)
        .mount::<admin::is_user_suspended::v1::Request, _>(Admin, is_user_suspended::handle)
        .mount::<admin::suspend_user::v1::Request, _>(Admin, suspend_user::handle)
}

fn answer(error: RestrainError) -> MatrixError {
    let message = error.to_string();
    match error {
        RestrainError::Foreign => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, message)
        }
        RestrainError::UnknownUser => MatrixError::not_found(message),
        RestrainError::Oneself | RestrainError::Admin => MatrixError::forbidden(message),
        RestrainError::Storage(cause) => failure::storage(cause),
    }
}
