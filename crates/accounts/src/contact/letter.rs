//! What is written to people.

use super::ValidationPurpose;
use crate::mail::Letter;

/// The mail with the link that proves the address.
pub(super) fn link(
    (server, to): (&str, &str),
    purpose: ValidationPurpose,
    (base, sid, token): (&str, &str, &str),
) -> Letter {
    let (subject, why) = match purpose {
        ValidationPurpose::Register => {
            (format!("Your new account on {server}"), "to make an account with this address")
        }
        ValidationPurpose::Add => {
            (format!("Your address on {server}"), "to add this address to your account")
        }
        ValidationPurpose::Password => {
            (format!("Your password on {server}"), "to set a new password for your account")
        }
    };
    let base = base.trim_end_matches('/');
    let text = format!(
        "Somebody, probably you, wants {why} on {server}.\n\n\
         Open this link to allow it:\n\n{base}{CONFIRM_PATH}?sid={sid}&token={token}\n\n\
         If it was not you, do nothing: then nothing happens.\n"
    );
    Letter { to: to.to_owned(), subject, text }
}

/// The mail that says why there is no link. The client is not told, so that nobody learns from this
/// server which addresses have an account.
pub(super) fn notice((server, to): (&str, &str), purpose: ValidationPurpose) -> Letter {
    let (subject, what) = match purpose {
        ValidationPurpose::Register | ValidationPurpose::Add => (
            format!("Your address on {server}"),
            "but it belongs to an account already. If you do not know its password any more, ask \
             your client to reset it.",
        ),
        ValidationPurpose::Password => {
            (format!("Your password on {server}"), "but no account has this address.")
        }
    };
    let text = format!(
        "Somebody, probably you, gave this address on {server}, {what}\n\n\
         If it was not you, do nothing: then nothing happens.\n"
    );
    Letter { to: to.to_owned(), subject, text }
}

/// Where the page of the link is: below what reverse proxies pass on for clients.
pub const CONFIRM_PATH: &str = "/_matrix/client/unstable/org.vestibule.email/confirm";
