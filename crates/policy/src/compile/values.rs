//! Single values: enumerations, durations, names.

use ruma::{RoomAliasId, RoomId};

use super::Lint;
use crate::{RoomNames, Rung};

/// The placeholder for our own name.
const SERVER_NAME: &str = "{server.name}";

/// The longest duration that can be written.
const DURATION_DAYS_MAX: u64 = 36_500;

/// Reads `30s`, `10m`, `24h`, `7d`.
pub(super) fn parse_duration_ms(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let unit_ms = match unit.trim() {
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let count_max = DURATION_DAYS_MAX * 86_400_000 / unit_ms;
    let count = count.parse::<u64>().ok().filter(|count| *count <= count_max)?;
    Some(count * unit_ms)
}

impl Lint<'_> {
    /// The value of one of several words.
    pub(super) fn one_of<T: Copy + Default>(
        &mut self,
        key: &str,
        value: &str,
        words: &[(&str, T)],
    ) -> T {
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == value) {
            return *found;
        }
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.error(key, format!("\"{value}\""), format!("write one of {}", known.join(", ")));
        T::default()
    }

    pub(super) fn duration_ms(&mut self, key: &str, value: &str) -> u64 {
        parse_duration_ms(value).unwrap_or_else(|| {
            let remedy =
                "write a whole number and a unit, like \"30s\", \"10m\", \"24h\" or \"7d\"";
            self.error(key, format!("\"{value}\""), remedy);
            0
        })
    }

    /// A class of the ladder other than guest; `unwritten` when nothing is written.
    pub(super) fn rung(&mut self, key: &str, value: Option<&str>, unwritten: Rung) -> Rung {
        let Some(value) = value else { return unwritten };
        match Rung::from_name(value) {
            Some(rung) if rung > Rung::Guest => rung,
            _ => {
                let remedy = "write one of \"member\", \"moderator\", \"admin\"";
                self.error(key, format!("\"{value}\""), remedy);
                Rung::Admin
            }
        }
    }

    pub(super) fn with_server_name(&self, text: &str) -> String {
        text.replace(SERVER_NAME, self.server_name.as_str())
    }

    /// Room ids and aliases.
    pub(super) fn room_names(&mut self, key: &str, entries: &[String]) -> RoomNames {
        let mut names = RoomNames::default();
        for entry in entries {
            let entry = self.with_server_name(entry);
            match entry.chars().next() {
                Some('#') => match RoomAliasId::parse(&entry) {
                    Ok(alias) => names.aliases.push(alias),
                    Err(_) => self.bad_room_name(key, &entry),
                },
                Some('!') => match RoomId::parse(&entry) {
                    Ok(room) => names.rooms.push(room),
                    Err(_) => self.bad_room_name(key, &entry),
                },
                _ => self.bad_room_name(key, &entry),
            }
        }
        names
    }

    fn bad_room_name(&mut self, key: &str, entry: &str) {
        let example = format!("\"#welcome:{}\"", self.server_name);
        let remedy = format!("write a room id that begins with \"!\", or an alias like {example}");
        self.error(key, format!("\"{entry}\""), remedy);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, expected) in [
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("10m", Some(600_000)),
            ("30s", Some(30_000)),
            ("0s", Some(0)),
            ("", None),
            ("h", None),
            ("24", None),
            ("-1h", None),
            ("1w", None),
            ("99999999999999999999d", None),
            ("36501d", None),
        ] {
            assert_eq!(parse_duration_ms(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_duration_never_panics(text in ".{0,20}") {
            let _ = parse_duration_ms(&text);
        }
    }
}
