//! Contradictions and doubts that no single key shows.

mod email;
mod federation;
mod push;
mod support;
mod voip;

use std::{fs, path::Path};

use ruma::RoomVersionId;
use tracing_subscriber::EnvFilter;
use vestibule_http::{CertificateError, Certificates};
use vestibule_types::Secret;

use self::{
    email::email,
    federation::{federation, identity},
    push::push,
    support::support,
    voip::voip,
};
use crate::{
    Engine, Limits, Listener, Log, Media, Notices, Previews, Problem, Registration,
    RegistrationMode, Surface, Tls, load::Sections,
};

/// What the checks found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) shared_secret: Option<Secret>,
    pub(crate) email_password: Option<Secret>,
    pub(crate) turn_secret: Option<Secret>,
}

/// Looks at everything, and keeps looking after the first find.
pub(crate) fn check(sections: &Sections) -> Checked {
    let mut found = Checked::default();
    if sections.server.name.is_none() {
        found.problems.push(Problem::new(
            "server.name",
            "must be set",
            "write the domain of your user ids under [server], for example name = \"example.org\"; \
             it cannot be changed later",
        ));
    }
    listeners(&sections.listeners, &mut found);
    classes(sections, &mut found);
    registration(sections, &mut found);
    support(sections, &mut found);
    rooms(&sections.rooms.default_version, &mut found);
    notices(&sections.notices, &mut found);
    log(&sections.log, &mut found);
    federation(sections, &mut found);
    identity(sections, &mut found);
    email(sections, &mut found);
    media(&sections.media, &mut found);
    push(&sections.push, &mut found);
    previews(&sections.previews, &mut found);
    voip(&sections.voip, &mut found);
    limits(&sections.limits, &mut found);
    if sections.storage.cache_mib < CACHE_MIB_MIN {
        found.problems.push(
            Problem::new("storage.cache_mib", "too small to work with", "write 8 or more")
                .with_value(sections.storage.cache_mib.to_string()),
        );
    }
    if sections.storage.engine == Engine::Memory {
        found.warnings.push(Problem::new(
            "storage.engine",
            "nothing outlives the process",
            "write \"rocksdb\" unless this is a test rig",
        ));
    }
    found
}

const CACHE_MIB_MIN: u32 = 8;

fn listeners(listeners: &[Listener], found: &mut Checked) {
    for (index, listener) in listeners.iter().enumerate() {
        one_listener(&format!("listener[{index}]"), listener, found);
        let clash = listeners.iter().take(index).position(|other| clashes(other, listener));
        if let Some(first) = clash {
            found.problems.push(
                Problem::new(
                    &format!("listener[{index}].bind"),
                    format!("listener[{first}] has this address already"),
                    "give each listener a port of its own, or list all of `serves` in one",
                )
                .with_value(format!("\"{}\"", listener.bind)),
            );
        }
    }
    if !listeners.iter().any(|listener| listener.serves.contains(&Surface::Client)) {
        found.warnings.push(Problem::new(
            "listener",
            "no listener serves clients",
            "add \"client\" to the `serves` of one",
        ));
    }
}

/// Whether the second bind would fail.
fn clashes(a: &Listener, b: &Listener) -> bool {
    let (a, b) = (a.bind, b.bind);
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_address
}

fn one_listener(key: &str, listener: &Listener, found: &mut Checked) {
    let serves = |surface| listener.serves.contains(&surface);
    let key_of = |name: &str| format!("{key}.{name}");
    let public = !listener.bind.ip().is_loopback();
    if listener.serves.is_empty() {
        let remedy = "write for example serves = [\"client\"], or remove the listener";
        found.problems.push(Problem::new(&key_of("serves"), "serves nothing", remedy));
    }
    if public && serves(Surface::Metrics) && serves(Surface::Client) {
        found.problems.push(Problem::new(
            &key_of("serves"),
            "everybody who can reach the clients' address could read the metrics",
            "give \"metrics\" a listener of its own, for example bind = \"127.0.0.1:9008\"",
        ));
    }
    if serves(Surface::Federation) && listener.tls.is_none() && public {
        found.warnings.push(Problem::new(
            &key_of("tls"),
            "other servers speak only TLS",
            "set tls, or bind to loopback behind a reverse proxy that does it",
        ));
    }
    if serves(Surface::Admin) && listener.tls.is_none() && public {
        found.warnings.push(Problem::new(
            &key_of("tls"),
            "admin tokens travel in the clear",
            "set tls, or bind to loopback behind a reverse proxy that does it",
        ));
    }
    if listener.trusted_networks().iter().any(|network| network.prefix_len() == 0) {
        found.warnings.push(Problem::new(
            &key_of("trusted_proxies"),
            "everybody may claim to be any address, so limits by address mean nothing",
            "list only the addresses of your reverse proxies",
        ));
    }
    if let Some(tls) = &listener.tls {
        let before = found.problems.len();
        readable(&key_of("tls.certificate"), &tls.certificate, found);
        readable(&key_of("tls.private_key"), &tls.private_key, found);
        if found.problems.len() == before {
            usable(key, tls, found);
        }
    }
}

