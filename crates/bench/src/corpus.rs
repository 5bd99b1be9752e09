//! Texts to search in: words of a made-up language, each less common than the one before it, and
//! here and there a line in a script without spaces.
//!
//! What a number says is always the same, so that a search knows what it must find.

/// Words there are. The first is in most texts, the last in few of a million.
const WORDS: u64 = 20_000;
/// Characters there are in the script without spaces.
const CHARACTERS: u64 = 1_500;
/// The first of them.
const FIRST_CHARACTER: u32 = 0x4E00;
/// Words of a text.
const WORDS_PER_TEXT: u64 = 11;
/// Characters of a line in the script without spaces.
const CHARACTERS_PER_LINE: u64 = 14;
/// One text in so many has such a line.
const LINE_EVERY: u64 = 10;
/// The syllables that words are made of.
const SYLLABLES: [&str; 28] = [
    "ka", "lo", "mi", "ren", "su", "ta", "vel", "no", "pi", "dor", "fa", "gu", "hin", "jo", "ba",
    "ce", "du", "el", "for", "ga", "hu", "is", "ju", "kor", "la", "mon", "ne", "os",
];

/// A word, by how common it is: 0 is the most common.
#[must_use]
pub fn word(rank: u64) -> String {
    let mut rest = rank % WORDS;
    let mut word = String::from("q");
    loop {
        let count = u64::try_from(SYLLABLES.len()).unwrap_or(1);
        let syllable = usize::try_from(rest % count).unwrap_or_default();
        word.push_str(SYLLABLES.get(syllable).copied().unwrap_or_default());
        rest /= count;
        if rest == 0 {
            return word;
        }
    }
}

/// A character of the script without spaces, by how common it is.
#[must_use]
pub fn character(rank: u64) -> char {
    let rank = u32::try_from(rank % CHARACTERS).unwrap_or_default();
    char::from_u32(FIRST_CHARACTER + rank).unwrap_or('\u{4E00}')
}

/// The text of a message, from what tells its sender apart and its number.
#[must_use]
pub fn text(tag: &str, number: u64) -> String {
    let mut chance = Chance::of(tag, number);
    let mut text = String::new();
    for _ in 0..WORDS_PER_TEXT {
        text.push_str(&word(chance.rank(WORDS)));
        text.push(' ');
    }
    if chance.next().is_multiple_of(LINE_EVERY) {
        text.extend((0..CHARACTERS_PER_LINE).map(|_| character(chance.rank(CHARACTERS))));
    }
    text
}

/// Numbers that look random (splitmix64).
struct Chance(u64);

impl Chance {
    fn of(tag: &str, number: u64) -> Self {
        // FNV-1a.
        let seed = tag.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A rank below `count`; each is about as likely as its reciprocal says.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts here are small, and a rank is not negative"
    )]
    fn rank(&mut self, count: u64) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((count as f64 + 1.0).powf(share) - 1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rank_has_its_own_word() {
        let words: BTreeSet<_> = (0..WORDS).map(word).collect();
        assert_eq!(u64::try_from(words.len()).unwrap(), WORDS);
    }

    #[test]
    fn texts_repeat_by_number_and_common_words_are_in_most() {
        assert_eq!(text("a", 7), text("a", 7));
        assert_ne!(text("a", 7), text("a", 8));
        assert_ne!(text("a", 7), text("b", 7));
        let holding = |rank: u64| {
            let word = word(rank);
            let texts = (0..2_000).map(|number| text("x", number));
            texts.filter(|text| text.split(' ').any(|it| it == word)).count()
        };
        let (first, later, rare) = (holding(0), holding(100), holding(15_000));
        assert!(first > 900 && (5..200).contains(&later) && rare < 10, "{first} {later} {rare}");
    }

    #[test]
    fn some_texts_have_a_line_without_spaces() {
        let lines = (0..1_000).filter(|number| !text("x", *number).is_ascii()).count();
        assert!((50..200).contains(&lines), "{lines}");
    }
}
