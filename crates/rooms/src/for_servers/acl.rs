//! Which servers a room lets take part: `m.room.server_acl` (client-server API, "Server Access
//! Control Lists").

use moka::sync::Cache;
use ruma::{CanonicalJsonObject, RoomId, ServerName};
use serde_json::{Value, value::RawValue};
use vestibule_storage::{Read, StorageError};
use vestibule_types::{EventNo, Glob, RoomNo, limits::ACL_ANSWERS_MAX};

use crate::{RoomView, Rooms};

/// What a list says about servers: how it is written, without patterns of another case.
#[derive(Debug, PartialEq, Eq)]
struct ServerAcl {
    allow_ip_literals: bool,
    allow: Vec<Glob>,
    deny: Vec<Glob>,
}

impl ServerAcl {
    /// Reads a content. What is not of the right type counts as absent, so that a damaged list does
    /// not open a room: without `allow`, nobody is allowed.
    fn parse(content: &RawValue) -> Self {
        let content = serde_json::from_str::<Value>(content.get()).unwrap_or_default();
        let globs = |field: &str| {
            let patterns = content.get(field).and_then(Value::as_array).into_iter().flatten();
            patterns.filter_map(Value::as_str).map(|it| Glob::new(&it.to_lowercase())).collect()
        };
        let literals = content.get("allow_ip_literals").and_then(Value::as_bool);
        Self {
            allow_ip_literals: literals.unwrap_or(true),
            allow: globs("allow"),
            deny: globs("deny"),
        }
    }

    fn allows(&self, server: &ServerName) -> bool {
        if !self.allow_ip_literals && server.is_ip_literal() {
            return false;
        }
        let host = server.host().to_lowercase();
        let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&host));
        !named(&self.deny) && named(&self.allow)
    }
}

/// Whether a list of this content lets a server take no part.
pub(crate) fn shuts_out(content: &CanonicalJsonObject, server: &ServerName) -> bool {
    let content = serde_json::value::to_raw_value(content);
    content.is_ok_and(|content| !ServerAcl::parse(&content).allows(server))
}

/// Which list, whether it was redacted since, and the host.
type Question = (RoomNo, EventNo, bool, Box<str>);

/// What lists said about servers. A list never changes, so an answer is good for ever; a list may be
/// long, and is asked for every event and every notice of a server.
#[derive(Clone, Debug)]
pub(crate) struct AclAnswers(Cache<Question, bool>);

impl AclAnswers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(ACL_ANSWERS_MAX))
    }
}

impl Rooms {
    /// Whether a room's access control list lets a server take part. A room this server does not
    /// have has no list. Being let take part is not being in the room.
    pub async fn acl_allows(
        &self,
        room_id: &RoomId,
        server: &ServerName,
    ) -> Result<bool, StorageError> {
        let server = server.to_owned();
        let allowed = self.with_view(room_id, move |view| view.acl_allows(&server)).await?;
        Ok(allowed.unwrap_or(true))
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Whether the room's access control list, as it stands now, lets a server take part.
    pub fn acl_allows(&self, server: &ServerName) -> Result<bool, StorageError> {
        let Some(list) = self.state_event("m.room.server_acl", "")? else { return Ok(true) };
        let redacted = self.redaction_of(list.pdu.event_id())?.is_some();
        let question = (self.room.no, list.no, redacted, Box::from(server.host()));
        let answers = &self.rooms.inner.acl_answers.0;
        if let Some(answer) = answers.get(&question) {
            return Ok(answer);
        }
        let answer = ServerAcl::parse(&self.shown_content(&list)?).allows(server);
        if list.no.0 < self.room.committed {
            answers.insert(question, answer);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use ruma::ServerName;
    use serde_json::{Value, json, value::to_raw_value};

    use super::ServerAcl;

    fn allows(content: &Value, server: &str) -> bool {
        let server = ServerName::parse(server).unwrap();
        ServerAcl::parse(&to_raw_value(content).unwrap()).allows(&server)
    }

    #[test]
    fn deny_comes_before_allow() {
        let list = json!({ "allow": ["*"], "deny": ["*.evil.example", "evil.example"] });
        assert!(allows(&list, "good.example"));
        assert!(!allows(&list, "evil.example"));
        assert!(!allows(&list, "very.evil.example"));
        assert!(allows(&list, "notevil.example"));
    }

    #[test]
    fn neither_case_nor_port_gets_a_server_past_a_list() {
        let list = json!({ "allow": ["*"], "deny": ["EVIL.example"] });
        for name in ["evil.example", "Evil.Example", "evil.example:8448", "EVIL.EXAMPLE:1"] {
            assert!(!allows(&list, name), "{name}");
        }
        assert!(allows(&json!({ "allow": ["good.example"] }), "GOOD.example:8448"));
    }

    #[test]
    fn addresses_are_refused_only_where_the_list_says_so() {
        let list = json!({ "allow": ["*"], "allow_ip_literals": false });
        for name in ["1.2.3.4", "1.2.3.4:8448", "[::1]", "[2001:db8::1]:8448"] {
            assert!(!allows(&list, name), "{name}");
        }
        assert!(allows(&list, "one.example"));
        for literals in [json!(true), json!("false"), Value::Null] {
            let list = json!({ "allow": ["*"], "allow_ip_literals": literals });
            assert!(allows(&list, "1.2.3.4"), "{list}");
        }
    }

    #[test]
    fn a_list_that_allows_nobody_or_is_damaged_lets_nobody_in() {
        for list in [
            json!({}),
            json!({ "allow": [] }),
            json!({ "allow": "*" }),
            json!({ "allow": [7, null] }),
            json!({ "deny": ["evil.example"] }),
        ] {
            assert!(!allows(&list, "good.example"), "{list}");
        }
        assert!(allows(&json!({ "allow": [7, "*"], "deny": {} }), "good.example"));
    }

    #[test]
    fn wildcards_stand_for_any_text_and_for_one_character() {
        let list = json!({ "allow": ["*.a.example", "b?.example"] });
        assert!(allows(&list, "x.a.example") && allows(&list, "b1.example"));
        assert!(!allows(&list, "a.example") && !allows(&list, "b.example"));
    }
}
