//! Who may see which event: history visibility, per event.

use std::collections::{HashMap, HashSet};

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use vestibule_storage::{
    Read, Stamp, Stamped, StorageError,
    tables::room::{StateAt, StoredEventState, StoredMembership},
};
use vestibule_types::EventNo;

use crate::{
    LoggedEvent, RoomView, append::membership_of, erased::is_personal, ignored_users, purge::Purged,
};

/// What a room's history visibility said at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    WorldReadable,
    Shared,
    Invited,
    Joined,
}

/// What decides at one moment of the room's state.
#[derive(Clone, Copy, Debug)]
struct Moment {
    visibility: Visibility,
    membership: Option<StoredMembership>,
}

/// Somebody looking at a room's history. Remembers what it found out about moments of the state,
/// so that a page of events costs what its state changes cost.
#[derive(Debug)]
pub struct Viewer {
    user_id: Option<OwnedUserId>,
    /// Up to where the viewer's own joins reach: everything while joined, the moment they left
    /// afterwards, nothing for those who were never in.
    joined_until: Option<Stamp>,
    moments: HashMap<StateAt, Moment>,
    /// What was purged of the room, once it was looked up.
    purged: Option<Purged>,
    /// Whether senders asked to be forgotten, as far as they were looked up.
    erased: HashMap<OwnedUserId, bool>,
    /// Whom the viewer ignores, once it was looked up.
    ignored: Option<HashSet<OwnedUserId>>,
}

/// Later than every stamp.
const FOREVER: Stamp = Stamp { commit: u64::MAX, index: u16::MAX };

#[derive(Deserialize)]
struct Content {
    history_visibility: String,
}

impl Viewer {
    /// A user of ours looking at a room.
    pub fn new<R: Read>(view: &RoomView<'_, R>, user_id: &UserId) -> Result<Self, StorageError> {
        let member = view.local_member(user_id)?;
        let joined_until = match &member {
            Some(row) if row.value.membership == StoredMembership::Join => Some(FOREVER),
            Some(row) => view.departure(user_id, row)?.map(|left| left.stamp),
            None => None,
        };
        let user_id = Some(user_id.to_owned());
        Ok(Self { user_id, joined_until, ..Self::anonymous() })
    }

