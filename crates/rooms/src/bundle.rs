//! What an event is shown with of those that relate to it: the server's aggregations of edits,
//! threads and references (client-server API, "Aggregations of child events").

use std::collections::{BTreeMap, HashSet};

use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::relation::{AGGREGATED, RELATION_BY_SENDER, RELATION_BY_TYPE, StoredAggregated},
};
use vestibule_types::{
    EventNo,
    limits::{EDITS_COMPARED_MAX, REFERENCES_BUNDLED_MAX, THREAD_REPLIES_COUNTED_MAX},
};

use crate::{LoggedEvent, RoomView, Showing, Viewer, ignored_users};

/// A page of events as one reader sees them.
#[derive(Debug)]
pub struct ShownEvents {
    /// The events, in the order they were given.
    pub events: Vec<Box<RawValue>>,
    /// Whether some of them are shown with what relates to them: another reader may be shown
    /// something else.
    pub bundled: bool,
}

/// What a reader sees of a thread.
#[derive(Debug)]
pub(crate) struct Thread {
    /// The newest reply.
    pub(crate) latest: LoggedEvent,
    /// How many replies there are, at most [`THREAD_REPLIES_COUNTED_MAX`].
    pub(crate) count: usize,
    /// Whether the reader wrote the root or one of the replies.
    pub(crate) participated: bool,
}

/// Somebody reading events together with what relates to them.
pub(crate) struct Bundler<'b, 'a, R> {
    pub(crate) view: &'b RoomView<'a, R>,
    pub(crate) viewer: &'b mut Viewer,
    showing: Showing<'b>,
    ignored: HashSet<OwnedUserId>,
}

#[derive(Serialize)]
struct Relations {
    #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
    replaced: Option<Box<RawValue>>,
    #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
    thread: Option<Summary>,
    #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
    referenced: Option<References>,
}

#[derive(Serialize)]
struct Summary {
    latest_event: Box<RawValue>,
    count: usize,
    current_user_participated: bool,
}

#[derive(Serialize)]
struct References {
    chunk: Vec<Reference>,
}

#[derive(Serialize)]
struct Reference {
    event_id: OwnedEventId,
}

#[derive(Deserialize)]
struct Relating {
    #[serde(rename = "m.relates_to")]
    relates_to: Option<RelatesTo>,
}

#[derive(Deserialize)]
struct RelatesTo {
    rel_type: Option<String>,
}

#[derive(Deserialize)]
struct Replacing {
    #[serde(rename = "m.new_content")]
    #[expect(dead_code, reason = "that there is one is what counts")]
    new_content: BTreeMap<String, Value>,
}

impl<R: Read> RoomView<'_, R> {
    /// Renders events for a viewer, each with what is summed up of the events that relate to it.
    /// Where nothing relates to any of them, that costs one read for all.
    pub fn show_all(
        &self,
        viewer: &mut Viewer,
        events: &[LoggedEvent],
        showing: Showing<'_>,
    ) -> Result<ShownEvents, StorageError> {
        let kinds = self.aggregated(events)?;
        let mut shown = Vec::with_capacity(events.len());
        if kinds.iter().all(Option::is_none) {
            for event in events {
                shown.push(self.show(viewer, event, showing)?);
            }
            return Ok(ShownEvents { events: shown, bundled: false });
        }
        let mut bundler = Bundler::new(self, viewer, showing)?;
        for (event, kinds) in events.iter().zip(kinds) {
            shown.push(bundler.show(event, kinds.unwrap_or_default())?);
        }
        Ok(ShownEvents { events: shown, bundled: true })
    }

    /// Renders one event with what is summed up of the events that relate to it.
    pub fn show_bundled(
        &self,
        viewer: &mut Viewer,
        event: &LoggedEvent,
        showing: Showing<'_>,
    ) -> Result<Box<RawValue>, StorageError> {
        match self.aggregated(std::slice::from_ref(event))?.first() {
            Some(Some(kinds)) => Bundler::new(self, viewer, showing)?.show(event, *kinds),
            _ => self.show(viewer, event, showing),
        }
    }

    /// What relates to each of some events. Nothing is summed up for state events.
    fn aggregated(
        &self,
        events: &[LoggedEvent],
    ) -> Result<Vec<Option<StoredAggregated>>, StorageError> {
        let parents = events.iter().filter(|event| !event.pdu.is_state());
        let keys = parents.map(|event| (self.room.no, event.pdu.event_id()));
        let mut rows = AGGREGATED.multi_get(&self.reader, keys)?.into_iter();
        let of = |event: &LoggedEvent| {
            if event.pdu.is_state() { None } else { rows.next().flatten() }
        };
        Ok(events.iter().map(of).collect())
    }

    /// The events that relate to one by a type of relation, newest first.
    fn children(
        &self,
        parent: &EventId,
        rel_type: &str,
        limit: usize,
    ) -> Result<Vec<EventNo>, StorageError> {
        let newest_first = Scan::prefix((self.room.no, parent, rel_type)).reverse().limit(limit);
        let rows = RELATION_BY_TYPE.scan_with(&self.reader, newest_first)?;
        Ok(rows.into_iter().map(|(_, row)| row.0).collect())
    }

    /// Those of the events that relate to one by a type of relation that one user sent, newest first.
    pub(crate) fn children_of_sender(
        &self,
        parent: &EventId,
        (rel_type, sender): (&str, &UserId),
        limit: usize,
    ) -> Result<Vec<EventNo>, StorageError> {
        let newest_first = Scan::prefix((self.room.no, parent, rel_type, sender));
        let newest_first = newest_first.reverse().limit(limit);
        let rows = RELATION_BY_SENDER.scan_with(&self.reader, newest_first)?;
        Ok(rows.into_iter().map(|(_, row)| row.0).collect())
    }
}

