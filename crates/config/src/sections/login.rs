//! `[login]`

use crate::section::section;

section! {
    /// How people log in.
    pub struct Login {
        /// Whether somebody who is logged in, and proves it, may let one more client in with a token that
        /// works once, for two minutes.
        pub tokens: bool = true;
    }
}
