//! What an operator asks: accounts, registration tokens, the policy, the database.
//!
//! The same operations answer in three places: on the local socket, where whoever can connect is
//! the operator; in the command line's own process while no server runs; and over TCP for access
//! tokens of class admin. Deliberately absent: any decision about rooms, and any way to act as
//! somebody else.

mod class_of;
mod database;
mod door;
mod doors;
mod federation;
mod guest_links;
mod guests;
mod media;
mod messages;
mod newest;
mod notices;
mod policy;
mod reload;
mod reports;
mod rooms;
mod services;
mod signing_keys;
#[cfg(test)]
mod tests;
mod tokens;
mod user_name;
mod users;

use axum::{Router, middleware::map_request};
use http::Method;
use vestibule_http::{Doorway, Login, Routes};

pub use self::{
    door::{AdminDoor, AdminRule, remote_doorway},
    messages::{
        BlockChange, ClassChange, DatabaseAnswer, Deactivation, DenialAnswer, DenialsAnswer,
        DestinationAnswer, DestinationsAnswer, Done, FindingAnswer, FindingsAnswer,
        GuestLinkAnswer, GuestLinksAnswer, GuestsAnswer, GuestsOff, GuestsSwitch, HistoryPurge,
        LockChange, MediaAnswer, MediaListAnswer, MediaPurge, ModerationAnswer, ModerationsAnswer,
        NewGuestLink, NewNotice, NewToken, NewUser, NoticeAnswer, OpenRoom, OpenRoomsAnswer,
        PasswordChange, PolicyAnswer, PurgedAnswer, QuarantineChange, ReloadAnswer, ReportAnswer,
        ReportsAnswer, RetryAnswer, SigningKeyAnswer, SigningKeysAnswer, SuspensionChange,
        TokenAnswer, TokensAnswer, UnmanagedRoom, UnmanagedRoomsAnswer, UnpinnedAnswer,
        UsageLimitReached, UserAnswer, UsersAnswer,
    },
    services::{AdminServices, Maintenance, MaintenanceError},
};

/// Where all paths begin.
pub const PREFIX: &str = "/_vestibule/admin/v1";

/// All operations behind a doorway.
pub fn router(services: AdminServices, doorway: Doorway<AdminRule>) -> Router {
    routes(doorway).into_router(services)
}

