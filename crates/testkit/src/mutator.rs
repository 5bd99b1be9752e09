//! JSON and bytes bent out of shape, as a seed decides.

use serde_json::{Map, Value, json};

use crate::SeededRandom;

/// How deep a value is looked into for a place to change.
const DEPTH_MAX: usize = 12;

/// Pieces that parsers are known to stumble over.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "-0",
    "1.5",
    "1e999",
    "-",
    "9007199254740992",
    "99999999999999999999999999",
    "\\ud800",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\\",
    "\n",
    "{\"a\":1,\"a\":2}",
    "true",
    "\u{10ffff}",
];

/// Keys that mean something to somebody.
const KEYS: [&str; 27] = [
    "type",
    "state_key",
    "sender",
    "room_id",
    "event_id",
    "content",
    "depth",
    "origin",
    "origin_server_ts",
    "prev_events",
    "auth_events",
    "hashes",
    "sha256",
    "signatures",
    "unsigned",
    "redacts",
    "membership",
    "users",
    "join_rule",
    "allow",
    "room_version",
    "additional_creators",
    "third_party_invite",
    "join_authorised_via_users_server",
    "age_ts",
    "edu_type",
    "",
];

/// Changes values. The same seed makes the same changes.
#[derive(Debug)]
pub struct Mutator(SeededRandom);

impl Mutator {
    /// Starts the changes of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below a bound.
    #[must_use]
    pub fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or_default()
    }

    /// One of several.
    #[must_use]
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Changes a value in up to four places.
    pub fn change(&self, value: &mut Value) {
        for _ in 0..=self.below(4) {
            let donor = value.clone();
            self.descend(value, &donor, 0);
        }
    }

    /// Changes bytes in up to four places.
    pub fn change_bytes(&self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1)).min(bytes.len());
            let until = at + self.below(16).min(bytes.len() - at);
            match self.below(7) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..until)),
                2 => {
                    let again = bytes.get(at..until).unwrap_or_default().to_vec();
                    bytes.splice(at..at, again);
                }
                3 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                4 => {
                    let opening = *self.pick(b"[{\"").unwrap_or(&b'[');
                    bytes.splice(at..at, std::iter::repeat_n(opening, self.below(3_000)));
                }
                5 => drop(bytes.splice(at..at, [u8::try_from(self.below(256)).unwrap_or(0xff)])),
                _ => {
                    let piece = self.pick(&PIECES).copied().unwrap_or_default();
                    bytes.splice(at..at, piece.bytes());
                }
            }
        }
    }

    /// Walks to a place by chance, and changes what is there.
    fn descend(&self, value: &mut Value, donor: &Value, depth: usize) {
        if depth < DEPTH_MAX && self.below(5) > 0 {
            match value {
                Value::Object(object) if !object.is_empty() => {
                    return self.change_entry(object, donor, depth);
                }
                Value::Array(array) if !array.is_empty() => {
                    let at = self.below(array.len());
                    match (self.below(6), array.get_mut(at)) {
                        (0, _) => drop(array.remove(at)),
                        (1, Some(entry)) => {
                            let again = entry.clone();
                            array.extend(std::iter::repeat_n(again, self.below(40)));
                        }
                        (_, Some(entry)) => self.descend(entry, donor, depth + 1),
                        (_, None) => {}
                    }
                    return;
                }
                _ => {}
            }
        }
        self.replace(value, donor);
    }

    fn change_entry(&self, object: &mut Map<String, Value>, donor: &Value, depth: usize) {
        let keys: Vec<String> = object.keys().cloned().collect();
        let Some(key) = self.pick(&keys) else { return };
        match self.below(8) {
            0 => drop(object.remove(key)),
            1 => {
                let other = self.pick(&KEYS).copied().unwrap_or_default().to_owned();
                let moved = object.remove(key).unwrap_or_default();
                object.insert(other, moved);
            }
            2 => {
                let other = self.pick(&KEYS).copied().unwrap_or_default().to_owned();
                object.insert(other, self.odd());
            }
            _ => {
                if let Some(entry) = object.get_mut(key) {
                    self.descend(entry, donor, depth + 1);
                }
            }
        }
    }

    fn replace(&self, value: &mut Value, donor: &Value) {
        match (&mut *value, self.below(4)) {
            (Value::String(text), 0..3) => self.change_text(text),
            (Value::Number(number), 0..=2) => {
                let by = *self.pick(&[1, -1, 1_000, i64::MAX / 2]).unwrap_or(&1);
                *value = json!(number.as_i64().unwrap_or_default().wrapping_add(by));
            }
            (_, 3) => *value = self.part_of(donor, 0),
            _ => *value = self.odd(),
        }
    }

    fn change_text(&self, text: &mut String) {
        let at = text.floor_char_boundary(self.below(text.len().max(1)));
        match self.below(6) {
            0 => text.truncate(at),
            1 => text.push_str(&"x".repeat(self.below(400))),
            2 => *text = text.to_uppercase(),
            3 => text.insert(
                at,
                *self.pick(&['\0', ':', '@', '\u{202e}', '%', '/', '"']).unwrap_or(&' '),
            ),
            4 => *text = text.chars().rev().collect(),
            _ => text.insert_str(at, self.pick(&PIECES).copied().unwrap_or_default()),
        }
    }

    /// Some part of a value.
    fn part_of(&self, value: &Value, depth: usize) -> Value {
        if depth < DEPTH_MAX && self.below(4) > 0 {
            match value {
                Value::Object(object) => {
                    let values: Vec<&Value> = object.values().collect();
                    if let Some(part) = self.pick(&values) {
                        return self.part_of(part, depth + 1);
                    }
                }
                Value::Array(array) => {
                    if let Some(part) = self.pick(array) {
                        return self.part_of(part, depth + 1);
                    }
                }
                _ => {}
            }
        }
        value.clone()
    }

    fn odd(&self) -> Value {
        const SAFE_MAX: i64 = 9_007_199_254_740_991;
        match self.below(16) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(""),
            3 => json!(0),
            4 => json!(-1),
            5 => json!(SAFE_MAX),
            6 => json!(SAFE_MAX + 1),
            7 => json!(-SAFE_MAX),
            8 => json!(1.5),
            9 => json!([]),
            10 => json!({}),
            11 => json!("@:"),
            12 => json!("x".repeat(256)),
            13 => (0..self.below(200)).fold(json!(0), |inner, _| json!([inner])),
            14 => (0..self.below(200)).fold(json!(0), |inner, _| json!({ "a": inner })),
            _ => json!(self.pick(&PIECES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_change_and_many_seeds_make_many() {
        let changed = |seed| {
            let mut value = json!({ "a": [1, { "b": "text" }], "type": "m.room.message" });
            Mutator::new(seed).change(&mut value);
            value.to_string()
        };
        assert_eq!(changed(3), changed(3));
        let all: std::collections::BTreeSet<_> = (0..100).map(changed).collect();
        assert!(all.len() > 60, "{}", all.len());
    }
}
