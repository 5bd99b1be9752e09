//! Choosing events by what relates to them, as clients do to list threads.

use ruma::{EventId, OwnedUserId};
use serde::Deserialize;
use vestibule_storage::{Read, Scan, StorageError, tables::relation::RELATION_BY_SENDER};
use vestibule_types::{
    EventNo,
    limits::{RELATED_BY_NAMES_MAX, RELATED_BY_SCAN_MAX},
};

use crate::{LoggedEvent, RoomView, Viewer};

/// What is to relate to an event: keys of a filter that the specification does not have, but that
/// clients send (`related_by_rel_types`, `related_by_senders`).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RelatedBy {
    /// By one of these types of relations.
    #[serde(rename = "related_by_rel_types")]
    rel_types: Option<Vec<String>>,
    /// From one of these users.
    #[serde(rename = "related_by_senders")]
    senders: Option<Vec<OwnedUserId>>,
    /// The name of the types before there was a stable one.
    #[serde(rename = "io.element.relation_types")]
    old_rel_types: Option<Vec<String>>,
    /// The name of the users before there was a stable one.
    #[serde(rename = "io.element.relation_senders")]
    old_senders: Option<Vec<OwnedUserId>>,
}

impl RelatedBy {
    /// Whether something relates to an event as it is asked for: seen by the viewer, not redacted, and of
    /// nobody they ignore.
    pub fn admits<R: Read>(
        &self,
        view: &RoomView<'_, R>,
        viewer: &mut Viewer,
        event: &LoggedEvent,
    ) -> Result<bool, StorageError> {
        let rel_types = self.rel_types.as_deref().or(self.old_rel_types.as_deref());
        let senders = self.senders.as_deref().or(self.old_senders.as_deref());
        if rel_types.is_none() && senders.is_none() {
            return Ok(true);
        }
        for no in candidates(view, event.pdu.event_id(), (rel_types, senders))? {
            let Some(child) = view.event(no)? else { continue };
            if !viewer.ignores(view, &child)?
                && view.redaction_of(child.pdu.event_id())?.is_none()
                && viewer.may_see(view, no)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What relates to an event by one of these types and from one of these users, where they are named.
fn candidates<R: Read>(
    view: &RoomView<'_, R>,
    parent: &EventId,
    (rel_types, senders): (Option<&[String]>, Option<&[OwnedUserId]>),
) -> Result<Vec<EventNo>, StorageError> {
    let no = view.room.no;
    let mut found = Vec::new();
    let Some(rel_types) = rel_types else {
        let all = RELATION_BY_SENDER.scan(&view.reader, (no, parent), RELATED_BY_SCAN_MAX)?;
        let wanted = |sender: &OwnedUserId| senders.is_none_or(|all| all.contains(sender));
        let wanted = all.into_iter().filter(|((_, _, _, sender, _), _)| wanted(sender));
        return Ok(wanted.map(|(_, row)| row.0).collect());
    };
    for rel_type in rel_types.iter().take(RELATED_BY_NAMES_MAX) {
        let Some(senders) = senders else {
            let scan = Scan::prefix((no, parent, rel_type)).limit(RELATED_BY_SCAN_MAX);
            let rows = RELATION_BY_SENDER.scan_with(&view.reader, scan)?;
            found.extend(rows.into_iter().map(|(_, row)| row.0));
            continue;
        };
        for sender in senders.iter().take(RELATED_BY_NAMES_MAX) {
            let of_sender = (&**rel_type, &**sender);
            found.extend(view.children_of_sender(parent, of_sender, RELATED_BY_SCAN_MAX)?);
        }
    }
    Ok(found)
}
