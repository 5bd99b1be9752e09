//! Walks over the graph of auth events.
//!
//! Both walks go from new to old by a numbering in which an event comes after its auth events, so they
//! can stop where nothing older can matter. Events that nobody has count as older than all others: they
//! are the ends of the graph.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use ruma::{EventId, OwnedEventId};

use crate::FactSource;

/// Where the numbers of events come from.
enum Numbers {
    Source,
    Computed(HashMap<OwnedEventId, u64>),
}

/// The graph of auth events of a room.
pub(crate) struct AuthGraph<'a, F> {
    facts: &'a F,
    numbers: Numbers,
}

impl<'a, F: FactSource> AuthGraph<'a, F> {
    /// The part of the graph that can be reached from the given events.
    pub(crate) fn new<'i>(
        facts: &'a F,
        roots: impl IntoIterator<Item = &'i OwnedEventId>,
    ) -> Result<Self, F::Error> {
        let numbers = if facts.has_numbers() {
            Numbers::Source
        } else {
            Numbers::Computed(count_up(facts, roots)?)
        };
        Ok(Self { facts, numbers })
    }

    /// The auth difference of several states, without the forks' own events: the events that are in
    /// the auth chain of some of the states and not of all.
    ///
    /// `forks` holds what differs, `shared` answers with what all states have in common, from a number
    /// on; it is asked only when it can matter. A state event counts as part of its own auth chain, as it
    /// does in the servers that are deployed; otherwise two servers disagree over events that are in one
    /// state and in the chain of another.
    pub(crate) fn difference(
        &self,
        forks: &[Vec<OwnedEventId>],
        shared: impl FnOnce(u64) -> Result<Vec<OwnedEventId>, F::Error>,
    ) -> Result<BTreeSet<OwnedEventId>, F::Error> {
        let own: HashSet<&OwnedEventId> = forks.iter().flatten().collect();
        let mut candidates = self.uncommon(forks, &[], Vec::new())?;
        candidates.retain(|id| !own.contains(id));
        if candidates.is_empty() {
            return Ok(candidates);
        }
        // What is shared can only take candidates away: by being one, or by standing on one.
        let mut oldest = u64::MAX;
        for id in &candidates {
            oldest = oldest.min(self.number(id)?);
        }
        let shared = shared(oldest)?;
        let met: Vec<&OwnedEventId> = shared.iter().filter(|id| candidates.contains(*id)).collect();
        for id in &met {
            candidates.remove(*id);
        }
        if candidates.is_empty() {
            return Ok(candidates);
        }
        let mut newest_last = Vec::with_capacity(shared.len());
        for id in &shared {
            newest_last.push((self.number(id)?, id));
        }
        newest_last.sort_unstable_by_key(|(number, _)| *number);
        let mut difference = self.uncommon(forks, &met, newest_last)?;
        difference.retain(|id| !own.contains(id));
        Ok(difference)
    }

    /// The events in the chains of some forks and not of all, where `met` and `shared` are in every
    /// chain. What the walk is known to meet is there from the start; the rest comes in by its number.
    fn uncommon(
        &self,
        forks: &[Vec<OwnedEventId>],
        met: &[&OwnedEventId],
        mut shared: Vec<(u64, &OwnedEventId)>,
    ) -> Result<BTreeSet<OwnedEventId>, F::Error> {
        let all = u64::MAX >> (64 - forks.len().clamp(1, 64));
        let mut walk = Colouring::new(all);
        for (fork, ids) in forks.iter().enumerate() {
            for id in ids {
                walk.colour(id, 1 << fork, || self.number(id))?;
            }
        }
        for id in met {
            walk.colour(id, all, || self.number(id))?;
        }
        let mut uncommon = BTreeSet::new();
        while let Some(newest) = walk.newest_while_undecided() {
            while let Some((number, id)) = shared.pop_if(|(number, _)| *number >= newest) {
                walk.colour(id, all, || Ok(number))?;
            }
            let Some((id, colours)) = walk.pop() else { break };
            for parent in self.facts.auth_events(&id)?.unwrap_or_default() {
                walk.colour(&parent, colours, || self.number(&parent))?;
            }
            if colours != all {
                uncommon.insert(id);
            }
        }
        Ok(uncommon)
    }

    /// The conflicted state subgraph: every event on a path of auth events from one of the given events
    /// to another, ends included.
    pub(crate) fn between(
        &self,
        ends: &BTreeSet<OwnedEventId>,
    ) -> Result<BTreeSet<OwnedEventId>, F::Error> {
        let mut oldest = u64::MAX;
        for end in ends {
            oldest = oldest.min(self.number(end)?);
        }
        // Everything newer than the oldest end that the ends stand on, oldest first.
        let mut below = BTreeMap::new();
        let mut stack: Vec<OwnedEventId> = ends.iter().cloned().collect();
        let mut seen: HashSet<OwnedEventId> = ends.iter().cloned().collect();
        while let Some(id) = stack.pop() {
            let number = self.number(&id)?;
            if number < oldest {
                continue;
            }
            let parents = self.facts.auth_events(&id)?.unwrap_or_default();
            for parent in &parents {
                if seen.insert(parent.clone()) {
                    stack.push(parent.clone());
                }
            }
            below.insert((number, id), parents);
        }
        let mut reaching = BTreeSet::new();
        for ((_, id), parents) in below {
            if ends.contains(&id) || parents.iter().any(|parent| reaching.contains(parent)) {
                reaching.insert(id);
            }
        }
        Ok(reaching)
    }

    fn number(&self, id: &EventId) -> Result<u64, F::Error> {
        match &self.numbers {
            Numbers::Source => Ok(self.facts.number(id)?.unwrap_or(0)),
            Numbers::Computed(numbers) => Ok(numbers.get(id).copied().unwrap_or(0)),
        }
    }
}

