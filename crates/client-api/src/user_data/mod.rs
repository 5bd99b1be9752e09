//! What clients keep for their user: account data, tags, push rules, filters.

mod create_filter;
mod create_tag;
mod delete_pushrule;
mod delete_tag;
mod get_filter;
mod get_global_account_data;
mod get_pushrule;
mod get_pushrule_actions;
mod get_pushrule_enabled;
mod get_pushrules_all;
mod get_pushrules_global_scope;
mod get_room_account_data;
mod get_tags;
mod set_global_account_data;
mod set_pushrule;
mod set_pushrule_actions;
mod set_pushrule_enabled;
mod set_room_account_data;

use http::StatusCode;
use ruma::api::{
    client::{config, filter, push, tag},
    error::ErrorKind,
};
use serde_json::value::RawValue;
use vestibule_accounts::{
    ChangePushRuleError, CreateFilterError, SetAccountDataError, SetTagError,
};
use vestibule_http::{MatrixError, OutgoingJson, internal};
use vestibule_policy::{Ability, EndpointRule};

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, May};
    let write = May(Ability::AccountData);
    let routes = routes
        .mount::<filter::create_filter::v3::Request, _>(Authenticated, create_filter::handle)
        .mount::<filter::get_filter::v3::Request, _>(Authenticated, get_filter::handle)
        .mount::<config::get_global_account_data::v3::Request, _>(
            Authenticated,
            get_global_account_data::handle,
        )
        .mount::<config::set_global_account_data::v3::Request, _>(
            write,
            set_global_account_data::handle,
        )
        .mount::<config::get_room_account_data::v3::Request, _>(
            Authenticated,
            get_room_account_data::handle,
        )
        .mount::<config::set_room_account_data::v3::Request, _>(
            write,
            set_room_account_data::handle,
        )
        .mount::<tag::get_tags::v3::Request, _>(Authenticated, get_tags::handle)
        .mount::<tag::create_tag::v3::Request, _>(write, create_tag::handle)
        .mount::<tag::delete_tag::v3::Request, _>(write, delete_tag::handle);
    push_rules(routes)
}

fn push_rules(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, May};
    let write = May(Ability::PushRules);
    routes
        .mount::<push::get_pushrules_all::v3::Request, _>(Authenticated, get_pushrules_all::handle)
        .mount_also::<push::get_pushrules_all::v3::Request, _>(
            "/_matrix/client/v3/pushrules",
            Authenticated,
            get_pushrules_all::handle,
        )
        .mount::<push::get_pushrules_global_scope::v3::Request, _>(
            Authenticated,
            get_pushrules_global_scope::handle,
        )
        .mount_also::<push::get_pushrules_global_scope::v3::Request, _>(
            "/_matrix/client/v3/pushrules/global",
            Authenticated,
            get_pushrules_global_scope::handle,
        )
        .mount::<push::get_pushrule::v3::Request, _>(Authenticated, get_pushrule::handle)
        .mount::<push::set_pushrule::v3::Request, _>(write, set_pushrule::handle)
        .mount::<push::delete_pushrule::v3::Request, _>(write, delete_pushrule::handle)
        .mount::<push::get_pushrule_enabled::v3::Request, _>(
            Authenticated,
            get_pushrule_enabled::handle,
        )
        .mount::<push::set_pushrule_enabled::v3::Request, _>(write, set_pushrule_enabled::handle)
        .mount::<push::get_pushrule_actions::v3::Request, _>(
            Authenticated,
            get_pushrule_actions::handle,
        )
        .mount::<push::set_pushrule_actions::v3::Request, _>(write, set_pushrule_actions::handle)
}

fn account_data_answer(error: SetAccountDataError) -> MatrixError {
    let message = error.to_string();
    match error {
        SetAccountDataError::NotOwn | SetAccountDataError::TooMany => {
            MatrixError::forbidden(message)
        }
        SetAccountDataError::ServerControlled => {
            MatrixError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::BadJson, message)
        }
        SetAccountDataError::TooLarge => MatrixError::too_large(message),
        SetAccountDataError::Denied(denial) => denial.into(),
        SetAccountDataError::Storage(cause) => failure::storage(cause),
    }
}

fn tag_answer(error: SetTagError) -> MatrixError {
    let message = error.to_string();
    match error {
        SetTagError::NotOwn | SetTagError::TooMany => MatrixError::forbidden(message),
        SetTagError::TooLong => MatrixError::invalid_param(message),
        SetTagError::Denied(denial) => denial.into(),
        SetTagError::Storage(cause) => failure::storage(cause),
    }
}

fn filter_answer(error: CreateFilterError) -> MatrixError {
    let message = error.to_string();
    match error {
        CreateFilterError::NotOwn => MatrixError::forbidden(message),
        CreateFilterError::TooLarge => MatrixError::too_large(message),
        CreateFilterError::Storage(cause) => failure::storage(cause),
    }
}

fn push_rule_answer(error: ChangePushRuleError) -> MatrixError {
    let message = error.to_string();
    match error {
        ChangePushRuleError::Unknown => MatrixError::not_found(message),
        ChangePushRuleError::UnknownNeighbour(_) => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message)
        }
        ChangePushRuleError::Invalid(_) => MatrixError::invalid_param(message),
        ChangePushRuleError::TooMany => MatrixError::forbidden(message),
        ChangePushRuleError::Storage(cause) => failure::storage(cause),
    }
}

/// Stored JSON text as an answer.
fn raw(text: String) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    RawValue::from_string(text).map(OutgoingJson).map_err(|error| internal(&error))
}
