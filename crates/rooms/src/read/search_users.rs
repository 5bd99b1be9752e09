//! The user directory: people one could know.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
};

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use vestibule_accounts::facts::{MemberProfile, member_profile};
use vestibule_policy::{Class, Policy};
use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::{
        account::{ACCOUNT_BY_ID, StoredAccount, StoredAccountState},
        room::{ROOM_BY_MEMBER, StoredMembership},
    },
};
use vestibule_types::{
    Actor, RoomNo,
    limits::{JOINED_ROOMS_MAX, USERS_FOUND_MAX, USERS_SEARCHED_MAX},
};

use crate::{
    AskError, OpenRoom, RoomView, Rooms,
    ask::{Ask, Deed, decide, subject},
    facts::world_readable,
};

/// A user the directory shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// What they call themselves.
    pub displayname: Option<String>,
    /// Their picture.
    pub avatar_url: Option<String>,
}

/// What a search of the directory found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundUsers {
    /// The users, the best matches first.
    pub users: Vec<FoundUser>,
    /// Whether there are more.
    pub limited: bool,
}

impl Rooms {
    /// Searches people by name: those who share a room with the asker, and those in rooms that are
    /// open to everybody. An asker of a scoped class finds only people in rooms of
    /// their scope. Guests and the like of this server are never found.
    pub async fn search_users(
        &self,
        actor: &Actor,
        term: &str,
        limit: usize,
    ) -> Result<FoundUsers, AskError> {
        let ask = self.ask(actor, &Deed::SearchUsers).await?;
        let term = term.trim().trim_start_matches('@').to_lowercase();
        if term.is_empty() {
            return Ok(FoundUsers::default());
        }
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let found = self
            .inner
            .store
            .read(move |snapshot| {
                let scoped = is_scoped(&policy, snapshot, &ask)?;
                let mut search = Search {
                    rooms: &rooms,
                    policy: &policy,
                    reader: snapshot,
                    ask: &ask,
                    shared: BTreeSet::new(),
                    open: (!scoped).then(HashMap::new),
                };
                search.shared = search.own_rooms(scoped)?;
                search.run(&term, limit.min(USERS_FOUND_MAX))
            })
            .await;
        found.map_err(|error: StorageError| error.into())
    }
}

pub(super) fn is_scoped(
    policy: &Policy,
    reader: &Snapshot<'_>,
    ask: &Ask,
) -> Result<bool, StorageError> {
    let asker = subject(reader, &ask.user_id)?;
    let class = policy.effective_class(&asker, ask.now);
    Ok(class.and_then(Class::scope).is_some() || class.is_none())
}

/// How well a name matches; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    Whole,
    Beginning,
    Somewhere,
}

pub(super) struct Search<'q, 's> {
    pub(super) rooms: &'q Rooms,
    policy: &'q Policy,
    pub(super) reader: &'q Snapshot<'s>,
    ask: &'q Ask,
    /// The rooms the asker is in, of those that count.
    pub(super) shared: BTreeSet<RoomNo>,
    /// Which rooms are open to everybody, as far as that was looked up; `None` if none count.
    pub(super) open: Option<HashMap<RoomNo, bool>>,
}

