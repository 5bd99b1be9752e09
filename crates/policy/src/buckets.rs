//! The rate buckets of a running server. Time is handed in; memory is bounded.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, ServerName, UserId};
use serde::Serialize;
use vestibule_types::{ClassName, limits};

use crate::{Bucket, Denial, Rate, RateFact, RateKey, Reason};

/// One bucket to charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// The class whose rate it is.
    pub class: ClassName,
    /// The kind of act.
    pub key: RateKey,
    /// Who shares the bucket.
    pub who: RateWho,
    /// How much it holds.
    pub rate: Rate,
}

/// Who shares a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateWho {
    /// One account.
    Subject(OwnedUserId),
    /// One address.
    Address(AddressBlock),
    /// Everyone of the class in a room.
    Room(OwnedRoomId),
    /// Everyone of the class towards a server.
    Server(OwnedServerName),
    /// One other server towards one account.
    Between(OwnedServerName, OwnedUserId),
    /// Everyone of the class.
    Class,
}

/// What counts as one address: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AddressBlock(IpAddr);

impl AddressBlock {
    /// The block of an address. An IPv4 address written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => Self(IpAddr::V6(prefix(address, 64))),
        }
    }

    /// The IPv6 /48 around an address, which is counted beside its /64; none for IPv4.
    #[must_use]
    pub fn network_of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Self(IpAddr::V6(prefix(address, 48)))),
        }
    }

    /// The first address of the block.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// The form for audit rings: the last octet of IPv4 left out, IPv6 cut to /48.
    #[must_use]
    pub fn truncated(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(address) => IpAddr::V6(prefix(address, 48)),
        }
    }
}

fn prefix(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)))
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum BucketKey {
    Of(ClassName, RateKey, RateWho),
    /// Shared by everyone for whom there was no room.
    Overflow(ClassName, RateKey),
    Refused(OwnedUserId),
    RefusedOverflow,
    Noted(RateWho),
    NotedOverflow,
}

/// Refused attempts an account may make.
const REFUSED: Rate = Rate::per_minute(30, 30);

/// Refusals of one account, address or server that are written down, where refusing costs it nothing.
const NOTED: Rate = Rate::per_minute(6, 6);

/// The same of all together.
const NOTED_OF_ALL: Rate = Rate::per_minute(60, 60);

/// What stands for a class in the buckets of other servers. No class can have this name.
const SERVERS: &str = "(servers)";

/// Every bucket of this process.
#[derive(Debug)]
pub struct RateBuckets {
    buckets: Mutex<Buckets>,
    buckets_max: usize,
}

#[derive(Debug, Default)]
struct Buckets {
    by_key: BTreeMap<BucketKey, Bucket>,
    swept_at: Option<Duration>,
}

/// How long full memory is left alone before it is swept again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Default for RateBuckets {
    fn default() -> Self {
        Self::with_capacity(limits::RATE_BUCKETS_MAX)
    }
}

impl RateBuckets {
    /// Buckets for at most so many keys at a time.
    #[must_use]
    pub fn with_capacity(buckets_max: usize) -> Self {
        Self { buckets: Mutex::default(), buckets_max }
    }

