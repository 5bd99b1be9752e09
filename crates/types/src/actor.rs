//! Who is asking.

use std::net::IpAddr;

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, ServerName, UserId};

use crate::ClassName;

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session with a row in the database.
    StoredSession,
    /// A signed guest token; the account may have no row yet.
    GuestToken,
    /// The operator, over the local socket.
    Operator,
}

/// An authenticated local user, as proven by the surface that built this value.
///
/// Services take an `Actor` instead of a bare user ID, so a call that skipped authentication does
/// not type-check. The class is the one seen when the token was resolved; whatever changes a room
/// reads the class again in its own transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    user_id: OwnedUserId,
    device_id: Option<OwnedDeviceId>,
    class: ClassName,
    ruled_by: Option<ClassName>,
    credential: Credential,
    session: Option<[u8; 32]>,
    address: Option<IpAddr>,
    ends_at: Option<u64>,
}

impl Actor {
    /// Builds an actor from a verified credential.
    #[must_use]
    pub fn new(
        user_id: OwnedUserId,
        device_id: Option<OwnedDeviceId>,
        class: ClassName,
        credential: Credential,
    ) -> Self {
        Self {
            user_id,
            device_id,
            class,
            ruled_by: None,
            credential,
            session: None,
            address: None,
            ends_at: None,
        }
    }

    /// The same caller, coming from this address (as established behind trusted proxies).
    #[must_use]
    pub fn at_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// The same caller, in the session whose access token has this digest.
    #[must_use]
    pub fn in_session(mut self, digest: [u8; 32]) -> Self {
        self.session = Some(digest);
        self
    }

    /// The same caller, whose credential says when it ends, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn ending_at(mut self, ends_at: u64) -> Self {
        self.ends_at = Some(ends_at);
        self
    }

    /// When the credential says it ends, in milliseconds since the Unix epoch; `None` where that is for
    /// rows to say.
    #[must_use]
    pub fn ends_at(&self) -> Option<u64> {
        self.ends_at
    }

    /// The digest of the access token that was shown; `None` where none was.
    #[must_use]
    pub fn session(&self) -> Option<[u8; 32]> {
        self.session
    }

    /// Where the caller comes from; `None` for the server's own work.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The user this request acts as.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// The device this request comes from, if it comes from one.
    #[must_use]
    pub fn device_id(&self) -> Option<&DeviceId> {
        self.device_id.as_deref()
    }

    /// The server the user lives on.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        self.user_id.server_name()
    }

    /// The class of the account when the token was resolved.
    #[must_use]
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// The same caller, ruled by the class that the account's age puts over its own.
    #[must_use]
    pub fn ruled_by(mut self, class: ClassName) -> Self {
        self.ruled_by = Some(class);
        self
    }

    /// The class that decided about the account when the token was resolved: its own, or the one its
    /// age put over it.
    #[must_use]
    pub fn ruling_class(&self) -> &ClassName {
        self.ruled_by.as_ref().unwrap_or(&self.class)
    }

    /// How the caller proved who they are.
    #[must_use]
    pub fn credential(&self) -> Credential {
        self.credential
    }

    /// Whether this is a guest in the sense of the specification's guest access module.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.class.is_guest()
    }
}