/// Events to visit, each with the set of states whose auth chain is known to hold it.
struct Colouring {
    all: u64,
    heap: BinaryHeap<(u64, OwnedEventId)>,
    colours: HashMap<OwnedEventId, u64>,
    undecided: usize,
}

impl Colouring {
    fn new(all: u64) -> Self {
        Self { all, heap: BinaryHeap::new(), colours: HashMap::new(), undecided: 0 }
    }

    fn colour<E>(
        &mut self,
        id: &OwnedEventId,
        colours: u64,
        number: impl FnOnce() -> Result<u64, E>,
    ) -> Result<(), E> {
        let before = self.colours.get(id).copied();
        let after = before.unwrap_or(0) | colours;
        if before.is_none() {
            self.heap.push((number()?, id.clone()));
        }
        if before.is_some_and(|before| before != self.all) {
            self.undecided -= 1;
        }
        if after != self.all {
            self.undecided += 1;
        }
        self.colours.insert(id.clone(), after);
        Ok(())
    }

    /// The number of the newest event to visit. Ends once all that are left are in every chain,
    /// because then so is everything below them.
    fn newest_while_undecided(&self) -> Option<u64> {
        let newest = self.heap.peek().map(|(number, _)| *number);
        newest.filter(|_| self.undecided > 0)
    }

    fn pop(&mut self) -> Option<(OwnedEventId, u64)> {
        let (_, id) = self.heap.pop()?;
        let colours = self.colours.remove(&id)?;
        if colours != self.all {
            self.undecided -= 1;
        }
        Some((id, colours))
    }
}

