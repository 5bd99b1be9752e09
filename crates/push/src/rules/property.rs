//! Properties of an event by their dot-separated paths (appendices, "Dot-separated property paths").

use std::borrow::Cow;

use ruma::push::ScalarJsonValue;
use serde_json::Value;

/// The value at a path.
pub(super) fn property<'v>(event: &'v Value, path: &str) -> Option<&'v Value> {
    let (mut here, mut rest) = (event, path);
    loop {
        let (name, after) = step(rest);
        here = here.as_object()?.get(&*name)?;
        let Some(after) = after else { return Some(here) };
        rest = after;
    }
}

/// The first name of a path, and what comes after its dot.
fn step(path: &str) -> (Cow<'_, str>, Option<&str>) {
    match path.find(['.', '\\']).and_then(|at| path.split_at_checked(at)) {
        None => (Cow::Borrowed(path), None),
        Some((name, rest)) => match rest.strip_prefix('.') {
            Some(after) => (Cow::Borrowed(name), Some(after)),
            None => unescape(name, rest),
        },
    }
}

/// As [`step`], of a path that goes on with a backslash after the beginning of a name.
fn unescape<'p>(name: &str, rest: &'p str) -> (Cow<'p, str>, Option<&'p str>) {
    let (mut name, mut letters) = (name.to_owned(), rest.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '.' => return (Cow::Owned(name), Some(letters.as_str())),
            '\\' => {
                let escaped = letters.clone().next().filter(|next| matches!(next, '.' | '\\'));
                if escaped.is_some() {
                    letters.next();
                }
                // Before anything else a backslash is one.
                name.push(escaped.unwrap_or('\\'));
            }
            letter => name.push(letter),
        }
    }
    (Cow::Owned(name), None)
}

/// Whether a value is exactly this one; kinds are not converted.
pub(super) fn is_same(value: &Value, wanted: &ScalarJsonValue) -> bool {
    match (value, wanted) {
        (Value::Null, ScalarJsonValue::Null) => true,
        (Value::Bool(value), ScalarJsonValue::Bool(wanted)) => value == wanted,
        (Value::Number(value), ScalarJsonValue::Integer(wanted)) => {
            value.as_i64() == Some(i64::from(*wanted))
        }
        (Value::String(value), ScalarJsonValue::String(wanted)) => value == wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dots_and_backslashes_in_names_are_escaped() {
        let event =
            json!({ "content": { "m.mentions": { "room": true }, "a\\b": 1, "c\\": { "d": 2 } } });
        for (path, expected) in [
            (r"content.m\.mentions.room", json!(true)),
            (r"content.a\b", json!(1)),
            (r"content.a\\b", json!(1)),
            (r"content.c\\.d", json!(2)),
            (r"content.m\.mentions", json!({ "room": true })),
        ] {
            assert_eq!(property(&event, path), Some(&expected), "{path}");
        }
        for path in ["content.m.mentions.room", "", ".", "content.", "content.none.x"] {
            assert_eq!(property(&event, path), None, "{path}");
        }
    }
}
