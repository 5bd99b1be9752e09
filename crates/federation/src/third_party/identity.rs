//! Asking identity servers (identity service API): who owns an address, and to keep an invitation
//! until somebody does.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use ruma::{
    OwnedUserId, RoomId, UserId,
    serde::{Base64, base64::UrlSafe},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vestibule_events::AddressKey;
use vestibule_remote::{Remote, WebRequest};
use vestibule_rooms::{
    Address, AddressInvite, AddressProof, ElsewhereError, IdentityAccess, IdentityError,
    IdentityServers, KeptInvite, MembershipError,
};
use vestibule_types::{
    BoxFuture,
    limits::{
        ADDRESS_BYTES_MAX, ADDRESS_INVITE_KEYS_MAX, IDENTITY_ANSWER_BYTES_MAX, IDENTITY_TIME_MAX,
    },
};

use crate::{Federation, service::Inner};

/// The identity servers the operator trusts.
pub(crate) struct TrustedIdentityServers {
    remote: Remote,
    trusted: Vec<String>,
    /// It is part of what federation is made of, so it does not keep that alive.
    federation: Weak<Inner>,
}

#[derive(Deserialize)]
struct HashDetails {
    algorithms: Vec<String>,
    lookup_pepper: String,
}

#[derive(Deserialize)]
struct Mappings {
    mappings: std::collections::BTreeMap<String, OwnedUserId>,
}

#[derive(Deserialize)]
struct Kept {
    token: String,
    public_keys: Vec<KeptKey>,
    display_name: String,
}

#[derive(Deserialize)]
struct KeptKey {
    public_key: String,
    key_validity_url: Option<String>,
}

