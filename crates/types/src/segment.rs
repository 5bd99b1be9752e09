//! Names in the paths and queries of addresses.

use std::fmt::Write;

/// Encodes text for one segment of a path, or one value of a query.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_would_misread_is_encoded() {
        assert_eq!(segment("@a/b:c?d#e%"), "%40a%2Fb%3Ac%3Fd%23e%25");
        assert_eq!(segment("plain-1.~_"), "plain-1.~_");
    }
}
