//! Turning the invitation of an address into that of its owner (server-server API, "Third-party
//! invites").
//!
//! What an identity server signed is checked against the keys that the invitation in the room names,
//! and whoever issues the invitation of the user also asks whether the key was revoked: nobody else
//! may refuse it for that, or servers would not agree about the room.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde::Deserialize;
use tracing::{debug, instrument};
use vestibule_events::AddressKey;
use vestibule_remote::WebRequest;
use vestibule_rooms::{ExchangeInvite, ExchangeInviteError};
use vestibule_types::limits::{IDENTITY_ANSWER_BYTES_MAX, IDENTITY_TIME_MAX};

use crate::Federation;

/// Why the owner of an address was not invited.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The proof does not fit, or the invitation was refused.
    #[error(transparent)]
    Refused(#[from] ExchangeInviteError),
    /// The identity server revoked the key.
    #[error("the key that signed this was revoked")]
    Revoked,
    /// Whether it did could not be found out.
    #[error("it could not be found out whether the key that signed this was revoked")]
    Unchecked,
}

#[derive(Deserialize)]
struct Validity {
    valid: bool,
}

impl Federation {
    /// Invites the owner of an address whom a user of ours invited by it.
    #[instrument(name = "federation.third_party.exchange", skip_all)]
    pub async fn exchange_invite(&self, command: ExchangeInvite) -> Result<(), ExchangeError> {
        let rooms = &self.inner.parts.rooms;
        let keys = rooms.keys_of_proof(&command).await?;
        let mut outcome = Err(ExchangeError::Revoked);
        for key in &keys {
            match self.is_valid(key).await {
                Some(true) => {
                    outcome = Ok(());
                    break;
                }
                Some(false) => {}
                None => outcome = Err(ExchangeError::Unchecked),
            }
        }
        outcome?;
        Ok(rooms.exchange_invite(command).await?)
    }

    /// Whether a key is still good, as whoever keeps it says. A key that nobody says anything about
    /// is. `None` when nobody answers.
    async fn is_valid(&self, key: &AddressKey) -> Option<bool> {
        let Some(url) = &key.validity_url else { return Some(true) };
        let request = WebRequest {
            method: Method::GET,
            url: question(url, &key.public_key)?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            answer_bytes_max: IDENTITY_ANSWER_BYTES_MAX,
            time_max: IDENTITY_TIME_MAX,
        };
        match self.remote().web().send(request).await {
            Ok(reply) if reply.status.is_success() => {
                serde_json::from_slice::<Validity>(&reply.body).ok().map(|it| it.valid)
            }
            Ok(reply) => {
                debug!(status = %reply.status, "a key cannot be checked");
                None
            }
            Err(error) => {
                debug!(%error, "a key cannot be checked");
                None
            }
        }
    }
}

/// The address with the key in its query.
fn question(url: &str, public_key: &str) -> Option<Uri> {
    let mark = if url.contains('?') { '&' } else { '?' };
    let mut key = String::with_capacity(public_key.len());
    for letter in public_key.chars() {
        match letter {
            '+' => key.push_str("%2B"),
            '/' => key.push_str("%2F"),
            '=' => key.push_str("%3D"),
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') => {
                key.push(letter);
            }
            // No key is written with anything else.
            _ => return None,
        }
    }
    format!("{url}{mark}public_key={key}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn the_key_is_part_of_the_query() {
        let asked = |url, key| question(url, key).map(|it| it.to_string());
        let url = "https://id.a/valid";
        assert_eq!(asked(url, "a+/=").unwrap(), "https://id.a/valid?public_key=a%2B%2F%3D");
        assert_eq!(
            asked("https://id.a/v?x=1", "a-_").unwrap(),
            "https://id.a/v?x=1&public_key=a-_"
        );
        assert_eq!(asked(url, "a&b=c"), None);
        assert_eq!(asked("no address", "a"), None);
    }
}