/// Reads the files as the listener will.
fn usable(key: &str, tls: &Tls, found: &mut Checked) {
    let Err(error) = Certificates::open(&tls.certificate, &tls.private_key) else { return };
    let of_key = matches!(&error, CertificateError::File { path, .. } if *path == tls.private_key);
    let (name, path, remedy) = if of_key {
        let remedy = "write the path of a PEM file that holds the certificate's private key";
        ("tls.private_key", &tls.private_key, remedy)
    } else {
        let remedy = "write the paths of PEM files: the certificate, what it was signed by behind it, and its key";
        ("tls.certificate", &tls.certificate, remedy)
    };
    found.problems.push(
        Problem::new(&format!("{key}.{name}"), error.to_string(), remedy)
            .with_value(format!("\"{}\"", path.display())),
    );
}

/// Classes are given to those who sign in through a provider, and nobody can yet.
fn classes(sections: &Sections, found: &mut Checked) {
    for (name, class) in &sections.policy.class {
        if class.assign.as_ref().is_some_and(|assign| assign.sso.is_some()) {
            found.warnings.push(Problem::new(
                &format!("class.{name}.assign.sso"),
                "nobody is given this class by it: there is no sign-in through other providers yet",
                format!(
                    "give it with `vestibule user class USER {name}` or `vestibule token create --class {name}`"
                ),
            ));
        }
    }
}

fn readable(key: &str, path: &Path, found: &mut Checked) {
    if let Err(cause) = fs::File::open(path) {
        let remedy = "correct the path, or let the server's account read the file";
        found.problems.push(
            Problem::new(key, format!("cannot be read: {cause}"), remedy)
                .with_value(format!("\"{}\"", path.display())),
        );
    }
}

fn registration(sections: &Sections, found: &mut Checked) {
    let Registration { mode, shared_secret, shared_secret_file, .. } = &sections.registration;
    found.shared_secret = match (shared_secret, shared_secret_file) {
        (Some(_), Some(_)) => {
            found.problems.push(Problem::new(
                "registration.shared_secret_file",
                "the shared secret is given twice",
                "keep either shared_secret or shared_secret_file",
            ));
            None
        }
        (None, Some(path)) => {
            readable("registration.shared_secret_file", path, found);
            let text = fs::read_to_string(path).ok();
            text.map(|text| Secret::new(text.trim().to_owned()))
        }
        (secret, None) => secret.clone(),
    };
    let length = found.shared_secret.as_ref().map(|secret| secret.expose().len());
    if length.is_some_and(|length| length < SECRET_BYTES_MIN) {
        found.problems.push(Problem::new(
            "registration.shared_secret",
            format!("shorter than {SECRET_BYTES_MIN} characters: whoever guesses it is an admin"),
            "write a long random text, for example from `openssl rand -hex 32`",
        ));
    }
    if *mode == RegistrationMode::Open && sections.policy.guests.enabled {
        found.warnings.push(Problem::new(
            "registration.mode",
            "strangers who would be guests can make themselves members",
            "write \"token\" or \"closed\", or accept it",
        ));
    }
}

const SECRET_BYTES_MIN: usize = 16;

fn rooms(version: &RoomVersionId, found: &mut Checked) {
    let supported = version.as_str().parse::<u8>().is_ok_and(|n| (3..=12).contains(&n));
    if !supported {
        let message = match version.as_str() {
            "1" | "2" => "this room version is not supported yet",
            _ => "there is no such room version",
        };
        found.problems.push(
            Problem::new("rooms.default_version", message, "write \"12\", or any from \"3\"")
                .with_value(format!("\"{version}\"")),
        );
    }
}

