//! The policy's part of the example. Its types live in `vestibule-policy`, so the words live here,
//! and a test keeps keys and defaults equal.

/// The policy sections.
pub(crate) const POLICY_EXAMPLE: &str = include_str!("policy_example.toml");
