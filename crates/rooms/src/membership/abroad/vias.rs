//! Which servers to ask about a room this server is not in. They carry a handshake; nothing they are
//! named by proves anything about the room.

use ruma::{OwnedServerName, RoomId, ServerName};
use serde::Deserialize;
use vestibule_policy::{Class, Policy, SpaceFinding};
use vestibule_storage::{Snapshot, StorageError, tables::handshake::OUTSIDE_BY_USER};
use vestibule_types::limits::HANDSHAKE_VIAS_MAX;

use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Ask, subject},
    facts::StoredSpaces,
};

impl Rooms {
    /// Servers that may be in a room, in the order to be asked: those the user names, those of an
    /// invitation, those that were in the room when we were, and the one in the room's identifier.
    ///
    /// Somebody of a scoped class does not choose whom this server talks to: for them it is, instead of
    /// what they and whoever invited them say, what the operator says of a listed room, and the curators
    /// of the spaces of their scope.
    pub(crate) async fn vias(
        &self,
        ask: &Ask,
        room_id: &RoomId,
        named: Vec<OwnedServerName>,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let (ask, room_id) = (ask.clone(), room_id.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let mut vias = Vec::new();
                let whose = subject(snapshot, &ask.user_id)?;
                let class = policy.effective_class(&whose, ask.now);
                if class.is_none_or(|class| class.is_low_trust() || class.scope().is_some()) {
                    vias.extend(curated(&rooms, &policy, snapshot, (class, &room_id))?);
                } else {
                    vias.extend(named.into_iter().take(HANDSHAKE_VIAS_MAX));
                    let outside = OUTSIDE_BY_USER.get(snapshot, (&ask.user_id, &room_id))?;
                    vias.extend(outside.into_iter().flat_map(|row| row.value.via));
                }
                vias.extend(room_id.server_name().map(ToOwned::to_owned));
                if let Some(room) = OpenRoom::load(snapshot, &room_id)? {
                    let view = RoomView::new(&rooms, snapshot, &room);
                    vias.extend(view.servers(HANDSHAKE_VIAS_MAX)?);
                }
                Ok(distinct(vias, &rooms.inner.server_name))
            })
            .await
    }
}

#[derive(Deserialize)]
struct ChildContent {
    #[serde(default)]
    via: Vec<String>,
}

/// The servers that the operator's list, or the curated edges of a class's spaces, name for a room.
fn curated(
    rooms: &Rooms,
    policy: &Policy,
    snapshot: &Snapshot<'_>,
    (class, room_id): (Option<&Class>, &RoomId),
) -> Result<Vec<OwnedServerName>, StorageError> {
    let mut vias = Vec::new();
    let Some(scope) = class.and_then(Class::scope) else { return Ok(vias) };
    vias.extend(scope.list().vias(room_id).iter().cloned());
    for rule in scope.spaces() {
        let mut source = StoredSpaces { rooms, reader: snapshot };
        let walk = policy.walk_space(rule, &mut source)?;
        let SpaceFinding::Inside { path } = walk.finding(room_id, None) else { continue };
        // The last but one is the space whose edge leads there.
        let Some(parent) = path.iter().rev().nth(1) else { continue };
        let Some(space) = OpenRoom::load(snapshot, parent)? else { continue };
        let view = RoomView::new(rooms, snapshot, &space);
        let content = view.shown_state::<ChildContent>("m.space.child", room_id.as_str())?;
        let named = content.map(|content| content.via).unwrap_or_default();
        let named = named.into_iter().take(HANDSHAKE_VIAS_MAX);
        vias.extend(named.filter_map(|via| ServerName::parse(via).ok()));
    }
    Ok(vias)
}

fn distinct(vias: Vec<OwnedServerName>, own: &OwnedServerName) -> Vec<OwnedServerName> {
    let mut kept = Vec::new();
    for via in vias {
        if via != *own && !kept.contains(&via) && kept.len() < HANDSHAKE_VIAS_MAX {
            kept.push(via);
        }
    }
    kept
}