impl Search<'_, '_> {
    fn run(&mut self, term: &str, limit: usize) -> Result<FoundUsers, StorageError> {
        let mut found: Vec<(Match, FoundUser)> = Vec::new();
        let mut failure = None;
        let mut looked_at = 0_usize;
        let all = Scan::prefix(()).limit(USERS_SEARCHED_MAX);
        ACCOUNT_BY_ID.each(self.reader, all, |(user_id,), account| {
            looked_at += 1;
            match self.consider(term, user_id, &account) {
                Ok(Some(user)) => found.push(user),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
            if failure.is_some() || found.len() == USERS_FOUND_MAX {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        let cut = looked_at == USERS_SEARCHED_MAX || found.len() == USERS_FOUND_MAX;
        let cut = self.add_others(term, &mut found)? || cut;
        // Accounts come in the order of their names, and the sort keeps it among equals.
        found.sort_by_key(|(rank, _)| *rank);
        let limited = cut || found.len() > limit;
        let users = found.into_iter().take(limit).map(|(_, user)| user).collect();
        Ok(FoundUsers { users, limited })
    }

    fn consider(
        &mut self,
        term: &str,
        user_id: OwnedUserId,
        account: &StoredAccount,
    ) -> Result<Option<(Match, FoundUser)>, StorageError> {
        let hidden =
            !matches!(account.state, StoredAccountState::Active | StoredAccountState::Suspended);
        if hidden || !self.policy.is_listed(&account.class) || user_id == self.ask.user_id {
            return Ok(None);
        }
        let profile = member_profile(self.reader, &user_id)?;
        let Some(rank) = rank(term, &user_id, profile.displayname.as_deref()) else {
            return Ok(None);
        };
        if !self.knows(&user_id)? {
            return Ok(None);
        }
        let MemberProfile { displayname, avatar_url } = profile;
        Ok(Some((rank, FoundUser { user_id, displayname, avatar_url })))
    }

    /// Whether somebody is in a room with the asker, or in one that is open to everybody.
    fn knows(&mut self, user: &UserId) -> Result<bool, StorageError> {
        for ((_, no), row) in ROOM_BY_MEMBER.scan(self.reader, (user,), JOINED_ROOMS_MAX)? {
            let joined = row.value.membership == StoredMembership::Join;
            if joined && (self.shared.contains(&no) || self.is_open(no)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn is_open(&mut self, no: RoomNo) -> Result<bool, StorageError> {
        let Some(known) = &mut self.open else { return Ok(false) };
        if let Some(open) = known.get(&no) {
            return Ok(*open);
        }
        let open = match OpenRoom::load_no(self.reader, no)? {
            Some(room) => {
                let view = RoomView::new(self.rooms, self.reader, &room);
                is_public(&view)? || world_readable(&view)?
            }
            None => false,
        };
        known.insert(no, open);
        Ok(open)
    }

    /// The rooms the asker is in; for a scoped class, those of its scope.
    fn own_rooms(&self, scoped: bool) -> Result<BTreeSet<RoomNo>, StorageError> {
        let mut own = BTreeSet::new();
        let rows = ROOM_BY_MEMBER.scan(self.reader, (&self.ask.user_id,), JOINED_ROOMS_MAX)?;
        for ((_, no), row) in rows {
            if row.value.membership != StoredMembership::Join {
                continue;
            }
            let reads = (self.policy, self.reader);
            if !scoped || may_stay(self.rooms, reads, (self.ask, no))? {
                own.insert(no);
            }
        }
        Ok(own)
    }
}

#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
}

/// Whether anybody may join a room.
fn is_public(view: &RoomView<'_, &Snapshot<'_>>) -> Result<bool, StorageError> {
    let rules = view.state_event("m.room.join_rules", "")?;
    let content = rules.and_then(|event| event.pdu.content_as::<JoinRules>().ok());
    Ok(content.is_some_and(|content| content.join_rule == "public"))
}

/// Whether a room is open to the asker.
pub(super) fn may_stay(
    rooms: &Rooms,
    (policy, reader): (&Policy, &Snapshot<'_>),
    (ask, no): (&Ask, RoomNo),
) -> Result<bool, StorageError> {
    let Some(room) = OpenRoom::load_no(reader, no)? else { return Ok(false) };
    let view = RoomView::new(rooms, reader, &room);
    let deed = Deed::Stay(room.room_id.clone());
    Ok(decide(policy, reader, Some(&view), (ask, &deed))?.is_allowed())
}

pub(super) fn rank(term: &str, user: &UserId, displayname: Option<&str>) -> Option<Match> {
    let name = displayname.unwrap_or_default().to_lowercase();
    let (localpart, id) = (user.localpart(), user.as_str().trim_start_matches('@'));
    let names = [name.as_str(), localpart, id];
    if names.contains(&term) {
        return Some(Match::Whole);
    }
    let begins = |text: &str| text.split_whitespace().any(|word| word.starts_with(term));
    if names.iter().any(|text| text.starts_with(term) || begins(text)) {
        return Some(Match::Beginning);
    }
    names.iter().any(|text| text.contains(term)).then_some(Match::Somewhere)
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn the_closer_a_name_is_the_better_it_matches() {
        let user = user_id!("@ada.l:home.test");
        let ranked = |term| rank(term, user, Some("Ada Lovelace"));
        assert_eq!(ranked("ada lovelace"), Some(Match::Whole));
        assert_eq!(ranked("ada.l:home.test"), Some(Match::Whole));
        assert_eq!(ranked("love"), Some(Match::Beginning));
        assert_eq!(ranked("lace"), Some(Match::Somewhere));
        assert_eq!(ranked("babbage"), None);
        assert_eq!(rank("ada", user, None), Some(Match::Beginning));
    }
}
