//! Contradictions and doubts about other servers.

use std::{fs, net::SocketAddr, path::Path};

use ruma::ServerName;

use super::{Checked, readable};
use crate::{Federation, Period, Problem, Surface, load::Sections};

pub(super) fn federation(sections: &Sections, found: &mut Checked) {
    let federation = &sections.federation;
    switch(sections, found);
    if let Some(path) = &federation.ca_file {
        authorities(path, found);
    }
    patterns("federation.allowed_servers", &federation.allowed_servers, found);
    patterns("federation.denied_servers", &federation.denied_servers, found);
    if federation.allowed_networks.iter().any(|network| network.0.prefix_len() == 0) {
        found.warnings.push(Problem::new(
            "federation.allowed_networks",
            "anybody who chooses a server name can make this server ask any machine it can reach",
            "list only the networks of the servers you mean",
        ));
    }
    sockets(sections, found);
    if federation.request_timeout < TIMEOUT_MIN {
        found.problems.push(
            Problem::new(
                "federation.request_timeout",
                "other servers could not answer in time",
                "write \"1s\" or more",
            )
            .with_value(format!("\"{}\"", federation.request_timeout)),
        );
    }
}

/// Identity servers are named as other servers are.
pub(super) fn identity(sections: &Sections, found: &mut Checked) {
    for (index, server) in sections.identity.trusted_servers.iter().enumerate() {
        if ServerName::parse(server).is_err() {
            found.problems.push(
                Problem::new(
                    &format!("identity.trusted_servers[{index}]"),
                    "no server is named like this",
                    "write a host, for example \"id.example.org\" or \"id.example.org:8443\"",
                )
                .with_value(format!("\"{server}\"")),
            );
        }
    }
}

const TIMEOUT_MIN: Period = Period::seconds(1);

/// `enabled` and the listeners say the same, or one of them nothing.
fn switch(sections: &Sections, found: &mut Checked) {
    let serves = sections.listeners.iter().any(|it| it.serves.contains(&Surface::Federation));
    match sections.federation.enabled {
        Some(true) if !serves => found.warnings.push(Problem::new(
            "federation.enabled",
            "other servers cannot reach this one: no listener serves \"federation\"",
            "add \"federation\" to the `serves` of a listener",
        )),
        Some(false) if serves => found.problems.push(
            Problem::new(
                "federation.enabled",
                "a listener serves \"federation\"",
                "take it out of the listener's `serves`, or write true",
            )
            .with_value("false"),
        ),
        _ => {}
    }
}

fn authorities(path: &Path, found: &mut Checked) {
    let key = "federation.ca_file";
    readable(key, path, found);
    let text = fs::read_to_string(path).ok();
    if text.is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
        found.problems.push(
            Problem::new(
                key,
                "there is no certificate in it",
                "write the path of a PEM file that holds the authorities' certificates",
            )
            .with_value(format!("\"{}\"", path.display())),
        );
    }
}

fn patterns(key: &str, patterns: &[String], found: &mut Checked) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-*?:[]".contains(&byte);
    for (index, pattern) in patterns.iter().enumerate() {
        if pattern.is_empty() || !pattern.bytes().all(fits) {
            found.problems.push(
                Problem::new(
                    &format!("{key}[{index}]"),
                    "no host name is like this",
                    "write a host name, for example \"example.org\" or \"*.example.org\"",
                )
                .with_value(format!("\"{pattern}\"")),
            );
        }
    }
}

fn sockets(sections: &Sections, found: &mut Checked) {
    let Federation { resolve, resolve_web, name_servers, .. } = &sections.federation;
    for (name, socket) in resolve {
        let key = format!("federation.resolve.\"{name}\"");
        if sections.server.name.as_ref() == Some(name) {
            let remedy = "take it out: this server does not talk to itself";
            found.problems.push(Problem::new(&key, "this is our own name", remedy));
        }
        listened_at(&key, socket, "8448", found);
    }
    for (name, socket) in resolve_web {
        listened_at(&format!("federation.resolve_web.\"{name}\""), socket, "443", found);
    }
    for (index, socket) in name_servers.iter().enumerate() {
        listened_at(&format!("federation.name_servers[{index}]"), socket, "53", found);
    }
}

fn listened_at(key: &str, socket: &SocketAddr, port: &str, found: &mut Checked) {
    if socket.port() == 0 {
        let remedy = format!("write the port, for example {port}");
        found.problems.push(
            Problem::new(key, "nobody listens on port 0", &remedy)
                .with_value(format!("\"{socket}\"")),
        );
    }
}
