//! Where events come from.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};
use vestibule_events::{Pdu, StateKey};

/// A state of a room: which event holds each place.
pub type StateMap = BTreeMap<StateKey, OwnedEventId>;

/// The entries on which several states agree. In a large room they are nearly all there are, so they
/// are asked for one by one.
pub trait Agreed<E> {
    /// The event that all states have in this place.
    fn get(&self, place: &StateKey) -> Result<Option<OwnedEventId>, E>;

    /// All events in such places whose number is at least this, and possibly others. With a source
    /// without numbers: all events.
    fn events_from(&self, number: u64) -> Result<Vec<OwnedEventId>, E>;
}

impl<E> Agreed<E> for StateMap {
    fn get(&self, place: &StateKey) -> Result<Option<OwnedEventId>, E> {
        Ok(self.get(place).cloned())
    }

    fn events_from(&self, _: u64) -> Result<Vec<OwnedEventId>, E> {
        Ok(self.values().cloned().collect())
    }
}

/// What state resolution asks about the events of one room.
pub trait FactSource {
    /// Why a question could not be answered.
    type Error;

    /// An event by its id, marked as rejected if it was.
    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, Self::Error>;

    /// The auth events an event names; override when they are known without the event itself.
    fn auth_events(&self, id: &EventId) -> Result<Option<Vec<OwnedEventId>>, Self::Error> {
        Ok(self.event(id)?.map(|event| event.auth_events().to_vec()))
    }

    /// A number greater than that of every auth event of this event. With it, a walk looks only at
    /// what is newer than the oldest difference.
    fn number(&self, id: &EventId) -> Result<Option<u64>, Self::Error> {
        let _ = id;
        Ok(None)
    }

    /// Whether [`Self::number`] answers for every event that exists. Without numbers every walk
    /// goes to the start of the room, to make numbers of its own.
    fn has_numbers(&self) -> bool {
        false
    }
}

impl<F: FactSource> FactSource for &F {
    type Error = F::Error;

    fn event(&self, id: &EventId) -> Result<Option<Arc<Pdu>>, F::Error> {
        (**self).event(id)
    }

    fn auth_events(&self, id: &EventId) -> Result<Option<Vec<OwnedEventId>>, F::Error> {
        (**self).auth_events(id)
    }

    fn number(&self, id: &EventId) -> Result<Option<u64>, F::Error> {
        (**self).number(id)
    }

    fn has_numbers(&self) -> bool {
        (**self).has_numbers()
    }
}

/// A fact source that asks for every event once and remembers the first failure, for callbacks that
/// can only answer "no such event".
pub(crate) struct Remembered<'a, F: FactSource> {
    source: &'a F,
    events: RefCell<HashMap<OwnedEventId, Option<Arc<Pdu>>>>,
    failure: RefCell<Option<F::Error>>,
}

impl<'a, F: FactSource> Remembered<'a, F> {
    pub(crate) fn new(source: &'a F) -> Self {
        Self { source, events: RefCell::default(), failure: RefCell::new(None) }
    }

    pub(crate) fn event(&self, id: &EventId) -> Option<Arc<Pdu>> {
        if let Some(known) = self.events.borrow().get(id) {
            return known.clone();
        }
        match self.source.event(id) {
            Ok(event) => {
                self.events.borrow_mut().insert(id.to_owned(), event.clone());
                event
            }
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                None
            }
        }
    }

    pub(crate) fn into_failure(self) -> Option<F::Error> {
        self.failure.into_inner()
    }
}
