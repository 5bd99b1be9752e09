//! Saying whether one is there, and asking whether somebody else is.

use std::time::Duration;

use ruma::{OwnedUserId, ServerName, UserId};
use vestibule_accounts::Acquaintance;
use vestibule_policy::{Ability, EndpointRule, Subject};
use vestibule_storage::{StorageError, tables::device_list::JOINED_ROOM_BY_USER};
use vestibule_types::{Actor, limits::PRESENCE_STATUS_BYTES_MAX};

use super::{Availability, Presence, PresenceElsewhere, UserPresence};
use crate::Rooms;

/// Say whether one is there.
#[derive(Clone, Debug)]
pub struct SetPresence {
    /// Who it is said of.
    pub user_id: OwnedUserId,
    /// Whether they are.
    pub state: Availability,
    /// What they say of themselves.
    pub status: Option<String>,
}

/// Why presence was not set, or not told.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// It is somebody else's.
    #[error("nobody is present for somebody else")]
    NotOwn,
    /// The status message is too long.
    #[error("the status message is too long")]
    TooLong,
    /// The asker shares no room with the user, or only rooms out of their scope.
    #[error("you may not know whether they are there")]
    NotShared,
    /// Nothing is known of the user.
    #[error("it is not known whether they are there")]
    Unknown,
    /// The database failed.
    #[error("could not read who knows whom")]
    Storage(#[from] StorageError),
}

/// A sync under way: as long as it is held, its device is there.
#[derive(Debug)]
pub struct Attendance {
    rooms: Rooms,
    user_id: OwnedUserId,
    device: String,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let now = self.rooms.presence_moment();
        self.rooms.inner.presence.known(&self.user_id, now, |here| here.leave(&self.device, now));
    }
}

impl Rooms {
    /// Who is there.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.inner.presence
    }

    /// Who is there, for somebody whose class has to do with presence, where it is kept.
    #[must_use]
    pub fn presence_for(&self, actor: &Actor) -> Option<&Presence> {
        let kept = self.inner.presence.config().enabled;
        (kept && self.takes_part(actor)).then_some(&self.inner.presence)
    }

    /// The moment it is, as presence counts time.
    #[must_use]
    pub fn presence_moment(&self) -> Duration {
        self.inner.presence.moment(self.inner.env.clock.monotonic())
    }

    /// A sync of the caller begins. `None` when that tells nobody anything.
    pub async fn attend(
        &self,
        actor: &Actor,
        state: Availability,
    ) -> Result<Option<Attendance>, StorageError> {
        let presence = self.presence_for(actor).filter(|_| state != Availability::Offline);
        let Some(presence) = presence else { return Ok(None) };
        self.recall_presence(actor.user_id()).await?;
        let (user_id, device) = (actor.user_id().to_owned(), device_of(actor));
        let now = self.presence_moment();
        presence.here(&user_id, now, |here| here.attend(&device, state, now));
        Ok(Some(Attendance { rooms: self.clone(), user_id, device }))
    }

    /// Sets whether the caller is there. Where presence is not kept, nothing happens.
    pub async fn set_presence(
        &self,
        actor: &Actor,
        command: SetPresence,
    ) -> Result<(), PresenceError> {
        if actor.user_id() != command.user_id {
            return Err(PresenceError::NotOwn);
        }
        let status = command.status.filter(|status| !status.is_empty());
        if status.as_ref().is_some_and(|status| status.len() > PRESENCE_STATUS_BYTES_MAX) {
            return Err(PresenceError::TooLong);
        }
        if self.inner.presence.config().enabled {
            let user_id = &command.user_id;
            self.recall_presence(user_id).await?;
            let now = self.presence_moment();
            let said = self.keep_said(user_id, (command.state, status), now).await?;
            let device = device_of(actor);
            self.inner.presence.here(user_id, now, |here| here.set(&device, said, now));
        }
        Ok(())
    }

    /// Whether somebody is there, for one who shares a room with them.
    pub async fn presence_of(
        &self,
        actor: &Actor,
        user_id: &UserId,
    ) -> Result<UserPresence, PresenceError> {
        if !self.inner.presence.config().enabled {
            return Err(PresenceError::Unknown);
        }
        if actor.user_id() != user_id && !self.share_room(actor.user_id(), user_id).await? {
            return Err(PresenceError::NotShared);
        }
        match self.inner.presence.of(user_id) {
            Some(known) => Ok(known),
            None => Ok(self.last_presence(user_id).await?),
        }
    }

    /// Takes what another server says of its user. Says whether the user is in a room here.
    pub async fn presence_elsewhere(
        &self,
        origin: &ServerName,
        user_id: &UserId,
        said: PresenceElsewhere,
    ) -> Result<bool, StorageError> {
        if user_id.server_name() != origin || !self.inner.presence.config().receive {
            return Ok(false);
        }
        let user = user_id.to_owned();
        let known = self.inner.store.read::<_, StorageError, _>(move |snapshot| {
            Ok(!JOINED_ROOM_BY_USER.scan(snapshot, (&user,), 1)?.is_empty())
        });
        let known = known.await?;
        if known {
            let status = said.status.filter(|it| it.len() <= PRESENCE_STATUS_BYTES_MAX);
            let said = PresenceElsewhere { status, ..said };
            self.inner.presence.elsewhere(user_id, said, self.presence_moment());
        }
        Ok(known)
    }

    /// The caller did something by which others see that they are there. Whoever is not there at
    /// all, is not there by that, but was active.
    pub(crate) async fn acted(&self, actor: &Actor) {
        let (user, Some(presence)) = (actor.user_id(), self.presence_for(actor)) else { return };
        if let Err(error) = self.recall_presence(user).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "presence was not read");
            return;
        }
        let now = self.presence_moment();
        presence.here(user, now, |here| here.acted(now));
    }

    fn takes_part(&self, actor: &Actor) -> bool {
        let subject = Subject::new(actor.user_id().to_owned(), actor.class().clone(), None);
        let rule = EndpointRule::May(Ability::Presence);
        self.inner.policy.current().admit(&subject, rule).is_ok()
    }
}

fn device_of(actor: &Actor) -> String {
    actor.device_id().map(ToString::to_string).unwrap_or_default()
}
