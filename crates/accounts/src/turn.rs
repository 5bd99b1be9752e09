//! Credentials for the TURN server through which calls find their way (client-server API,
//! "Voice over IP").

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use ruma::UserId;
use sha1::Sha1;
use vestibule_types::Secret;

use crate::{Accounts, TurnConfig, TurnKey};

/// What a client shows the TURN server.
#[derive(Clone, Debug)]
pub struct TurnCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Where the server listens.
    pub uris: Vec<String>,
    /// How long the credentials are good, in seconds.
    pub ttl: u64,
}

impl Accounts {
    /// Credentials for somebody who calls; `None` without a TURN server.
    #[must_use]
    pub fn turn_credentials(&self, user_id: &UserId) -> Option<TurnCredentials> {
        let TurnConfig { uris, key, life } = self.0.config.turn.as_ref()?;
        let ttl = life.as_secs();
        let (username, password) = match key {
            TurnKey::Fixed { username, password } => (username.clone(), password.clone()),
            TurnKey::Shared(secret) => {
                let end = (self.0.environment.now_ms() / 1_000).saturating_add(ttl);
                let username = format!("{end}:{user_id}");
                let password = password_of(&username, secret)?;
                (username, password)
            }
        };
        Some(TurnCredentials { username, password, uris: uris.clone(), ttl })
    }
}

/// The password that belongs to a name which says until when it is good, as TURN servers work it out from
/// a secret that they share ("A REST API for access to TURN services", section 2.2).
fn password_of(username: &str, secret: &Secret) -> Option<Secret> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(username.as_bytes());
    Some(Secret::new(STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_one_the_turn_server_works_out() {
        // openssl: printf '1443779631:@user:example.com' | openssl dgst -sha1 -hmac key -binary | base64
        let secret = Secret::new("key".to_owned());
        let password = password_of("1443779631:@user:example.com", &secret).unwrap();
        assert_eq!(password.expose(), "nv8E7ldrqnO8cEvxpZaa1oz60k4=");
    }
}
