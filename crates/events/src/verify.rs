//! Content hashes and signatures of other servers.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName, signatures};

use crate::{Pdu, PduError, SigningKey, redact};

/// Public keys by server name and key id.
pub type PublicKeys = signatures::PublicKeyMap;

/// An event whose signatures hold. Only [`verify`] makes one, and reading back what was verified before
/// it was stored.
///
/// Where its content hash does not hold, it is the event after redaction, which is all that the
/// signatures cover (server-server API, "Validating hashes and signatures on received events").
#[derive(Clone, Debug)]
pub struct Verified {
    pub(crate) pdu: Pdu,
    pub(crate) whole: bool,
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
    /// An event that was verified before it was stored. Clippy refuses it everywhere but where such a
    /// row is read.
    #[must_use]
    pub fn restored(pdu: Pdu, whole: bool) -> Self {
        Self { pdu, whole }
    }

    /// An event that nobody signed, for tests of what comes after.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn unchecked_for_tests(pdu: Pdu) -> Self {
        Self { pdu, whole: true }
    }

    /// The event to go on with.
    #[must_use]
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    /// The event to go on with.
    #[must_use]
    pub fn into_pdu(self) -> Pdu {
        self.pdu
    }

    /// Whether the event is as its server made it; otherwise it was redacted here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// The servers whose signature an event needs; the keys of all of them must be fetched.
pub fn required_signers(pdu: &Pdu) -> Result<BTreeSet<OwnedServerName>, VerifyError> {
    required_of(&pdu.to_object()?, pdu)
}

/// The servers whose signature an event needs, and by which keys each of them signed it.
pub fn required_signatures(
    pdu: &Pdu,
) -> Result<BTreeMap<OwnedServerName, BTreeSet<String>>, VerifyError> {
    let object = pdu.to_object()?;
    let required = required_of(&object, pdu)?;
    Ok(required
        .into_iter()
        .map(|server| {
            let key_ids = signing_keys(&object, &server);
            (server, key_ids)
        })
        .collect())
}

fn required_of(
    object: &CanonicalJsonObject,
    pdu: &Pdu,
) -> Result<BTreeSet<OwnedServerName>, VerifyError> {
    let rules = &pdu.version().rules().signatures;
    signatures::required_server_signatures_to_verify_event(object, rules)
        .map_err(|error| VerifyError::Signature(error.to_string()))
}

/// The ids of the keys with which a server signed an object.
#[must_use]
pub fn signing_keys(object: &CanonicalJsonObject, server_name: &ServerName) -> BTreeSet<String> {
    let signatures = object.get("signatures").and_then(CanonicalJsonValue::as_object);
    let of_server = signatures.and_then(|all| all.get(server_name.as_str())?.as_object());
    of_server.map(|set| set.keys().cloned().collect()).unwrap_or_default()
}

/// Checks signatures and content hash, and redacts the event when its hash does not match.
///
/// Of each required server all signatures by the given keys must hold, and one must be there; those by
/// other keys are skipped.
pub fn verify(pdu: Pdu, keys: &PublicKeys) -> Result<Verified, VerifyError> {
    let object = pdu.to_object()?;
    match signatures::verify_event(keys, &object, pdu.version().rules()) {
        Ok(signatures::Verified::All) => Ok(Verified { pdu, whole: true }),
        Ok(signatures::Verified::Signatures) => Ok(Verified { pdu: redact(&pdu)?, whole: false }),
        Err(error) => Err(VerifyError::Signature(error.to_string())),
    }
}

/// Checks the signature of a server on any JSON object; signatures of others play no part.
pub fn verify_json(
    object: &CanonicalJsonObject,
    server_name: &ServerName,
    keys: &PublicKeys,
) -> Result<(), VerifyError> {
    let missing = || VerifyError::Signature(format!("no signature of {server_name}"));
    let signatures = object.get("signatures").and_then(CanonicalJsonValue::as_object);
    let of_server = signatures.and_then(|all| all.get(server_name.as_str()));
    let of_server = [(server_name.to_string(), of_server.ok_or_else(missing)?.clone())];
    let mut object = object.clone();
    object.insert(
        "signatures".to_owned(),
        CanonicalJsonValue::Object(of_server.into_iter().collect()),
    );
    signatures::verify_json(keys, &object)
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
