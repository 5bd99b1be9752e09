//! Work this service leaves for others, durably: the kinds of its jobs and what they carry.
//!
//! All of them may be run again at any time: whoever does the work reads how things are then.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

/// The account is gone: leave all its rooms, reject its invitations.
pub const LEAVE_ALL: &str = "leave_all";
/// The profile changed: carry it into the member events of all joined rooms.
pub const PROFILE_FAN_OUT: &str = "profile_fan_out";
/// The user is forgotten: take away the files they uploaded.
pub const DELETE_MEDIA: &str = "delete_media";

/// The user is forgotten: take what they wrote out of the index of words.
pub const FORGET_WORDS: &str = "forget_words";

/// The payload of [`FORGET_WORDS`], as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetWords {
    /// Whose words.
    pub user_id: OwnedUserId,
}

/// The payload of [`DELETE_MEDIA`], as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteMedia {
    /// Whose files.
    pub user_id: OwnedUserId,
}

/// The payload of [`LEAVE_ALL`], as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveAll {
    /// Whose rooms.
    pub user_id: OwnedUserId,
}

/// The payload of [`PROFILE_FAN_OUT`], as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFanOut {
    /// Whose profile.
    pub user_id: OwnedUserId,
}

/// The bytes of a payload.
pub(crate) fn encode(payload: &impl Serialize) -> Vec<u8> {
    // Two identifiers in a struct always have a JSON form.
    serde_json::to_vec(payload).unwrap_or_default()
}

/// Reads a payload; `None` when the bytes are not one.
#[must_use]
pub fn decode<T: for<'de> Deserialize<'de>>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}
