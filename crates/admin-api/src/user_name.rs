//! `USER` as operators write it: a localpart or a full user id.

use ruma::{OwnedUserId, ServerName, UserId};
use vestibule_http::MatrixError;

/// The user meant by a name, whatever server they are on.
pub(crate) fn any_user(name: &str, server: &ServerName) -> Result<OwnedUserId, MatrixError> {
    let bare = name.strip_prefix('@').unwrap_or(name);
    if bare.is_empty() || bare.starts_with(':') {
        return Err(MatrixError::invalid_param(format!("{name:?} names nobody")));
    }
    let parsed = if bare.contains(':') {
        UserId::parse(format!("@{bare}"))
    } else {
        UserId::parse(format!("@{bare}:{server}"))
    };
    parsed.map_err(|reason| MatrixError::invalid_param(format!("{name:?} is no user id: {reason}")))
}

/// The user of this server meant by a name.
pub(crate) fn local_user(name: &str, server: &ServerName) -> Result<OwnedUserId, MatrixError> {
    let user_id = any_user(name, server)?;
    if user_id.server_name() != server {
        let text = format!("{user_id} is not a user of {server}");
        return Err(MatrixError::invalid_param(text));
    }
    Ok(user_id)
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn a_user_is_named_by_localpart_or_in_full() {
        let server = server_name!("example.org:8448");
        let named = |name| local_user(name, server).map(|user| user.to_string()).ok();
        let alice = Some("@alice:example.org:8448".to_owned());
        assert_eq!(named("alice"), alice);
        assert_eq!(named("@alice"), alice);
        assert_eq!(named("@alice:example.org:8448"), alice);
        assert_eq!(named("@alice:elsewhere.org"), None);
        assert_eq!(named(""), None);
        assert!(any_user("@alice:elsewhere.org", server).is_ok());
    }
}
