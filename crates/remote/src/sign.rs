//! Signing a request (server-server API, "Request Authentication").

use http::{HeaderValue, Request, header::AUTHORIZATION};
use ruma::{
    OwnedServerName, ServerName,
    api::{
        auth_scheme::{AuthScheme, NoAccessToken, NoAuthentication},
        federation::authentication::{ServerSignatures, XMatrix},
    },
    serde::Base64,
    signatures::KeyPair,
};
use vestibule_events::SigningKey;

/// How the endpoints that servers offer each other know who asks.
pub trait RemoteAuthentication: AuthScheme {
    /// Whether a request is signed.
    const SIGNED: bool;
}

impl RemoteAuthentication for NoAuthentication {
    const SIGNED: bool = false;
}

impl RemoteAuthentication for NoAccessToken {
    const SIGNED: bool = false;
}

impl RemoteAuthentication for ServerSignatures {
    const SIGNED: bool = true;
}

/// Adds the `Authorization` header that says who sent this request to whom, body included.
pub(crate) fn sign(
    request: &mut Request<Vec<u8>>,
    (origin, key): (&ServerName, &SigningKey),
    destination: OwnedServerName,
) -> Result<(), String> {
    let object = XMatrix::request_object(request, origin, &destination)
        .map_err(|error| format!("the body is not canonical JSON: {error}"))?;
    let bytes = serde_json::to_vec(&object).map_err(|error| error.to_string())?;
    let (_, signature) = key.sign(&bytes).into_parts();
    let credentials =
        XMatrix::new(origin.to_owned(), destination, key.key_id().clone(), Base64::new(signature));
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from(&credentials));
    Ok(())
}
