//! Which servers the operator lets this one talk to.

use ruma::ServerName;

/// Patterns for host names; a port plays no part, nor does the case of letters.
#[derive(Clone, Debug, Default)]
pub struct ServerLists {
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl ServerLists {
    /// Only these, and none of those. No `allowed` at all stands for everybody.
    #[must_use]
    pub fn new(allowed: &[String], denied: &[String]) -> Self {
        let small =
            |patterns: &[String]| patterns.iter().map(|it| it.to_ascii_lowercase()).collect();
        Self { allowed: small(allowed), denied: small(denied) }
    }

    /// Whether this server may be talked to.
    #[must_use]
    pub fn permit(&self, server: &ServerName) -> bool {
        let host = server.host().to_ascii_lowercase();
        let among =
            |patterns: &[String]| patterns.iter().any(|it| matches(it.as_bytes(), host.as_bytes()));
        !among(&self.denied) && (self.allowed.is_empty() || among(&self.allowed))
    }
}

/// `*` stands for any text, `?` for one letter. Work is bounded by the product of the lengths: only
/// the last `*` is ever tried again.
fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => return true,
            (Some((b'*', rest)), _) => {
                again = Some((rest, text));
                pattern = rest;
            }
            (Some((one, rest)), Some((letter, left))) if *one == b'?' || one == letter => {
                (pattern, text) = (rest, left);
            }
            _ => {
                let Some((after, from)) = again else { return false };
                let Some((_, shorter)) = from.split_first() else { return false };
                again = Some((after, shorter));
                (pattern, text) = (after, shorter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(allowed: &[&str], denied: &[&str], server: &str) -> bool {
        let owned = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let server: &ServerName = server.try_into().unwrap();
        ServerLists::new(&owned(allowed), &owned(denied)).permit(server)
    }

    #[test]
    fn everybody_is_permitted_without_lists() {
        assert!(permit(&[], &[], "any.example:1"));
    }

    #[test]
    fn what_is_denied_wins_over_what_is_allowed() {
        assert!(permit(&["*.example"], &["bad.*"], "good.example"));
        assert!(!permit(&["*.example"], &["bad.*"], "bad.example"));
        assert!(!permit(&["*.example"], &[], "good.example.org"));
    }

    #[test]
    fn case_and_port_play_no_part() {
        assert!(!permit(&[], &["EVIL.example"], "Evil.Example:8448"));
        assert!(permit(&["[::1]"], &[], "[::1]:8448"));
    }

    #[test]
    fn stars_and_question_marks_match_as_they_do_elsewhere() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxxb", false),
            ("?.org", "a.org", true),
            ("?.org", ".org", false),
            ("*a", "bbba", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
