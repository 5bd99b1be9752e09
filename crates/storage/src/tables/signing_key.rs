//! The key this server signs events with.

use crate::Table;

/// The key as text, `ed25519 <name> <base64>`, made at the first start. Key `(0,)`.
pub const SIGNING_KEY: Table<(u8,), String> = Table::new(0x0004, "signing_key");
