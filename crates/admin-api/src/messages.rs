//! What is asked and answered, as JSON. The command line reads and writes the same types.

use serde::{Deserialize, Serialize};
use vestibule_types::Secret;

/// `POST /users`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// A localpart, or a full user id.
    pub name: String,
    /// The class; without it, what the policy gives to new accounts.
    pub class: Option<String>,
    /// The password.
    pub password: Secret,
}

/// `PUT /users/{user}/class`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassChange {
    /// The new class.
    pub class: String,
}

/// `PUT /users/{user}/password`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The new password.
    pub password: Secret,
    /// Whether sessions stay.
    #[serde(default)]
    pub keep_sessions: bool,
}

/// `PUT /users/{user}/lock`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockChange {
    /// Whether the account is locked from now on.
    pub locked: bool,
}

/// `PUT /users/{user}/suspend`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspensionChange {
    /// Whether the account is suspended from now on.
    pub suspended: bool,
}

/// `POST /users/{user}/deactivate`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deactivation {
    /// Whether the person is forgotten as well.
    pub erase: bool,
}

/// `GET /moderation`
#[derive(Debug, Serialize, Deserialize)]
pub struct ModerationsAnswer {
    /// What was done to accounts, newest first.
    pub acts: Vec<ModerationAnswer>,
}

/// One act upon an account.
#[derive(Debug, Serialize, Deserialize)]
pub struct ModerationAnswer {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The admin; absent for whoever sat at the machine.
    pub by: Option<String>,
    /// Whose account.
    pub user_id: String,
    /// `lock`, `unlock`, `suspend`, `unsuspend` or `deactivate`.
    pub act: String,
}

/// One account.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserAnswer {
    /// The full user id.
    pub user_id: String,
    /// The class.
    pub class: String,
    /// `active`, `suspended`, `locked`, `locked, suspended` or `deactivated`.
    pub state: String,
    /// When the account was made, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// `GET /users`: one page.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsersAnswer {
    /// The accounts, by localpart.
    pub users: Vec<UserAnswer>,
    /// What to pass as `from` for the next page; absent on the last.
    pub next: Option<String>,
}

/// `POST /tokens`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// The token; a random one when absent.
    pub token: Option<String>,
    /// How many accounts it makes.
    pub uses: Option<u64>,
    /// How long it is good for.
    pub expires_in_ms: Option<u64>,
    /// The class of the accounts it makes.
    pub class: Option<String>,
}

/// One registration token.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token.
    pub token: String,
    /// How many accounts it can still make; any number when absent.
    pub uses_left: Option<u64>,
    /// Until when, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    /// The class of the accounts it makes.
    pub class: Option<String>,
}

/// `GET /tokens`
#[derive(Debug, Serialize, Deserialize)]
pub struct TokensAnswer {
    /// All of them.
    pub tokens: Vec<TokenAnswer>,
}

/// `GET /policy/check`: the doubts that need the database.
#[derive(Debug, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// The epoch of the policy in force.
    pub epoch: u64,
    /// The doubts, a sentence each.
    pub warnings: Vec<String>,
}

/// `GET /guests` and `PUT /guests/switch`
#[derive(Debug, Serialize, Deserialize)]
pub struct GuestsAnswer {
    /// Whether guests are let in now, where a door is open.
    pub enabled: bool,
    /// Whether the configuration lets them in.
    pub configured: bool,
    /// How they were switched off, if they were.
    pub switched_off: Option<GuestsOff>,
    /// How many have an account.
    pub live: u64,
    /// The epoch of the policy in force.
    pub epoch: u64,
}

/// How guests were switched off.
#[derive(Debug, Serialize, Deserialize)]
pub struct GuestsOff {
    /// Since when, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The admin who did; nobody for the operator at the machine.
    pub by: Option<String>,
    /// Whether those that are there have to go.
    pub evict: bool,
}

