//! `config.example.toml`, written from the types.

use std::fmt::Write;

use crate::{
    policy_example::POLICY_EXAMPLE,
    section::{Key, Section},
    sections::{
        Email, Federation, Identity, Limits, Listener, Log, Login, Media, Notices, Presence,
        Previews, Push, Registration, Rooms, Server, Storage, Support, Voip,
    },
    tree::Step,
};

/// A section as the example lists it.
struct Described {
    name: &'static str,
    header: &'static str,
    docs: &'static [&'static str],
    keys: Vec<Key>,
    /// Keys of the same section that another crate declares.
    more: &'static str,
}

fn described<S: Section>(name: &'static str, header: &'static str) -> Described {
    Described { name, header, docs: S::DOCS, keys: S::keys(), more: "" }
}

fn sections() -> Vec<Described> {
    vec![
        described::<Server>("server", "[server]"),
        described::<Listener>("listener", "[[listener]]"),
        described::<Storage>("storage", "[storage]"),
        described::<Registration>("registration", "[registration]"),
        described::<Login>("login", "[login]"),
        described::<Email>("email", "[email]"),
        described::<Support>("support", "[support]"),
        Described { more: ROOM_RULES, ..described::<Rooms>("rooms", "[rooms]") },
        described::<Notices>("notices", "[notices]"),
        described::<Federation>("federation", "[federation]"),
        described::<Identity>("identity", "[identity]"),
        described::<Media>("media", "[media]"),
        described::<Presence>("presence", "[presence]"),
        described::<Push>("push", "[push]"),
        described::<Previews>("previews", "[previews]"),
        described::<Voip>("voip", "[voip]"),
        described::<Limits>("limits", "[limits]"),
        described::<Log>("log", "[log]"),
    ]
}

/// The names of the sections declared in this crate.
pub(crate) fn section_names() -> impl Iterator<Item = &'static str> {
    sections().into_iter().map(|section| section.name)
}

/// What is documented about the key at a path.
pub(crate) fn key_of(path: &[Step]) -> Option<Key> {
    let names = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::At(_) => None,
    });
    let [section, key] = names.collect::<Vec<_>>().try_into().ok()?;
    let section = sections().into_iter().find(|described| described.name == section)?;
    section.keys.into_iter().find(|described| described.name == key)
}

/// The whole example file: every key, what it does, and its default.
#[must_use]
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    for section in sections() {
        text.push('\n');
        comment(&mut text, section.docs);
        text.push_str(section.header);
        text.push('\n');
        for key in &section.keys {
            comment(&mut text, key.docs);
            text.push_str(&line(section.name, key));
        }
        text.push_str(section.more);
    }
    text.push('\n');
    text.push_str(POLICY_EXAMPLE);
    text
}

const ROOM_RULES: &str = "\
# When the last one who can change power levels leaves: \"warn\", \"refuse_once\" or \"off\".
#last_admin_guard = \"warn\"
";

const HEAD: &str = "\
# Every key of Vestibule's configuration, with its default. Generated: `vestibule config example`.
# A key behind `#` shows the default, or an example where there is none. Only [server] name must be set.
# Each key can also be set by the environment: VESTIBULE_SERVER__NAME=example.org
# After a change: `vestibule config check`, then SIGHUP (policy, log, TLS files and lists of servers) or a restart.
";

fn comment(text: &mut String, docs: &[&str]) {
    for line in docs {
        let _infallible = writeln!(text, "#{line}");
    }
}

fn line(section: &str, key: &Key) -> String {
    let value = key.default.as_ref().map(ToString::to_string);
    let value = value.or_else(|| key.example.map(str::to_owned)).unwrap_or_default();
    let required = section == "server" && key.name == "name";
    let mark = if required { "" } else { "#" };
    format!("{mark}{} = {value}\n", key.name)
}

#[cfg(test)]
mod tests;
