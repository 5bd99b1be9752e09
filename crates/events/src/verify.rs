//! Content hashes and signatures of other servers.

use std::collections::BTreeSet;

use ruma::{CanonicalJsonObject, OwnedServerName, ServerName, signatures};

use crate::{Pdu, PduError, SigningKey, redact};

/// Public keys by server name and key id.
pub type PublicKeys = signatures::PublicKeyMap;

/// What a valid signature says about an event.
#[derive(Clone, Debug)]
pub enum Verified {
    /// Signatures and content hash hold: the event is as its server made it.
    Whole(Pdu),
    /// Only the signatures hold. The content was changed, so this is the event after redaction, which
    /// is all that the signatures cover.
    Redacted(Pdu),
}

/// Why an event must be dropped.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A signature is missing or wrong, or the key to check it with is not known.
    #[error("signature check failed: {0}")]
    Signature(String),
    /// The event is malformed.
    #[error(transparent)]
    Pdu(#[from] PduError),
}

impl Verified {
    /// The event to go on with.
    #[must_use]
    pub fn into_pdu(self) -> Pdu {
        match self {
            Self::Whole(pdu) | Self::Redacted(pdu) => pdu,
        }
    }
}

/// The servers whose signature an event needs; the keys of all of them must be fetched.
pub fn required_signers(pdu: &Pdu) -> Result<BTreeSet<OwnedServerName>, VerifyError> {
    let rules = &pdu.version().rules().signatures;
    signatures::required_server_signatures_to_verify_event(&pdu.to_object()?, rules)
        .map_err(|error| VerifyError::Signature(error.to_string()))
}

/// Checks signatures and content hash, and redacts the event when its hash does not match.
pub fn verify(pdu: Pdu, keys: &PublicKeys) -> Result<Verified, VerifyError> {
    let object = pdu.to_object()?;
    match signatures::verify_event(keys, &object, pdu.version().rules()) {
        Ok(signatures::Verified::All) => Ok(Verified::Whole(pdu)),
        Ok(signatures::Verified::Signatures) => Ok(Verified::Redacted(redact(&pdu)?)),
        Err(error) => Err(VerifyError::Signature(error.to_string())),
    }
}

/// Checks the signature of a server on any JSON object.
pub fn verify_json(
    object: &CanonicalJsonObject,
    server_name: &ServerName,
    keys: &PublicKeys,
) -> Result<(), VerifyError> {
    let of_server = keys.get_key_value(server_name.as_str());
    let of_server = of_server.map(|(server, set)| (server.clone(), set.clone()));
    let of_server: PublicKeys = of_server.into_iter().collect();
    if of_server.is_empty() {
        return Err(VerifyError::Signature(format!("no keys of {server_name}")));
    }
    signatures::verify_json(&of_server, object)
        .map_err(|error| VerifyError::Signature(error.to_string()))
}

/// Adds this server's signature to an event of another one, as invites and restricted joins need.
/// The event id does not change.
pub fn cosign(pdu: &Pdu, key: &SigningKey, server_name: &ServerName) -> Result<Pdu, PduError> {
    let mut object = pdu.to_object()?;
    let rules = &pdu.version().rules().redaction;
    signatures::sign_event(server_name.as_str(), key, &mut object, rules)
        .map_err(|error| PduError::NotCanonical(error.to_string()))?;
    crate::format::check_size(&object)?;
    let json = serde_json::to_vec(&object)?.into();
    let signed = Pdu::from_stored(pdu.event_id().clone(), json, pdu.version())?;
    Ok(signed.with_rejected(pdu.rejected()))
}
