//! The public rooms of another server.

use ruma::OwnedServerName;
use vestibule_types::{Actor, limits::PUBLIC_ROOMS_PAGE_MAX};

use super::DirectoryError;
use crate::{Rooms, RoomsElsewhere, RoomsElsewhereQuery, ask::Deed};

impl Rooms {
    /// A page of the public rooms of another server, if the policy lets the user ask it.
    pub async fn public_rooms_elsewhere(
        &self,
        actor: &Actor,
        server: OwnedServerName,
        query: RoomsElsewhereQuery,
    ) -> Result<RoomsElsewhere, DirectoryError> {
        self.ask(actor, &Deed::BrowseRemoteDirectory(server.clone())).await?;
        let limit = query.limit.clamp(1, PUBLIC_ROOMS_PAGE_MAX);
        let query = RoomsElsewhereQuery { limit, ..query };
        let mut page = self.elsewhere().public_rooms(&server, query).await?;
        page.rooms.truncate(PUBLIC_ROOMS_PAGE_MAX);
        Ok(page)
    }
}
