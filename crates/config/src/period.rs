//! Lengths of time as people write them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A length of time, written as a number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self(Duration::from_secs(hours * 3_600))
    }

    /// So many days.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self::hours(days * 24)
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

const DAY_MS: u64 = 86_400_000;
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, scale)| *scale);
        let number = number.parse::<u64>().ok();
        number
            .zip(scale)
            .and_then(|(number, scale)| number.checked_mul(scale))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("{text:?} is no length of time; write for example \"24h\""))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        // One day is "24h", as people write it; only from two on they count in days.
        let days = usize::from(millis < 2 * DAY_MS);
        let unit = UNITS.iter().rev().skip(days).find(|(_, scale)| millis % scale == 0);
        let (name, scale) = unit.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit_and_nothing_else() {
        let parse = |text: &str| Period::try_from(text.to_owned()).ok().map(|p| p.to_string());
        assert_eq!(parse("90m").as_deref(), Some("90m"));
        assert_eq!(parse("1d").as_deref(), Some("24h"));
        assert_eq!(parse("36h").as_deref(), Some("36h"));
        assert_eq!(parse("720h").as_deref(), Some("30d"));
        assert_eq!(parse("0d").as_deref(), Some("0h"));
        assert_eq!(parse("1500ms").as_deref(), Some("1500ms"));
        for bad in ["", "h", "1", "1 fortnight", "-1h", "99999999999999999999d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
