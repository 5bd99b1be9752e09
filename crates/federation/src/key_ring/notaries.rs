//! Asking notaries for the keys of servers that do not answer (server-server API, "Querying Keys
//! Through Another Server").

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedServerName, OwnedServerSigningKeyId,
    ServerName, UInt,
    api::federation::discovery::get_remote_server_keys_batch::v2::{QueryCriteria, Request},
};
use serde::Deserialize;
use tracing::debug;
use vestibule_events::{signing_keys, verify_json};
use vestibule_remote::CallOptions;
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    KEY_ANSWER_BYTES_MAX, KEY_FETCH_MAX, NOTARY_ANSWER_BYTES_MAX, NOTARY_SERVERS_MAX,
};

use super::{
    KeyRing,
    fetch::{Hope, Known, Needs},
    known::{Purpose, ServerKeys, public_keys},
    need::{Need, latest, must_ask},
    turns::Told,
};

#[derive(Deserialize)]
struct Named<'a> {
    server_name: &'a str,
}

impl KeyRing {
    /// Trusts these from now on, in this order.
    pub fn set_notaries(&self, notaries: Vec<OwnedServerName>) {
        *self.inner.notaries.write() = notaries;
    }

    /// What the notaries know of these servers; one request per notary for many servers.
    pub(super) async fn ask_notaries(
        &self,
        needs: &Needs,
        lacking: &[OwnedServerName],
    ) -> Result<Known, StorageError> {
        let mut found = Known::new();
        if lacking.is_empty() {
            return Ok(found);
        }
        let notaries = self.inner.notaries.read().clone();
        for notary in &notaries {
            let still = |server: &&OwnedServerName| {
                let needs = needs.get(*server).map(Vec::as_slice).unwrap_or_default();
                must_ask(needs, found.get(*server).map(|keys| &**keys)) && *server != notary
            };
            let now = self.inner.environment.clock.monotonic();
            let asked: Vec<_> = lacking
                .iter()
                .filter(still)
                .filter(|server| self.inner.notary_attempts.may_ask(server, now))
                .cloned()
                .collect();
            for asked in asked.chunks(NOTARY_SERVERS_MAX) {
                found.extend(self.ask_notary(notary, needs, asked).await?);
            }
        }
        let now = self.inner.environment.clock.monotonic();
        for server in lacking {
            if self.inner.notary_attempts.may_ask(server, now) {
                let told = if found.contains_key(server) { Told::Nothing } else { Told::Silent };
                self.inner.notary_attempts.note(server, now, told);
            }
        }
        Ok(found)
    }

    async fn ask_notary(
        &self,
        notary: &ServerName,
        needs: &Needs,
        servers: &[OwnedServerName],
    ) -> Result<Known, StorageError> {
        let options = CallOptions {
            answer_bytes_max: NOTARY_ANSWER_BYTES_MAX,
            time_max: KEY_FETCH_MAX,
            ignore_back_off: false,
        };
        let request =
            Request::new(servers.iter().map(|it| (it.clone(), wanted(it, needs))).collect());
        let answers = match self.inner.remote.call_with(notary, request, options).await {
            Ok(answer) => answer.server_keys,
            Err(error) => {
                debug!(%notary, %error, "a notary does not answer");
                return Ok(Known::new());
            }
        };
        let mut found = Known::new();
        for answer in answers.iter().take(servers.len().saturating_mul(2)) {
            let answer = answer.json().get();
            let server = serde_json::from_str::<Named<'_>>(answer).ok().and_then(|named| {
                servers.iter().find(|server| server.as_str() == named.server_name)
            });
            let Some(server) = server else { continue };
            if let Some(keys) = self.vouched(notary, server, answer).await? {
                found.insert(server.clone(), self.inner.kept.keep(server, keys).await?);
            }
        }
        Ok(found)
    }

    /// The keys in an answer that the notary signed and the server signed.
    async fn vouched(
        &self,
        notary: &ServerName,
        server: &ServerName,
        answer: &str,
    ) -> Result<Option<ServerKeys>, StorageError> {
        let Ok(object) = serde_json::from_str::<CanonicalJsonObject>(answer) else {
            return Ok(None);
        };
        if answer.len() > KEY_ANSWER_BYTES_MAX || !self.signed_by_notary(notary, object).await? {
            debug!(%notary, %server, "a notary's answer is not signed by it");
            return Ok(None);
        }
        let before = self.inner.kept.of(vec![server]).await?.remove(server);
        Ok(self.judged(server, answer, before).await)
    }

    async fn signed_by_notary(
        &self,
        notary: &ServerName,
        object: CanonicalJsonObject,
    ) -> Result<bool, StorageError> {
        let key_ids = signing_keys(&object, notary);
        let purpose = Purpose::Object(self.inner.environment.now_ms());
        let needs = [Need { key_ids: key_ids.clone(), purpose }];
        let needed = |known: Option<&ServerKeys>| must_ask(&needs, known);
        let Some(keys) = self.refresh(notary, Hope::Usual, needed).await? else {
            return Ok(false);
        };
        let keys = public_keys([(notary.to_owned(), keys.good_for(purpose, &key_ids))]);
        let notary = notary.to_owned();
        let checked = self.inner.checks.run(move || verify_json(&object, &notary, &keys).is_ok());
        Ok(checked.await.unwrap_or(false))
    }
}

/// What is asked about a server: its keys, good for as long as they are needed.
fn wanted(server: &ServerName, needs: &Needs) -> BTreeMap<OwnedServerSigningKeyId, QueryCriteria> {
    let needs = needs.get(server).map(Vec::as_slice).unwrap_or_default();
    let mut criteria = QueryCriteria::new();
    let until = UInt::new_saturating(latest(needs));
    criteria.minimum_valid_until_ts = Some(MilliSecondsSinceUnixEpoch(until));
    let key_ids = needs.iter().flat_map(|need| &need.key_ids);
    key_ids.filter_map(|id| Some((id.as_str().try_into().ok()?, criteria.clone()))).collect()
}
