//! The canonical form of an e-mail address, and addresses of the web as far as they are looked at.

use vestibule_types::limits::{EMAIL_BYTES_MAX, NEXT_LINK_BYTES_MAX};

/// The form an address is kept and compared in: in small letters (appendices, "3PID types"). `None`
/// for a text that is no address.
pub(crate) fn canonical_email(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;:\"()[]\\@".contains(c);
    let named = |part: &str| !part.is_empty() && part.chars().all(plain);
    let dotted = !domain.starts_with('.') && !domain.ends_with('.') && !domain.contains("..");
    (text.len() <= EMAIL_BYTES_MAX && named(local) && named(domain) && dotted)
        .then(|| text.to_lowercase())
}

/// The host of an address of the web; `None` for a text that is none, or that browsers and this server
/// could read differently.
pub(crate) fn web_host(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let odd = |c: char| !c.is_ascii_graphic() || c == '\\' || c == '"' || c == '<' || c == '>';
    if text.len() > NEXT_LINK_BYTES_MAX || text.contains(odd) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    (!host.is_empty() && !host.contains('@')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_small_letters_and_what_is_none_is_refused() {
        let canonical = |text| canonical_email(text);
        assert_eq!(canonical(" Alice@Example.ORG "), Some("alice@example.org".to_owned()));
        assert_eq!(canonical("a+b.c@x"), Some("a+b.c@x".to_owned()));
        for bad in [
            "",
            "alice",
            "@x",
            "a@",
            "a b@x",
            "a@x.",
            "a@.x",
            "a@x..y",
            "a@b@c",
            "a@x\r\nBcc: b@y",
            "<a@x>",
            "a,b@x",
        ] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
        assert_eq!(canonical(&format!("{}@x", "a".repeat(EMAIL_BYTES_MAX))), None);
    }

    #[test]
    fn the_host_of_a_web_address_is_what_a_browser_takes_for_it() {
        assert_eq!(web_host("https://a.example/x?y#z"), Some("a.example"));
        assert_eq!(web_host("http://a.example:8080"), Some("a.example"));
        assert_eq!(web_host("https://a.example?next=https://b.example"), Some("a.example"));
        for bad in [
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "//a.example",
            "https://a.example@b.example/",
            "https://b.example\\@a.example",
            "https://a.example/\n",
            "ftp://a.example",
        ] {
            assert_eq!(web_host(bad), None, "{bad:?}");
        }
    }
}
