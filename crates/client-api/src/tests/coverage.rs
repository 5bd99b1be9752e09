//! Every operation of the specification is mounted, under its path and with its authentication.

use std::collections::{BTreeMap, BTreeSet};

use ruma::api::{Metadata, client, path_builder::PathBuilder};
use vestibule_http::{Login, LoginScheme};
use vestibule_testkit::spec::{ListedOperation, listed, operation};

use super::server;
use crate::routes;

/// Operations that `ruma` has no type for.
const UNKNOWN_TO_RUMA: &[&str] = &[
    "GET /_matrix/client/v3/events/{}",
    "GET /_matrix/client/v3/initialSync",
    "POST /_matrix/client/v3/account/3pid",
];

/// Operations that need a login where they may do without, or the other way round: nobody ends an account
/// without being logged in to it, and the policy says whether the directory is shown without login.
const LOGIN_OF_OUR_OWN: &[&str] = &[
    "POST /_matrix/client/r0/account/deactivate",
    "POST /_matrix/client/v3/account/deactivate",
    "POST /_matrix/client/r0/publicRooms",
    "POST /_matrix/client/v3/publicRooms",
];

/// Every path of an operation: those of older versions of the specification are of no interest here.
fn of<R: Metadata<Authentication: LoginScheme>>() -> Vec<ListedOperation> {
    let login = R::Authentication::LOGIN == Login::Required;
    R::PATH_BUILDER.all_paths().map(|path| operation(R::METHOD, path, login)).collect()
}

macro_rules! operations {
    ($($request:path,)+) => {
        BTreeSet::from_iter([$({ use $request as It; of::<It>() },)+].into_iter().flatten())
    };
}

