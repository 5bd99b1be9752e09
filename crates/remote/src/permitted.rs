//! Which servers the operator lets this one talk to.

use ruma::ServerName;
use vestibule_types::Glob;

/// Patterns for host names; a port plays no part, nor does the case of letters.
#[derive(Clone, Debug, Default)]
pub struct ServerLists {
    allowed: Vec<Glob>,
    denied: Vec<Glob>,
}

impl ServerLists {
    /// Only these, and none of those. No `allowed` at all stands for everybody.
    #[must_use]
    pub fn new(allowed: &[String], denied: &[String]) -> Self {
        let small = |patterns: &[String]| {
            patterns.iter().map(|it| Glob::new(&it.to_ascii_lowercase())).collect()
        };
        Self { allowed: small(allowed), denied: small(denied) }
    }

    /// Whether this server may be talked to.
    #[must_use]
    pub fn permit(&self, server: &ServerName) -> bool {
        let host = server.host().to_ascii_lowercase();
        let among = |patterns: &[Glob]| patterns.iter().any(|it| it.matches(&host));
        !among(&self.denied) && (self.allowed.is_empty() || among(&self.allowed))
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
}