/// Numbers every event that can be reached, auth events first, beginning with 1.
fn count_up<'i, F: FactSource>(
    facts: &F,
    roots: impl IntoIterator<Item = &'i OwnedEventId>,
) -> Result<HashMap<OwnedEventId, u64>, F::Error> {
    let mut numbers = HashMap::new();
    let mut entered = HashSet::new();
    let mut next = 1;
    let mut stack: Vec<(OwnedEventId, bool)> =
        roots.into_iter().map(|id| (id.clone(), false)).collect();
    while let Some((id, parents_done)) = stack.pop() {
        if parents_done {
            numbers.insert(id, next);
            next += 1;
        } else if entered.insert(id.clone()) {
            let Some(parents) = facts.auth_events(&id)? else { continue };
            stack.push((id, true));
            stack.extend(parents.into_iter().map(|parent| (parent, false)));
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use proptest::prelude::*;
    use vestibule_events::Pdu;

    use super::*;

    /// Auth events by the number of the event; every event stands on earlier ones only.
    #[derive(Clone, Debug)]
    struct Links(Vec<Vec<usize>>, bool);

    fn id(number: usize) -> OwnedEventId {
        EventId::parse(format!("$event{number}")).expect("valid")
    }

    fn number_of(id: &EventId) -> usize {
        id.as_str().trim_start_matches("$event").parse().expect("a number")
    }

    impl FactSource for Links {
        type Error = Infallible;

        fn event(&self, _: &EventId) -> Result<Option<Arc<Pdu>>, Infallible> {
            Ok(None)
        }

        fn auth_events(&self, event: &EventId) -> Result<Option<Vec<OwnedEventId>>, Infallible> {
            let links = self.0.get(number_of(event));
            Ok(links.map(|links| links.iter().copied().map(id).collect()))
        }

        fn number(&self, id: &EventId) -> Result<Option<u64>, Infallible> {
            Ok(self.0.get(number_of(id)).map(|_| number_of(id) as u64))
        }

        fn has_numbers(&self) -> bool {
            self.1
        }
    }

    impl Links {
        /// An event and everything it stands on, the slow way.
        fn chain(&self, event: usize) -> BTreeSet<usize> {
            let below = self.0[event].iter().flat_map(|parent| self.chain(*parent));
            below.chain([event]).collect()
        }

        fn union(&self, events: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
            events.into_iter().flat_map(|event| self.chain(event)).collect()
        }
    }

    fn links() -> impl Strategy<Value = Links> {
        let picks = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
        (prop::collection::vec(picks, 2..24), any::<bool>()).prop_map(|(events, numbered)| {
            let links = events.iter().enumerate().map(|(event, picks)| {
                picks.iter().filter(|_| event > 0).map(|pick| pick.index(event)).collect()
            });
            Links(links.collect(), numbered)
        })
    }

    fn some_events() -> impl Strategy<Value = Vec<prop::sample::Index>> {
        prop::collection::vec(any::<prop::sample::Index>(), 0..5)
    }

    fn numbers(ids: &BTreeSet<OwnedEventId>) -> BTreeSet<usize> {
        ids.iter().map(|id| number_of(id)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_difference_is_what_is_in_some_chains_and_not_in_all(
            links in links(),
            forks in prop::collection::vec(some_events(), 1..4),
            shared in some_events(),
        ) {
            let size = links.0.len();
            let pick = |picks: &[prop::sample::Index]| -> Vec<usize> {
                picks.iter().map(|pick| pick.index(size)).collect()
            };
            let forks: Vec<_> = forks.iter().map(|fork| pick(fork)).collect();
            let shared = pick(&shared);
            let chains: Vec<_> = forks
                .iter()
                .map(|fork| links.union(fork.iter().chain(&shared).copied()))
                .collect();
            let expected: BTreeSet<usize> = (0..size)
                .filter(|event| chains.iter().any(|chain| chain.contains(event)))
                .filter(|event| !chains.iter().all(|chain| chain.contains(event)))
                .filter(|event| !forks.iter().flatten().any(|own| own == event))
                .collect();

            let ids = |events: &[usize]| events.iter().copied().map(id).collect::<Vec<_>>();
            let fork_ids: Vec<_> = forks.iter().map(|fork| ids(fork)).collect();
            let shared = ids(&shared);
            let roots = fork_ids.iter().flatten().chain(&shared);
            let graph = AuthGraph::new(&links, roots).expect("infallible");
            let newer = |oldest: u64| {
                let newer = |id: &OwnedEventId| !links.1 || number_of(id) as u64 >= oldest;
                Ok(shared.iter().filter(|id| newer(id)).cloned().collect())
            };
            let difference = graph.difference(&fork_ids, newer).expect("infallible");
            prop_assert_eq!(numbers(&difference), expected);
        }

        #[test]
        fn between_are_the_events_below_one_end_and_above_another(
            links in links(),
            ends in some_events(),
        ) {
            let size = links.0.len();
            let ends: BTreeSet<usize> = ends.iter().map(|pick| pick.index(size)).collect();
            let below = links.union(ends.iter().copied());
            let expected: BTreeSet<usize> = below
                .into_iter()
                .filter(|event| !links.chain(*event).is_disjoint(&ends))
                .collect();

            let ids: BTreeSet<_> = ends.iter().copied().map(id).collect();
            let graph = AuthGraph::new(&links, &ids).expect("infallible");
            prop_assert_eq!(numbers(&graph.between(&ids).expect("infallible")), expected);
        }
    }
}