#[expect(clippy::too_many_lines, reason = "one line for each operation")]
#[expect(deprecated, reason = "what is frozen is mounted still")]
fn known_to_ruma() -> BTreeSet<ListedOperation> {
    operations![
        client::account::add_3pid::v3::Request,
        client::account::bind_3pid::v3::Request,
        client::account::change_password::v3::Request,
        client::account::check_registration_token_validity::v1::Request,
        client::account::deactivate::v3::Request,
        client::account::delete_3pid::v3::Request,
        client::account::get_3pids::v3::Request,
        client::account::get_username_availability::v3::Request,
        client::account::register::v3::Request,
        client::account::request_3pid_management_token_via_email::v3::Request,
        client::account::request_3pid_management_token_via_msisdn::v3::Request,
        client::account::request_openid_token::v3::Request,
        client::account::request_password_change_token_via_email::v3::Request,
        client::account::request_password_change_token_via_msisdn::v3::Request,
        client::account::request_registration_token_via_email::v3::Request,
        client::account::request_registration_token_via_msisdn::v3::Request,
        client::account::unbind_3pid::v3::Request,
        client::account::whoami::v3::Request,
        client::admin::get_user_info::v3::Request,
        client::admin::is_user_locked::v1::Request,
        client::admin::is_user_suspended::v1::Request,
        client::admin::lock_user::v1::Request,
        client::admin::suspend_user::v1::Request,
        client::alias::create_alias::v3::Request,
        client::alias::delete_alias::v3::Request,
        client::alias::get_alias::v3::Request,
        client::appservice::request_ping::v1::Request,
        client::appservice::set_room_visibility::v3::Request,
        client::authenticated_media::get_content::v1::Request,
        client::authenticated_media::get_content_as_filename::v1::Request,
        client::authenticated_media::get_content_thumbnail::v1::Request,
        client::authenticated_media::get_media_config::v1::Request,
        client::authenticated_media::get_media_preview::v1::Request,
        client::backup::add_backup_keys::v3::Request,
        client::backup::add_backup_keys_for_room::v3::Request,
        client::backup::add_backup_keys_for_session::v3::Request,
        client::backup::create_backup_version::v3::Request,
        client::backup::delete_backup_keys::v3::Request,
        client::backup::delete_backup_keys_for_room::v3::Request,
        client::backup::delete_backup_keys_for_session::v3::Request,
        client::backup::delete_backup_version::v3::Request,
        client::backup::get_backup_info::v3::Request,
        client::backup::get_backup_keys::v3::Request,
        client::backup::get_backup_keys_for_room::v3::Request,
        client::backup::get_backup_keys_for_session::v3::Request,
        client::backup::get_latest_backup_info::v3::Request,
        client::backup::update_backup_version::v3::Request,
        client::config::get_global_account_data::v3::Request,
        client::config::get_room_account_data::v3::Request,
        client::config::set_global_account_data::v3::Request,
        client::config::set_room_account_data::v3::Request,
        client::context::get_context::v3::Request,
        client::device::delete_device::v3::Request,
        client::device::delete_devices::v3::Request,
        client::device::get_device::v3::Request,
        client::device::get_devices::v3::Request,
        client::device::update_device::v3::Request,
        client::directory::get_public_rooms::v3::Request,
        client::directory::get_public_rooms_filtered::v3::Request,
        client::directory::get_room_visibility::v3::Request,
        client::directory::set_room_visibility::v3::Request,
        client::discovery::discover_homeserver::Request,
        client::discovery::discover_policy_server::Request,
        client::discovery::discover_support::Request,
        client::discovery::get_authorization_server_metadata::v1::Request,
        client::discovery::get_capabilities::v3::Request,
        client::discovery::get_supported_versions::Request,
        client::filter::create_filter::v3::Request,
        client::filter::get_filter::v3::Request,
        client::keys::claim_keys::v3::Request,
        client::keys::get_key_changes::v3::Request,
        client::keys::get_keys::v3::Request,
        client::keys::upload_keys::v3::Request,
        client::keys::upload_signatures::v3::Request,
        client::keys::upload_signing_keys::v3::Request,
        client::knock::knock_room::v3::Request,
        client::media::create_content::v3::Request,
        client::media::create_content_async::v3::Request,
        client::media::create_mxc_uri::v1::Request,
        client::media::get_content::v3::Request,
        client::media::get_content_as_filename::v3::Request,
        client::media::get_content_thumbnail::v3::Request,
        client::media::get_media_config::v3::Request,
        client::media::get_media_preview::v3::Request,
        client::membership::ban_user::v3::Request,
        client::membership::forget_room::v3::Request,
        client::membership::get_member_events::v3::Request,
        client::membership::get_mutual_rooms::v1::Request,
        client::membership::invite_user::v3::Request,
        client::membership::join_room_by_id::v3::Request,
        client::membership::join_room_by_id_or_alias::v3::Request,
        client::membership::joined_members::v3::Request,
        client::membership::joined_rooms::v3::Request,
        client::membership::kick_user::v3::Request,
        client::membership::leave_room::v3::Request,
        client::membership::unban_user::v3::Request,
        client::message::get_message_events::v3::Request,
        client::message::send_message_event::v3::Request,
        client::peeking::get_current_state::v3::Request,
        client::peeking::listen_to_new_events::v3::Request,
        client::presence::get_presence::v3::Request,
        client::presence::set_presence::v3::Request,
        client::profile::delete_profile_field::v3::Request,
        client::profile::get_profile::v3::Request,
        client::profile::get_profile_field::v3::Request,
        client::profile::set_profile_field::v3::Request,
        client::push::delete_pushrule::v3::Request,
        client::push::get_notifications::v3::Request,
        client::push::get_pushers::v3::Request,
        client::push::get_pushrule::v3::Request,
        client::push::get_pushrule_actions::v3::Request,
        client::push::get_pushrule_enabled::v3::Request,
        client::push::get_pushrules_all::v3::Request,
        client::push::get_pushrules_global_scope::v3::Request,
        client::push::set_pusher::v3::Request,
        client::push::set_pushrule::v3::Request,
        client::push::set_pushrule_actions::v3::Request,
        client::push::set_pushrule_enabled::v3::Request,
        client::read_marker::set_read_marker::v3::Request,
        client::receipt::create_receipt::v3::Request,
        client::redact::redact_event::v3::Request,
        client::relations::get_relating_events::v1::Request,
        client::relations::get_relating_events_with_rel_type::v1::Request,
        client::relations::get_relating_events_with_rel_type_and_event_type::v1::Request,
        client::reporting::report_user::v3::Request,
        client::room::aliases::v3::Request,
        client::room::create_room::v3::Request,
        client::room::get_event_by_timestamp::v1::Request,
        client::room::get_room_event::v3::Request,
        client::room::get_summary::v1::Request,
        client::room::report_content::v3::Request,
        client::room::report_room::v3::Request,
        client::room::upgrade_room::v3::Request,
        client::search::search_events::v3::Request,
        client::session::get_login_token::v1::Request,
        client::session::get_login_types::v3::Request,
        client::session::login::v3::Request,
        client::session::logout::v3::Request,
        client::session::logout_all::v3::Request,
        client::session::refresh_token::v3::Request,
        client::session::sso_login::v3::Request,
        client::session::sso_login_with_provider::v3::Request,
        client::space::get_hierarchy::v1::Request,
        client::state::get_state_event_for_key::v3::Request,
        client::state::get_state_events::v3::Request,
        client::state::send_state_event::v3::Request,
        client::sync::sync_events::v3::Request,
        client::tag::create_tag::v3::Request,
        client::tag::delete_tag::v3::Request,
        client::tag::get_tags::v3::Request,
        client::thirdparty::get_location_for_protocol::v3::Request,
        client::thirdparty::get_location_for_room_alias::v3::Request,
        client::thirdparty::get_protocol::v3::Request,
        client::thirdparty::get_protocols::v3::Request,
        client::thirdparty::get_user_for_protocol::v3::Request,
        client::thirdparty::get_user_for_user_id::v3::Request,
        client::threads::get_threads::v1::Request,
        client::to_device::send_event_to_device::v3::Request,
        client::typing::create_typing_event::v3::Request,
        client::user_directory::search_users::v3::Request,
        client::voip::get_turn_server_info::v3::Request,
    ]
}