fn routes(doorway: Doorway<AdminRule>) -> Routes<AdminServices, AdminRule> {
    of_users(Routes::new(doorway))
        .mount_at(Method::POST, &at("/tokens"), OPERATOR, tokens::create::handle)
        .mount_at(Method::GET, &at("/tokens"), OPERATOR, tokens::list::handle)
        .mount_at(Method::DELETE, &at("/tokens/{token}"), OPERATOR, tokens::delete::handle)
        .mount_at(Method::POST, &at("/guest_links"), MODERATOR, guest_links::create::handle)
        .mount_at(Method::GET, &at("/guest_links"), OPERATOR, guest_links::list::handle)
        .mount_at(Method::DELETE, &at("/guest_links/{id}"), MODERATOR, guest_links::revoke::handle)
        .mount_at(Method::GET, &at("/guests"), OPERATOR, guests::show::handle)
        .mount_at(Method::PUT, &at("/guests/switch"), OPERATOR, guests::switch::handle)
        .mount_at(Method::GET, &at("/policy/check"), OPERATOR, policy::check::handle)
        .mount_at(Method::GET, &at("/policy/explain"), OPERATOR, policy::explain::handle)
        .mount_at(Method::GET, &at("/policy/recorded"), OPERATOR, policy::recorded::handle)
        .mount_at(Method::GET, &at("/policy/rooms"), OPERATOR, policy::rooms::handle)
        .mount_at(Method::GET, &at("/policy/unmanaged"), OPERATOR, policy::unmanaged::handle)
        .mount_at(Method::GET, &at("/policy/denials"), OPERATOR, policy::denials::handle)
        .mount_at(Method::POST, &at("/aliases/{alias}/adopt"), OPERATOR, doors::adopt::handle)
        .mount_at(
            Method::POST,
            &at("/spaces/{space}/children/{child}/approve"),
            OPERATOR,
            doors::approve::handle,
        )
        .mount_at(
            Method::GET,
            &at("/federation/destinations"),
            OPERATOR,
            federation::destinations::handle,
        )
        .mount_at(
            Method::POST,
            &at("/federation/destinations/{server}/retry"),
            OPERATOR,
            federation::retry::handle,
        )
        .mount_at(
            Method::POST,
            &at("/federation/destinations/{server}/test"),
            OPERATOR,
            federation::test::handle,
        )
        .mount_at(Method::GET, &at("/media"), OPERATOR, media::list::handle)
        .mount_at(Method::POST, &at("/media/purge"), OPERATOR, media::purge::handle)
        .mount_at(Method::DELETE, &at("/media/{server}/{id}"), OPERATOR, media::delete::one)
        .mount_at(Method::DELETE, &at("/users/{user}/media"), OPERATOR, media::delete::of_user)
        .mount_at(
            Method::PUT,
            &at("/media/{server}/{id}/quarantine"),
            OPERATOR,
            media::quarantine::handle,
        )
        .mount_at(
            Method::POST,
            &at("/rooms/{room}/purge_history"),
            OPERATOR,
            rooms::purge_history::handle,
        )
        .mount_at(Method::PUT, &at("/rooms/{room}/block"), MODERATOR, rooms::block::handle)
        .mount_at(Method::GET, &at("/keys"), OPERATOR, signing_keys::list::handle)
        .mount_at(Method::POST, &at("/keys/rotate"), OPERATOR, signing_keys::rotate::handle)
        .mount_at(Method::GET, &at("/reports"), OPERATOR, reports::handle)
        .mount_at(Method::GET, &at("/db/check"), OPERATOR, database::check::handle)
        .mount_at(Method::POST, &at("/reload"), OPERATOR, reload::handle)
}

/// What is done to accounts, and said to them.
fn of_users(routes: Routes<AdminServices, AdminRule>) -> Routes<AdminServices, AdminRule> {
    routes
        .mount_at(Method::POST, &at("/users"), OPERATOR, users::create::handle)
        .mount_at(Method::GET, &at("/users"), OPERATOR, users::list::handle)
        .mount_at(Method::PUT, &at("/users/{user}/class"), OPERATOR, users::class::handle)
        .mount_at(Method::PUT, &at("/users/{user}/password"), OPERATOR, users::password::handle)
        .mount_at(Method::PUT, &at("/users/{user}/lock"), OPERATOR, users::restrain::lock)
        .mount_at(Method::PUT, &at("/users/{user}/suspend"), OPERATOR, users::restrain::suspend)
        .mount_at(
            Method::POST,
            &at("/users/{user}/deactivate"),
            OPERATOR,
            users::deactivate::handle,
        )
        .mount_at(Method::POST, &at("/users/{user}/notices"), OPERATOR, notices::send::to_user)
        .mount_at(
            Method::DELETE,
            &at("/users/{user}/notices/pinned"),
            OPERATOR,
            notices::unpin::handle,
        )
        .mount_at(Method::POST, &at("/notices"), OPERATOR, notices::send::to_all)
        .mount_at(Method::GET, &at("/moderation"), OPERATOR, users::moderation::handle)
}

/// All operations for the local socket: whoever may open it is the operator and needs no token.
pub fn local_router(services: AdminServices) -> Router {
    let operator = services.accounts.system_user();
    router(services, door::local_doorway(operator)).layer(map_request(door::introduce))
}

const OPERATOR: (AdminRule, Login) = (AdminRule::Operator, Login::Required);
/// What asks for the ability `moderate`: the operation takes the permit.
const MODERATOR: (AdminRule, Login) = (AdminRule::Moderator, Login::Required);

fn at(path: &str) -> String {
    format!("{PREFIX}{path}")
}
