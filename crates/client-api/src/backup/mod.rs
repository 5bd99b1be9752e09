//! Backups of room keys.

mod add_backup_keys;
mod add_backup_keys_for_room;
mod add_backup_keys_for_session;
mod create_backup_version;
mod delete_backup_keys;
mod delete_backup_keys_for_room;
mod delete_backup_keys_for_session;
mod delete_backup_version;
mod get_backup_info;
mod get_backup_keys;
mod get_backup_keys_for_room;
mod get_backup_keys_for_session;
mod get_latest_backup_info;
mod update_backup_version;
mod wire;

use http::StatusCode;
use ruma::api::client::backup;
use vestibule_http::MatrixError;
use vestibule_keys::backup::{BackupError, PutRoomKeysError, UpdateBackupError};
use vestibule_policy::{Ability, EndpointRule};

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, May};
    let write = May(Ability::KeyBackup);
    routes
        .mount::<backup::create_backup_version::v3::Request, _>(
            write,
            create_backup_version::handle,
        )
        .mount::<backup::get_latest_backup_info::v3::Request, _>(
            Authenticated,
            get_latest_backup_info::handle,
        )
        .mount::<backup::get_backup_info::v3::Request, _>(Authenticated, get_backup_info::handle)
        .mount::<backup::update_backup_version::v3::Request, _>(
            write,
            update_backup_version::handle,
        )
        .mount::<backup::delete_backup_version::v3::Request, _>(
            write,
            delete_backup_version::handle,
        )
        .mount::<backup::add_backup_keys::v3::Request, _>(write, add_backup_keys::handle)
        .mount::<backup::add_backup_keys_for_room::v3::Request, _>(
            write,
            add_backup_keys_for_room::handle,
        )
        .mount::<backup::add_backup_keys_for_session::v3::Request, _>(
            write,
            add_backup_keys_for_session::handle,
        )
        .mount::<backup::get_backup_keys::v3::Request, _>(Authenticated, get_backup_keys::handle)
        .mount::<backup::get_backup_keys_for_room::v3::Request, _>(
            Authenticated,
            get_backup_keys_for_room::handle,
        )
        .mount::<backup::get_backup_keys_for_session::v3::Request, _>(
            Authenticated,
            get_backup_keys_for_session::handle,
        )
        .mount::<backup::delete_backup_keys::v3::Request, _>(write, delete_backup_keys::handle)
        .mount::<backup::delete_backup_keys_for_room::v3::Request, _>(
            write,
            delete_backup_keys_for_room::handle,
        )
        .mount::<backup::delete_backup_keys_for_session::v3::Request, _>(
            write,
            delete_backup_keys_for_session::handle,
        )
}

fn answer(error: BackupError) -> MatrixError {
    let message = error.to_string();
    match error {
        BackupError::Unknown | BackupError::UnknownKey => MatrixError::not_found(message),
        BackupError::Storage(cause) => failure::storage(cause),
    }
}

fn update_answer(error: UpdateBackupError) -> MatrixError {
    let message = error.to_string();
    match error {
        UpdateBackupError::Unknown => MatrixError::not_found(message),
        UpdateBackupError::Algorithm | UpdateBackupError::Version => {
            MatrixError::invalid_param(message)
        }
        UpdateBackupError::TooMuch => MatrixError::too_large(message),
        UpdateBackupError::Storage(cause) => failure::storage(cause),
    }
}

fn put_answer(error: PutRoomKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        PutRoomKeysError::Unknown => MatrixError::not_found(message),
        PutRoomKeysError::WrongVersion { current } => {
            MatrixError::custom(StatusCode::FORBIDDEN, "M_WRONG_ROOM_KEYS_VERSION", message)
                .with("current_version", current)
        }
        PutRoomKeysError::TooMuch => MatrixError::too_large(message),
        PutRoomKeysError::Storage(cause) => failure::storage(cause),
    }
}
