//! In which order events can be judged, and which of them cannot be judged yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ruma::OwnedEventId;
use vestibule_events::Pdu;
use vestibule_rooms::EventKnown;

/// An event among others, as far as its order is concerned.
pub(super) struct Step<'a> {
    pub(super) pdu: &'a Pdu,
    /// The state before it was fetched: its parents need not be here.
    pub(super) has_state: bool,
}

/// Every event that these name as a parent or as authorizing them.
pub(super) fn references<'a>(pdus: impl Iterator<Item = &'a Pdu>) -> BTreeSet<OwnedEventId> {
    pdus.flat_map(|pdu| pdu.prev_events().iter().chain(pdu.auth_events()).cloned()).collect()
}

/// The places of the events that can be judged now, in an order in which each comes after those of the
/// others that it needs. Keeps the given order where it can. What is missing, and what is behind it,
/// is left out.
pub(super) fn judgeable(
    steps: &[Step<'_>],
    known: &HashMap<OwnedEventId, EventKnown>,
) -> Vec<usize> {
    let by_id: HashMap<&OwnedEventId, usize> =
        steps.iter().enumerate().map(|(place, step)| (step.pdu.event_id(), place)).collect();
    let mut waits_for = vec![0_usize; steps.len()];
    let mut followers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut ready = VecDeque::new();
    for (place, step) in steps.iter().enumerate() {
        let Some(inside) = needs(step, known, &by_id) else { continue };
        if inside.is_empty() {
            ready.push_back(place);
        }
        if let Some(count) = waits_for.get_mut(place) {
            *count = inside.len();
        }
        for needed in inside {
            followers.entry(needed).or_default().push(place);
        }
    }
    let mut order = Vec::with_capacity(steps.len());
    while let Some(place) = ready.pop_front() {
        order.push(place);
        for follower in followers.remove(&place).unwrap_or_default() {
            if let Some(count) = waits_for.get_mut(follower) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(follower);
                }
            }
        }
    }
    order
}

/// The places of the events this one needs, or `None` when it needs something from outside.
fn needs(
    step: &Step<'_>,
    known: &HashMap<OwnedEventId, EventKnown>,
    by_id: &HashMap<&OwnedEventId, usize>,
) -> Option<BTreeSet<usize>> {
    let mut inside = BTreeSet::new();
    for id in step.pdu.prev_events() {
        if step.has_state || known.get(id) == Some(&EventKnown::Judged) {
            continue;
        }
        inside.insert(*by_id.get(id)?);
    }
    for id in step.pdu.auth_events() {
        if !known.contains_key(id) {
            inside.insert(*by_id.get(id)?);
        }
    }
    Some(inside)
}

#[cfg(test)]
mod tests {
    use ruma::{EventId, MilliSecondsSinceUnixEpoch, server_name, uint, user_id};
    use vestibule_events::{EventBuilder, RoomVersion, SigningKey};

    use super::*;

    fn event(body: &str, prev: &[&EventId], auth: &[&EventId]) -> Pdu {
        let content = format!(r#"{{"body":"{body}"}}"#);
        let builder = EventBuilder {
            room_id: Some("!room:a".try_into().unwrap()),
            sender: user_id!("@alice:a").to_owned(),
            event_type: "m.room.message".to_owned(),
            state_key: None,
            content: serde_json::from_str(&content).unwrap(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(1)),
            prev_events: prev.iter().map(|id| (*id).to_owned()).collect(),
            auth_events: auth.iter().map(|id| (*id).to_owned()).collect(),
            depth: 2,
            redacts: None,
        };
        let key = SigningKey::from_seed([1; 32], "a").unwrap();
        builder.build_and_sign(RoomVersion::V11, &key, server_name!("a")).unwrap()
    }

    fn order(events: &[&Pdu], known: &HashMap<OwnedEventId, EventKnown>) -> Vec<usize> {
        let steps: Vec<_> = events.iter().map(|pdu| Step { pdu, has_state: false }).collect();
        judgeable(&steps, known)
    }

    #[test]
    fn parents_come_first_and_what_is_behind_a_gap_waits() {
        let here: &EventId = "$here".try_into().unwrap();
        let gone: &EventId = "$gone".try_into().unwrap();
        let first = event("first", &[here], &[]);
        let second = event("second", &[first.event_id()], &[]);
        let third = event("third", &[second.event_id(), first.event_id()], &[here]);
        let lost = event("lost", &[here, gone], &[]);
        let behind = event("behind", &[lost.event_id()], &[]);
        let unauthorized = event("unauthorized", &[here], &[gone]);
        let known = HashMap::from([(here.to_owned(), EventKnown::Judged)]);
        let all = [&third, &behind, &second, &lost, &first, &unauthorized];
        assert_eq!(order(&all, &known), [4, 2, 0]);
        assert_eq!(order(&[&first, &second, &third], &known), [0, 1, 2]);
    }

    #[test]
    fn an_outlier_authorizes_but_is_no_parent() {
        let here: &EventId = "$here".try_into().unwrap();
        let outlier: &EventId = "$outlier".try_into().unwrap();
        let known = HashMap::from([
            (here.to_owned(), EventKnown::Judged),
            (outlier.to_owned(), EventKnown::Outlier),
        ]);
        let authorized = event("authorized", &[here], &[outlier]);
        let child = event("child", &[outlier], &[]);
        assert_eq!(order(&[&authorized, &child], &known), [0]);
        let steps = [Step { pdu: &child, has_state: true }];
        assert_eq!(judgeable(&steps, &known), [0], "its state was fetched");
    }
}
