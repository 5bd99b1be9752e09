//! Notices: what the server itself has to say to its users (client-server API, "Server Notices").
//!
//! Each user has one room for them, made when there is something to say, by the server's own user, whom nobody can
//! log in as. The user is invited and cannot reject that; once joined they may leave, and are invited again when there
//! is more to say. The room is never shared with other servers. What limits use is pinned until an operator takes it
//! down. Guests get no notices: they are where a door is open, and nowhere else.

mod everybody;
mod pins;
mod send;

use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vestibule_accounts::SetTagError;
use vestibule_storage::StorageError;
use vestibule_types::limits::SERVER_NOTICE_BYTES_MAX;

pub(crate) use self::everybody::{NOTICE_TO_ALL, NoticeToAll};
use crate::{CreateRoomError, MembershipError, SendError, content::canonical};

/// As whom the server speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticesConfig {
    /// What the rooms of notices are called.
    pub room_name: String,
    /// Their picture, an `mxc://` address.
    pub avatar: Option<String>,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self { room_name: "Server notices".to_owned(), avatar: None }
    }
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNotice {
    /// The words.
    pub body: String,
    /// Set when users are told that a limit of the server was reached. Such a notice stays pinned.
    pub usage_limit: Option<UsageLimit>,
}

/// Which limit was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLimit {
    /// The kind of limit; the specification knows `monthly_active_user`.
    pub limit_type: String,
    /// A URI at which whoever runs the server can be reached.
    pub admin_contact: String,
}

/// The type of a notice that is about nothing the specification names.
const PLAIN: &str = "org.vestibule.notice";
/// The type of a notice about a limit.
const USAGE_LIMIT: &str = "m.server_notice.usage_limit_reached";

impl ServerNotice {
    /// Refuses what no event could carry.
    fn check(&self) -> Result<(), ServerNoticeError> {
        let limit = self.usage_limit.as_ref();
        let texts = limit.map_or(0, |it| it.limit_type.len() + it.admin_contact.len());
        if self.body.trim().is_empty() {
            return Err(ServerNoticeError::Empty);
        }
        if self.body.len() + texts > SERVER_NOTICE_BYTES_MAX {
            return Err(ServerNoticeError::TooLong);
        }
        Ok(())
    }

    fn content(&self) -> CanonicalJsonObject {
        canonical(&match &self.usage_limit {
            None => {
                json!({ "msgtype": "m.server_notice", "body": self.body, "server_notice_type": PLAIN })
            }
            Some(limit) => json!({
                "msgtype": "m.server_notice",
                "body": self.body,
                "server_notice_type": USAGE_LIMIT,
                "limit_type": limit.limit_type,
                "admin_contact": limit.admin_contact,
            }),
        })
    }
}

/// A notice that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentNotice {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The message.
    pub event_id: OwnedEventId,
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum ServerNoticeError {
    /// There are no words.
    #[error("a notice needs words")]
    Empty,
    /// There are too many.
    #[error("the notice is too long")]
    TooLong,
    /// Nobody here has this name, or not any more.
    #[error("there is no such account")]
    UnknownUser,
    /// Guests get no notices.
    #[error("guests get no notices")]
    Guest,
    /// The user takes no invitations at all.
    #[error("the user does not take invitations")]
    Unwanted,
    /// The room could not be made.
    #[error("the room of notices could not be made")]
    Room(#[source] CreateRoomError),
    /// The user could not be invited.
    #[error("the user could not be invited")]
    Membership(#[source] MembershipError),
    /// The room could not be marked.
    #[error("the room of notices could not be marked")]
    Tag(#[from] SetTagError),
    /// The message could not be sent or pinned.
    #[error("the notice could not be sent")]
    Send(#[from] SendError),
    /// The database failed.
    #[error("could not read or write the database")]
    Storage(#[from] StorageError),
}

impl From<MembershipError> for ServerNoticeError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::InviteBlocked => Self::Unwanted,
            other => Self::Membership(other),
        }
    }
}
