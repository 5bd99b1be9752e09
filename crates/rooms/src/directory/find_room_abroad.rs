//! Where a name leads for somebody who wants in: the name may be another server's.

use ruma::{OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, RoomOrAliasId};
use vestibule_types::Actor;

use super::DirectoryError;
use crate::{AliasElsewhere, Rooms, ask::Deed};

impl Rooms {
    /// The room an identifier or an alias means, and servers that may be in it. The server of an
    /// alias is asked if the policy lets the user ask it.
    pub async fn find_room_abroad(
        &self,
        actor: &Actor,
        room: &RoomOrAliasId,
        via: Vec<OwnedServerName>,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>), DirectoryError> {
        let alias = match <&RoomId>::try_from(room) {
            Ok(room_id) => return Ok((room_id.to_owned(), via)),
            Err(alias) => alias,
        };
        if alias.server_name() == self.inner.server_name {
            return Ok((self.resolve_alias(alias).await?, via));
        }
        let AliasElsewhere { room_id, mut servers } = self.ask_for_alias(actor, alias).await?;
        servers.extend(via);
        Ok((room_id, servers))
    }

    pub(super) async fn ask_for_alias(
        &self,
        actor: &Actor,
        alias: &RoomAliasId,
    ) -> Result<AliasElsewhere, DirectoryError> {
        self.ask(actor, &Deed::ResolveRemoteAlias(alias.to_owned())).await?;
        let found = self.elsewhere().resolve_alias(alias).await?;
        let mut found = found.ok_or(DirectoryError::UnknownAlias)?;
        // Who names a room is usually in it; whoever wants in asks there first.
        found.servers.insert(0, alias.server_name().to_owned());
        Ok(found)
    }
}
