//! How much another server may ask for.

use ruma::ServerName;
use vestibule_policy::{Denial, Rate, RateKey};

use crate::Media;

/// Files and thumbnails a server asks for; each may take seconds of work or many megabytes.
const SERVER_DOWNLOADS: Rate = Rate::per_minute(1_200, 600);

impl Media {
    /// Counts a file or thumbnail that another server asks for.
    pub fn admit_server(&self, server: &ServerName) -> Result<(), Denial> {
        let parts = &self.inner.parts;
        let now = parts.environment.clock.monotonic();
        parts.rates.charge_server(server, (RateKey::Request, SERVER_DOWNLOADS), now)
    }
}
