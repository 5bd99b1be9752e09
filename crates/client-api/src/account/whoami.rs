//! `GET /_matrix/client/v3/account/whoami`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami>

use ruma::api::client::account::whoami::v3::Response;
use vestibule_http::{Caller, Outgoing};

pub(crate) async fn handle(Caller(actor): Caller) -> Outgoing<Response> {
    let mut response = Response::new(actor.user_id().to_owned(), actor.is_guest());
    response.device_id = actor.device_id().map(ToOwned::to_owned);
    Outgoing(response)
}
