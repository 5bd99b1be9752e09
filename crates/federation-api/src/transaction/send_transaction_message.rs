//! `PUT /_matrix/federation/v1/send/{txnId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid>

use axum::extract::State;
use ruma::api::federation::transactions::send_transaction_message::v1::{Request, Response};
use vestibule_federation::{Federation, ReceiveTransactionError, Transaction};
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_types::limits::INBOUND_WAIT_MAX;

use crate::{failure, guard::Origin};

pub(crate) async fn handle(
    State(federation): State<Federation>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let transaction = Transaction {
        id: request.transaction_id.into(),
        origin: request.origin,
        pdus: request.pdus,
        edus: request.edus.into_iter().map(ruma::serde::Raw::into_json).collect(),
    };
    let answers = federation.receive_transaction(&origin, transaction).await.map_err(answer)?;
    Ok(Outgoing(Response::new(answers)))
}

fn answer(error: ReceiveTransactionError) -> MatrixError {
    let message = error.to_string();
    match error {
        ReceiveTransactionError::WrongOrigin => MatrixError::forbidden(message),
        ReceiveTransactionError::TooMuch(_) => MatrixError::invalid_param(message),
        ReceiveTransactionError::TooFast => MatrixError::limit_exceeded(INBOUND_WAIT_MAX),
        ReceiveTransactionError::Storage(cause) => failure::storage(cause),
    }
}