    /// Charges every bucket, or none if one is empty. `now` is monotonic time.
    #[must_use]
    pub fn take(&self, charges: &[Charge], now: Duration) -> RateFact {
        if charges.is_empty() {
            return RateFact::Charged;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<(BucketKey, Bucket)> = Vec::with_capacity(charges.len());
        let mut wait_ms = 0;
        for charge in charges {
            let key = buckets.place(key_of(charge), self.buckets_max, now);
            // Two charges may meet in one overflow bucket.
            let before =
                taken.iter().rev().find(|(other, _)| *other == key).map(|(_, bucket)| *bucket);
            let mut bucket = before.unwrap_or_else(|| buckets.bucket(&key));
            match bucket.take(charge.rate, now) {
                Ok(()) => taken.push((key, bucket)),
                Err(wait) => wait_ms = wait_ms.max(wait),
            }
        }
        if wait_ms > 0 {
            return RateFact::Exhausted { retry_after_ms: wait_ms };
        }
        buckets.by_key.extend(taken);
        RateFact::Charged
    }

    /// Charges another server for what its requests cost here. `now` is monotonic time.
    pub fn charge_server(
        &self,
        server: &ServerName,
        (key, rate): (RateKey, Rate),
        now: Duration,
    ) -> Result<(), Denial> {
        self.charge_servers(key, [(RateWho::Server(server.to_owned()), rate)], now)
    }

    /// Charges every one of these buckets for what another server does here, or none if one is empty. They
    /// are not the buckets of our own people, whoever they are of. `now` is monotonic time.
    pub fn charge_servers<const N: usize>(
        &self,
        key: RateKey,
        buckets: [(RateWho, Rate); N],
        now: Duration,
    ) -> Result<(), Denial> {
        let class = ClassName::new(SERVERS);
        let charges = buckets.map(|(who, rate)| Charge { class: class.clone(), key, who, rate });
        match self.take(&charges, now) {
            RateFact::Exhausted { retry_after_ms } => Err(Denial::limited(retry_after_ms)),
            RateFact::NotCharged | RateFact::Charged => Ok(()),
        }
    }

    /// What [`RateBuckets::take`] would say, without taking anything: for explanations.
    #[must_use]
    pub fn peek(&self, charges: &[Charge], now: Duration) -> RateFact {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let wait_ms = charges
            .iter()
            .filter_map(|charge| {
                let key = key_of(charge);
                buckets.bucket(&key).peek(charge.rate, now).err()
            })
            .max();
        wait_ms.map_or(RateFact::Charged, |retry_after_ms| RateFact::Exhausted { retry_after_ms })
    }

    /// Counts a refusal. When an account collects too many, the refusal becomes a 429.
    #[must_use]
    pub fn refuse(&self, subject: &UserId, denial: Denial, now: Duration) -> Denial {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = buckets.place(BucketKey::Refused(subject.to_owned()), self.buckets_max, now);
        let mut bucket = buckets.bucket(&key);
        match bucket.take(REFUSED, now) {
            Ok(()) => {
                buckets.by_key.insert(key, bucket);
                denial
            }
            Err(wait_ms) => Denial {
                retry_after_ms: Some(wait_ms),
                ..Denial::new(Reason::TooManyRefusals, false, "waiting")
            },
        }
    }

    /// Whether a refusal that costs whoever it befell nothing is to be written down: of a flood, only a
    /// few are. [`RateWho::Class`] stands for all together.
    #[must_use]
    pub fn may_note(&self, who: RateWho, now: Duration) -> bool {
        let rate = if who == RateWho::Class { NOTED_OF_ALL } else { NOTED };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = buckets.place(BucketKey::Noted(who), self.buckets_max, now);
        let mut bucket = buckets.bucket(&key);
        let room = bucket.take(rate, now).is_ok();
        if room {
            buckets.by_key.insert(key, bucket);
        }
        room
    }

    /// How many buckets are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).by_key.len()
    }

    /// Whether no bucket is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Buckets {
    fn bucket(&self, key: &BucketKey) -> Bucket {
        self.by_key.get(key).copied().unwrap_or_default()
    }

