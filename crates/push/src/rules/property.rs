//! Properties of an event by their dot-separated paths (appendices, "Dot-separated property paths").

use ruma::push::ScalarJsonValue;
use serde_json::Value;

/// The value at a path.
pub(super) fn property<'v>(event: &'v Value, path: &str) -> Option<&'v Value> {
    let (mut here, mut name, mut letters) = (event, String::new(), path.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '.' => here = here.as_object()?.get(&std::mem::take(&mut name))?,
            // Before anything else a backslash is one.
            '\\' => name.push(letters.next_if(|next| matches!(next, '.' | '\\')).unwrap_or('\\')),
            letter => name.push(letter),
        }
    }
    here.as_object()?.get(&name)
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
        ] {
            assert_eq!(property(&event, path), Some(&expected), "{path}");
        }
        for path in ["content.m.mentions.room", "", ".", "content.", "content.none.x"] {
            assert_eq!(property(&event, path), None, "{path}");
        }
    }
}
