//! `GET /_matrix/client/v3/account/3pid`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid>

use serde_json::{Value, json};
use vestibule_http::{Caller, OutgoingJson};

/// No account has third-party identifiers here: the capability `m.3pid_changes` is off.
pub(crate) async fn handle(Caller(_): Caller) -> OutgoingJson<Value> {
    OutgoingJson(json!({ "threepids": [] }))
}
