//! `[log]`

use serde::{Deserialize, Serialize};

use crate::section::section;

section! {
    /// What is written to standard error.
    pub struct Log {
        /// A level, or levels by module: `"info,vestibule_rooms=debug"`. Read again on SIGHUP.
        pub filter: String = "info".to_owned();
        /// "text" for people, "json" for machines.
        pub format: LogFormat = LogFormat::Text;
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
