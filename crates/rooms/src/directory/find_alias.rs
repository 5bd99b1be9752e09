//! Where a name leads, and who is there.

use ruma::RoomAliasId;
use vestibule_types::{Actor, limits::ALIAS_SERVERS_MAX};

use super::DirectoryError;
use crate::{AliasElsewhere, Rooms};

impl Rooms {
    /// The room an alias leads to, and servers in it. The server of the alias is asked if it is another
    /// one and the policy lets the user ask it; strangers do not make this server ask others.
    pub async fn find_alias(
        &self,
        actor: Option<&Actor>,
        alias: &RoomAliasId,
    ) -> Result<AliasElsewhere, DirectoryError> {
        let us = &self.inner.server_name;
        if alias.server_name() != us {
            let actor = actor.ok_or(DirectoryError::UnknownAlias)?;
            return self.ask_for_alias(actor, alias).await;
        }
        let room_id = self.resolve_alias(alias).await?;
        let others = self.servers_of(&room_id, ALIAS_SERVERS_MAX).await?;
        let others = others.into_iter().filter(|server| server != us);
        let servers = std::iter::once(us.clone()).chain(others).collect();
        Ok(AliasElsewhere { room_id, servers })
    }
}
