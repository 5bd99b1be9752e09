//! What a client wants to see, ready to be asked.

use std::collections::HashSet;

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::filter::{
        EventFormat, Filter, FilterDefinition, LazyLoadOptions, RoomEventFilter, UrlFilter,
    },
};
use serde::Deserialize;
use vestibule_events::Pdu;
use vestibule_rooms::type_matches;
use vestibule_types::limits::{SYNC_TIMELINE_DEFAULT, SYNC_TIMELINE_MAX};

use crate::pass::presence::PRESENCE;

/// A filter of a sync.
#[derive(Debug, Default)]
pub(crate) struct SyncFilter {
    rooms: Selection<OwnedRoomId>,
    pub(crate) include_leave: bool,
    pub(crate) federation_format: bool,
    pub(crate) timeline: EventFilter,
    pub(crate) state: EventFilter,
    pub(crate) ephemeral: EventFilter,
    pub(crate) room_account_data: EventFilter,
    pub(crate) account_data: EventFilter,
    pub(crate) presence: EventFilter,
    pub(crate) lazy: Lazy,
    pub(crate) unread_by_thread: bool,
    /// Tells filters apart that show a room differently.
    pub(crate) fingerprint: u64,
}

/// Whether members are shown only when they are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lazy {
    /// All are shown.
    #[default]
    Off,
    /// Those that are needed and were not shown before.
    New,
    /// All that are needed.
    Needed,
}

/// A filter of one kind of events.
#[derive(Debug, Default)]
pub(crate) struct EventFilter {
    types: Patterns,
    senders: Selection<OwnedUserId>,
    rooms: Selection<OwnedRoomId>,
    contains_url: Option<bool>,
    limit: Option<usize>,
}

/// Some things, or all of them, without others.
#[derive(Debug)]
struct Selection<T> {
    only: Option<HashSet<T>>,
    not: HashSet<T>,
}

impl<T> Default for Selection<T> {
    fn default() -> Self {
        Self { only: None, not: HashSet::new() }
    }
}

impl<T: std::hash::Hash + Eq> Selection<T> {
    fn new(only: Option<Vec<T>>, not: Vec<T>) -> Self {
        Self { only: only.map(HashSet::from_iter), not: HashSet::from_iter(not) }
    }

    fn admits<Q>(&self, it: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        !self.not.contains(it) && self.only.as_ref().is_none_or(|only| only.contains(it))
    }
}

/// Event types, where `*` stands for anything.
#[derive(Debug, Default)]
struct Patterns {
    only: Option<Vec<String>>,
    not: Vec<String>,
}

impl Patterns {
    fn admits(&self, kind: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| type_matches(pattern, kind));
        !any(&self.not) && self.only.as_deref().is_none_or(any)
    }
}

impl SyncFilter {
    pub(crate) fn new(definition: FilterDefinition, fingerprint: u64) -> Self {
        let room = definition.room;
        let lazy = match (&room.state.lazy_load_options, &room.timeline.lazy_load_options) {
            (LazyLoadOptions::Enabled { include_redundant_members }, _)
            | (_, LazyLoadOptions::Enabled { include_redundant_members }) => {
                if *include_redundant_members {
                    Lazy::Needed
                } else {
                    Lazy::New
                }
            }
            _ => Lazy::Off,
        };
        let unread_by_thread = room.timeline.unread_thread_notifications;
        Self {
            rooms: Selection::new(room.rooms, room.not_rooms),
            include_leave: room.include_leave,
            federation_format: definition.event_format == EventFormat::Federation,
            timeline: EventFilter::of_room(room.timeline),
            state: EventFilter::of_room(room.state),
            ephemeral: EventFilter::of_room(room.ephemeral),
            room_account_data: EventFilter::of_room(room.account_data),
            account_data: EventFilter::of_user(definition.account_data),
            presence: EventFilter::of_user(definition.presence),
            lazy,
            unread_by_thread,
            fingerprint,
        }
    }

    /// Whether the presence of somebody is to be shown.
    pub(crate) fn admits_presence(&self, user: &UserId) -> bool {
        self.presence.admits_from(PRESENCE, user)
    }

    /// Whether a room is to be shown at all.
    pub(crate) fn admits_room(&self, room: &RoomId) -> bool {
        self.rooms.admits(room)
    }
}

#[derive(Deserialize)]
struct WithUrl {
    #[serde(default)]
    url: Option<serde::de::IgnoredAny>,
}

impl EventFilter {
    fn of_room(filter: RoomEventFilter) -> Self {
        Self {
            types: Patterns { only: filter.types, not: filter.not_types },
            senders: Selection::new(filter.senders, filter.not_senders),
            rooms: Selection::new(filter.rooms, filter.not_rooms),
            contains_url: filter.url_filter.map(|url| url == UrlFilter::EventsWithUrl),
            limit: filter
                .limit
                .map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)),
        }
    }

    fn of_user(filter: Filter) -> Self {
        Self {
            types: Patterns { only: filter.types, not: filter.not_types },
            senders: Selection::new(filter.senders, filter.not_senders),
            limit: filter
                .limit
                .map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)),
            ..Self::default()
        }
    }

    /// How many events of a timeline are wanted.
    pub(crate) fn timeline_limit(&self) -> usize {
        self.limit.unwrap_or(SYNC_TIMELINE_DEFAULT).min(SYNC_TIMELINE_MAX)
    }

    /// Whether events of a room are wanted.
    pub(crate) fn admits_room(&self, room: &RoomId) -> bool {
        self.rooms.admits(room)
    }

    /// Whether events of a type are wanted.
    pub(crate) fn admits_type(&self, kind: &str) -> bool {
        self.types.admits(kind)
    }

    /// Whether something of a type by a sender is wanted.
    pub(crate) fn admits_from(&self, kind: &str, sender: &UserId) -> bool {
        self.types.admits(kind) && self.senders.admits(sender)
    }

    /// Whether an event is wanted.
    pub(crate) fn admits(&self, event: &Pdu) -> bool {
        self.admits_from(event.kind(), event.sender())
            && self.contains_url.is_none_or(|wanted| {
                let url = event.content_as::<WithUrl>().is_ok_and(|content| content.url.is_some());
                url == wanted
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_stays_out_even_when_it_is_included_too() {
        let json = r#"{"room":{"rooms":["!a:b","!c:d"],"not_rooms":["!a:b"],
            "timeline":{"types":["m.*"],"not_types":["m.reaction"]}}}"#;
        let filter = SyncFilter::new(serde_json::from_str(json).expect("a filter"), 0);
        let room = |id| RoomId::parse(id).expect("a room");
        assert!(!filter.admits_room(&room("!a:b")));
        assert!(filter.admits_room(&room("!c:d")));
        assert!(!filter.admits_room(&room("!e:f")));
        assert!(filter.timeline.admits_type("m.room.message"));
        assert!(!filter.timeline.admits_type("m.reaction"));
        assert!(!filter.timeline.admits_type("x.y"));
    }
}