fn notices(notices: &Notices, found: &mut Checked) {
    if notices.room_name.trim().is_empty() {
        found.problems.push(Problem::new(
            "notices.room_name",
            "is empty",
            "write what users are to read above the notices, or leave it out",
        ));
    }
    if let Some(avatar) = notices.avatar.as_ref().filter(|it| it.parts().is_err()) {
        found.problems.push(
            Problem::new(
                "notices.avatar",
                "is no file",
                "write an address as mxc://server/id, or leave it out",
            )
            .with_value(format!("\"{avatar}\"")),
        );
    }
}

fn log(log: &Log, found: &mut Checked) {
    if let Err(reason) = EnvFilter::builder().parse(&log.filter) {
        found.problems.push(
            Problem::new(
                "log.filter",
                format!("is no log filter: {reason}"),
                "write a level (\"info\"), or levels by module (\"info,vestibule_rooms=debug\")",
            )
            .with_value(format!("\"{}\"", log.filter)),
        );
    }
}

fn media(media: &Media, found: &mut Checked) {
    let Media { upload_bytes_max: upload, user_bytes_max: user, open_downloads, .. } = *media;
    if upload == 0 {
        let problem = Problem::new(
            "media.upload_bytes_max",
            "nobody could upload anything",
            "write 1 or more; who may upload at all is for `may_not = [\"upload_media\"]` to say",
        );
        found.problems.push(problem.with_value("0"));
    }
    if user != 0 && user < upload {
        found.problems.push(
            Problem::new(
                "media.user_bytes_max",
                "less than one file of the largest size",
                "write media.upload_bytes_max or more, or 0 for no bound",
            )
            .with_value(user.to_string()),
        );
    }
    if open_downloads {
        found.warnings.push(Problem::new(
            "media.open_downloads",
            "whoever knows the address of a file can read it without an account",
            "write false unless clients or servers from before Matrix 1.11 must be served",
        ));
    }
}

fn previews(previews: &Previews, found: &mut Checked) {
    let sizes = [
        ("previews.page_bytes_max", previews.page_bytes_max),
        ("previews.image_bytes_max", previews.image_bytes_max),
    ];
    for (key, _) in sizes.into_iter().filter(|(_, size)| *size == 0) {
        let problem =
            Problem::new(key, "nothing could be read", "write 1 or more, or enabled = false");
        found.problems.push(problem.with_value("0"));
    }
    let control = |text: &String| text.chars().any(|character| !matches!(character, ' '..='~'));
    if let Some(languages) = previews.languages.as_ref().filter(|it| control(it)) {
        let problem = Problem::new(
            "previews.languages",
            "cannot be sent in a header",
            "write languages as in \"en, de;q=0.8\"",
        );
        found.problems.push(problem.with_value(format!("{languages:?}")));
    }
}

fn limits(limits: &Limits, found: &mut Checked) {
    let at_least_one = [
        ("limits.workers", u32::from(limits.workers)),
        ("limits.storage_threads", u32::from(limits.storage_threads)),
        ("limits.storage_queue_max", limits.storage_queue_max),
        ("limits.connections_max", limits.connections_max),
        ("limits.password_checks_max", u32::from(limits.password_checks_max)),
    ];
    for (key, _) in at_least_one.into_iter().filter(|(_, value)| *value == 0) {
        let problem = Problem::new(key, "the server could do nothing", "write 1 or more");
        found.problems.push(problem.with_value("0"));
    }
    if limits.access_token_life < ACCESS_TOKEN_LIFE_MIN {
        found.problems.push(
            Problem::new(
                "limits.access_token_life",
                "clients would do nothing but refresh",
                "write \"1m\" or more",
            )
            .with_value(format!("\"{}\"", limits.access_token_life)),
        );
    }
    let idle = limits.device_idle_life;
    if !idle.duration().is_zero() && idle < DEVICE_IDLE_LIFE_MIN {
        found.problems.push(
            Problem::new(
                "limits.device_idle_life",
                "people would be logged out over night",
                "write \"24h\" or more, or \"0s\" to keep devices for ever",
            )
            .with_value(format!("\"{idle}\"")),
        );
    }
}

const ACCESS_TOKEN_LIFE_MIN: crate::Period = crate::Period::seconds(60);
const DEVICE_IDLE_LIFE_MIN: crate::Period = crate::Period::hours(24);
