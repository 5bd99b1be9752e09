//! `POST /_matrix/client/v3/account/3pid/unbind`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidunbind>

use ruma::api::client::account::{
    ThirdPartyIdRemovalStatus,
    unbind_3pid::v3::{Request, Response},
};
use vestibule_http::{Incoming, Outgoing};

/// Nothing was ever bound through this server, so it knows no identity server to ask.
pub(crate) async fn handle(Incoming(_): Incoming<Request>) -> Outgoing<Response> {
    Outgoing(Response::new(ThirdPartyIdRemovalStatus::NoSupport))
}
