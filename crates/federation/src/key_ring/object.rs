//! Checking the signature of a server on any object.

use std::collections::BTreeMap;

use ruma::{CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedServerName, ServerName};
use vestibule_events::{VerifyError, signing_keys, verify_json};
use vestibule_storage::StorageError;

use super::{
    ChecksBusy, KeyRing,
    fetch::Hope,
    known::{Purpose, public_keys},
    need::Need,
};

/// Why an object is not believed to be signed by a server.
#[derive(Debug, thiserror::Error)]
pub enum VerifyObjectError {
    /// The signature is missing or wrong.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// No key of this server is known that was good at that moment, and none could be had.
    #[error("no key of {0} is known that is good for this signature")]
    NoKeys(OwnedServerName),
    /// Too many signatures wait to be checked.
    #[error(transparent)]
    Busy(#[from] ChecksBusy),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyRing {
    /// Checks that a server signed an object, with a key that was good at this moment.
    pub async fn verify_json(
        &self,
        server: &ServerName,
        object: CanonicalJsonObject,
        at: MilliSecondsSinceUnixEpoch,
    ) -> Result<(), VerifyObjectError> {
        let key_ids = signing_keys(&object, server);
        if key_ids.is_empty() {
            return Err(VerifyError::Signature(format!("no signature of {server}")).into());
        }
        let purpose = Purpose::Object(at.get().into());
        let needs = vec![Need { key_ids: key_ids.clone(), purpose }];
        let needs = BTreeMap::from([(server.to_owned(), needs)]);
        let known = self.keys_for(&needs, Hope::Usual).await?;
        let good = known.get(server).map(|known| known.good_for(purpose, &key_ids));
        let good = good.filter(|good| !good.is_empty());
        let good = good.ok_or_else(|| VerifyObjectError::NoKeys(server.to_owned()))?;
        let (server, keys) = (server.to_owned(), public_keys([(server.to_owned(), good)]));
        self.inner.checks.run(move || verify_json(&object, &server, &keys)).await??;
        Ok(())
    }
}
