//! Laying out a membership event for the server of its sender to sign.

use ruma::{CanonicalJsonValue, OwnedRoomId, OwnedUserId, RoomVersionId, ServerName};
use serde_json::value::RawValue;
use vestibule_events::RoomVersion;

use super::{HandshakeError, Wanted, raw};
use crate::{
    RoomTx, Rooms,
    append::Draft,
    membership::{member_content, put_text},
};

/// A server asks for a membership event of a user of theirs.
#[derive(Clone, Debug)]
pub struct MakeMembership {
    /// What the user wants to become.
    pub wanted: Wanted,
    /// The room.
    pub room_id: OwnedRoomId,
    /// The user.
    pub user_id: OwnedUserId,
    /// The room versions the server knows; `None` where the endpoint does not ask.
    pub versions: Option<Vec<RoomVersionId>>,
}

/// An event for another server to sign.
#[derive(Clone, Debug)]
pub struct Template {
    /// The version of the room.
    pub version: RoomVersion,
    /// The event without hashes and signatures.
    pub event: Box<RawValue>,
}

impl Rooms {
    /// Lays out a membership event of another server's user. Nothing changes.
    pub async fn make_membership(
        &self,
        origin: &ServerName,
        command: MakeMembership,
    ) -> Result<Template, HandshakeError> {
        let (origin, now) = (origin.to_owned(), self.inner.env.now());
        let room_id = command.room_id.clone();
        let laid_out =
            self.in_room(&room_id, move |room| room.make_membership(&origin, &command, now));
        Ok(laid_out.await?.0)
    }
}

impl RoomTx<'_, '_> {
    fn make_membership(
        &mut self,
        origin: &ServerName,
        command: &MakeMembership,
        now: ruma::MilliSecondsSinceUnixEpoch,
    ) -> Result<Template, HandshakeError> {
        let user = &command.user_id;
        if user.server_name() != origin {
            return Err(HandshakeError::NotTheirUser);
        }
        self.answers_to(origin)?;
        let version = self.known()?.version;
        if command.versions.as_ref().is_some_and(|known| !known.contains(&version.id())) {
            return Err(HandshakeError::IncompatibleVersion(version));
        }
        let mut content = member_content(command.wanted.as_str(), None);
        if command.wanted == Wanted::Join
            && let Some(voucher) = self.vouched(user)?
        {
            put_text(&mut content, "join_authorised_via_users_server", voucher.as_str());
        }
        let draft = Draft::state(user, "m.room.member", user.as_str(), content, now);
        let place = self.place_for(&draft)?;
        let (mut object, seen) = self.builder(draft, &place).template(version)?;
        self.authorize(&seen, &place.auth, place.before)?;
        let name = self.rooms.inner.server_name.to_string();
        object.insert("origin".to_owned(), CanonicalJsonValue::String(name));
        Ok(Template { version, event: raw(&object)? })
    }
}
