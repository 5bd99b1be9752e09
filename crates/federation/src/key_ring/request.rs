//! Whether a request comes from the server it says it comes from.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ruma::{
    OwnedServerName, ServerName, SigningKeyAlgorithm,
    serde::{Base64, base64::Standard},
    signatures::verify_canonical_json_bytes,
};
use vestibule_events::signed_text;
use vestibule_storage::StorageError;

use super::{ChecksBusy, KeyRing, fetch::Hope, known::Purpose, need::Need};

/// A request and the signatures on it (server-server API, "Request Authentication").
#[derive(Clone, Debug)]
pub struct RequestSignature {
    /// The method.
    pub method: String,
    /// Path and query as they were written.
    pub target: String,
    /// The body as it came, valid JSON; empty for a request without one.
    pub content: Bytes,
    /// The signatures, by key id.
    pub signatures: BTreeMap<String, Base64<Standard>>,
}

/// Why a request is not believed to come from a server.
#[derive(Debug, thiserror::Error)]
pub enum VerifyRequestError {
    /// A signature does not fit.
    #[error("the signature does not fit the request")]
    Forged,
    /// No key of the server is known that is good for one of the signatures, and none could be had.
    #[error("no key of {0} is known that made this signature")]
    NoKey(OwnedServerName),
    /// The body has no form that can be signed.
    #[error("the body has no canonical form: {0}")]
    BadContent(String),
    /// Too many signatures wait to be checked.
    #[error(transparent)]
    Busy(#[from] ChecksBusy),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The keys of a server that are good for the signatures of one request.
#[derive(Clone, Debug)]
pub struct RequestKeys {
    origin: OwnedServerName,
    keys: BTreeMap<String, Base64>,
}

impl KeyRing {
    /// Gets the keys that a request is said to be signed with, before its body is read. Only keys in use
    /// count, and there has to be one.
    pub async fn request_keys(
        &self,
        origin: &ServerName,
        key_ids: BTreeSet<String>,
    ) -> Result<RequestKeys, VerifyRequestError> {
        let purpose = Purpose::Request(self.inner.environment.now_ms());
        let needs = vec![Need { key_ids: key_ids.clone(), purpose }];
        let needs = BTreeMap::from([(origin.to_owned(), needs)]);
        let known = self.keys_for(&needs, Hope::Fresh).await?;
        let keys = known.get(origin).map(|keys| keys.good_for(purpose, &key_ids));
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => Ok(RequestKeys { origin: origin.to_owned(), keys }),
            None => Err(VerifyRequestError::NoKey(origin.to_owned())),
        }
    }

    /// Checks that the origin signed the request and addressed it to us: all signatures with these keys
    /// have to fit.
    pub async fn verify_request(
        &self,
        keys: RequestKeys,
        request: RequestSignature,
    ) -> Result<(), VerifyRequestError> {
        let destination = self.inner.server_name.clone();
        self.inner.checks.run(move || check(&request, &destination, &keys)).await?
    }
}

fn check(
    request: &RequestSignature,
    destination: &ServerName,
    keys: &RequestKeys,
) -> Result<(), VerifyRequestError> {
    let signed = signed_object(request, destination, &keys.origin)?;
    for (key_id, key) in &keys.keys {
        let signature = request.signatures.get(key_id).ok_or(VerifyRequestError::Forged)?;
        let algorithm = SigningKeyAlgorithm::Ed25519;
        let (key, signature) = (key.as_bytes(), signature.as_bytes());
        verify_canonical_json_bytes(&algorithm, key, signature, signed.as_bytes())
            .map_err(|_| VerifyRequestError::Forged)?;
    }
    Ok(())
}

/// The object that was signed, its keys in order.
fn signed_object(
    request: &RequestSignature,
    destination: &ServerName,
    origin: &ServerName,
) -> Result<String, VerifyRequestError> {
    let bad = |error: &dyn std::fmt::Display| VerifyRequestError::BadContent(error.to_string());
    let text = |text: &str| serde_json::to_string(text).map_err(|error| bad(&error));
    let mut signed = "{".to_owned();
    if !request.content.is_empty() {
        let content = std::str::from_utf8(&request.content).map_err(|error| bad(&error))?;
        signed.push_str("\"content\":");
        signed.push_str(&signed_text(content).map_err(|error| bad(&error))?);
        signed.push(',');
    }
    let parts = [
        ("destination", destination.as_str()),
        ("method", &request.method),
        ("origin", origin.as_str()),
        ("uri", &request.target),
    ];
    let parts = parts.map(|(name, value)| Ok(format!("\"{name}\":{}", text(value)?)));
    let parts: Vec<String> = parts.into_iter().collect::<Result<_, VerifyRequestError>>()?;
    signed.push_str(&parts.join(","));
    signed.push('}');
    Ok(signed)
}
