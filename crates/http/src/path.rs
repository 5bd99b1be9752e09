//! One spelling per path, so that two spellings cannot reach two handlers.

use http::{Uri, uri::PathAndQuery};

/// Method and body aside, what a request asked for as it was written: a signature covers these bytes.
/// Among the extensions of a request whose path was spelled in another way.
#[derive(Clone, Debug)]
pub struct WrittenTarget(pub PathAndQuery);

/// Decodes the percent-encoded characters that never needed encoding (RFC 3986, section 6.2.2.2).
///
/// After this an encoded letter cannot slip past a fixed path segment into the parameter beside
/// it. Slashes stay encoded: an encoded slash is part of a parameter. Doubled and trailing slashes
/// are left alone, because no route matches an empty segment.
/// Returns how it was written, if that was another way.
pub(crate) fn normalise(uri: &mut Uri) -> Option<WrittenTarget> {
    if !uri.path().contains('%') {
        return None;
    }
    let path = decode_unreserved(uri.path());
    if path == uri.path() {
        return None;
    }
    let written = uri.path_and_query().cloned().map(WrittenTarget);
    let rewritten = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = std::mem::take(uri).into_parts();
    if let Ok(path_and_query) = rewritten {
        parts.path_and_query = Some(path_and_query);
    }
    *uri = Uri::from_parts(parts).unwrap_or_default();
    written
}

fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let byte = escape.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if is_unreserved(byte) => decoded.push(char::from(byte)),
            _ => decoded.push_str(escape.get(..3).unwrap_or(escape)),
        }
        rest = escape.get(3..).unwrap_or_default();
    }
    decoded.push_str(rest);
    decoded
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(text: &str) -> String {
        let mut uri: Uri = text.parse().unwrap();
        let written = normalise(&mut uri);
        assert_eq!(written.is_some(), uri != text);
        assert!(written.is_none_or(|written| written.0 == text));
        uri.to_string()
    }

    #[test]
    fn letters_are_decoded_and_separators_are_not() {
        assert_eq!(normalised("/_matrix/%6Aoin/a"), "/_matrix/join/a");
        assert_eq!(normalised("/profile/%40a/%64isplayname"), "/profile/%40a/displayname");
        assert_eq!(normalised("/a%2Fb/%2e%2E?x=%61"), "/a%2Fb/..?x=%61");
        assert_eq!(normalised("/%23tea%3Ahome.test"), "/%23tea%3Ahome.test");
        assert_eq!(normalised("/plain?q=%"), "/plain?q=%");
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(normalised("/a%"), "/a%");
        assert_eq!(normalised("/a%4"), "/a%4");
        assert_eq!(normalised("/a%zz%41"), "/a%zzA");
    }
}
