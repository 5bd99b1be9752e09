//! Contradictions in what is told to everybody.

use super::Checked;
use crate::{Problem, load::Sections};

/// The bytes of an ed25519 public key.
const KEY_BYTES: usize = 32;

pub(super) fn support(sections: &Sections, found: &mut Checked) {
    let support = &sections.support;
    if let Some(page) = &support.page
        && !is_web_address(page)
    {
        let problem = Problem::new(
            "support.page",
            "is no address of the web",
            "write one that begins with https://",
        );
        found.problems.push(problem.with_value(format!("\"{page}\"")));
    }
    for (index, contact) in support.contacts.iter().enumerate() {
        let key = format!("support.contacts[{index}]");
        if contact.matrix_id.is_none() && contact.email_address.is_none() {
            let remedy = "add matrix_id or email_address";
            found.problems.push(Problem::new(&key, "says nothing to reach anybody by", remedy));
        }
        if contact.role.is_empty() {
            let remedy = "write \"m.role.admin\" or \"m.role.security\"";
            found.problems.push(Problem::new(&format!("{key}.role"), "is empty", remedy));
        }
    }
    if let Some(key) = &sections.server.policy_server_key
        && key.as_bytes().len() != KEY_BYTES
    {
        found.problems.push(Problem::new(
            "server.policy_server_key",
            "is no ed25519 public key",
            "write the 32 bytes in unpadded base64, as the policy server tells them",
        ));
    }
}

/// Whether a text begins as an address of the web does, and names a host.
pub(super) fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !text.contains(char::is_whitespace)
}