impl<'b, 'a, R: Read> Bundler<'b, 'a, R> {
    pub(crate) fn new(
        view: &'b RoomView<'a, R>,
        viewer: &'b mut Viewer,
        showing: Showing<'b>,
    ) -> Result<Self, StorageError> {
        let ignored = match showing.actor {
            Some(actor) => ignored_users(&view.reader, actor.user_id())?,
            None => HashSet::new(),
        };
        Ok(Self { view, viewer, showing, ignored })
    }

    /// Renders an event that these kinds of relations lead to.
    fn show(
        &mut self,
        event: &LoggedEvent,
        kinds: StoredAggregated,
    ) -> Result<Box<RawValue>, StorageError> {
        let thread = if kinds.thread { self.thread(event)? } else { None };
        self.show_with_thread(event, kinds, thread)
    }

    /// Renders the root of a thread that was summed up already; redacted where the reader ignores who
    /// sent it (client-server API, `GET /rooms/{roomId}/threads`). Nothing is summed up for state events.
    pub(crate) fn show_root(
        &mut self,
        root: &LoggedEvent,
        thread: Thread,
    ) -> Result<Box<RawValue>, StorageError> {
        if root.pdu.is_state() {
            return self.view.show(self.viewer, root, self.showing);
        }
        let kinds = self.view.aggregated(std::slice::from_ref(root))?;
        let kinds = kinds.first().copied().flatten().unwrap_or_default();
        if !self.ignored.contains(root.pdu.sender()) {
            return self.show_with_thread(root, kinds, Some(thread));
        }
        let thread = Some(self.summary(&thread)?);
        let relations = to_raw_value(&Relations { replaced: None, thread, referenced: None })
            .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
        self.view.show_of_ignored(self.viewer, root, self.showing, &relations)
    }

    fn show_with_thread(
        &mut self,
        event: &LoggedEvent,
        kinds: StoredAggregated,
        thread: Option<Thread>,
    ) -> Result<Box<RawValue>, StorageError> {
        let replaced = if kinds.replaced { self.replacement(event)? } else { None };
        let replaced = match replaced {
            Some(edit) => Some(self.view.show(self.viewer, &edit, self.showing)?),
            None => None,
        };
        let thread = match thread {
            Some(thread) => Some(self.summary(&thread)?),
            None => None,
        };
        let referenced = if kinds.referenced { self.references(event)? } else { None };
        if replaced.is_none() && thread.is_none() && referenced.is_none() {
            return self.view.show(self.viewer, event, self.showing);
        }
        let relations = to_raw_value(&Relations { replaced, thread, referenced })
            .map_err(|error| StorageError::corrupt("event_by_no", error.to_string()))?;
        self.view.show_with(self.viewer, event, self.showing, Some(&relations))
    }

    /// A thread as it is told. Its newest reply comes with its own edits and references, but never
    /// with a thread: none can grow out of a reply.
    fn summary(&mut self, thread: &Thread) -> Result<Summary, StorageError> {
        let kinds = self.view.aggregated(std::slice::from_ref(&thread.latest))?;
        let kinds = kinds.first().copied().flatten().unwrap_or_default();
        Ok(Summary {
            latest_event: self.show_with_thread(&thread.latest, kinds, None)?,
            count: thread.count,
            current_user_participated: thread.participated,
        })
    }

