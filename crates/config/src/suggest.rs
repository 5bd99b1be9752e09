//! From an error message to a remedy.

use crate::section::Key;

/// What `serde` complained about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// A key that does not exist, and those that do.
    UnknownKey { found: String, known: Vec<String> },
    /// A word that is none of the allowed ones.
    UnknownWord { known: Vec<String> },
    /// A key that must be there.
    Missing(String),
    /// Anything else.
    Other,
}

impl Complaint {
    /// Understands the message of a `serde` error.
    pub(crate) fn of(message: &str) -> Self {
        let mut words = quoted(message).into_iter();
        if message.starts_with("unknown field") {
            let found = words.next().unwrap_or_default();
            return Self::UnknownKey { found, known: words.collect() };
        }
        if message.starts_with("unknown variant") {
            words.next();
            return Self::UnknownWord { known: words.collect() };
        }
        match words.next() {
            Some(key) if message.starts_with("missing field") => Self::Missing(key),
            _ => Self::Other,
        }
    }

    /// Whether a key is missing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }

    /// What is wrong, in a few words.
    pub(crate) fn text(&self, message: &str) -> String {
        match self {
            Self::UnknownKey { .. } => "there is no such key".to_owned(),
            Self::UnknownWord { .. } => "not one of the possible words".to_owned(),
            Self::Missing(_) => "must be set".to_owned(),
            Self::Other => message.to_owned(),
        }
    }
}

/// What the operator should do.
pub(crate) fn remedy(complaint: &Complaint, key: Option<&Key>) -> String {
    match complaint {
        Complaint::UnknownKey { found, known } => unknown_key(found, known),
        Complaint::UnknownWord { known } => format!("write one of \"{}\"", known.join("\", \"")),
        Complaint::Missing(_) | Complaint::Other => match key.and_then(written) {
            Some(example) => format!("write for example {example}"),
            None => "see `vestibule config example`".to_owned(),
        },
    }
}

/// For a key that does not exist: the likeliest one that does, or all of them.
pub(crate) fn unknown_key(found: &str, known: &[String]) -> String {
    let near = known.iter().map(|word| (distance(found, word), word)).min();
    match near {
        Some((distance, word)) if distance <= 1 + found.len() / 4 => {
            format!("did you mean `{word}`? Otherwise remove it")
        }
        _ if known.is_empty() => "remove it".to_owned(),
        _ => format!("remove it; possible here: {}", known.join(", ")),
    }
}

fn written(key: &Key) -> Option<String> {
    let value = key.default.as_ref().map(ToString::to_string);
    let value = value.or_else(|| key.example.map(str::to_owned))?;
    Some(format!("{} = {value}", key.name))
}

fn quoted(message: &str) -> Vec<String> {
    message.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row = (0..=b.len()).collect::<Vec<_>>();
    for (i, x) in a.bytes().enumerate() {
        let mut next = vec![i + 1];
        for ((y, diagonal), above) in b.bytes().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(x != y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_answered_with_the_nearest_one() {
        let message = "unknown field `nmae`, expected `name` or `data_dir`";
        let remedy = remedy(&Complaint::of(message), None);
        assert_eq!(remedy, "did you mean `name`? Otherwise remove it");
    }

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nme", "name"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