    /// The key to charge: the one asked for, or the shared one when memory is full of buckets that
    /// are in use.
    fn place(&mut self, key: BucketKey, buckets_max: usize, now: Duration) -> BucketKey {
        if self.by_key.len() < buckets_max || self.by_key.contains_key(&key) {
            return key;
        }
        if self.swept_at.is_none_or(|at| at + SWEEP_EVERY <= now) {
            self.swept_at = Some(now);
            self.by_key.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.by_key.len() < buckets_max {
            return key;
        }
        match key {
            BucketKey::Of(class, key, _) | BucketKey::Overflow(class, key) => {
                BucketKey::Overflow(class, key)
            }
            BucketKey::Refused(_) | BucketKey::RefusedOverflow => BucketKey::RefusedOverflow,
            BucketKey::Noted(_) | BucketKey::NotedOverflow => BucketKey::NotedOverflow,
        }
    }
}

fn key_of(charge: &Charge) -> BucketKey {
    BucketKey::Of(charge.class.clone(), charge.key, charge.who.clone())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn charge(user: u32) -> Charge {
        Charge {
            class: ClassName::guest(),
            key: RateKey::Message,
            who: RateWho::Subject(UserId::parse(format!("@u{user}:x.test")).unwrap()),
            rate: Rate::per_minute(6, 2),
        }
    }

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn accounts_do_not_share_a_bucket() {
        let buckets = RateBuckets::default();
        assert_eq!(buckets.take(&[charge(1), charge(1)], START), RateFact::Charged);
        assert!(matches!(buckets.take(&[charge(1)], START), RateFact::Exhausted { .. }));
        assert_eq!(buckets.take(&[charge(2)], START), RateFact::Charged);
    }

    #[test]
    fn an_empty_bucket_leaves_the_others_alone() {
        let buckets = RateBuckets::default();
        assert_eq!(buckets.take(&[charge(1), charge(1)], START), RateFact::Charged);
        for _ in 0..10 {
            assert!(matches!(
                buckets.take(&[charge(2), charge(1)], START),
                RateFact::Exhausted { .. }
            ));
        }
        assert_eq!(buckets.take(&[charge(2), charge(2)], START), RateFact::Charged);
    }

    #[test]
    fn peeking_takes_nothing() {
        let buckets = RateBuckets::default();
        for _ in 0..100 {
            assert_eq!(buckets.peek(&[charge(1)], START), RateFact::Charged);
        }
        assert!(buckets.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_overflow_is_still_limited() {
        let buckets = RateBuckets::with_capacity(100);
        let taken = (0..10_000)
            .filter(|user| buckets.take(&[charge(*user)], START) == RateFact::Charged)
            .count();
        assert!(buckets.len() <= 101, "{}", buckets.len());
        assert_eq!(taken, 102);
        let later = START + Duration::from_mins(10);
        assert_eq!(buckets.take(&[charge(20_000)], later), RateFact::Charged);
        assert!(buckets.len() <= 2, "what is full again is forgotten");
    }

    #[test]
    fn the_thirty_first_refusal_in_a_minute_is_a_429() {
        let buckets = RateBuckets::default();
        let ada = user_id!("@ada:x.test");
        let denial = Denial::new(Reason::OutOfScope, true, "an alias");
        for _ in 0..30 {
            assert_eq!(buckets.refuse(ada, denial.clone(), START), denial);
        }
        let last = buckets.refuse(ada, denial, START);
        assert_eq!((last.kind.status(), last.retry_after_ms), (429, Some(2_000)));
    }

    #[test]
    fn of_a_flood_of_refusals_a_few_are_noted() {
        let buckets = RateBuckets::default();
        let household = || RateWho::Address(AddressBlock::of("192.0.2.1".parse().unwrap()));
        let noted =
            |who: fn() -> RateWho| (0..1_000).filter(|_| buckets.may_note(who(), START)).count();
        assert_eq!((0..1_000).filter(|_| buckets.may_note(household(), START)).count(), 6);
        assert_eq!(noted(|| RateWho::Class), 60);
        let later = START + Duration::from_secs(11);
        assert!(buckets.may_note(household(), later));
        assert!(!buckets.may_note(household(), later));
    }

    #[test]
    fn one_household_is_one_address() {
        let block = |text: &str| AddressBlock::of(text.parse().unwrap());
        assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:ffff::9"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
        assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
        let network = |text: &str| AddressBlock::network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::1"));
        assert_eq!(network("192.0.2.1"), None);
        assert_eq!(block("192.0.2.77").truncated().to_string(), "192.0.2.0");
        assert_eq!(block("2001:db8:1:2::1").truncated().to_string(), "2001:db8:1::");
    }
}
