//! Taking a text apart into the words it is found by.
//!
//! A word is a run of letters and digits, without case and without accents. Scripts that write no
//! spaces are taken apart into pairs of neighbouring characters, and single ones.

use std::collections::BTreeMap;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use vestibule_types::limits::{SEARCH_WORD_CHARS_MAX, SEARCH_WORDS_PER_EVENT_MAX};

/// How often each word occurs in a text, and how many words there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) words: BTreeMap<String, u32>,
    pub(crate) length: u32,
}

/// The words a text is found by. Beyond a bound, further words are left out.
pub(crate) fn count(text: &str) -> Counted {
    let mut counted = Counted::default();
    let mut add = |word: String| {
        counted.length = counted.length.saturating_add(1);
        if counted.words.len() < SEARCH_WORDS_PER_EVENT_MAX || counted.words.contains_key(&word) {
            *counted.words.entry(word).or_default() += 1;
        }
    };
    for run in runs(text) {
        match run {
            Run::Spaced(word) => add(word),
            Run::Unspaced(run) => {
                for character in &run {
                    add(character.to_string());
                }
                for pair in run.windows(2) {
                    add(pair.iter().collect());
                }
            }
        }
    }
    counted
}

/// The words that all have to be there for a text to be found, each once.
pub(crate) fn asked(question: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for run in runs(question) {
        match run {
            Run::Spaced(word) => words.push(word),
            Run::Unspaced(run) if run.len() == 1 => words.extend(run.iter().map(char::to_string)),
            Run::Unspaced(run) => words.extend(run.windows(2).map(|pair| pair.iter().collect())),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.truncate(most);
    words
}

/// What a client should emphasise: the words as they were asked for.
pub(crate) fn emphasised(question: &str, most: usize) -> Vec<String> {
    let mut words = Vec::new();
    for word in question.split(|character: char| !character.is_alphanumeric()) {
        let word = word.to_lowercase();
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words.truncate(most);
    words
}

/// A run of letters and digits.
enum Run {
    /// A word between spaces, cut to the longest that is kept.
    Spaced(String),
    /// Characters of a script without spaces.
    Unspaced(Vec<char>),
}

fn runs(text: &str) -> Vec<Run> {
    if text.is_ascii() {
        return ascii_runs(text);
    }
    let mut runs = Vec::new();
    let (mut spaced, mut unspaced) = (String::new(), Vec::new());
    let mut kept = 0;
    // Compatibility forms are made one, and marks on letters are dropped.
    let folded =
        text.nfkd().filter(|character| !is_combining_mark(*character) || is_kana_mark(*character));
    for character in folded.nfc().flat_map(char::to_lowercase) {
        let writes_spaces = !is_unspaced(character);
        if !writes_spaces || !character.is_alphanumeric() {
            finish_spaced(&mut spaced, &mut runs);
            kept = 0;
        }
        if writes_spaces && !unspaced.is_empty() {
            runs.push(Run::Unspaced(std::mem::take(&mut unspaced)));
        }
        if !writes_spaces {
            unspaced.push(character);
        } else if character.is_alphanumeric() && kept < SEARCH_WORD_CHARS_MAX {
            kept += 1;
            spaced.push(character);
        }
    }
    finish_spaced(&mut spaced, &mut runs);
    if !unspaced.is_empty() {
        runs.push(Run::Unspaced(unspaced));
    }
    runs
}

/// The same for a text that has nothing to be folded but case.
fn ascii_runs(text: &str) -> Vec<Run> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let kept = |word: &str| word.get(..SEARCH_WORD_CHARS_MAX).unwrap_or(word).to_ascii_lowercase();
    words.filter(|word| !word.is_empty()).map(|word| Run::Spaced(kept(word))).collect()
}

fn finish_spaced(word: &mut String, runs: &mut Vec<Run>) {
    if !word.is_empty() {
        runs.push(Run::Spaced(std::mem::take(word)));
    }
}

/// The voicing marks of kana make other letters: they stay.
fn is_kana_mark(character: char) -> bool {
    matches!(character, '\u{3099}' | '\u{309A}')
}

/// Whether a character belongs to a script that is written without spaces between words.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0E00}'..='\u{0E7F}' // Thai
        | '\u{0E80}'..='\u{0EFF}' // Lao
        | '\u{1000}'..='\u{109F}' // Myanmar
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' // kana
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{AC00}'..='\u{D7AF}' // Hangul
        | '\u{20000}'..='\u{3FFFF}' // Han beyond the first plane
    ) && character.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        count(text).words.into_keys().collect()
    }

    #[test]
    fn words_have_no_case_no_accents_and_no_punctuation() {
        assert_eq!(words("Der Käse, the CAFÉ!"), ["cafe", "der", "kase", "the"]);
        assert_eq!(words("ﬁne ＡＢＣ x86_64"), ["64", "abc", "fine", "x86"]);
        assert!(words(" ,.!? \n").is_empty());
    }

    #[test]
    fn scripts_without_spaces_are_taken_apart_into_pairs_and_single_characters() {
        assert_eq!(words("東京都"), ["京", "京都", "東", "東京", "都"]);
        assert_eq!(asked("東京都", 9), ["東京", "京都"]);
        assert_eq!(asked("都", 9), ["都"]);
        assert_eq!(asked("meet 東京", 9), ["meet", "東京"]);
        // A voiced kana is another letter.
        assert_ne!(words("が"), words("か"));
    }

    #[test]
    fn every_word_of_a_question_is_found_in_the_text_it_was_taken_from() {
        for text in ["東京タワー tower", "안녕하세요 세계", "ภาษาไทย ok", "Ünïcödé"]
        {
            let counted = count(text);
            for word in asked(text, 99) {
                assert!(counted.words.contains_key(&word), "{word} of {text}");
            }
        }
    }

    #[test]
    fn a_word_is_asked_for_once_and_words_are_counted() {
        assert_eq!(asked("tea Tea TEA", 9), ["tea"]);
        let counted = count("tea or tea");
        assert_eq!((counted.words["tea"], counted.length), (2, 3));
        assert_eq!(emphasised("Tea, and  tea", 9), ["tea", "and"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "a".repeat(1_000);
        assert_eq!(words(&long), ["a".repeat(SEARCH_WORD_CHARS_MAX)]);
        let many: String =
            (0..2_000_u32).fold(String::new(), |all, number| all + "w" + &number.to_string() + " ");
        assert_eq!(count(&many).words.len(), SEARCH_WORDS_PER_EVENT_MAX);
    }
}
