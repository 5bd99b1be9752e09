//! End-to-end key exchange: device keys, one-time keys, cross-signing, key backup.
