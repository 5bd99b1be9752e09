//! Whom to ask for what is missing, and what their failing means.

use ruma::{OwnedServerName, ServerName};
use vestibule_remote::{CallOptions, RemoteError};
use vestibule_storage::StorageError;
use vestibule_types::limits::{GAP_CALL_MAX, GAP_SERVERS_MAX};

use super::Gap;
use crate::{Federation, inbound::pdus::Item};

/// Why something was not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody did not answer; they may later.
    NotNow,
    /// Everybody who was asked says that there is no such thing, or makes no sense.
    Never,
}

impl Failure {
    /// What the failures of several servers come to.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Never { other } else { self }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        tracing::debug!(%error, "a server could not say what is missing");
        match &error {
            RemoteError::BackingOff { .. }
            | RemoteError::Unreachable { .. }
            | RemoteError::Request(_)
            | RemoteError::Storage(_) => Self::NotNow,
            // A server that has not heard yet that we are in the room refuses us: it will hear.
            RemoteError::Answered { status, .. }
                if *status >= 500 || matches!(status, 403 | 429) =>
            {
                Self::NotNow
            }
            RemoteError::Answered { .. }
            | RemoteError::Refused(_)
            | RemoteError::BadAnswer { .. } => Self::Never,
        }
    }
}

/// Bounds of a call whose answer may be large.
pub(super) fn bounded(answer_bytes_max: usize) -> CallOptions {
    CallOptions { answer_bytes_max, time_max: GAP_CALL_MAX, ignore_back_off: false }
}

/// Servers looked at to find some to ask.
const SERVERS_SCAN_MAX: usize = 20;

impl Federation {
    /// The servers to ask about an event: the one that sent it, the one that made it, others in
    /// the room that answered lately.
    pub(super) async fn whom_to_ask(
        &self,
        gap: &Gap,
        item: &Item,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let here = self.inner.parts.rooms.servers_of(&gap.room_id, SERVERS_SCAN_MAX).await?;
        let mut servers: Vec<OwnedServerName> = Vec::new();
        let own: [&ServerName; 2] = [&item.origin, item.pdu().sender().server_name()];
        for server in own.into_iter().chain(here.iter().map(|it| &**it)) {
            let new = server != self.server_name() && !servers.iter().any(|it| it == server);
            let named = own.contains(&server);
            if new && (named || !self.remote().is_backing_off(server)) {
                servers.push(server.to_owned());
            }
        }
        servers.truncate(GAP_SERVERS_MAX);
        Ok(servers)
    }
}
