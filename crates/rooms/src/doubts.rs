//! What is doubtful about running the policy in force over the rooms there are.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomAliasId};
use vestibule_policy::{StartFacts, Warning};
use vestibule_storage::{
    Read, Scan, Snapshot, StorageError,
    tables::{
        account::ACCOUNT_BY_ID,
        directory::{ALIAS_BY_NAME, LIST_PIN, NEVER_ROOM},
    },
};
use vestibule_types::limits::{ALIASES_DOUBTED_MAX, ALIASES_TOLD_MAX};

use crate::{
    OpenRoom, RoomView, Rooms,
    facts::{StoredSpaces, alias_fact, guest_can_join},
};

impl Rooms {
    /// The doubts about the policy in force that only the rooms can tell of. The aliases it names
    /// are pinned on the way.
    pub async fn doubts(&self, open_registration: bool) -> Result<Vec<Warning>, StorageError> {
        self.pin_listed_aliases().await?;
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let facts = self.inner.store.read(move |snapshot| {
            let mut facts = StartFacts { open_registration, ..StartFacts::default() };
            rooms.note_names(snapshot, &mut facts)?;
            rooms.note_outlived_aliases(snapshot, &mut facts)?;
            rooms.note_spaces(snapshot, &mut facts)?;
            rooms.note_listed_rooms(snapshot, &mut facts)?;
            Ok::<_, StorageError>(facts)
        });
        Ok(policy.doubts(&facts.await?))
    }

    fn note_names(
        &self,
        snapshot: &Snapshot<'_>,
        facts: &mut StartFacts,
    ) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let listed: BTreeSet<&RoomAliasId> = policy.listed_aliases().collect();
        for alias in listed {
            let pin = LIST_PIN.get(snapshot, (alias,))?;
            let row = ALIAS_BY_NAME.get(snapshot, (alias,))?;
            match (pin, row) {
                (None, None) => facts.unresolved_listed.push(alias.to_owned()),
                (Some(pin), Some(row)) if pin.0 != row.room_id => {
                    facts.drifted.push(alias.to_owned());
                }
                _ => {}
            }
        }
        let never: BTreeSet<&RoomAliasId> = policy.never_aliases().collect();
        for alias in never {
            if NEVER_ROOM.scan(snapshot, (alias,), 1)?.is_empty() {
                facts.unresolved_never.push(alias.to_owned());
            }
        }
        Ok(())
    }

    /// Looks for aliases whose makers were of a class that may open doors, and are not any more.
    fn note_outlived_aliases(
        &self,
        snapshot: &Snapshot<'_>,
        facts: &mut StartFacts,
    ) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let all = Scan::prefix(()).limit(ALIASES_DOUBTED_MAX);
        for ((alias,), row) in ALIAS_BY_NAME.scan_with(snapshot, all)? {
            let Some(maker) = ACCOUNT_BY_ID.get(snapshot, (&row.creator,))? else { continue };
            let fact = alias_fact(&alias, row);
            if let (true, Some(user)) =
                (policy.alias_outlived_its_maker(&fact, &maker.class), fact.creator)
            {
                facts.outlived_aliases.push((alias, user, maker.class));
            }
            if facts.outlived_aliases.len() == ALIASES_TOLD_MAX {
                break;
            }
        }
        Ok(())
    }

    fn note_spaces(
        &self,
        snapshot: &Snapshot<'_>,
        facts: &mut StartFacts,
    ) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        for rule in policy.classes().flat_map(|class| policy.spaces_of(class.name())) {
            let mut source = StoredSpaces { rooms: self, reader: &snapshot };
            let walk = policy.walk_space(rule, &mut source)?;
            facts.absent_spaces.extend(walk.unknown().iter().cloned());
            if !walk.overflow().is_empty() {
                facts.overflowing_spaces.push(rule.id.clone());
            }
        }
        Ok(())
    }

    /// Looks at the rooms the lists name: those a guest is meant to get into.
    fn note_listed_rooms<R: Read>(
        &self,
        reader: &R,
        facts: &mut StartFacts,
    ) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let mut named: BTreeSet<OwnedRoomId> = BTreeSet::new();
        for scope in policy.classes().filter_map(vestibule_policy::Class::scope) {
            named.extend(scope.list().rooms().iter().cloned());
            for alias in scope.list().aliases() {
                named.extend(LIST_PIN.get(reader, (alias,))?.map(|pin| pin.0));
            }
        }
        for room_id in named {
            let Some(room) = OpenRoom::load(reader, &room_id)? else { continue };
            let view = RoomView::new(self, reader, &room);
            if view.state_event("m.room.tombstone", "")?.is_some() {
                facts.tombstoned.push(room_id);
            } else if !guest_can_join(&view)? {
                facts.rooms_without_guest_access.push(room_id);
            }
        }
        Ok(())
    }
}