    /// What the reader sees of the thread that grows out of an event.
    pub(crate) fn thread(&mut self, root: &LoggedEvent) -> Result<Option<Thread>, StorageError> {
        let replies =
            self.view.children(root.pdu.event_id(), "m.thread", THREAD_REPLIES_COUNTED_MAX)?;
        let replies = self.standing(&replies)?;
        let participated = match self.showing.actor {
            Some(actor) => {
                let reader = actor.user_id();
                root.pdu.sender() == reader
                    || replies.iter().any(|event| event.pdu.sender() == reader)
                    || self.replied(root.pdu.event_id(), reader)?
            }
            None => false,
        };
        let count = replies.len();
        Ok(replies.into_iter().next().map(|latest| Thread { latest, count, participated }))
    }

    /// Whether a user has a reply in a thread that stands, however long the thread is.
    fn replied(&mut self, root: &EventId, user: &UserId) -> Result<bool, StorageError> {
        let of_user = ("m.thread", user);
        let own = self.view.children_of_sender(root, of_user, THREAD_REPLIES_COUNTED_MAX)?;
        Ok(!self.standing(&own)?.is_empty())
    }

    /// The most recent valid edit of an event: one of whoever sent the event, so that what others send
    /// takes no place of theirs. What was redacted stays as it is.
    fn replacement(&mut self, original: &LoggedEvent) -> Result<Option<LoggedEvent>, StorageError> {
        let id = original.pdu.event_id();
        if is_edit(original) || self.view.redacted([&**id])?.contains(&true) {
            return Ok(None);
        }
        let of_sender = ("m.replace", original.pdu.sender());
        let edits = self.view.children_of_sender(id, of_sender, EDITS_COMPARED_MAX)?;
        let edits = self.standing(&edits)?.into_iter().filter(|edit| replaces(edit, original));
        Ok(edits.max_by(|one, other| {
            let key = |edit: &LoggedEvent| edit.pdu.origin_server_ts();
            key(one).cmp(&key(other)).then_with(|| one.pdu.event_id().cmp(other.pdu.event_id()))
        }))
    }

    /// What refers to an event, oldest first.
    fn references(&mut self, parent: &LoggedEvent) -> Result<Option<References>, StorageError> {
        let id = parent.pdu.event_id();
        let children = self.view.children(id, "m.reference", REFERENCES_BUNDLED_MAX)?;
        let standing = self.standing(&children)?.into_iter().rev();
        let chunk: Vec<Reference> =
            standing.map(|event| Reference { event_id: event.pdu.event_id().to_owned() }).collect();
        Ok(Some(References { chunk }).filter(|it| !it.chunk.is_empty()))
    }

    /// Those of some events that still relate to another for this reader, in their order: seen by
    /// the reader, not redacted, and of nobody the reader ignores.
    pub(crate) fn standing(&mut self, nos: &[EventNo]) -> Result<Vec<LoggedEvent>, StorageError> {
        let found: Vec<LoggedEvent> = self
            .view
            .events(nos)?
            .into_iter()
            .flatten()
            .filter(|event| !self.ignored.contains(event.pdu.sender()))
            .collect();
        let redacted = self.view.redacted(found.iter().map(|event| &**event.pdu.event_id()))?;
        let around = self.view.around_all(found.iter().map(|event| event.no))?;
        let mut standing = Vec::with_capacity(found.len());
        for ((event, redacted), around) in found.into_iter().zip(redacted).zip(around) {
            let Some(around) = around.filter(|_| !redacted) else { continue };
            if self.viewer.sees(self.view, &event, &around)? {
                standing.push(event);
            }
        }
        Ok(standing)
    }
}

/// Whether an event is an edit of another.
fn is_edit(event: &LoggedEvent) -> bool {
    let content = event.pdu.content_as::<Relating>().ok();
    let relation = content.and_then(|content| content.relates_to);
    relation.is_some_and(|it| it.rel_type.as_deref() == Some("m.replace"))
}

/// Whether an edit of an event is valid (client-server API, "Validity of replacement events"). What
/// an encrypted one replaces the content with is not seen here.
fn replaces(edit: &LoggedEvent, original: &LoggedEvent) -> bool {
    let (edit, original) = (&edit.pdu, &original.pdu);
    let alike = edit.sender() == original.sender() && edit.kind() == original.kind();
    let has_content =
        || edit.kind() == "m.room.encrypted" || edit.content_as::<Replacing>().is_ok();
    alike && !edit.is_state() && !original.is_state() && has_content()
}
