//! A space and its children, for another server.

use ruma::{OwnedRoomId, RoomId, ServerName};
use serde_json::value::RawValue;
use vestibule_storage::{Read, StorageError};
use vestibule_types::limits::{CHILDREN_TOLD_MAX, RESTRICTED_ROOMS_MAX};

use super::ServerReadError;
use crate::{OpenRoom, RoomSummary, RoomView, Rooms};

/// A space as another server is told of it.
#[derive(Debug)]
pub struct SpaceForServer {
    /// The space itself.
    pub summary: RoomSummary,
    /// Its `m.space.child` events, stripped.
    pub children_state: Vec<Box<RawValue>>,
    /// Its children that users of the server could get into or read.
    pub children: Vec<RoomSummary>,
    /// Its children that they could not.
    pub inaccessible: Vec<OwnedRoomId>,
}

impl Rooms {
    /// A space with its children, for a server whose users are in it or could get in. Children that
    /// this server is not in are left out: it knows nothing fresh of them.
    pub async fn hierarchy_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        suggested_only: bool,
    ) -> Result<SpaceForServer, ServerReadError> {
        let (rooms, room_id, server) = (self.clone(), room_id.to_owned(), server.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(ServerReadError::NotFound)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let told = view.told_to(&server)?;
                let Some(Told::Summary(summary)) = told else {
                    return Err(ServerReadError::NotFound);
                };
                let mut edges =
                    if summary.is_space() { view.space_children()? } else { Vec::new() };
                edges.retain(|edge| edge.suggested || !suggested_only);
                edges.truncate(CHILDREN_TOLD_MAX);
                let (mut children, mut inaccessible) = (Vec::new(), Vec::new());
                for edge in &edges {
                    let Some(child) = OpenRoom::load(snapshot, &edge.child)? else { continue };
                    match RoomView::new(&rooms, snapshot, &child).told_to(&server)? {
                        Some(Told::Summary(summary)) => children.push(*summary),
                        Some(Told::Inaccessible) => inaccessible.push(edge.child.clone()),
                        None => {}
                    }
                }
                let children_state = edges.into_iter().map(|edge| edge.stripped).collect();
                Ok(SpaceForServer { summary: *summary, children_state, children, inaccessible })
            })
            .await
    }
}

/// What a server is told of a room.
enum Told {
    /// Its summary.
    Summary(Box<RoomSummary>),
    /// That its users cannot get in.
    Inaccessible,
}

impl<R: Read> RoomView<'_, R> {
    /// What a server is told of this room; nothing when this server is not in it.
    fn told_to(&self, server: &ServerName) -> Result<Option<Told>, StorageError> {
        if !self.is_resident()? {
            return Ok(None);
        }
        let summary = self.summary()?;
        let open = self.acl_allows(server)? && self.is_open_to(server, &summary)?;
        Ok(Some(if open { Told::Summary(Box::new(summary)) } else { Told::Inaccessible }))
    }

    /// Whether users of a server are in the room or invited, or could get in, or could read it.
    fn is_open_to(&self, server: &ServerName, summary: &RoomSummary) -> Result<bool, StorageError> {
        if self.has_server(server)? {
            return Ok(true);
        }
        let known = &self.room.version.rules().authorization;
        let anybody = match summary.room.join_rule.as_str() {
            "public" => true,
            "knock" => known.knocking,
            "knock_restricted" => known.knock_restricted_join_rule,
            _ => false,
        };
        if self.room.blocked {
            return Ok(false);
        }
        if anybody || summary.room.world_readable || self.invites_server(server)? {
            return Ok(true);
        }
        if summary.room.join_rule == "restricted" && known.restricted_join_rule {
            for allowed in summary.allowed_room_ids.iter().take(RESTRICTED_ROOMS_MAX) {
                let Some(allowed) = OpenRoom::load(&self.reader, allowed)? else { continue };
                if RoomView::new(self.rooms, &self.reader, &allowed).has_server(server)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
