//! `[email]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vestibule_types::Secret;

use crate::{Period, section::section};

section! {
    /// Mail that this server writes: links with which people prove an address, reset a password or make
    /// an account. Without `from` it writes none, and says so to clients.
    pub struct Email {
        /// Whom mail comes from.
        pub from: Option<String> = None, example "\"Example <noreply@example.org>\"";
        /// The mail server that takes it.
        pub server: Option<String> = None, example "\"mail.example.org\"";
        /// Its port. Absent: 587 with "starttls", 465 with "tls", 25 with "none".
        pub port: Option<u16> = None, example "587";
        /// "starttls": encrypted after a greeting in the clear, or not at all; "tls": from the beginning;
        /// "none": only for a mail server on this machine.
        pub tls: EmailTls = EmailTls::Starttls;
        /// The name to log in with at the mail server. Absent: no login.
        pub username: Option<String> = None, example "\"vestibule\"";
        /// The password for that name.
        pub password: Option<Secret> = None, example "\"a password\"";
        /// The same, read from a file, so that the password need not stand in this one.
        pub password_file: Option<PathBuf> = None, example "\"/etc/vestibule/email-password\"";
        /// What links begin with. Absent: `server.public_url`.
        pub link_base: Option<String> = None, example "\"https://matrix.example.org\"";
        /// How long a link is good.
        pub link_life: Period = Period::hours(1);
        /// Hosts of clients to which people are sent back after they opened a link. To others they find
        /// back by themselves.
        pub next_link_hosts: Vec<String> = Vec::new();
    }
}

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailTls {
    /// Encrypted after a greeting in the clear; never without.
    Starttls,
    /// Encrypted from the beginning.
    Tls,
    /// In the clear.
    None,
}

impl Email {
    /// The port of the mail server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            EmailTls::Starttls => 587,
            EmailTls::Tls => 465,
            EmailTls::None => 25,
        })
    }
}