/// `PUT /guests/switch`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GuestsSwitch {
    /// Whether guests are off; otherwise the configuration decides.
    pub off: bool,
    /// Whether those that are there have to go.
    #[serde(default)]
    pub evict: bool,
}

/// `GET /policy/rooms`
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenRoomsAnswer {
    /// The class that was asked for.
    pub class: String,
    /// The rooms that are open to it.
    pub rooms: Vec<OpenRoom>,
}

/// A room that is open to a class.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenRoom {
    /// The room.
    pub room_id: String,
    /// Our names for it.
    pub aliases: Vec<String>,
    /// The rules that opened it, with their evidence.
    pub because: Vec<String>,
}

/// `GET /policy/unmanaged`
#[derive(Debug, Serialize, Deserialize)]
pub struct UnmanagedRoomsAnswer {
    /// The rooms in which nobody is left who can change the power levels.
    pub rooms: Vec<UnmanagedRoom>,
}

/// A room in which nobody is left who can change its power levels.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnmanagedRoom {
    /// The room.
    pub room_id: String,
    /// Our names for it.
    pub aliases: Vec<String>,
    /// How many users are joined.
    pub joined: u64,
}

/// `GET /policy/denials`
#[derive(Debug, Serialize, Deserialize)]
pub struct DenialsAnswer {
    /// The newest first.
    pub denials: Vec<DenialAnswer>,
}

/// A refusal.
#[derive(Debug, Serialize, Deserialize)]
pub struct DenialAnswer {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who.
    pub user_id: String,
    /// Their class then.
    pub class: String,
    /// What they wanted to do.
    pub action: String,
    /// To what.
    pub object: String,
    /// Why not: the code that clients see as `org.vestibule.reason`.
    pub reason: String,
    /// Whether it was let pass, because the policy only observes.
    #[serde(default)]
    pub observed: bool,
    /// Where from, truncated.
    pub address: Option<String>,
}

/// `GET /reports`
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportsAnswer {
    /// The newest first.
    pub reports: Vec<ReportAnswer>,
}

/// Something a person told the operators about: a user, a room, or an event in a room.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who told.
    pub reporter: String,
    /// The room.
    pub room_id: Option<String>,
    /// The event.
    pub event_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// In their words.
    pub reason: String,
}

/// `GET /db/check`
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DatabaseAnswer {
    /// Rows that were read.
    pub rows: u64,
    /// How many of them do not fit.
    pub problems_found: u64,
    /// The first of them, a sentence each.
    pub problems: Vec<String>,
}

/// `POST /reload`
#[derive(Debug, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// What is in force now.
    pub done: String,
}

/// `GET /federation/destinations`
#[derive(Debug, Serialize, Deserialize)]
pub struct DestinationsAnswer {
    /// The servers that do not answer, the longest failing ones first.
    pub destinations: Vec<DestinationAnswer>,
}

/// A server that does not answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct DestinationAnswer {
    /// Its name.
    pub server: String,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was, in milliseconds since the Unix epoch.
    pub failing_since_ms: u64,
    /// When the last of them was, in milliseconds since the Unix epoch.
    pub failed_at_ms: u64,
    /// How long it is still left alone, in milliseconds.
    pub retry_in_ms: u64,
    /// What went wrong the last time.
    pub reason: String,
}

/// `GET /keys`
#[derive(Debug, Serialize, Deserialize)]
pub struct SigningKeysAnswer {
    /// The key in use, then those of before, the latest first.
    pub keys: Vec<SigningKeyAnswer>,
}

/// One key this server signs with, or signed with.
#[derive(Debug, Serialize, Deserialize)]
pub struct SigningKeyAnswer {
    /// Its id, `ed25519:name`.
    pub key_id: String,
    /// When it was last used, in milliseconds since the Unix epoch; absent for the one in use.
    pub expired_at: Option<u64>,
}

/// `POST /federation/destinations/{server}/retry`
#[derive(Debug, Serialize, Deserialize)]
pub struct RetryAnswer {
    /// Whether it had failed.
    pub had_failed: bool,
}