fn mounted() -> BTreeMap<String, bool> {
    let table = routes(&server().api).table();
    let row = |row: &vestibule_http::RouteEntry<_>| {
        operation(&row.method, &row.path, row.login == Login::Required)
    };
    table.iter().map(row).collect()
}

/// Those that are not mounted, or with another login.
fn not_mounted(wanted: impl IntoIterator<Item = ListedOperation>) -> Vec<ListedOperation> {
    let mounted = mounted();
    let fits = |(name, login): &ListedOperation| {
        mounted.get(name).is_some_and(|it| it == login || LOGIN_OF_OUR_OWN.contains(&&**name))
    };
    wanted.into_iter().filter(|it| !fits(it)).collect()
}

#[test]
fn every_operation_ruma_knows_is_mounted_under_all_its_paths() {
    assert_eq!(not_mounted(known_to_ruma()), []);
}

#[test]
fn every_operation_of_the_specification_is_mounted_and_looked_for() {
    let authenticated = ["access_token", "as_token", "auth"];
    let Some(specified) = listed("endpoints_client.tsv", &authenticated) else { return };
    assert_eq!(specified.len(), 166);
    let known = known_to_ruma();
    let known: BTreeSet<&str> = known.iter().map(|(name, _)| &**name).collect();
    let is_known = |name: &str| known.contains(name) || UNKNOWN_TO_RUMA.contains(&name);
    let passed_over: Vec<&str> =
        specified.iter().map(|(name, _)| &**name).filter(|name| !is_known(name)).collect();
    assert_eq!(passed_over, Vec::<&str>::new());
    assert_eq!(not_mounted(specified), []);
}
