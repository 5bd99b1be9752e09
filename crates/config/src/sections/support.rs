//! `[support]`

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::section::section;

section! {
    /// Who can be asked for help, told to everybody by `/.well-known/matrix/support`. Empty: nobody.
    pub struct Support {
        /// A page of the web.
        pub page: Option<String> = None, example "\"https://example.org/support\"";
        /// People: `{ role = "m.role.admin", matrix_id = "@admin:example.org", email_address = "admin@example.org" }`,
        /// where one of the last two may be left out. The role "m.role.security" is for what must not wait.
        pub contacts: Vec<Contact> = Vec::new();
    }
}

/// Somebody who can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What they are to be asked about.
    pub role: String,
    /// Their user id, on any server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_id: Option<OwnedUserId>,
    /// Their e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
}
