//! The service.

use std::{fmt, sync::Arc};

use ruma::UserId;
use tracing::instrument;
use vestibule_rooms::{EventIndex, OpenRoom, Rooms};
use vestibule_storage::{SlotNo, Snapshot, StorageError, Tx};
use vestibule_types::{
    Actor, Environment, EventNo, RoomNo,
    limits::{SEARCH_CATCH_UP_BATCHES_MAX, SEARCH_WORDS_ASKED_MAX},
};

use crate::{
    Found, SearchError, SearchQuery,
    answer::Page,
    find::{Matches, Question, matches},
    follow,
    index::{Indexed, forget, index_next, indexed, written_by},
    rooms::readable,
    tails::Tails,
    token::{Only, Token},
    words::{asked, emphasised},
};

/// What [`Search`] is made of.
#[derive(Debug)]
pub struct SearchParts {
    /// The rooms, and the store under them.
    pub rooms: Rooms,
    /// Time, randomness, spawning.
    pub environment: Environment,
}

/// Finds messages. Cloning is cheap.
#[derive(Clone)]
pub struct Search {
    pub(crate) inner: Arc<SearchParts>,
    tails: Arc<Tails>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

/// What rooms know of the index: that it forgets with them.
struct Words;

impl EventIndex for Words {
    fn forget(
        &self,
        tx: &mut Tx<'_>,
        room: RoomNo,
        events: &[EventNo],
    ) -> Result<(), StorageError> {
        forget(tx, room, events)
    }

    fn written_by(
        &self,
        read: &Snapshot<'_>,
        room: RoomNo,
        user: &UserId,
    ) -> Result<Vec<EventNo>, StorageError> {
        written_by(read, room, user)
    }
}

impl Search {
    /// The service over the rooms.
    #[must_use]
    pub fn new(parts: SearchParts) -> Self {
        parts.rooms.set_event_index(Arc::new(Words));
        Self { inner: Arc::new(parts), tails: Arc::default() }
    }

    /// Begins to follow the log, so that searches find the index ready.
    pub fn start(&self) {
        let spawner = &self.inner.environment.spawner;
        spawner.spawn("search.follow", Box::pin(follow::follow(self.clone())));
    }

    /// Searches the messages that somebody may see.
    #[instrument(name = "search.search", skip_all)]
    pub async fn search(
        &self,
        actor: &Actor,
        mut query: SearchQuery,
    ) -> Result<Found, SearchError> {
        self.inner.rooms.may_search_messages(actor).await?;
        let from = query.from.as_deref().map(|text| Token::read(text, query.order)).transpose()?;
        let words = asked(&query.term, SEARCH_WORDS_ASKED_MAX);
        let highlights = emphasised(&query.term, SEARCH_WORDS_ASKED_MAX);
        if words.is_empty() {
            return Ok(Found { highlights, ..Found::default() });
        }
        let only = from.as_ref().and_then(|from| from.only.clone());
        if let Some(Only::Sender(sender)) = &only {
            narrow(&mut query.filter.senders, sender);
        }
        let searched = Searched { actor: actor.clone(), query, from, only };
        self.catch_up(&searched).await?;
        let rooms = self.inner.rooms.clone();
        let answer = move |snapshot: &Snapshot<'_>| searched.answer((&rooms, snapshot), words);
        let mut found = self.inner.rooms.store().read(answer).await?;
        found.highlights = highlights;
        Ok(found)
    }

    /// Brings the rooms that are searched up to date in the index, within bounds.
    async fn catch_up(&self, searched: &Searched) -> Result<(), SearchError> {
        let (rooms, searched) = (self.inner.rooms.clone(), searched.clone());
        let behind = self.inner.rooms.store().read(move |snapshot| {
            let mut behind = Vec::new();
            for it in searched.readable((&rooms, snapshot))? {
                if indexed(snapshot, it.room.no)? < it.room.head.next_event {
                    behind.push((rooms.store().slot_of_room(&it.room.room_id), it.room.no));
                }
            }
            Ok::<_, StorageError>(behind)
        });
        let mut batches = 0;
        for room in behind.await? {
            while batches < SEARCH_CATCH_UP_BATCHES_MAX {
                batches += 1;
                if !self.index_next(room).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Puts the next events of a room into the index; says whether there are more.
    pub(crate) async fn index_next(
        &self,
        (slot, room): (SlotNo, RoomNo),
    ) -> Result<bool, StorageError> {
        let now = self.inner.environment.now_ms();
        let store = self.inner.rooms.store();
        let tails = Arc::clone(&self.tails);
        let write = store.write(slot, move |tx| index_next(tx, (room, &tails), now));
        let Indexed { stretch, begins, more } = write.await?.value;
        if stretch != (0, 0) {
            self.tails.note(room, stretch, begins);
        }
        Ok(more)
    }

    /// The slot of a room.
    pub(crate) fn slot_of(&self, room: &OpenRoom) -> SlotNo {
        self.inner.rooms.store().slot_of_room(&room.room_id)
    }
}

/// A search that was let through.
#[derive(Clone)]
struct Searched {
    actor: Actor,
    query: SearchQuery,
    from: Option<Token>,
    only: Option<Only>,
}

impl Searched {
    fn readable(
        &self,
        from: (&Rooms, &Snapshot<'_>),
    ) -> Result<Vec<crate::rooms::Readable>, StorageError> {
        let only = match &self.only {
            Some(Only::Room(room)) => Some(&**room),
            _ => None,
        };
        readable(from, self.actor.user_id(), (&self.query.filter, only))
    }

    fn answer(
        &self,
        (rooms, snapshot): (&Rooms, &Snapshot<'_>),
        words: Vec<String>,
    ) -> Result<Found, StorageError> {
        let searched = self.readable((rooms, snapshot))?;
        let senders = self.query.filter.senders.iter().flatten().map(ToString::to_string);
        let question = Question {
            words,
            keys: self.query.keys.clone(),
            senders: senders.collect(),
            order: self.query.order,
            behind: self.from.as_ref().map(|from| from.last),
        };
        let nobody = self.query.filter.senders.as_ref().is_some_and(Vec::is_empty);
        let found =
            if nobody { Matches::default() } else { matches(snapshot, &searched, &question)? };
        let mut page = Page::new((rooms, snapshot), (&self.actor, &self.query), &searched)?;
        page.make(&found, self.from.as_ref())
    }
}

/// Only what this sender sent, if others do not exclude it.
fn narrow(senders: &mut Option<Vec<ruma::OwnedUserId>>, sender: &UserId) {
    let admitted = senders.as_ref().is_none_or(|all| all.iter().any(|it| it == sender));
    *senders = Some(if admitted { vec![sender.to_owned()] } else { Vec::new() });
}
