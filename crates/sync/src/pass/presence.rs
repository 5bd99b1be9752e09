//! Who of those the user shares a room with is there.

use std::{collections::BTreeMap, time::Duration};

use ruma::OwnedUserId;
use serde::Serialize;
use serde_json::value::to_raw_value;
use vestibule_rooms::{Availability, UserPresence};
use vestibule_storage::StorageError;
use vestibule_types::limits::PRESENCE_TOLD_MAX;

use super::Pass;
use crate::response::RawEvent;

pub(crate) const PRESENCE: &str = "m.presence";

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    sender: &'a str,
    content: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    presence: Availability,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currently_active: Option<bool>,
}

impl Pass<'_> {
    /// Whose presence changed, of those the user shares a room with, and up to which change that is.
    /// Of very many changes the first; the next sync goes on from there. Also who is there of
    /// `company`, among whom is everybody with whom a room came to be shared.
    pub(super) fn presence(
        &self,
        company: &[OwnedUserId],
    ) -> Result<(Vec<RawEvent>, u64), StorageError> {
        let seen = self.since.as_ref().map_or(0, |since| since.presence);
        let Some(presence) = self.inner.rooms.presence_for(&self.query.actor) else {
            return Ok((Vec::new(), seen));
        };
        let (last, people) = presence.since(seen, PRESENCE_TOLD_MAX);
        let now = self.inner.rooms.presence_moment();
        let mut people: BTreeMap<OwnedUserId, UserPresence> =
            people.into_iter().map(|person| (person.user_id.clone(), person)).collect();
        for user in company {
            if people.len() >= PRESENCE_TOLD_MAX {
                break;
            }
            let there = presence.of(user).filter(|it| it.state != Availability::Offline);
            people.extend(there.map(|person| (user.clone(), person)));
        }
        let mut events = Vec::new();
        for person in people.into_values() {
            let user = &person.user_id;
            let wanted = self.query.filter.admits_presence(user) && !self.ignored().contains(user);
            if wanted && (user == self.user() || self.shares_room(user)?) {
                events.extend(shown(&person, now));
            }
        }
        Ok((events, last))
    }
}

/// Somebody's presence at a moment.
pub(crate) fn shown(person: &UserPresence, now: Duration) -> Option<RawEvent> {
    let currently_active = person.state == Availability::Online;
    let content = Content {
        presence: person.state,
        last_active_ago: person.active_ago_ms(now),
        status_msg: person.status.as_deref(),
        currently_active: currently_active.then_some(person.currently_active),
    };
    let event = Event { r#type: PRESENCE, sender: person.user_id.as_str(), content };
    to_raw_value(&event).ok()
}
