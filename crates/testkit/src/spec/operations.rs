//! The operations that the specification lists.

use std::{
    env,
    fmt::Display,
    fs,
    io::{self, Write},
    path::Path,
};

/// Method and path with nameless parameters, and whether it needs a login or a signature.
pub type ListedOperation = (String, bool);

/// An operation under the name by which lists are compared.
#[must_use]
pub fn operation(method: impl Display, path: &str, authenticated: bool) -> ListedOperation {
    let nameless = |segment: &str| if segment.starts_with('{') { "{}" } else { segment }.to_owned();
    let path: Vec<String> = path.split('/').map(nameless).collect();
    (format!("{method} {}", path.join("/")), authenticated)
}

/// The operations in a table of the specification's folder; `authenticated` are the words of its third
/// column for those that need a login or a signature. Nothing when no folder is named, and the process says so.
#[must_use]
pub fn listed(table: &str, authenticated: &[&str]) -> Option<Vec<ListedOperation>> {
    let Some(folder) = env::var_os("VESTIBULE_SPEC_DIR") else {
        // Not `eprintln!`: what a test prints is not shown when it passes.
        let _told = writeln!(
            io::stderr(),
            "skipped: VESTIBULE_SPEC_DIR is not set, no route is looked up in {table}"
        );
        return None;
    };
    let rows = fs::read_to_string(Path::new(&folder).join(table)).expect("a table that is there");
    let listed = rows.lines().skip(1).map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        operation(fields[0], fields[1], authenticated.contains(&fields[2]))
    });
    Some(listed.collect())
}
