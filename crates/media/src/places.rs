//! Places that each one of many may take: so that one of them never takes those of the others.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// So many places for each.
pub(crate) struct Places<K> {
    each: usize,
    taken: Mutex<BTreeMap<K, Arc<Semaphore>>>,
}

/// The places of one; the last to leave takes the row away.
pub(crate) struct PlacesOf<'a, K: Ord> {
    places: &'a Places<K>,
    key: K,
    /// The places themselves.
    pub(crate) free: Arc<Semaphore>,
}

impl<K: Ord + Clone> Places<K> {
    pub(crate) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// The places of one.
    pub(crate) fn of(&self, key: K) -> PlacesOf<'_, K> {
        let mut taken = self.taken.lock();
        let row = taken.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        let free = Arc::clone(row);
        drop(taken);
        PlacesOf { places: self, key, free }
    }
}

impl<K: Ord> Drop for PlacesOf<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        // This one and the map's.
        if Arc::strong_count(&self.free) <= 2 {
            taken.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_no_places_of_another_and_nothing_is_left_behind() {
        let places = Places::new(1);
        {
            let (one, again, other) = (places.of("one"), places.of("one"), places.of("other"));
            let _taken = one.free.try_acquire().unwrap();
            assert!(again.free.try_acquire().is_err());
            assert!(other.free.try_acquire().is_ok());
        }
        assert!(places.taken.lock().is_empty());
    }
}
