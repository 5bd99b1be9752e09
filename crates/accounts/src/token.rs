//! Tokens: how they look, and what is kept of them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use vestibule_storage::tables::account::TokenDigest;
use vestibule_types::{Environment, Secret, limits};

/// Begins every access token with a session in the database.
const STORED: &str = "vst_";
/// Begins every guest token that has no row yet.
pub(crate) const GUEST: &str = "vsg_";
/// Begins every refresh token.
const REFRESH: &str = "vsr_";

/// Begins every token that only proves who its owner is.
const OPENID: &str = "vso_";

/// Begins every token that lets one more client in.
const LOGIN: &str = "vsl_";

/// What kind of token a text claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token with a stored session.
    Stored,
    /// A signed guest token.
    Guest,
    /// A refresh token, which authenticates nothing but a refresh.
    Refresh,
    /// An `OpenID` token, which only tells who its owner is.
    Openid,
    /// A login token, which opens one session.
    Login,
}

impl TokenKind {
    /// Reads the kind off the prefix. `None` for a text this server never issued.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        if token.len() > limits::TOKEN_BYTES_MAX {
            return None;
        }
        let kinds = [
            (STORED, Self::Stored),
            (GUEST, Self::Guest),
            (REFRESH, Self::Refresh),
            (OPENID, Self::Openid),
            (LOGIN, Self::Login),
        ];
        kinds.into_iter().find_map(|(prefix, kind)| token.starts_with(prefix).then_some(kind))
    }
}

/// A fresh access token.
pub(crate) fn mint_access(environment: &Environment) -> Secret {
    mint(environment, STORED)
}

/// A fresh refresh token.
pub(crate) fn mint_refresh(environment: &Environment) -> Secret {
    mint(environment, REFRESH)
}

/// A fresh `OpenID` token.
pub(crate) fn mint_openid(environment: &Environment) -> Secret {
    mint(environment, OPENID)
}

/// A fresh login token.
pub(crate) fn mint_login(environment: &Environment) -> Secret {
    mint(environment, LOGIN)
}

fn mint(environment: &Environment, prefix: &str) -> Secret {
    let bytes: [u8; 32] = environment.random_bytes();
    Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a token.
pub(crate) fn digest(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token.as_bytes()).into())
}

/// Characters of a device identifier that the server picks.
pub(crate) const DEVICE_ID_BYTES: usize = 10;

/// A fresh device identifier.
pub(crate) fn mint_device_id(environment: &Environment) -> ruma::OwnedDeviceId {
    environment.random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", DEVICE_ID_BYTES).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_the_kind_and_other_texts_are_nobodys() {
        assert_eq!(TokenKind::of("vst_abc"), Some(TokenKind::Stored));
        assert_eq!(TokenKind::of("vsg_abc"), Some(TokenKind::Guest));
        assert_eq!(TokenKind::of("vsr_abc"), Some(TokenKind::Refresh));
        assert_eq!(TokenKind::of("syt_abc"), None);
        assert_eq!(TokenKind::of(""), None);
        assert_eq!(TokenKind::of(&format!("vst_{}", "a".repeat(5_000))), None);
    }
}
