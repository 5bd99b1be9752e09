//! Rooms of a space that this server is not in: what other servers tell of them.
//!
//! Nothing told is evidence: it is shown, and no decision about joining is made by it. It is kept for a
//! while, as the specification asks, since a client goes through a space page by page.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use moka::sync::Cache;
use ruma::{OwnedRoomId, OwnedServerName, RoomId, UserId};
use serde_json::value::RawValue;
use vestibule_storage::{
    Snapshot, StorageError,
    tables::{
        handshake::OUTSIDE_BY_USER,
        room::{ROOM_BY_MEMBER, StoredMembership},
    },
};
use vestibule_types::limits::{
    CHILDREN_TOLD_MAX, RESTRICTED_ROOMS_MAX, SPACE_FRESH_MAX, SPACE_VIA_ASKED_MAX,
    SPACES_ELSEWHERE_BYTES_MAX,
};

use super::{
    ReadError,
    hierarchy::Walk,
    preview::is_joined_to,
    space_child::{Edge, children_told},
};
use crate::{
    OpenRoom, RoomSummary, RoomView, Rooms, SpaceElsewhere,
    ask::{Deed, decide},
};

/// A room that other servers are to be asked about.
#[derive(Clone, Debug)]
pub(super) struct WantedSpace {
    room_id: OwnedRoomId,
    via: Vec<OwnedServerName>,
}

impl WantedSpace {
    /// The server that is asked first.
    pub(super) fn first_server(&self) -> Option<&OwnedServerName> {
        self.via.first()
    }
}

/// What was told of a room.
#[derive(Debug)]
struct Told {
    /// When, on the monotonic clock.
    at: Duration,
    /// The server that told it, for asking again.
    via: Vec<OwnedServerName>,
    /// The room; `None` when nobody told anything.
    summary: Option<RoomSummary>,
    /// Its children, if it is a space.
    children: Vec<Box<RawValue>>,
    /// Whether it was asked about itself, or only mentioned as a child.
    asked: bool,
}

impl Told {
    /// Whether asking would tell more: a space that was only mentioned has children nobody named.
    fn is_enough(&self) -> bool {
        self.asked || self.summary.as_ref().is_some_and(|summary| !summary.is_space())
    }

    /// The same for somebody who names servers: those who told nothing do not speak for the others.
    fn is_enough_of(&self, via: &[OwnedServerName]) -> bool {
        let others = || via.iter().take(SPACE_VIA_ASKED_MAX).any(|it| !self.via.contains(it));
        self.is_enough() && (self.summary.is_some() || !others())
    }
}

/// What other servers told of rooms a short while ago.
#[derive(Clone, Debug)]
pub(crate) struct SpacesElsewhere(Cache<OwnedRoomId, Arc<Told>>);

impl SpacesElsewhere {
    pub(crate) fn new() -> Self {
        let weigh = |_: &OwnedRoomId, told: &Arc<Told>| {
            let children: usize = told.children.iter().map(|child| child.get().len()).sum();
            let texts = told.summary.as_ref().map_or(0, |summary| {
                let room = &summary.room;
                let texts = [&room.name, &room.topic, &room.avatar_url].into_iter().flatten();
                texts.map(String::len).sum::<usize>() + summary.allowed_room_ids.len() * 64
            });
            u32::try_from(children + texts + 1_024).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weigh).max_capacity(SPACES_ELSEWHERE_BYTES_MAX).build())
    }

    /// Forgets what was told of a room: somebody of ours is something else to it now, and would be told
    /// more.
    pub(crate) fn forget(&self, room_id: &RoomId) {
        self.0.invalidate(room_id);
    }
}

impl Rooms {
    /// Asks about rooms, all at once, and keeps what is told.
    pub(super) async fn learn_spaces(&self, wanted: Vec<WantedSpace>) {
        join_all(wanted.iter().map(|wanted| self.learn_space(wanted))).await;
    }

    async fn learn_space(&self, wanted: &WantedSpace) {
        for server in wanted.via.iter().take(SPACE_VIA_ASKED_MAX) {
            if let Ok(Some(space)) = self.elsewhere().space(server, &wanted.room_id).await {
                return self.keep_told(server, space);
            }
        }
        // Nobody told: what was mentioned of it before still holds, and it is not asked again soon.
        let spaces = &self.inner.spaces_elsewhere.0;
        let before = spaces.get(&wanted.room_id);
        let summary = before.and_then(|told| told.summary.clone());
        let via = wanted.via.clone();
        let told = Told { at: self.monotonic(), via, summary, children: Vec::new(), asked: true };
        spaces.insert(wanted.room_id.clone(), Arc::new(told));
    }