    /// Somebody who is not logged in.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            user_id: None,
            joined_until: None,
            moments: HashMap::new(),
            purged: None,
            erased: HashMap::new(),
            ignored: None,
        }
    }

    /// Who is looking.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        self.user_id.as_deref()
    }

    /// Whether the viewer may see an event of the timeline.
    pub fn may_see<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        no: EventNo,
    ) -> Result<bool, StorageError> {
        match (view.event(no)?, view.around(no)?) {
            (Some(event), Some(around)) => self.sees(view, &event, &around),
            _ => Ok(false),
        }
    }

    /// Whether the viewer may see an event that was read already, with the state around it.
    pub(crate) fn sees<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: &LoggedEvent,
        around: &Stamped<StoredEventState>,
    ) -> Result<bool, StorageError> {
        if event.pdu.rejected() || around.value.soft_failed {
            return Ok(false);
        }
        if event.pdu.redacts().is_some() && view.is_withheld(event.no)? {
            return Ok(false);
        }
        if self.purged(view)?.covers(event.no, &event.pdu) {
            return Ok(false);
        }
        let before = self.moment(view, around.value.before)?;
        if self.shows(before, around.stamp) {
            return Ok(true);
        }
        // A change of visibility, and of the viewer's own membership, is seen from either side.
        if !self.has_two_sides(event) {
            return Ok(false);
        }
        let after = self.moment(view, around.value.after)?;
        Ok(self.shows(after, around.stamp))
    }

    /// Whether the viewer may see who was in the room, at a place where its state was this.
    pub(crate) fn sees_state<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        (state, place): (StateAt, Stamp),
    ) -> Result<bool, StorageError> {
        let moment = self.moment(view, state)?;
        Ok(self.shows(moment, place))
    }

    /// The viewer's membership when an event was sent.
    pub fn membership_at<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        no: EventNo,
    ) -> Result<Option<StoredMembership>, StorageError> {
        let Some(around) = view.around(no)? else { return Ok(None) };
        Ok(self.moment(view, around.value.after)?.membership)
    }

    /// Whether an event is shown to the viewer as if it were redacted: its sender asked to be forgotten, and
    /// the viewer was not joined when it was sent.
    pub fn is_kept_from<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: &LoggedEvent,
    ) -> Result<bool, StorageError> {
        if !is_personal(&event.pdu)
            || self.membership_at(view, event.no)? == Some(StoredMembership::Join)
        {
            return Ok(false);
        }
        if let Some(known) = self.erased.get(event.pdu.sender()) {
            return Ok(*known);
        }
        let erased = view.is_erased(event.pdu.sender())?;
        self.erased.insert(event.pdu.sender().to_owned(), erased);
        Ok(erased)
    }

    /// Whether the viewer does not want to see an event because of who sent it. State is shown
    /// whoever sent it (client-server API, "Ignoring users").
    pub fn ignores<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        event: &LoggedEvent,
    ) -> Result<bool, StorageError> {
        if event.pdu.is_state() {
            return Ok(false);
        }
        let ignored = match (self.ignored.take(), &self.user_id) {
            (Some(known), _) => known,
            (None, Some(user)) => ignored_users(&view.reader, user)?,
            (None, None) => HashSet::new(),
        };
        Ok(self.ignored.insert(ignored).contains(event.pdu.sender()))
    }

    fn purged<R: Read>(&mut self, view: &RoomView<'_, R>) -> Result<&Purged, StorageError> {
        let known = match self.purged.take() {
            Some(known) => known,
            None => Purged::load(&view.reader, view.room.no)?,
        };
        Ok(self.purged.insert(known))
    }

    fn has_two_sides(&self, event: &LoggedEvent) -> bool {
        let own = self
            .user_id
            .as_ref()
            .is_some_and(|user| event.pdu.is_state_of("m.room.member", user.as_str()));
        own || event.pdu.is_state_of("m.room.history_visibility", "")
    }

    fn shows(&self, moment: Moment, at: Stamp) -> bool {
        let joined = moment.membership == Some(StoredMembership::Join);
        match moment.visibility {
            Visibility::WorldReadable => true,
            _ if joined => true,
            Visibility::Shared => self.joined_until.is_some_and(|until| at <= until),
            Visibility::Invited => moment.membership == Some(StoredMembership::Invite),
            Visibility::Joined => false,
        }
    }

    fn moment<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        at: StateAt,
    ) -> Result<Moment, StorageError> {
        if let Some(known) = self.moments.get(&at) {
            return Ok(*known);
        }
        let visibility = view.visibility_at(at)?;
        let membership = match &self.user_id {
            Some(user) => view
                .state_event_at(at, "m.room.member", user.as_str())?
                .map(|event| membership_of(&event.pdu)),
            None => None,
        };
        let moment = Moment { visibility, membership };
        self.moments.insert(at, moment);
        Ok(moment)
    }
}

impl<R: Read> RoomView<'_, R> {
    /// What the history visibility said at a moment. Without an event, or with a value nobody knows,
    /// it is `shared`.
    pub(crate) fn visibility_at(&self, at: StateAt) -> Result<Visibility, StorageError> {
        let event = self.state_event_at(at, "m.room.history_visibility", "")?;
        let content = event.and_then(|event| event.pdu.content_as::<Content>().ok());
        Ok(match content.as_ref().map(|it| it.history_visibility.as_str()) {
            Some("world_readable") => Visibility::WorldReadable,
            Some("invited") => Visibility::Invited,
            Some("joined") => Visibility::Joined,
            _ => Visibility::Shared,
        })
    }
}
