//! From a file to a checked configuration.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ruma::{OwnedServerName, ServerName, server_name};
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vestibule_policy::{Policy, PolicyConfig, compile};
use vestibule_types::Secret;

use crate::{
    Email, Federation, Identity, Limits, Listener, Log, Login, Media, Notices, Presence, Previews,
    Problem, Problems, Push, Registration, Rooms, Server, Storage, Support, Surface, Voip,
    check::{Checked, check},
    example::section_names,
    overlay::Overlay,
    read::Reader,
    suggest::unknown_key,
    tree::{self, Step},
};

/// A configuration without contradictions.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[[listener]]`, at least one.
    pub listeners: Vec<Listener>,
    /// `[storage]`
    pub storage: Storage,
    /// `[registration]`
    pub registration: Registration,
    /// `[login]`
    pub login: Login,
    /// `[email]`
    pub email: Email,
    /// `[support]`
    pub support: Support,
    /// `[rooms]`
    pub rooms: Rooms,
    /// `[notices]`
    pub notices: Notices,
    /// `[federation]`
    pub federation: Federation,
    /// `[identity]`
    pub identity: Identity,
    /// `[media]`
    pub media: Media,
    /// `[presence]`
    pub presence: Presence,
    /// `[push]`
    pub push: Push,
    /// `[previews]`
    pub previews: Previews,
    /// `[voip]`
    pub voip: Voip,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[guests]`, `[class.NAME]`, `[aliases]`, `[directory]`, `[users]`, `[audit]`
    pub policy: PolicyConfig,
    name: OwnedServerName,
    secrets: CheckedSecrets,
}

impl Config {
    /// The name of this server.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.name
    }

    /// Whether other servers are talked to.
    #[must_use]
    pub fn federates(&self) -> bool {
        let serves = |listener: &Listener| listener.serves.contains(&Surface::Federation);
        self.federation.enabled.unwrap_or_else(|| self.listeners.iter().any(serves))
    }

    /// The registration secret, wherever it was written.
    #[must_use]
    pub fn shared_secret(&self) -> Option<&Secret> {
        self.secrets.shared_secret.as_ref()
    }

    /// The password of the mail server, wherever it was written.
    #[must_use]
    pub fn email_password(&self) -> Option<&Secret> {
        self.secrets.email_password.as_ref()
    }

    /// The secret shared with the TURN server, wherever it was written.
    #[must_use]
    pub fn turn_secret(&self) -> Option<&Secret> {
        self.secrets.turn_secret.as_ref()
    }
}

/// The secrets, wherever they were written.
#[derive(Clone, Debug)]
struct CheckedSecrets {
    shared_secret: Option<Secret>,
    email_password: Option<Secret>,
    turn_secret: Option<Secret>,
}

/// What loading gives.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The policy in it.
    pub policy: Policy,
    /// Doubts: the server starts, but the operator should know.
    pub warnings: Vec<Problem>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error(
        "there is no configuration file {path}; write one (`vestibule config example` shows every key), or name \
         yours: `vestibule --config FILE ..`",
        path = path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file may be read by others only.
    #[error(
        "no permission to read {path}; run this as the server's account, for example with `sudo -u vestibule`, or let \
         this account read the file",
        path = path.display()
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file was read and is wrong.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// The variables of this process, as [`parse`] takes them.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Where the file is when nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/vestibule/vestibule.toml";

/// Reads the file and checks it, the environment over it. The file at the usual place may be missing if the
/// environment says what must be said.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_with(path, environment(), Path::new(DEFAULT_FILE))
}

fn load_with(
    path: &Path,
    variables: Vec<(String, String)>,
    usual: &Path,
) -> Result<Loaded, LoadError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, variables)?),
        Err(cause) => match cause.kind() {
            // Whoever names another file means one that is there.
            io::ErrorKind::NotFound if path == usual && suffices(&variables) => {
                let mut loaded = parse("", variables)?;
                let text =
                    format!("{} is not there, so the environment alone decides", path.display());
                loaded.warnings.insert(0, Problem::new("", text, ""));
                Ok(loaded)
            }
            io::ErrorKind::NotFound => Err(LoadError::Missing { path: path.to_owned() }),
            io::ErrorKind::PermissionDenied => Err(LoadError::Forbidden { path: path.to_owned() }),
            _ => Err(LoadError::Unreadable { path: path.to_owned(), cause }),
        },
    }
}

/// Whether the environment names the server, which is all that must be said.
fn suffices(variables: &[(String, String)]) -> bool {
    Overlay::of(variables.iter().cloned()).raw(&tree::path("server.name")).is_some()
}

/// Checks the text of a file, variables over it.
pub fn parse(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Problems> {
    let (mut root, mut problems) = tree::parse(text);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let overlay = Overlay::of(variables);
    overlay.apply(&mut root, &mut problems);
    let Value::Table(root) = root else { return Err(Problems(problems)) };

    let mut reader = Reader::new(text, &overlay);
    let sections = read(&mut reader, root);
    problems.append(&mut reader.problems);

    let mut checked = check(&sections);
    // Without a name the policy is checked all the same, so that its problems are told too.
    let name = sections.server.name.as_deref().unwrap_or(server_name!("localhost"));
    let compiled = compile_policy(&sections.policy, name, &mut checked.warnings);
    problems.append(&mut checked.problems);
    let warnings = located(std::mem::take(&mut checked.warnings), &reader);
    match (compiled, sections.server.name.clone()) {
        (Ok(policy), Some(name)) if problems.is_empty() => {
            let Checked { shared_secret, email_password, turn_secret, .. } = checked;
            let secrets = CheckedSecrets { shared_secret, email_password, turn_secret };
            let config = sections.config(name, secrets);
            Ok(Loaded { config, policy, warnings })
        }
        (compiled, _) => {
            problems.extend(compiled.err().unwrap_or_default());
            Err(Problems(located(problems, &reader)))
        }
    }
}

/// The sections as read, before their checks.
#[derive(Debug)]
pub(crate) struct Sections {
    pub(crate) server: Server,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) storage: Storage,
    pub(crate) registration: Registration,
    pub(crate) login: Login,
    pub(crate) email: Email,
    pub(crate) support: Support,
    pub(crate) rooms: Rooms,
    pub(crate) notices: Notices,
    pub(crate) federation: Federation,
    pub(crate) identity: Identity,
    pub(crate) media: Media,
    pub(crate) presence: Presence,
    pub(crate) push: Push,
    pub(crate) previews: Previews,
    pub(crate) voip: Voip,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) policy: PolicyConfig,
}

impl Sections {
    fn config(self, name: OwnedServerName, secrets: CheckedSecrets) -> Config {
        Config {
            server: self.server,
            listeners: self.listeners,
            storage: self.storage,
            registration: self.registration,
            login: self.login,
            email: self.email,
            support: self.support,
            rooms: self.rooms,
            notices: self.notices,
            federation: self.federation,
            identity: self.identity,
            media: self.media,
            presence: self.presence,
            push: self.push,
            previews: self.previews,
            voip: self.voip,
            limits: self.limits,
            log: self.log,
            policy: self.policy,
            name,
            secrets,
        }
    }
}

fn read(reader: &mut Reader<'_>, mut root: Table) -> Sections {
    let server = own(reader, &mut root, "server");
    let mut listeners: Vec<Listener> = own(reader, &mut root, "listener");
    if listeners.is_empty() {
        listeners.push(Listener::default());
    }
    let storage = own(reader, &mut root, "storage");
    let registration = own(reader, &mut root, "registration");
    let login = own(reader, &mut root, "login");
    let email = own(reader, &mut root, "email");
    let support = own(reader, &mut root, "support");
    let notices = own(reader, &mut root, "notices");
    let federation = own(reader, &mut root, "federation");
    let identity = own(reader, &mut root, "identity");
    let media = own(reader, &mut root, "media");
    let presence = own(reader, &mut root, "presence");
    let push = own(reader, &mut root, "push");
    let previews = own(reader, &mut root, "previews");
    let voip = own(reader, &mut root, "voip");
    let limits = own(reader, &mut root, "limits");
    let log = own(reader, &mut root, "log");
    let at = [Step::Key("rooms".to_owned())];
    let rooms = reader.section(&at, own_keys_of_rooms(&mut root));
    let before = reader.problems.len();
    let policy = reader.section(&[], Some(Value::Table(root)));
    for problem in reader.problems.iter_mut().skip(before) {
        name_all_sections(problem);
    }
    Sections {
        server,
        listeners,
        storage,
        registration,
        login,
        email,
        support,
        rooms,
        notices,
        federation,
        identity,
        media,
        presence,
        push,
        previews,
        voip,
        limits,
        log,
        policy,
    }
}

fn own<T: DeserializeOwned + Default>(reader: &mut Reader<'_>, root: &mut Table, name: &str) -> T {
    reader.section(&[Step::Key(name.to_owned())], root.remove(name))
}

/// `[rooms]` is shared: `default_version` is ours, the rest the policy's.
fn own_keys_of_rooms(root: &mut Table) -> Option<Value> {
    let rooms = root.get_mut("rooms")?.as_table_mut()?;
    let own = rooms.remove("default_version")?;
    Some(Value::Table(Table::from_iter([("default_version".to_owned(), own)])))
}

/// The policy knows only its own sections; an unknown one may be a misspelt one of ours.
fn name_all_sections(problem: &mut Problem) {
    if !problem.key.contains(['.', '[']) && problem.message == "there is no such key" {
        let policy = ["guests", "class", "aliases", "directory", "users", "audit"];
        let known = section_names().chain(policy).map(str::to_owned).collect::<Vec<_>>();
        "there is no such section".clone_into(&mut problem.message);
        problem.remedy = unknown_key(&problem.key, &known);
    }
}

fn compile_policy(
    policy: &PolicyConfig,
    name: &ServerName,
    warnings: &mut Vec<Problem>,
) -> Result<Policy, Vec<Problem>> {
    match compile(policy, name) {
        Ok((policy, doubts)) => {
            let doubts = doubts.into_iter();
            warnings.extend(doubts.map(|doubt| Problem::new(&doubt.key, doubt.message, "")));
            Ok(policy)
        }
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| {
                Problem::new(&error.key, "cannot be so", error.remedy).with_value(error.value)
            })
            .collect()),
    }
}

/// Adds the lines to problems that were found after reading.
fn located(problems: Vec<Problem>, reader: &Reader<'_>) -> Vec<Problem> {
    let locate = |mut problem: Problem| {
        if problem.line.is_none() && !problem.key.is_empty() {
            problem.line = reader.line(&tree::path(&problem.key));
        }
        problem
    };
    problems.into_iter().map(locate).collect()
}

#[cfg(test)]
mod tests;