/// `POST /federation/destinations/{server}/test`
#[derive(Debug, Serialize, Deserialize)]
pub struct FindingsAnswer {
    /// Whether every step went well enough to go on.
    pub reachable: bool,
    /// The steps on the way to it, in order.
    pub findings: Vec<FindingAnswer>,
}

/// A step on the way to a server.
#[derive(Debug, Serialize, Deserialize)]
pub struct FindingAnswer {
    /// Which step.
    pub step: String,
    /// `fine`, `notable` or `failed`.
    pub outcome: String,
    /// What was found.
    pub text: String,
}

/// An answer without content.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {}

/// A file.
#[derive(Debug, Serialize, Deserialize)]
pub struct MediaAnswer {
    /// The server it comes from.
    pub server: String,
    /// Its id there.
    pub media_id: String,
    /// Who uploaded it, if somebody of this server did.
    pub uploader: Option<String>,
    /// When its id was made or the copy fetched, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Its size in bytes, once it is here.
    pub size: Option<u64>,
    /// The content type its uploader gave.
    pub content_type: Option<String>,
    /// Whether it is withheld from everybody.
    pub quarantined: bool,
}

/// Files, by server and id.
#[derive(Debug, Serialize, Deserialize)]
pub struct MediaListAnswer {
    /// The files.
    pub media: Vec<MediaAnswer>,
}

/// Whether a file is withheld.
#[derive(Debug, Serialize, Deserialize)]
pub struct QuarantineChange {
    /// Whether it is.
    pub quarantined: bool,
}

/// Which copies are taken away.
#[derive(Debug, Serialize, Deserialize)]
pub struct MediaPurge {
    /// Those fetched so many milliseconds ago, or longer.
    pub older_than_ms: u64,
}

/// What was taken away.
#[derive(Debug, Serialize, Deserialize)]
pub struct PurgedAnswer {
    /// Media ids.
    pub media: u64,
    /// Files.
    pub files: u64,
}

/// What is to be said to one user or to all.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewNotice {
    /// The words.
    pub body: String,
    /// Set when a limit of the server was reached; the notice stays pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_limit: Option<UsageLimitReached>,
}

/// Which limit of the server was reached.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsageLimitReached {
    /// Its kind; the specification knows `monthly_active_user`.
    pub limit_type: String,
    /// A URI at which whoever runs the server can be reached.
    pub admin_contact: String,
}

/// A notice that was sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoticeAnswer {
    /// The user's room of notices.
    pub room_id: String,
    /// The message.
    pub event_id: String,
}

/// What was taken down.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnpinnedAnswer {
    /// How many notices.
    pub notices: usize,
}

/// How much of a room's history is purged.
#[derive(Debug, Serialize, Deserialize)]
pub struct HistoryPurge {
    /// What was sent so many milliseconds ago, or longer.
    pub older_than_ms: u64,
}

/// `POST /guest_links`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGuestLink {
    /// The room's id, or an alias.
    pub room: String,
    /// How many accounts it lets in.
    pub uses: u32,
    /// How long it is good for, in milliseconds.
    pub expires_in_ms: u64,
}

/// A guest link.
#[derive(Debug, Serialize, Deserialize)]
pub struct GuestLinkAnswer {
    /// Names it; nobody gets in with it.
    pub id: String,
    /// What lets guests in. Told once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The one room it opens.
    pub room_id: String,
    /// Who made it.
    pub made_by: String,
    /// How many accounts it still lets in.
    pub uses_left: u32,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
}

/// `GET /guest_links`
#[derive(Debug, Serialize, Deserialize)]
pub struct GuestLinksAnswer {
    /// The links there are, used up or not.
    pub links: Vec<GuestLinkAnswer>,
}

/// `PUT /rooms/{room}/block`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockChange {
    /// Whether the room is blocked from now on.
    pub blocked: bool,
}
