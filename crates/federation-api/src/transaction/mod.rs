//! What other servers send.

mod send_transaction_message;

use ruma::api::federation::transactions;

use crate::{BodySize::Transaction, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes.mount::<transactions::send_transaction_message::v1::Request, _>(
        Transaction,
        send_transaction_message::handle,
    )
}
