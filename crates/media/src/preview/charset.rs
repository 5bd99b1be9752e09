//! Reading a page's bytes as text (the order of the HTML standard, "Determining the character
//! encoding").

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page its own word for its encoding is looked for, in bytes.
const DECLARED_WITHIN: usize = 1_024;

/// A page as text. What cannot be read is replaced.
pub(super) fn decode(bytes: &[u8], content_type: &str) -> String {
    let encoding = Encoding::for_bom(bytes)
        .map(|(encoding, _)| encoding)
        .or_else(|| named(content_type))
        .or_else(|| declared(bytes))
        .unwrap_or_else(|| guessed(bytes));
    encoding.decode(bytes).0.into_owned()
}

/// What follows `charset=` in a text.
fn named(text: &str) -> Option<&'static Encoding> {
    let text = text.to_ascii_lowercase();
    let (_, label) = text.split_once("charset")?;
    let label = label.trim_start().strip_prefix('=')?.trim_start();
    let label = label.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', ';', '>', '/', ' ', '\t', '\n', '\r']).unwrap_or(label.len());
    Encoding::for_label(label.get(..end)?.as_bytes())
}

/// What the page says of itself, in a `meta` element or an XML declaration.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..DECLARED_WITHIN.min(bytes.len()))?;
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    for element in head.split("<meta").skip(1) {
        let element = element.split('>').next().unwrap_or_default();
        if let Some(encoding) = named(element) {
            return Some(encoding);
        }
    }
    let (_, label) = head.strip_prefix("<?xml")?.split('>').next()?.split_once("encoding=")?;
    let label = label.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\''])?;
    Encoding::for_label(label.get(..end)?.as_bytes())
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    // A page that was cut may end inside a character.
    let cut = bytes.len().saturating_sub(4);
    match std::str::from_utf8(bytes) {
        Ok(_) => UTF_8,
        Err(error) if error.valid_up_to() >= cut => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_the_page_and_then_the_bytes_say_how_a_page_is_written() {
        for (bytes, content_type, expected) in [
            (&b"caf\xe9"[..], "text/html; charset=ISO-8859-1", "caf\u{e9}"),
            (b"caf\xc3\xa9", "text/html; charset=\"utf-8\"", "caf\u{e9}"),
            (
                b"<meta charset='windows-1251'>\xcf",
                "text/html",
                "<meta charset='windows-1251'>\u{41f}",
            ),
            (
                b"<meta http-equiv=content-type content=\"text/html; charset=koi8-r\">\xf0",
                "text/html",
                "<meta http-equiv=content-type content=\"text/html; charset=koi8-r\">\u{41f}",
            ),
            (
                b"<?xml version=\"1.0\" encoding=\"iso-8859-2\"?>\xb1",
                "",
                "<?xml version=\"1.0\" encoding=\"iso-8859-2\"?>\u{105}",
            ),
            (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=latin1", "caf\u{e9}"),
            (b"caf\xc3\xa9 cut \xc3", "text/html", "caf\u{e9} cut \u{fffd}"),
            (b"caf\xe9 and on and on", "text/html; charset=nonsense", "caf\u{e9} and on and on"),
        ] {
            assert_eq!(decode(bytes, content_type), expected, "{content_type}");
        }
    }
}
