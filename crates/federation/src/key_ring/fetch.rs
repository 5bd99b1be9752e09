//! Getting the keys of other servers: from themselves, else from notaries.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream};
use ruma::{OwnedServerName, ServerName, api::federation::discovery::get_server_keys::v2::Request};
use tracing::debug;
use vestibule_remote::CallOptions;
use vestibule_storage::StorageError;
use vestibule_types::limits::{KEY_ANSWER_BYTES_MAX, KEY_FETCH_MAX, KEY_FETCHES_AT_ONCE};

use super::{
    KeyRing,
    answer::judge,
    known::ServerKeys,
    need::{Need, must_ask},
    turns::Told,
};

/// The signatures to check, by the server that made them.
pub(super) type Needs = BTreeMap<OwnedServerName, Vec<Need>>;

/// What is known of the keys of servers.
pub(super) type Known = BTreeMap<OwnedServerName, Arc<ServerKeys>>;

/// Whether a server is asked that did not answer lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// It is: it is talking to us just now.
    Fresh,
    /// It is left alone.
    Usual,
}

impl KeyRing {
    /// The keys that meet these needs, as far as they can be had: each server is asked once for all of
    /// its needs, and those that do not answer are asked about at the notaries.
    pub(super) async fn keys_for(&self, needs: &Needs, hope: Hope) -> Result<Known, StorageError> {
        let mut known = self.known(needs.keys().map(|server| &**server)).await?;
        let lacks = |known: &Known| -> Vec<OwnedServerName> {
            let lacking = needs.iter().filter(|(server, needs)| {
                **server != self.inner.server_name
                    && must_ask(needs, known.get(*server).map(|keys| &**keys))
            });
            lacking.map(|(server, _)| server.clone()).collect()
        };
        let lacking = lacks(&known);
        if lacking.is_empty() {
            return Ok(known);
        }
        let stranger = hope == Hope::Fresh && known.is_empty();
        let asked = lacking.into_iter().map(|server| async move {
            let needs = needs.get(&server).map(Vec::as_slice).unwrap_or_default();
            let Ok(_turn) = self.inner.strangers.turn(stranger).await else {
                return Ok((server, None));
            };
            let keys = self.refresh(&server, hope, |known| must_ask(needs, known)).await?;
            Ok::<_, StorageError>((server, keys))
        });
        let asked = stream::iter(asked).buffer_unordered(KEY_FETCHES_AT_ONCE);
        let answers: Vec<Result<_, StorageError>> = asked.collect().await;
        for answer in answers {
            let (server, keys) = answer?;
            known.extend(keys.map(|keys| (server, keys)));
        }
        let mut lacking = lacks(&known);
        lacking.retain(|server| self.inner.attempts.unanswered(server));
        known.extend(self.ask_notaries(needs, &lacking).await?);
        Ok(known)
    }

    /// Asks a server for its keys, where that is still needed when it is our turn and it was not asked
    /// just now. Returns what is known then.
    pub(super) async fn refresh(
        &self,
        server: &ServerName,
        hope: Hope,
        needed: impl Fn(Option<&ServerKeys>) -> bool,
    ) -> Result<Option<Arc<ServerKeys>>, StorageError> {
        let inner = &self.inner;
        let turn = inner.turns.take(server).await;
        let known = self.inner.kept.of(vec![server]).await?.remove(server);
        let now = inner.environment.clock.monotonic();
        let keys = if needed(known.as_deref()) && inner.attempts.may_ask(server, now) {
            let answer = self.ask(server, known.clone(), hope).await;
            let now = inner.environment.clock.monotonic();
            inner.attempts.note(server, now, told(known.as_deref(), answer.as_ref()));
            match answer {
                Some(keys) => Some(inner.kept.keep(server, keys).await?),
                None => known,
            }
        } else {
            known
        };
        inner.turns.end(server, turn);
        Ok(keys)
    }

    /// Asks a server for its own keys.
    async fn ask(
        &self,
        server: &ServerName,
        before: Option<Arc<ServerKeys>>,
        hope: Hope,
    ) -> Option<ServerKeys> {
        let options = CallOptions {
            answer_bytes_max: KEY_ANSWER_BYTES_MAX,
            time_max: KEY_FETCH_MAX,
            ignore_back_off: hope == Hope::Fresh,
        };
        metrics::counter!("vestibule_key_fetches_total").increment(1);
        let answer = match self.inner.remote.call_with(server, Request::new(), options).await {
            Ok(answer) => answer.server_key,
            Err(error) => {
                debug!(%server, %error, "a server does not tell its keys");
                return None;
            }
        };
        self.judged(server, answer.json().get(), before).await
    }

    /// The keys in an answer, if it is believed.
    pub(super) async fn judged(
        &self,
        server: &ServerName,
        answer: &str,
        before: Option<Arc<ServerKeys>>,
    ) -> Option<ServerKeys> {
        let now = self.inner.environment.now_ms();
        let (name, answer) = (server.to_owned(), answer.to_owned());
        let judged =
            self.inner.checks.run(move || judge(&name, &answer, before.as_deref(), now)).await;
        match judged {
            Ok(Ok(keys)) => Some(keys),
            Ok(Err(error)) => {
                debug!(%server, %error, "a server tells keys that are not believed");
                None
            }
            Err(busy) => {
                debug!(%server, error = %busy, "the keys of a server are not looked at");
                None
            }
        }
    }
}

/// What an answer told that was not known.
fn told(known: Option<&ServerKeys>, answer: Option<&ServerKeys>) -> Told {
    let Some(answer) = answer else { return Told::Silent };
    let is_new = |id: &String| known.is_none_or(|known| !known.keys.contains_key(id));
    if answer.keys.keys().any(is_new) { Told::News } else { Told::Nothing }
}
