//! The class of an account.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

/// The name of a class: one of the built-in ones, or one the operator defined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassName(Box<str>);

impl ClassName {
    /// The class of `register?kind=guest` accounts.
    pub const GUEST: &'static str = "guest";
    /// The class of ordinary accounts.
    pub const MEMBER: &'static str = "member";
    /// The class that may name and publish rooms.
    pub const MODERATOR: &'static str = "moderator";
    /// The class of operators.
    pub const ADMIN: &'static str = "admin";
    /// The class of application-service ghosts.
    pub const APPSERVICE: &'static str = "appservice";
    /// The class of the server's own user.
    pub const SYSTEM: &'static str = "system";

    /// A class by name. Whether such a class exists is the policy's to say.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The built-in guest class.
    #[must_use]
    pub fn guest() -> Self {
        Self::new(Self::GUEST)
    }

    /// The built-in member class.
    #[must_use]
    pub fn member() -> Self {
        Self::new(Self::MEMBER)
    }

    /// The built-in moderator class.
    #[must_use]
    pub fn moderator() -> Self {
        Self::new(Self::MODERATOR)
    }

    /// The built-in admin class.
    #[must_use]
    pub fn admin() -> Self {
        Self::new(Self::ADMIN)
    }

    /// The built-in system class.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Self::SYSTEM)
    }

    /// The name as written in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the built-in guest class: the only class whose accounts are the
    /// specification's guests.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        &*self.0 == Self::GUEST
    }

    /// Whether this is the built-in admin class.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        &*self.0 == Self::ADMIN
    }
}

impl Borrow<str> for ClassName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
