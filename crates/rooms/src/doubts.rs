//! What is doubtful about running the policy in force over the rooms there are.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomAliasId};
use vestibule_policy::{StartFacts, Warning};
use vestibule_storage::{
    Read, Snapshot, StorageError,
    tables::directory::{ALIAS_BY_NAME, LIST_PIN, NEVER_ROOM},
};

use crate::{
    OpenRoom, RoomView, Rooms,
    facts::{StoredSpaces, guest_can_join},
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
