//! Where the specification's own schema is wrong, or an answer is lawful beside it. The list only
//! shrinks.

use serde_json::Value;

/// A violation that is none.
struct Exception {
    /// The API and the `operationId`.
    operation: &'static str,
    /// The place in the answer; one that ends in a slash stands for all below it.
    place: &'static str,
    /// What is said about it.
    violation: &'static str,
    /// The types of event it is about; none means that it is about no event, or about all.
    of: &'static [&'static str],
    /// Why the answer is lawful.
    #[expect(dead_code, reason = "for whoever reads the list")]
    reason: &'static str,
}

/// What a room is told of and does not keep.
const PASSING: &[&str] = &["m.presence", "m.typing", "m.receipt"];

const EXCEPTIONS: &[Exception] = &[
    Exception {
        operation: "server-server sendInviteV2",
        place: "/event",
        violation: "\"origin\" is a required property",
        of: &[],
        reason: "events have no `origin` any more; the answer is the inviter's event, signed again",
    },
    Exception {
        operation: "server-server sendInviteV1",
        place: "/1/event",
        violation: "\"origin\" is a required property",
        of: &[],
        reason: "as above",
    },
    Exception {
        operation: "client-server peekEvents",
        place: "/chunk/",
        violation: "\"event_id\" is a required property",
        of: PASSING,
        reason: "the stream also tells of what passes, which is no event of a room's graph",
    },
    Exception {
        operation: "client-server peekEvents",
        place: "/chunk/",
        violation: "\"origin_server_ts\" is a required property",
        of: PASSING,
        reason: "as above",
    },
    Exception {
        operation: "client-server peekEvents",
        place: "/chunk/",
        violation: "\"room_id\" is a required property",
        of: &["m.presence"],
        reason: "as above; presence belongs to no room",
    },
];

/// Whether a violation is one of the exceptions; `found` is what violates.
pub(super) fn allow(operation: &str, place: &str, violation: &str, found: &Value) -> bool {
    let is_it = |it: &Exception| {
        let there = it.place == place || it.place.ends_with('/') && place.starts_with(it.place);
        let such = it.of.is_empty() || it.of.iter().any(|kind| found["type"] == *kind);
        it.operation == operation && there && such && it.violation == violation
    };
    EXCEPTIONS.iter().any(is_it)
}
