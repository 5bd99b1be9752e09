//! Every operation of the specification is mounted, under its path and with its authentication.

use std::collections::BTreeSet;

use ruma::api::{
    Metadata,
    federation::{
        authenticated_media, authorization, backfill, device, directory, discovery, event, keys,
        membership, openid, policy, query, space, thirdparty, transactions,
    },
    path_builder::PathBuilder,
};
use vestibule_http::{Login, LoginScheme};
use vestibule_testkit::spec::{ListedOperation, listed, operation};

use super::server;
use crate::routes;

/// Operations that are not mounted yet. The list only shrinks; a mounted one must leave it.
const NOT_MOUNTED: &[&str] = &[];

/// What older servers and identity servers ask for beside them.
const BESIDE: &[&str] = &[
    "POST /_matrix/federation/v1/3pid/onbind",
    "PUT /_matrix/federation/v1/send_join/{}/{}",
    "PUT /_matrix/federation/v1/send_leave/{}/{}",
    "GET /_matrix/key/v2/server/",
    "GET /_matrix/key/v2/server/{}",
    "GET /_matrix/key/v2/query/{}/{}",
];

fn of<R: Metadata<Authentication: LoginScheme>>() -> ListedOperation {
    let path = R::PATH_BUILDER.all_paths().next().unwrap();
    operation(R::METHOD, path, R::Authentication::LOGIN == Login::Required)
}

macro_rules! operations {
    ($($request:path,)+) => { BTreeSet::from([$({ use $request as It; of::<It>() },)+]) };
}

fn known_to_ruma() -> BTreeSet<ListedOperation> {
    operations![
        authenticated_media::get_content::v1::Request,
        authenticated_media::get_content_thumbnail::v1::Request,
        authorization::get_event_authorization::v1::Request,
        backfill::get_backfill::v1::Request,
        device::get_devices::v1::Request,
        directory::get_public_rooms::v1::Request,
        directory::get_public_rooms_filtered::v1::Request,
        discovery::discover_homeserver::Request,
        discovery::get_remote_server_keys::v2::Request,
        discovery::get_remote_server_keys_batch::v2::Request,
        discovery::get_server_keys::v2::Request,
        discovery::get_server_version::v1::Request,
        event::get_event::v1::Request,
        event::get_event_by_timestamp::v1::Request,
        event::get_missing_events::v1::Request,
        event::get_room_state::v1::Request,
        event::get_room_state_ids::v1::Request,
        keys::claim_keys::v1::Request,
        keys::get_keys::v1::Request,
        membership::create_invite::v1::Request,
        membership::create_invite::v2::Request,
        membership::create_join_event::v2::Request,
        membership::create_knock_event::v1::Request,
        membership::create_leave_event::v2::Request,
        membership::prepare_join_event::v1::Request,
        membership::prepare_knock_event::v1::Request,
        membership::prepare_leave_event::v1::Request,
        openid::get_openid_userinfo::v1::Request,
        policy::sign_event::v1::Request,
        query::get_custom_information::v1::Request,
        query::get_profile_information::v1::Request,
        query::get_room_information::v1::Request,
        space::get_hierarchy::v1::Request,
        thirdparty::bind_callback::v1::Request,
        thirdparty::exchange_invite::v1::Request,
        transactions::send_transaction_message::v1::Request,
    ]
}

async fn mounted() -> BTreeSet<ListedOperation> {
    let table = routes(&server().await.api).table();
    let row = |row: &vestibule_http::RouteEntry<_>| {
        operation(&row.method, &row.path, row.login == Login::Required)
    };
    table.iter().map(row).collect()
}

#[tokio::test]
async fn every_operation_is_mounted_but_for_a_list_that_shrinks() {
    let (known, mounted) = (known_to_ruma(), mounted().await);
    assert_eq!(known.len(), 36);
    let missing: BTreeSet<&str> =
        known.difference(&mounted).map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(missing, NOT_MOUNTED.iter().copied().collect());
    let unknown: BTreeSet<&str> =
        mounted.difference(&known).map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(unknown, BESIDE.iter().copied().collect());
}

#[test]
fn the_specification_has_the_same_operations() {
    let Some(specified) = listed("endpoints_server.tsv", &["x-matrix"]) else { return };
    let specified = BTreeSet::from_iter(specified);
    assert_eq!(specified, known_to_ruma());
}