impl TrustedIdentityServers {
    pub(crate) fn of(federation: &Federation, trusted: Vec<String>) -> Self {
        let remote = federation.remote().clone();
        Self { remote, trusted, federation: Arc::downgrade(&federation.inner) }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        access: &IdentityAccess,
        (method, path): (Method, &str),
        body: Option<Value>,
    ) -> Result<T, IdentityError> {
        let bad = |what: &dyn std::fmt::Display| IdentityError::BadAnswer(what.to_string());
        let url = format!("https://{}/_matrix/identity/v2/{path}", access.server);
        let mut headers = HeaderMap::new();
        let token = HeaderValue::try_from(format!("Bearer {}", access.token.expose()));
        headers.insert(header::AUTHORIZATION, token.map_err(|error| bad(&error))?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = WebRequest {
            method,
            url: url.parse().map_err(|_| IdentityError::Untrusted)?,
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
            answer_bytes_max: IDENTITY_ANSWER_BYTES_MAX,
            time_max: IDENTITY_TIME_MAX,
        };
        let reply = self.remote.web().send(request).await.map_err(|error| {
            tracing::debug!(%error, "an identity server cannot be reached");
            IdentityError::Unreachable
        })?;
        if reply.status.is_success() {
            return serde_json::from_slice(&reply.body).map_err(|error| bad(&error));
        }
        if reply.status.is_server_error() {
            return Err(IdentityError::Unreachable);
        }
        let said: Value = serde_json::from_slice(&reply.body).map_err(|error| bad(&error))?;
        let text = |key| said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(IdentityError::Refused { errcode: text("errcode"), message: text("error") })
    }

    /// Asks by the hash that the identity server wants now.
    async fn owner_by_hash(
        &self,
        access: &IdentityAccess,
        address: &Address,
    ) -> Result<Option<OwnedUserId>, IdentityError> {
        let details: HashDetails = self.ask(access, (Method::GET, "hash_details"), None).await?;
        let offered = |name: &str| details.algorithms.iter().any(|it| it == name);
        let Some(algorithm) = ["sha256", "none"].into_iter().find(|it| offered(it)) else {
            return Err(IdentityError::BadAnswer("no known way to hash an address".to_owned()));
        };
        let pepper = details.lookup_pepper;
        let Address { medium, address } = address;
        let asked = match algorithm {
            "sha256" => hashed(&format!("{address} {medium} {pepper}")),
            _ => format!("{address} {medium}"),
        };
        let body = json!({ "addresses": [asked], "algorithm": algorithm, "pepper": pepper });
        let found: Mappings = self.ask(access, (Method::POST, "lookup"), Some(body)).await?;
        Ok(found.mappings.get(&asked).cloned())
    }

    async fn keep(
        &self,
        access: &IdentityAccess,
        invite: &AddressInvite,
    ) -> Result<KeptInvite, IdentityError> {
        let mut body = json!({
            "medium": invite.to.medium,
            "address": invite.to.address,
            "room_id": invite.room_id,
            "sender": invite.sender,
            "room_join_rules": invite.join_rule,
        });
        let optional = [
            ("room_alias", invite.room_alias.as_ref().map(|alias| alias.as_str())),
            ("room_avatar_url", invite.room_avatar.as_deref()),
            ("room_name", invite.room_name.as_deref()),
            ("room_type", invite.room_type.as_deref()),
            ("sender_display_name", invite.sender_name.as_deref()),
            ("sender_avatar_url", invite.sender_avatar.as_deref()),
        ];
        if let Value::Object(body) = &mut body {
            let known = optional.into_iter().filter_map(|(key, text)| Some((key, text?)));
            body.extend(known.map(|(key, text)| (key.to_owned(), text.into())));
        }
        let kept: Kept = self.ask(access, (Method::POST, "store-invite"), Some(body)).await?;
        if kept.token.len().max(kept.display_name.len()) > ADDRESS_BYTES_MAX {
            return Err(IdentityError::BadAnswer("a token or a name is too long".to_owned()));
        }
        let keys = kept.public_keys.into_iter().take(ADDRESS_INVITE_KEYS_MAX);
        let keys: Vec<AddressKey> = keys
            .map(|key| AddressKey {
                public_key: key.public_key,
                validity_url: key.key_validity_url,
            })
            .collect();
        if keys.is_empty() {
            return Err(IdentityError::BadAnswer("it names no key".to_owned()));
        }
        Ok(KeptInvite { token: kept.token, keys, display_name: kept.display_name })
    }
}

fn hashed(text: &str) -> String {
    Base64::<UrlSafe, _>::new(Sha256::digest(text.as_bytes()).to_vec()).encode()
}

impl IdentityServers for TrustedIdentityServers {
    fn trusts(&self, server: &str) -> bool {
        self.trusted.iter().any(|it| it.eq_ignore_ascii_case(server))
    }

    fn owner<'a>(
        &'a self,
        access: &'a IdentityAccess,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Option<OwnedUserId>, IdentityError>> {
        Box::pin(async move {
            match self.owner_by_hash(access, address).await {
                // It changed the pepper in between.
                Err(IdentityError::Refused { errcode, .. }) if errcode == "M_INVALID_PEPPER" => {
                    self.owner_by_hash(access, address).await
                }
                found => found,
            }
        })
    }

    fn keep_invite<'a>(
        &'a self,
        access: &'a IdentityAccess,
        invite: &'a AddressInvite,
    ) -> BoxFuture<'a, Result<KeptInvite, IdentityError>> {
        Box::pin(self.keep(access, invite))
    }

    fn redeem<'a>(
        &'a self,
        user_id: &'a UserId,
        room_id: &'a RoomId,
        proof: &'a AddressProof,
    ) -> BoxFuture<'a, Result<(), MembershipError>> {
        Box::pin(async move {
            let inner = self.federation.upgrade().ok_or(ElsewhereError::Alone)?;
            Federation { inner }.redeem(user_id, room_id, proof).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::hashed;

    /// The example of the identity service API, "Hashing algorithms".
    #[test]
    fn an_address_is_hashed_as_the_specification_says() {
        let hash = hashed("alice@example.com email matrixrocks");
        assert_eq!(hash, "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc");
        assert_eq!(
            hashed("18005552067 msisdn matrixrocks"),
            "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I"
        );
    }
}
