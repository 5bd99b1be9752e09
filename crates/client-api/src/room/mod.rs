//! Rooms: making them, being in them, sending to them.

pub(crate) mod answer;
mod ban_user;
mod body;
mod create_room;
mod forget_room;
mod get_context;
mod get_event_by_timestamp;
mod get_member_events;
mod get_message_events;
mod get_mutual_rooms;
mod get_room_event;
mod get_state_event;
mod get_state_events;
mod initial_sync;
mod invite_user;
mod join_room_by_id;
mod join_room_by_id_or_alias;
mod joined_members;
mod joined_rooms;
mod kick_user;
mod knock_room;
mod leave_room;
mod redact_event;
mod send_message_event;
mod send_state_event;
mod unban_user;
mod upgrade_room;

use http::Method;
use ruma::api::client::{context, knock, membership, message, peeking, redact, room, state};
use vestibule_http::Login;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

/// What it takes to ask for a new room; which kind is decided when it is known.
const CREATE: &[Ability] =
    &[Ability::CreateDm, Ability::CreateSpace, Ability::CreatePublic, Ability::CreatePrivate];
/// Sending includes redacting: a redaction may be sent like any other event.
const SEND: &[Ability] = &[Ability::SendEvent, Ability::RedactOwn];
/// Setting state includes one's own membership, which goes to the handler of its road.
const SET_STATE: &[Ability] = &[Ability::SendState, Ability::Join, Ability::Leave, Ability::Knock];
/// One's own events or somebody else's; whose it is, is seen when the event is.
const REDACT: &[Ability] = &[Ability::RedactOwn, Ability::RedactOther];

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    reading(sending(memberships(routes)))
}

fn memberships(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{May, MayAny};
    routes
        .mount::<room::create_room::v3::Request, _>(MayAny(CREATE), create_room::handle)
        .mount::<membership::join_room_by_id::v3::Request, _>(
            May(Ability::Join),
            join_room_by_id::handle,
        )
        .mount::<membership::join_room_by_id_or_alias::v3::Request, _>(
            May(Ability::Join),
            join_room_by_id_or_alias::handle,
        )
        .mount::<knock::knock_room::v3::Request, _>(May(Ability::Knock), knock_room::handle)
        .mount::<membership::leave_room::v3::Request, _>(May(Ability::Leave), leave_room::handle)
        .mount::<membership::forget_room::v3::Request, _>(May(Ability::Leave), forget_room::handle)
        .mount::<membership::invite_user::v3::Request, _>(
            May(Ability::SendInvite),
            invite_user::handle,
        )
        .mount::<membership::kick_user::v3::Request, _>(May(Ability::Kick), kick_user::handle)
        .mount::<membership::ban_user::v3::Request, _>(May(Ability::Ban), ban_user::handle)
        .mount::<membership::unban_user::v3::Request, _>(May(Ability::Ban), unban_user::handle)
}

fn sending(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::MayAny;
    let put_without_key = [
        "/_matrix/client/r0/rooms/{room_id}/state/{event_type}",
        "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
        "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
    ];
    let routes = routes
        .mount::<message::send_message_event::v3::Request, _>(
            MayAny(SEND),
            send_message_event::handle,
        )
        .mount::<redact::redact_event::v3::Request, _>(MayAny(REDACT), redact_event::handle)
        .mount::<state::send_state_event::v3::Request, _>(
            MayAny(SET_STATE),
            send_state_event::handle,
        );
    put_without_key.iter().fold(routes, |routes, path| {
        let rule = (MayAny(SET_STATE), Login::Required);
        routes.mount_at(Method::PUT, path, rule, send_state_event::without_key)
    })
}

fn reading(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, May};
    let get_without_key = [
        "/_matrix/client/r0/rooms/{room_id}/state/{event_type}",
        "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
        "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
    ];
    let routes = routes
        .mount::<room::upgrade_room::v3::Request, _>(
            May(Ability::UpgradeRoom),
            upgrade_room::handle,
        )
        .mount::<room::get_room_event::v3::Request, _>(Authenticated, get_room_event::handle)
        .mount::<context::get_context::v3::Request, _>(Authenticated, get_context::handle)
        .mount::<room::get_event_by_timestamp::v1::Request, _>(
            Authenticated,
            get_event_by_timestamp::handle,
        )
        .mount::<peeking::get_current_state::v3::Request, _>(Authenticated, initial_sync::handle)
        .mount::<message::get_message_events::v3::Request, _>(
            Authenticated,
            get_message_events::handle,
        )
        .mount::<membership::get_member_events::v3::Request, _>(
            Authenticated,
            get_member_events::handle,
        )
        .mount::<membership::joined_members::v3::Request, _>(Authenticated, joined_members::handle)
        .mount::<membership::joined_rooms::v3::Request, _>(Authenticated, joined_rooms::handle)
        .mount::<membership::get_mutual_rooms::v1::Request, _>(
            May(Ability::LookupProfile),
            get_mutual_rooms::handle,
        )
        .mount::<state::get_state_events::v3::Request, _>(Authenticated, get_state_events::handle)
        .mount::<state::get_state_event_for_key::v3::Request, _>(
            Authenticated,
            get_state_event::handle,
        );
    get_without_key.iter().fold(routes, |routes, path| {
        let rule = (Authenticated, Login::Required);
        routes.mount_at(Method::GET, path, rule, get_state_event::without_key)
    })
}