    /// Keeps a space, and its children as far as nothing better is known of them.
    fn keep_told(&self, server: &OwnedServerName, space: SpaceElsewhere) {
        let (spaces, at) = (&self.inner.spaces_elsewhere.0, self.monotonic());
        let told = |summary: RoomSummary, children, asked| {
            let via = vec![server.clone()];
            Arc::new(Told { at, via, summary: Some(summary), children, asked })
        };
        for child in space.children.into_iter().take(CHILDREN_TOLD_MAX) {
            if self.told(&child.room.room_id).is_none_or(|known| known.summary.is_none()) {
                spaces.insert(child.room.room_id.clone(), told(child, Vec::new(), false));
            }
        }
        let room_id = space.summary.room.room_id.clone();
        spaces.insert(room_id, told(space.summary, space.children_state, true));
    }

    /// What was told of a room and is fresh.
    fn told(&self, room_id: &RoomId) -> Option<Arc<Told>> {
        let told = self.inner.spaces_elsewhere.0.get(room_id)?;
        (self.monotonic().saturating_sub(told.at) < SPACE_FRESH_MAX).then_some(told)
    }
}

impl Walk<'_, '_> {
    /// A room as another server told of it, if it is for the asker. Notes it as wanted where somebody
    /// would have to be asked.
    pub(super) fn look_elsewhere(
        &mut self,
        room_id: &RoomId,
        via: Vec<OwnedServerName>,
        here: Option<&OpenRoom>,
    ) -> Result<Option<(RoomSummary, Vec<Edge>)>, ReadError> {
        if here.is_some_and(|room| room.blocked) {
            return Ok(None);
        }
        let told = self.rooms.told(room_id);
        if told.as_ref().is_none_or(|told| !told.is_enough_of(&via)) {
            let via = self.askable(room_id, via)?;
            if !told.as_ref().is_some_and(|told| told.is_enough_of(&via)) && !via.is_empty() {
                self.wanted.push(WantedSpace { room_id: room_id.to_owned(), via });
            }
        }
        let Some(told) = told else { return Ok(None) };
        let Some(summary) = &told.summary else { return Ok(None) };
        if !self.is_for_asker(summary, here)? {
            return Ok(None);
        }
        Ok(Some((summary.clone(), children_told(&told.children))))
    }

    /// The servers that the asker may have asked about a room: those its space names, else those that
    /// told of it before.
    fn askable(
        &self,
        room_id: &RoomId,
        via: Vec<OwnedServerName>,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let before = || self.rooms.inner.spaces_elsewhere.0.get(room_id);
        let via = if via.is_empty() {
            before().map(|told| told.via.clone()).unwrap_or_default()
        } else {
            via
        };
        let mut askable = Vec::new();
        for server in via {
            let deed = Deed::BrowseRemoteDirectory(server.clone());
            let nowhere = None::<&RoomView<'_, &Snapshot<'_>>>;
            if server != self.rooms.inner.server_name
                && decide(self.policy, self.reader, nowhere, (self.ask, &deed))?.is_allowed()
            {
                askable.push(server);
            }
        }
        Ok(askable)
    }

    /// Whether the asker is invited to a room, or could get in, or anybody may read it, as it was
    /// told; and the policy would show it to them.
    fn is_for_asker(
        &self,
        summary: &RoomSummary,
        here: Option<&OpenRoom>,
    ) -> Result<bool, StorageError> {
        let (user, room): (&UserId, _) = (&self.ask.user_id, &summary.room);
        let member = match here {
            Some(here) => ROOM_BY_MEMBER.get(self.reader, (user, here.no))?,
            None => None,
        };
        let outside = outside_membership(self.reader, user, &room.room_id)?;
        let membership = outside.or(member.map(|member| member.value.membership));
        if membership == Some(StoredMembership::Ban) {
            return Ok(false);
        }
        let rule = room.join_rule.as_str();
        let mut open = membership == Some(StoredMembership::Invite)
            || room.world_readable
            || matches!(rule, "public" | "knock" | "knock_restricted");
        if !open && rule == "restricted" {
            for allowed in summary.allowed_room_ids.iter().take(RESTRICTED_ROOMS_MAX) {
                open = open || is_joined_to(self.reader, user, allowed)?;
            }
        }
        if !open {
            return Ok(false);
        }
        let deed = Deed::Discover(room.room_id.clone());
        let nowhere = None::<&RoomView<'_, &Snapshot<'_>>>;
        Ok(decide(self.policy, self.reader, nowhere, (self.ask, &deed))?.is_allowed())
    }
}

/// What one of our users is to a room that nobody here is in.
pub(super) fn outside_membership(
    reader: &Snapshot<'_>,
    user: &UserId,
    room_id: &RoomId,
) -> Result<Option<StoredMembership>, StorageError> {
    let row = OUTSIDE_BY_USER.get(reader, (user, room_id))?;
    Ok(row.map(|row| row.value.membership))
}
