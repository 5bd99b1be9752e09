//! Words for people.

use std::io::{BufRead, Write, stderr, stdin, stdout};

use anyhow::{Context, bail};

/// Writes a line to standard output. A reader that went away is no error of ours.
pub(super) fn say(line: &str) {
    let _gone = writeln!(stdout().lock(), "{line}");
}

/// Writes a line to standard error.
pub(super) fn complain(line: &str) {
    let _gone = writeln!(stderr().lock(), "{line}");
}

/// The first line of standard input.
pub(super) fn password() -> anyhow::Result<String> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the password")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password on standard input; for example: echo \"$PASSWORD\" | vestibule user …");
    }
    Ok(password.to_owned())
}

/// Lines up columns; the first row is the head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, width)| format!("{cell:<width$}", width = *width));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        assert_eq!(table(&rows), "a     b\nlong  c");
    }
}
