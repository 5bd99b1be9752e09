//! Checking the signatures of many events.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use ruma::OwnedServerName;
use vestibule_events::{Pdu, Verified, VerifyError, required_signatures, verify};
use vestibule_types::limits::{SIGNATURE_CHECK_EVENTS, SIGNATURE_CHECKS_MAX};

use super::{
    KeyRing,
    fetch::{Hope, Known, Needs},
    known::{Purpose, public_keys},
    need::Need,
};

/// Why an event is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyEventError {
    /// A signature is missing or wrong: the event must be dropped.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// No key of this server is known that is good for the event, and none could be had. It may be
    /// worth trying again later.
    #[error("no key of {0} is known that is good for this event")]
    NoKeys(OwnedServerName),
    /// It could not be looked at now.
    #[error("signatures cannot be checked now: {0}")]
    Unavailable(String),
}

/// An event, and what its required servers signed it with.
struct Signed {
    pdu: Pdu,
    needs: BTreeMap<OwnedServerName, Need>,
}

type Prepared = Result<Signed, VerifyEventError>;

impl KeyRing {
    /// Checks signatures and content hashes of events, and redacts those whose hash does not match. The
    /// answers are in the order of the events.
    ///
    /// Keys that are missing are fetched, one request per server for all events; computing happens away
    /// from the async workers.
    pub async fn verify_events(&self, events: Vec<Pdu>) -> Vec<Result<Verified, VerifyEventError>> {
        let prepared = self.in_pieces(events, prepare).await;
        let mut needs = Needs::new();
        for (server, need) in prepared.iter().flatten().flat_map(|signed| &signed.needs) {
            needs.entry(server.clone()).or_default().push(need.clone());
        }
        match self.keys_for(&needs, Hope::Usual).await {
            Ok(known) => self.in_pieces(prepared, move |prepared| check(prepared, &known)).await,
            Err(error) => prepared
                .into_iter()
                .map(|prepared| Err(prepared.err().unwrap_or_else(|| unavailable(&error))))
                .collect(),
        }
    }

    /// Does one thing to each of many, a few at a time away from the async workers.
    async fn in_pieces<T, U>(
        &self,
        all: Vec<T>,
        work: impl Fn(T) -> Result<U, VerifyEventError> + Clone + Send + 'static,
    ) -> Vec<Result<U, VerifyEventError>>
    where
        T: Send + 'static,
        U: Send + 'static,
    {
        let mut all = all.into_iter();
        let mut pieces = Vec::new();
        loop {
            let piece: Vec<T> = all.by_ref().take(SIGNATURE_CHECK_EVENTS).collect();
            if piece.is_empty() {
                break;
            }
            let (count, work) = (piece.len(), work.clone());
            pieces.push(async move {
                let done = move || piece.into_iter().map(work).collect::<Vec<_>>();
                match self.inner.checks.run(done).await {
                    Ok(done) => done,
                    Err(busy) => (0..count).map(|_| Err(unavailable(&busy))).collect(),
                }
            });
        }
        let done = stream::iter(pieces).buffered(SIGNATURE_CHECKS_MAX * 2);
        done.flat_map(stream::iter).collect().await
    }
}

fn unavailable(cause: &dyn std::fmt::Display) -> VerifyEventError {
    VerifyEventError::Unavailable(cause.to_string())
}

fn prepare(pdu: Pdu) -> Prepared {
    let purpose = Purpose::of_event(pdu.version(), pdu.origin_server_ts().get().into());
    let signatures = required_signatures(&pdu)?;
    let unsigned = signatures.iter().find(|(_, key_ids)| key_ids.is_empty());
    if let Some((server, _)) = unsigned {
        return Err(VerifyError::Signature(format!("no signature of {server}")).into());
    }
    let need = |key_ids| Need { key_ids, purpose };
    let needs = signatures.into_iter().map(|(server, key_ids)| (server, need(key_ids)));
    Ok(Signed { needs: needs.collect(), pdu })
}

fn check(prepared: Prepared, known: &Known) -> Result<Verified, VerifyEventError> {
    let Signed { pdu, needs } = prepared?;
    let mut keys = Vec::with_capacity(needs.len());
    for (server, need) in needs {
        let good = known.get(&server).map(|known| known.good_for(need.purpose, &need.key_ids));
        let good = good.filter(|good| !good.is_empty());
        let good = good.ok_or_else(|| VerifyEventError::NoKeys(server.clone()))?;
        keys.push((server, good));
    }
    Ok(verify(pdu, &public_keys(keys))?)
}
