//! `[registration]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vestibule_types::Secret;

use crate::section::section;

section! {
    /// Who may make an account. Guests are not accounts: see `[guests]`.
    pub struct Registration {
        /// "closed": only `vestibule user create` and the shared secret. "token": whoever has a token
        /// made by `vestibule token create`. "open": everybody.
        pub mode: RegistrationMode = RegistrationMode::Closed;
        /// Lets scripts make accounts, admins included, through `/_synapse/admin/v1/register`. Absent: nobody
        /// can.
        pub shared_secret: Option<Secret> = None, example "\"a long random text\"";
        /// The same, read from a file, so that the secret need not stand in this one.
        pub shared_secret_file: Option<PathBuf> = None, example "\"/etc/vestibule/registration-secret\"";
        /// Whether people prove an e-mail address when they make an account: "off", "optional" or
        /// "required". It needs `[email]`.
        pub email: EmailAtRegistration = EmailAtRegistration::Off;
        /// Texts a person must accept to make an account. One section each.
        pub terms: Vec<Terms> = Vec::new(), example "{ id = \"privacy\", version = \"1\", language = \"en\", name = \"Privacy policy\", url = \"https://example.org/privacy\" }";
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Nobody, over the client API.
    Closed,
    /// Whoever has a registration token.
    Token,
    /// Everybody.
    Open,
}

/// Whether people prove an e-mail address when they make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailAtRegistration {
    /// Nobody is asked.
    Off,
    /// Who wants to.
    Optional,
    /// Everybody.
    Required,
}

/// A text a person must accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Its identifier, as clients see it.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The language of name and text.
    #[serde(default = "english")]
    pub language: String,
    /// Its title.
    pub name: String,
    /// Where it can be read.
    pub url: String,
}

fn english() -> String {
    "en".to_owned()
}
