//! Which names an account may have.

use ruma::{OwnedUserId, ServerName, UserId};
use vestibule_types::limits;

/// Names with this prefix are the server's to give, to guests.
pub use vestibule_policy::GUEST_LOCALPART_PREFIX as GUEST_PREFIX;

/// The localpart of the server's own user.
pub const SYSTEM_LOCALPART: &str = "vestibule";

/// Why a name cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// It has characters that names do not have, or is too long.
    #[error("a user name may hold only a-z, 0-9 and ._=-/+, and at most 255 bytes with its server")]
    Invalid,
    /// Bridges name the people of other networks so.
    #[error("a user name does not begin with _")]
    Underscore,
    /// It is the server's own, or has its prefix.
    #[error("this user name is kept for the server")]
    Reserved,
}

/// The identifier a new account with this name gets. Capitals become small letters.
pub(crate) fn new_user_id(
    username: &str,
    server_name: &ServerName,
) -> Result<OwnedUserId, UsernameError> {
    let user_id = user_id_of(username, server_name)?;
    let localpart = user_id.localpart();
    if localpart.starts_with(GUEST_PREFIX) || localpart == SYSTEM_LOCALPART {
        return Err(UsernameError::Reserved);
    }
    Ok(user_id)
}

/// As [`new_user_id`], for names that people choose: those of bridges are the operator's to give.
pub(crate) fn chosen_user_id(
    username: &str,
    server_name: &ServerName,
) -> Result<OwnedUserId, UsernameError> {
    if username.starts_with('_') {
        return Err(UsernameError::Underscore);
    }
    new_user_id(username, server_name)
}

/// As [`new_user_id`], for names that may be a guest's own.
pub(crate) fn user_id_of(
    username: &str,
    server_name: &ServerName,
) -> Result<OwnedUserId, UsernameError> {
    let localpart = username.to_ascii_lowercase();
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._=-/+".contains(&c);
    if localpart.is_empty() || !localpart.bytes().all(allowed) {
        return Err(UsernameError::Invalid);
    }
    let user_id = format!("@{localpart}:{server_name}");
    if user_id.len() > limits::IDENTIFIER_BYTES_MAX {
        return Err(UsernameError::Invalid);
    }
    UserId::parse(user_id).map_err(|_| UsernameError::Invalid)
}

/// Whom a login names: a localpart or a full identifier, of this server. `None` for nobody here.
pub(crate) fn named_user(name: &str, server_name: &ServerName) -> Option<OwnedUserId> {
    if !name.starts_with('@') {
        return user_id_of(name, server_name).ok();
    }
    let user_id = UserId::parse(name).ok()?;
    (user_id.server_name() == server_name)
        .then(|| user_id_of(user_id.localpart(), server_name))?
        .ok()
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    fn check(username: &str, expected: Result<&str, UsernameError>) {
        let got = new_user_id(username, server_name!("a.example"));
        assert_eq!(got.as_ref().map(|id| id.localpart()), expected.as_ref().map(|name| *name));
    }

    #[test]
    fn a_new_name_keeps_to_the_grammar_and_capitals_are_lowered() {
        check("alice", Ok("alice"));
        check("AliCe", Ok("alice"));
        check("a.b_c=d-e/f+9", Ok("a.b_c=d-e/f+9"));
        for bad in ["", "al ice", "alice!", "é", "a:b", "@alice", "a\"b", "~x"] {
            check(bad, Err(UsernameError::Invalid));
        }
        check(&"a".repeat(244), Ok(&"a".repeat(244)));
        check(&"a".repeat(245), Err(UsernameError::Invalid));
    }

    #[test]
    fn nobody_chooses_a_name_of_a_bridge() {
        let chosen = |username| chosen_user_id(username, server_name!("a.example"));
        assert_eq!(chosen("_irc_ada"), Err(UsernameError::Underscore));
        assert_eq!(chosen("a_b").unwrap(), "@a_b:a.example");
        check("_irc_ada", Ok("_irc_ada"));
    }

    #[test]
    fn the_guest_prefix_is_the_servers() {
        check("guest-abc", Err(UsernameError::Reserved));
        check("Guest-abc", Err(UsernameError::Reserved));
        check("vestibule", Err(UsernameError::Reserved));
        check("guest", Ok("guest"));
    }

    #[test]
    fn a_login_names_a_localpart_or_an_identifier_of_this_server() {
        let here = server_name!("a.example");
        let alice = named_user("alice", here).unwrap();
        assert_eq!(named_user("@alice:a.example", here), Some(alice.clone()));
        assert_eq!(named_user("@Alice:a.example", here), Some(alice));
        assert_eq!(named_user("@alice:b.example", here), None);
        assert_eq!(named_user("al ice", here), None);
    }
}
