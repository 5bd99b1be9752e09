//! What no lint of the compiler sees: sizes, module sentences, leftovers, room names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::frozen;

/// Lines of production code in one file. Tests behind `#[cfg(test)]` and test files do not count.
const LINES_MAX: usize = 500;

/// Words that mean "not done". Spelled in two halves, or this file would report itself.
const LEFTOVERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Names of files that say nothing about what is in them.
const VAGUE: [&str; 3] = ["utils", "common", "helpers"];

/// Places that exist on one machine only, and hosts a lock file must not name.
const ELSEWHERE: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("registry", ".npmjs"),
    concat!("files", ".pythonhosted"),
    concat!("static", ".crates"),
];

/// Files checked for words; binary files and lock files of others are not text of ours.
const TEXT: [&str; 9] = ["rs", "md", "toml", "py", "mjs", "js", "sh", "service", "json"];

/// Reads the whole checkout and reports everything at once.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut complaints = frozen::complaints(root)?;
    for file in files(root)? {
        let shown = file.strip_prefix(root).unwrap_or(&file).to_owned();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        complaints.extend(complaints_about(&shown, &text));
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

fn complaints_about(file: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let shown = file.display();
    for (number, line) in text.lines().enumerate() {
        for word in LEFTOVERS.iter().chain(&ELSEWHERE).filter(|word| holds_word(line, word)) {
            complaints.push(format!("{shown}:{}: `{word}` must go", number + 1));
        }
    }
    if file.extension().is_some_and(|extension| extension == "rs") {
        complaints.extend(complaints_about_code(file, text));
    }
    complaints
}

fn complaints_about_code(file: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let shown = file.display();
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if VAGUE.contains(&stem) {
        complaints.push(format!("{shown}: a room called `{stem}` holds anything; name the noun"));
    }
    if is_test_file(file) {
        return complaints;
    }
    if !text.starts_with("//! ") {
        complaints.push(format!("{shown}: begins without a module sentence (`//! ..`)"));
    }
    let lines = production_lines(text);
    if lines > LINES_MAX {
        complaints.push(format!("{shown}: {lines} lines of production code, {LINES_MAX} at most"));
    }
    complaints
}

/// The lines before the tests, which stand last.
fn production_lines(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

/// `tests.rs`, `tests_of_x.rs`, and everything below a folder of tests.
fn is_test_file(file: &Path) -> bool {
    let mut names = file.iter().filter_map(|name| name.to_str());
    names.any(|name| {
        name == "tests"
            || name.starts_with("tests_")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
    })
}

/// Whether the line holds the word with no letter before or after it.
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let glued = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
        let open_ended = word.ends_with(['/', '(']);
        !glued(before) && (open_ended || !glued(after))
    })
}

/// Every text file of the checkout, in a stable order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("{}: cannot be listed", folder.display()))?;
        for entry in entries {
            let entry = entry.context("a folder changed while it was read")?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !is_foreign(&path) {
                folders.push(path);
            } else if kind.is_file() && is_text(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Folders that are not ours to judge.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with('.')
        || ["target", "data", "node_modules", "snapshots", "fixtures"].contains(&name)
}

fn is_text(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| TEXT.contains(&extension))
        || file.file_name().is_some_and(|name| name == "Makefile" || name == "Dockerfile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace_root;

    #[test]
    fn the_checkout_is_tidy() {
        check(&workspace_root()).unwrap();
    }

    fn about(file: &str, text: &str) -> Vec<String> {
        complaints_about(Path::new(file), text)
    }

    #[test]
    fn only_production_lines_count() {
        let code = "let x = 1;\n".repeat(LINES_MAX - 1);
        let fits = format!("//! One.\n{code}#[cfg(test)]\nmod tests {{}}\n{code}");
        assert_eq!(about("crates/a/src/b.rs", &fits), [""; 0]);
        let long = format!("//! One.\n{code}let y = 2;\n");
        assert_eq!(about("crates/a/src/b.rs", &long).len(), 1);
        assert_eq!(about("crates/a/src/b/tests.rs", &long), [""; 0]);
        assert_eq!(about("crates/a/tests/b.rs", &long), [""; 0]);
    }

    #[test]
    fn a_module_needs_a_sentence_and_a_name() {
        assert_eq!(about("crates/a/src/b.rs", "fn x() {}\n").len(), 1);
        assert_eq!(about("crates/a/src/utils.rs", "//! Things.\n").len(), 1);
    }

    #[test]
    fn leftovers_and_places_of_one_machine_are_found_as_words() {
        let leftover = format!("//! One.\n// {}: later\n", LEFTOVERS[0]);
        assert_eq!(about("crates/a/src/b.rs", &leftover).len(), 1);
        let place = format!("see {}main", ELSEWHERE[0]);
        assert_eq!(about("docs/a.md", &place).len(), 1);
        assert_eq!(about("docs/a.md", &format!("home{}main", ELSEWHERE[0])), [""; 0]);
        assert_eq!(about("crates/a/src/b.rs", "//! One.\nlet xxxx = 1;\n"), [""; 0]);
    }
}
