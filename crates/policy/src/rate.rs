//! How often: the text form of a rate, and the pure bucket behind it.

use std::{fmt, time::Duration};

use serde::Serialize;

/// The acts that are counted together, with their names in `rates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKey {
    /// Events sent, state and redactions included.
    Message,
    /// Joins and knocks.
    Join,
    /// Leaving and rejecting.
    Leave,
    /// Invitations.
    Invite,
    /// Rooms made or upgraded.
    CreateRoom,
    /// Aliases and directory entries.
    Alias,
    /// Profile changes.
    Profile,
    /// Typing notices, receipts and read markers.
    Typing,
    /// Reports.
    Report,
    /// Keys uploaded, queried and claimed.
    Keys,
    /// To-device messages.
    ToDevice,
    /// Uploads.
    Upload,
    /// Profiles looked up, users and messages searched, aliases resolved elsewhere, previews.
    Lookup,
    /// Guest links redeemed.
    GuestLink,
    /// Account data.
    AccountData,
    /// Requests to endpoints that the specification wants limited, whichever they are.
    Request,
}

impl RateKey {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Message,
        Self::Join,
        Self::Leave,
        Self::Invite,
        Self::CreateRoom,
        Self::Alias,
        Self::Profile,
        Self::Typing,
        Self::Report,
        Self::Keys,
        Self::ToDevice,
        Self::Upload,
        Self::Lookup,
        Self::GuestLink,
        Self::AccountData,
        Self::Request,
    ];

    /// The name in `rates`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Invite => "invite",
            Self::CreateRoom => "create_room",
            Self::Alias => "alias",
            Self::Profile => "profile",
            Self::Typing => "typing",
            Self::Report => "report",
            Self::Keys => "keys",
            Self::ToDevice => "to_device",
            Self::Upload => "upload",
            Self::Lookup => "lookup",
            Self::GuestLink => "guest_link",
            Self::AccountData => "account_data",
            Self::Request => "request",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }
}

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatePer {
    /// Each account has its own.
    #[default]
    Subject,
    /// Everyone behind an IPv4 address or IPv6 /64.
    Ip,
    /// Everyone of the class in a room.
    Room,
    /// Everyone of the class towards another server.
    Server,
    /// Everyone of the class.
    Class,
}

/// So many in such a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time.
    pub period: Duration,
    /// How many at once after a pause.
    pub burst: u32,
    /// Who shares the bucket.
    pub per: RatePer,
}

/// The largest count or burst a rate may have.
pub const RATE_COUNT_MAX: u32 = 1_000_000;

impl Rate {
    /// A rate per account.
    #[must_use]
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self { count, period: Duration::from_mins(1), burst, per: RatePer::Subject }
    }

    /// Reads `6/min burst 10 per room`; burst is the count unless written.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "write it like \"6/min\", \"6/min burst 10\" or \"100/h per room\"";
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|head| head.split_once('/')).ok_or(SHAPE)?;
        let count = parse_count(count)?;
        let seconds = match unit {
            "s" | "sec" | "second" => 1,
            "min" | "minute" | "m" => 60,
            "h" | "hour" => 3_600,
            "d" | "day" => 86_400,
            _ => return Err("the unit is one of s, min, h, d"),
        };
        let (mut burst, mut per) = (None, None);
        while let Some(word) = words.next() {
            let value = words.next().ok_or(SHAPE)?;
            match word {
                "burst" if burst.is_none() => burst = Some(parse_count(value)?),
                "per" if per.is_none() => per = Some(parse_per(value)?),
                _ => return Err(SHAPE),
            }
        }
        Ok(Self {
            count,
            period: Duration::from_secs(seconds),
            burst: burst.unwrap_or(count),
            per: per.unwrap_or_default(),
        })
    }

    /// Microseconds between two acts at the steady rate.
    fn interval_us(self) -> u64 {
        let period = u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX);
        (period / u64::from(self.count.max(1))).max(1)
    }
}

fn parse_count(text: &str) -> Result<u32, &'static str> {
    match text.parse::<u32>() {
        Ok(0) => Err("0 is not a rate: take the action out of `may` to forbid it"),
        Ok(count) if count <= RATE_COUNT_MAX => Ok(count),
        _ => Err("the count is a whole number up to 1000000"),
    }
}

fn parse_per(text: &str) -> Result<RatePer, &'static str> {
    match text {
        "subject" | "account" => Ok(RatePer::Subject),
        "ip" => Ok(RatePer::Ip),
        "room" => Ok(RatePer::Room),
        "server" => Ok(RatePer::Server),
        "class" | "global" => Ok(RatePer::Class),
        _ => Err("a rate is per subject, ip, room, server or class"),
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s, {} at once", self.count, self.period.as_secs(), self.burst)
    }
}

/// A token bucket, kept as the moment at which it will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at_us: u64,
}

impl Bucket {
    /// Takes one token, or says in how many milliseconds there will be one.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), u64> {
        self.peek(rate, now)?;
        let interval = rate.interval_us();
        self.full_at_us = self.full_at_us.max(micros(now)).saturating_add(interval);
        Ok(())
    }

    /// Whether there is a token, without taking it.
    pub fn peek(&self, rate: Rate, now: Duration) -> Result<(), u64> {
        let tolerance = rate.interval_us().saturating_mul(u64::from(rate.burst.max(1)) - 1);
        let ready_at = self.full_at_us.saturating_sub(tolerance);
        let wait_us = ready_at.saturating_sub(micros(now));
        if wait_us == 0 { Ok(()) } else { Err(wait_us.div_ceil(1_000)) }
    }

    /// Whether the bucket is as good as new.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at_us <= micros(now)
    }
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_forms_that_the_manual_shows() {
        let rate = Rate::parse("6/min burst 10").unwrap();
        assert_eq!((rate.count, rate.period.as_secs(), rate.burst), (6, 60, 10));
        assert_eq!(Rate::parse("3/min").unwrap().burst, 3);
        assert_eq!(Rate::parse("100/h per room").unwrap().per, RatePer::Room);
    }

    #[test]
    fn refuses_what_is_not_a_rate() {
        for text in [
            "",
            "6",
            "6/week",
            "0/min",
            "x/min",
            "6/min burst",
            "6/min burst 0",
            "-1/s",
            "6/min per planet",
            "6/min burst 1 burst 2",
            "1000001/s",
            "6 / min",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_burst_is_spent_and_then_the_rate_holds() {
        let rate = Rate::parse("6/min burst 10").unwrap();
        let mut bucket = Bucket::default();
        let start = Duration::from_secs(1_000);
        for _ in 0..10 {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        assert_eq!(bucket.take(rate, start), Err(10_000));
        assert_eq!(bucket.take(rate, start + Duration::from_secs(10)), Ok(()));
        assert!(bucket.take(rate, start + Duration::from_secs(10)).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate_in_any_window(
            count in 1_u32..100, burst in 1_u32..50, gaps in prop::collection::vec(0_u64..5_000, 1..200)
        ) {
            let rate = Rate { count, period: Duration::from_mins(1), burst, per: RatePer::Subject };
            let mut bucket = Bucket::default();
            let (mut now, mut taken) = (Duration::from_secs(10), 0_u64);
            let begin = now;
            for gap in gaps {
                now += Duration::from_millis(gap);
                taken += u64::from(bucket.take(rate, now).is_ok());
            }
            let elapsed_us = u64::try_from(now.saturating_sub(begin).as_micros()).unwrap();
            let bound = u64::from(burst) + elapsed_us / rate.interval_us() + 1;
            prop_assert!(taken <= bound, "{taken} > {bound}");
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = Rate::parse(&text);
        }
    }
}
