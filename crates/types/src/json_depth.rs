//! How deep JSON is nested, known before anybody recurses into it.

/// How many objects and arrays lie in each other at the deepest place of a valid JSON text.
#[must_use]
pub fn json_depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_place_counts_and_brackets_in_strings_do_not() {
        assert_eq!(json_depth(b"1"), 0);
        assert_eq!(json_depth(br#"[{"a":[]},{},[[1]]]"#), 3);
        assert_eq!(json_depth(br#"{"a":"[[[\"[["}"#), 1);
        assert_eq!(json_depth("[".repeat(500_000).as_bytes()), 500_000);
    }
}
