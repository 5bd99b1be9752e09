//! Rows of the index in their packed form.
//!
//! Places are written oldest first, each as what its second is beyond that of the one before, what
//! its number differs, and a byte of weight. Numbers take seven bits a byte, the least first.

use vestibule_types::EventNo;

/// Where an event is in the index: it sorts by time, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// Seconds since the Unix epoch.
    pub(crate) second: u32,
    /// The event's number in its room.
    pub(crate) no: u32,
}

impl Place {
    /// After every other.
    pub(crate) const LAST: Self = Self { second: u32::MAX, no: u32::MAX };

    /// The place just before this one.
    pub(crate) fn before(self) -> Option<Self> {
        match self.no.checked_sub(1) {
            Some(no) => Some(Self { no, ..self }),
            None => Some(Self { second: self.second.checked_sub(1)?, no: u32::MAX }),
        }
    }

    /// The place of an event; `None` for one with too high a number, which is not found.
    pub(crate) fn new(second: u32, no: EventNo) -> Option<Self> {
        Some(Self { second, no: u32::try_from(no.0).ok()? })
    }

    /// The event's number.
    pub(crate) fn event(self) -> EventNo {
        EventNo(self.no.into())
    }
}

/// What an event says a word in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The body of a message.
    Body,
    /// The name of a room.
    Name,
    /// The topic of a room.
    Topic,
}

/// Where a word is said, and how much of what is said it is: two bits and six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weight(u8);

impl Weight {
    /// The heaviest.
    const MAX: u32 = 63;

    /// The weight of a word in a text: more often is heavier with less and less effect, and a word
    /// among few is heavier than among many (the shape of BM25 with usual constants, in thousandths).
    pub(crate) fn of(field: Field, times: u32, length: u32) -> Self {
        let saturating = u64::from(times) * 1_000 + 300 + 90 * u64::from(length);
        let weight = 28 * 2_200 * u64::from(times) / saturating.max(1);
        let weight = u32::try_from(weight).unwrap_or(Self::MAX).clamp(1, Self::MAX);
        let field = match field {
            Field::Body => 0,
            Field::Name => 1,
            Field::Topic => 2,
        };
        Self(u8::try_from(field << 6 | weight).unwrap_or(u8::MAX))
    }

    /// Where the word is said.
    pub(crate) fn field(self) -> Field {
        match self.0 >> 6 {
            0 => Field::Body,
            1 => Field::Name,
            _ => Field::Topic,
        }
    }

    /// How heavy it is, from 1.
    pub(crate) fn value(self) -> u16 {
        u16::from(self.0 & 0x3f)
    }
}

/// A place and the weight there.
pub(crate) type Posting = (Place, Weight);

/// Packs places, which are sorted.
pub(crate) fn pack(postings: &[Posting]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(postings.len() * 5);
    let mut before = Place { second: 0, no: 0 };
    for (place, weight) in postings {
        put(&mut bytes, u64::from(place.second.wrapping_sub(before.second)));
        let difference = i64::from(place.no) - i64::from(before.no);
        put(&mut bytes, (difference << 1 ^ difference >> 63).cast_unsigned());
        bytes.push(weight.0);
        before = *place;
    }
    bytes
}

/// Unpacks places onto the end of a list, in their order. `None` when the bytes are damaged.
pub(crate) fn unpack(mut bytes: &[u8], into: &mut Vec<Posting>) -> Option<()> {
    let mut place = Place { second: 0, no: 0 };
    while !bytes.is_empty() {
        let second = u32::try_from(take(&mut bytes)?).ok()?;
        let zigzag = take(&mut bytes)?;
        let difference = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
        let (weight, rest) = bytes.split_first()?;
        bytes = rest;
        place.second = place.second.wrapping_add(second);
        place.no = u32::try_from(i64::from(place.no).checked_add(difference)?).ok()?;
        into.push((place, Weight(*weight)));
    }
    Some(())
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(second: u32, no: u32) -> Posting {
        (Place { second, no }, Weight::of(Field::Topic, 1, 3))
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let postings = [
            posting(0, 7),
            posting(5, 3),
            posting(5, 9),
            posting(1_800_000_000, 0),
            posting(u32::MAX, u32::MAX),
        ];
        let mut back = Vec::new();
        unpack(&pack(&postings), &mut back).unwrap();
        assert_eq!(back, postings);
    }

    #[test]
    fn neighbours_take_little_room() {
        let postings: Vec<Posting> =
            (0..100).map(|no| posting(1_800_000_000 + no * 30, no)).collect();
        assert!(pack(&postings).len() < 310);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = pack(&[posting(1_800_000_000, 5)]);
        for end in 1..whole.len() {
            assert!(unpack(&whole[..end], &mut Vec::new()).is_none(), "{end}");
        }
        assert!(unpack(&[0xff; 20], &mut Vec::new()).is_none());
    }

    #[test]
    fn a_word_weighs_more_often_said_and_among_fewer() {
        let weight = |times, length| Weight::of(Field::Body, times, length).value();
        assert!(weight(2, 10) > weight(1, 10));
        assert!(weight(1, 2) > weight(1, 50));
        assert!(weight(1, 100_000) >= 1 && weight(1_000_000, 1) <= 63);
        assert_eq!(Weight::of(Field::Name, 1, 1).field(), Field::Name);
        assert_eq!(Weight::of(Field::Topic, 9_999, 1).field(), Field::Topic);
    }
}
