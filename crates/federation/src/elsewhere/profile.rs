//! `GET /_matrix/federation/v1/query/profile`: what users of other servers say of themselves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::sync::Cache;
use ruma::{OwnedUserId, UserId, api::federation::query::get_profile_information::v1::Request};
use serde_json::Value;
use vestibule_accounts::{ProfileElsewhereError, ProfilesElsewhere};
use vestibule_remote::{CallOptions, RemoteError};
use vestibule_types::{
    BoxFuture,
    limits::{LOOKUP_MAX, PROFILE_BYTES_MAX, PROFILE_FRESH_MAX, PROFILES_BYTES_MAX},
};

use super::{Abroad, failure::is_absent};
use crate::Federation;

/// A profile, and when it was told, on the monotonic clock.
type Told = (Duration, Arc<Option<BTreeMap<String, Value>>>);

/// Profiles that were asked for a short while ago.
pub(crate) struct Profiles(Cache<OwnedUserId, Told>);

impl Default for Profiles {
    fn default() -> Self {
        let weigh = |_: &OwnedUserId, (_, profile): &Told| {
            let fields = profile.iter().flatten();
            let bytes: usize = fields.map(|(name, value)| name.len() + bytes_of(value)).sum();
            u32::try_from(bytes.saturating_add(256)).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weigh).max_capacity(PROFILES_BYTES_MAX).build())
    }
}

impl ProfilesElsewhere for Abroad {
    fn profile<'a>(
        &'a self,
        user_id: &'a UserId,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, Value>>, ProfileElsewhereError>> {
        Box::pin(async move {
            let federation = self.federation().map_err(|_| ProfileElsewhereError::Unreachable)?;
            federation.profile_elsewhere(user_id).await
        })
    }
}

impl Federation {
    async fn profile_elsewhere(
        &self,
        user_id: &UserId,
    ) -> Result<Option<BTreeMap<String, Value>>, ProfileElsewhereError> {
        let now = self.inner.parts.environment.clock.monotonic();
        let known = self.inner.profiles.0.get(user_id);
        let fresh = |told: &Told| now.saturating_sub(told.0) < PROFILE_FRESH_MAX;
        if let Some((_, profile)) = known.filter(fresh) {
            return Ok((*profile).clone());
        }
        let profile = self.ask_for_profile(user_id).await?;
        let told = (now, Arc::new(profile.clone()));
        self.inner.profiles.0.insert(user_id.to_owned(), told);
        Ok(profile)
    }

    async fn ask_for_profile(
        &self,
        user_id: &UserId,
    ) -> Result<Option<BTreeMap<String, Value>>, ProfileElsewhereError> {
        let options = CallOptions {
            answer_bytes_max: 2 * PROFILE_BYTES_MAX,
            time_max: LOOKUP_MAX,
            ..CallOptions::default()
        };
        let request = Request::new(user_id.to_owned());
        match self.remote().call_with(user_id.server_name(), request, options).await {
            Ok(answer) => Ok(Some(answer.into_iter().collect())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(RemoteError::Answered { status: 403, .. }) => Err(ProfileElsewhereError::Refused),
            Err(error) => {
                tracing::debug!(%error, "a profile was not told");
                Err(ProfileElsewhereError::Unreachable)
            }
        }
    }
}

/// About how much memory a value takes.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes_of).sum(),
        Value::Object(fields) => fields.iter().map(|(key, it)| key.len() + bytes_of(it)).sum(),
    }
}
