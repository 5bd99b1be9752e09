//! `GET /_matrix/federation/v1/query/directory`: where another server's name for a room leads.

use ruma::{RoomAliasId, api::federation::query::get_room_information::v1::Request};
use vestibule_remote::CallOptions;
use vestibule_rooms::{AliasElsewhere, ElsewhereError};
use vestibule_types::limits::{ALIAS_ANSWER_BYTES_MAX, ALIAS_SERVERS_MAX, LOOKUP_MAX};

use super::failure::{failed, is_absent};
use crate::Federation;

impl Federation {
    /// Asks the server of an alias.
    pub(super) async fn ask_for_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<AliasElsewhere>, ElsewhereError> {
        let options = CallOptions {
            answer_bytes_max: ALIAS_ANSWER_BYTES_MAX,
            time_max: LOOKUP_MAX,
            ..CallOptions::default()
        };
        let request = Request::new(alias.to_owned());
        match self.remote().call_with(alias.server_name(), request, options).await {
            Ok(mut found) => {
                found.servers.truncate(ALIAS_SERVERS_MAX);
                Ok(Some(AliasElsewhere { room_id: found.room_id, servers: found.servers }))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}
