//! Classes: the built-in tree, what the file changes in it, and the operator's own.

use std::collections::{BTreeMap, BTreeSet};

use vestibule_types::{ClassName, Glob};

use super::Lint;
use crate::{
    Ability, AbilitySet, Class, ClassConfig, PolicyConfig, Rate, RateKey, Rung, Scope, Standing,
    Texts,
};

/// What a guest may send unless it is written otherwise.
const GUEST_MAY_SEND: &[&str] = &[
    "m.room.message",
    "m.room.encrypted",
    "m.reaction",
    "m.room.redaction",
    "m.sticker",
    "m.poll.*",
    // What clients call them until they call them as the specification does.
    "org.matrix.msc3381.poll.*",
    "m.key.verification.*",
];

/// What a guest may unless it is written otherwise.
const GUEST_MAY: &[Ability] = &[
    Ability::Join,
    Ability::Leave,
    Ability::SendEvent,
    Ability::SetDisplayname,
    Ability::TypingReceipts,
    Ability::Report,
    Ability::Peek,
    Ability::Keys,
    Ability::ToDevice,
    Ability::Logout,
];

/// Requests to the endpoints that the specification wants limited, unless it is written otherwise.
const REQUESTS: Rate = Rate::per_minute(3_000, 3_000);

/// The same for guests.
const GUEST_REQUESTS: Rate = Rate::per_minute(600, 600);

/// Requests to send messages to devices, each of up to a thousand messages, unless it is written
/// otherwise. A client that shares a key with a room of thousands sends a hundred at once.
const TO_DEVICE: Rate = Rate::per_minute(600, 600);

/// The same for guests.
const GUEST_TO_DEVICE: Rate = Rate::per_minute(120, 120);

/// Names and pictures a guest may change to, each of which everybody in its rooms is shown.
const GUEST_PROFILE: Rate = Rate::per_minute(3, 3);

/// Reports, unless it is written otherwise: each is kept until somebody looks at it.
const REPORTS: Rate = Rate::per_minute(30, 30);

/// The same for guests.
const GUEST_REPORTS: Rate = Rate::per_minute(3, 5);

/// The longest suffix, in bytes; a display name has to hold it.
const NAME_SUFFIX_BYTES_MAX: usize = 64;

/// The longest class name, in bytes.
const CLASS_NAME_BYTES_MAX: usize = 64;

/// The class whose event may be sent when one may redact one's own events.
const REDACTION: &str = "m.room.redaction";

impl Lint<'_> {
    /// Every class, the built-in ones first, each after the one it inherits from.
    pub(super) fn classes(
        &mut self,
        config: &PolicyConfig,
        guest_scope: &Scope,
    ) -> BTreeMap<ClassName, Class> {
        let mut classes = BTreeMap::new();
        for mut class in builtin_classes(guest_scope) {
            if let Some(written) = config.class.get(class.name.as_str()) {
                self.builtin_keys(class.name.as_str(), written);
                self.overlay(&mut class, written);
            } else {
                imply(&mut class);
            }
            classes.insert(class.name.clone(), class);
        }
        for name in self.order(config) {
            let Some(written) = config.class.get(name) else { continue };
            let Some(parent) = written.inherits.as_deref().and_then(|parent| classes.get(parent))
            else {
                continue;
            };
            let mut class = heir(name, parent);
            if let Some(scope) = &written.scope {
                let key = format!("class.{name}.scope");
                class.scope = Some(self.class_scope(&key, scope, guest_scope));
            }
            self.overlay(&mut class, written);
            self.assign(&mut class, written);
            classes.insert(class.name.clone(), class);
        }
        self.assignments(&classes);
        classes
    }

    /// The operator's classes, parents first; reports unknown parents and cycles.
    fn order<'c>(&mut self, config: &'c PolicyConfig) -> Vec<&'c str> {
        let own: BTreeMap<&str, &ClassConfig> = config
            .class
            .iter()
            .filter(|(name, _)| !is_builtin(name))
            .map(|(name, class)| (name.as_str(), class))
            .collect();
        let mut waiting: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, class) in &own {
            self.class_name(name);
            let key = format!("class.{name}.inherits");
            match class.inherits.as_deref() {
                Some(parent @ (ClassName::GUEST | ClassName::MEMBER)) => {
                    waiting.insert(name, parent);
                }
                Some(parent) if own.contains_key(parent) => {
                    waiting.insert(name, parent);
                }
                parent => {
                    let value =
                        parent.map_or("not written".to_owned(), |text| format!("\"{text}\""));
                    let remedy = "write \"guest\", \"member\", or another class of your own";
                    self.error(key, value, remedy);
                }
            }
        }
        let mut done: BTreeSet<&str> = BTreeSet::from([ClassName::GUEST, ClassName::MEMBER]);
        let mut order = Vec::new();
        // Every round places at least one class or ends, so this takes no more rounds than classes.
        loop {
            let ready: Vec<&str> = waiting
                .iter()
                .filter(|(_, parent)| done.contains(*parent))
                .map(|(name, _)| *name)
                .collect();
            if ready.is_empty() {
                break;
            }
            for name in ready {
                waiting.remove(name);
                done.insert(name);
                order.push(own.get_key_value(name).map_or("", |(name, _)| *name));
            }
        }
        let broken: BTreeSet<&str> = own
            .keys()
            .copied()
            .filter(|name| !done.contains(name) && !waiting.contains_key(name))
            .collect();
        for (name, parent) in waiting {
            // A class under a mistaken one is not itself a mistake.
            if !leads_to(name, &own, &broken) {
                let remedy = "the classes inherit from each other in a circle: let one of them \
                              inherit from \"guest\" or \"member\"";
                self.error(format!("class.{name}.inherits"), format!("\"{parent}\""), remedy);
            }
        }
        order
    }

    fn class_name(&mut self, name: &str) {
        let good = name.len() <= CLASS_NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase()
                    || letter.is_ascii_digit()
                    || matches!(letter, '_' | '-')
            });
        if !good {
            let remedy = "name classes with up to 64 of a-z, 0-9, \"_\" and \"-\", a letter first";
            self.error(format!("class.{name}"), format!("\"{name}\""), remedy);
        }
    }

    /// What cannot be written for a built-in class.
    fn builtin_keys(&mut self, name: &str, written: &ClassConfig) {
        if let Some(parent) = &written.inherits {
            let remedy = "leave inherits out: this class is built in";
            self.error(format!("class.{name}.inherits"), format!("\"{parent}\""), remedy);
        }
        if written.scope.is_some() {
            let remedy = if name == ClassName::GUEST {
                "write the rooms open to guests in [guests]"
            } else {
                "leave scope out, or define a class of your own that inherits from \"member\""
            };
            self.error(format!("class.{name}.scope"), "{..}", remedy);
        }
        if written.assign.is_some() {
            let remedy = "leave assign out, or define a class of your own";
            self.error(format!("class.{name}.assign"), "{..}", remedy);
        }
        if name == ClassName::SYSTEM {
            let remedy = "leave this class out: it is the server's own user";
            self.error("class.system", "{..}", remedy);
        }
    }

    /// Each written key replaces that key and nothing else.
    fn overlay(&mut self, class: &mut Class, written: &ClassConfig) {
        let name = class.name.clone();
        let key = |key: &str| format!("class.{name}.{key}");
        if let Some(may) = &written.may {
            class.written = self.abilities(&key("may"), may);
            class.granted_also = AbilitySet::NONE;
            class.withheld = AbilitySet::NONE;
        }
        let also = self.abilities(&key("may_also"), &written.may_also);
        let not = self.abilities(&key("may_not"), &written.may_not);
        self.contradictions(class, written, also, not);
        class.granted_also = class.granted_also.union(also.minus(class.written)).minus(not);
        class.written = class.written.union(also).minus(not);
        class.withheld = class.withheld.union(not).minus(also);
        if let Some(may_send) = &written.may_send {
            class.may_send = Some(may_send.iter().map(|pattern| Glob::new(pattern)).collect());
        }
        for (kind, texts) in &written.rates {
            self.rate(class, kind, texts);
        }
        if let Some(suffix) = &written.name_suffix {
            self.name_suffix(class, suffix);
        }
        imply(class);
        if class.abilities.contains(Ability::SendEvent)
            && class.may_send.as_ref().is_some_and(Vec::is_empty)
        {
            self.warn(key("may_send"), "is empty, so that \"send_event\" allows nothing");
        }
    }

    fn abilities(&mut self, key: &str, names: &[String]) -> AbilitySet {
        let mut set = AbilitySet::NONE;
        for name in names {
            if let Some(ability) = Ability::from_name(name) {
                set = set.with(ability);
            } else {
                let known: Vec<_> = Ability::ALL.iter().map(|ability| ability.name()).collect();
                let remedy = format!("there is no such action; there are {}", known.join(", "));
                self.error(key, format!("\"{name}\""), remedy);
            }
        }
        set
    }

    fn contradictions(
        &mut self,
        class: &Class,
        written: &ClassConfig,
        also: AbilitySet,
        not: AbilitySet,
    ) {
        let name = &class.name;
        let not_key = format!("class.{name}.may_not");
        for ability in not.iter().filter(|ability| Ability::NEVER_WITHHELD.contains(ability)) {
            let remedy = "leave it out: leaving, logging out, reporting and deactivating cannot be \
                          forbidden";
            self.error(not_key.clone(), format!("\"{ability}\""), remedy);
        }
        let may = if written.may.is_some() { class.written } else { AbilitySet::NONE };
        for ability in not.iter().filter(|ability| may.union(also).contains(*ability)) {
            let remedy = "it is in may or may_also of this class too: take it out of one of them";
            self.error(not_key.clone(), format!("\"{ability}\""), remedy);
        }
        let is_admin = class.standing == Standing::Full(Rung::Admin);
        let trusted = matches!(class.standing, Standing::Full(rung) if rung >= Rung::Moderator);
        let granted = may.union(also);
        if granted.contains(Ability::Administer) && !is_admin {
            let remedy = "only class \"admin\" may; give the account that class";
            self.error(format!("class.{name}.may_also"), "\"administer\"", remedy);
        }
        if granted.contains(Ability::Moderate) && !trusted {
            let remedy = "only class \"moderator\" and above may; give the account that class";
            self.error(format!("class.{name}.may_also"), "\"moderate\"", remedy);
        }
    }

    fn rate(&mut self, class: &mut Class, kind: &str, texts: &Texts) {
        let key = format!("class.{}.rates.{kind}", class.name);
        let Some(rate_key) = RateKey::from_name(kind) else {
            let known: Vec<_> = RateKey::ALL.iter().map(|key| key.name()).collect();
            self.error(key, kind, format!("there are rates for {}", known.join(", ")));
            return;
        };
        let mut rates = Vec::new();
        for text in texts.as_slice().iter().filter(|text| *text != "off") {
            match Rate::parse(text) {
                Ok(rate) => rates.push(rate),
                Err(remedy) => self.error(key.clone(), format!("\"{text}\""), remedy),
            }
        }
        if rates.is_empty() {
            class.rates.remove(&rate_key);
        } else {
            class.rates.insert(rate_key, rates);
        }
    }

    fn name_suffix(&mut self, class: &mut Class, suffix: &str) {
        let key = format!("class.{}.name_suffix", class.name);
        if suffix.len() > NAME_SUFFIX_BYTES_MAX || suffix.chars().any(char::is_control) {
            let remedy = "write up to 64 bytes without control characters";
            self.error(key, format!("{suffix:?}"), remedy);
        } else if suffix.trim().is_empty() && !suffix.is_empty() {
            self.error(key, format!("{suffix:?}"), "write something visible, or \"\" for none");
        } else {
            class.name_suffix = Some(suffix.to_owned()).filter(|suffix| !suffix.is_empty());
        }
    }

    fn assign(&mut self, class: &mut Class, written: &ClassConfig) {
        let Some(assign) = &written.assign else { return };
        class.sso.clone_from(&assign.sso);
        if let Some(age_below) = &assign.age_below {
            let key = format!("class.{}.assign.age_below", class.name);
            class.age_below_ms = Some(self.duration_ms(&key, age_below));
            if !class.granted_also.is_empty() {
                let message = "new members may more than others: may_also in a class by age";
                self.warn(key, message);
            }
        }
    }

    /// No two classes may claim the same accounts.
    fn assignments(&mut self, classes: &BTreeMap<ClassName, Class>) {
        let mut by_sso: BTreeMap<&str, &ClassName> = BTreeMap::new();
        let mut by_age: BTreeMap<u64, &ClassName> = BTreeMap::new();
        for class in classes.values() {
            if let Some(sso) = class.sso.as_deref()
                && let Some(first) = by_sso.insert(sso, &class.name)
            {
                let remedy = format!("class \"{first}\" is assigned by the same provider");
                self.error(
                    format!("class.{}.assign.sso", class.name),
                    format!("\"{sso}\""),
                    remedy,
                );
            }
            if class.is_by_age() && class.scope.is_some() {
                // Who is looked at again when a room closes is found by the stored class.
                self.error(
                    format!("class.{}.assign.age_below", class.name),
                    "with a scope",
                    "a class by age cannot be confined to rooms: leave scope out, and inherit from \"member\"",
                );
            }
            if let Some(age) = class.age_below_ms
                && let Some(first) = by_age.insert(age, &class.name)
            {
                let remedy = format!("class \"{first}\" is assigned below the same age");
                self.error(
                    format!("class.{}.assign.age_below", class.name),
                    format!("{age} ms"),
                    remedy,
                );
            }
        }
    }
}

fn is_builtin(name: &str) -> bool {
    Rung::from_name(name).is_some() || matches!(name, ClassName::APPSERVICE | ClassName::SYSTEM)
}

/// Whether the line of parents of a class ends at one of `ends`.
fn leads_to(name: &str, own: &BTreeMap<&str, &ClassConfig>, ends: &BTreeSet<&str>) -> bool {
    let mut at = name;
    for _ in 0..=own.len() {
        if ends.contains(at) {
            return true;
        }
        match own.get(at).and_then(|class| class.inherits.as_deref()) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
    false
}

/// Redacting one's own events comes with sending redactions, and seeing who the others are with
/// being among them.
fn imply(class: &mut Class) {
    let mut implied = AbilitySet::NONE;
    if class.written.contains(Ability::SendEvent) && class.may_send_type(REDACTION) {
        implied = implied.with(Ability::RedactOwn);
    }
    if class.written.contains(Ability::Join) {
        implied = implied.with(Ability::LookupProfile);
    }
    class.abilities = class.written.union(implied.minus(class.withheld));
}

fn heir(name: &str, parent: &Class) -> Class {
    let standing = if parent.standing == Standing::GuestLike {
        Standing::GuestLike
    } else {
        Standing::MemberLike
    };
    Class { name: ClassName::new(name), standing, sso: None, age_below_ms: None, ..parent.clone() }
}

fn builtin_classes(guest_scope: &Scope) -> [Class; 6] {
    let plain = |name: &str, standing, written| Class {
        name: ClassName::new(name),
        standing,
        abilities: written,
        written,
        granted_also: AbilitySet::NONE,
        withheld: AbilitySet::NONE,
        may_send: None,
        rates: BTreeMap::from([
            (RateKey::Request, vec![REQUESTS]),
            (RateKey::ToDevice, vec![TO_DEVICE]),
            (RateKey::Report, vec![REPORTS]),
        ]),
        name_suffix: None,
        scope: None,
        sso: None,
        age_below_ms: None,
    };
    let all = AbilitySet::all();
    let member = all.without(Ability::Moderate).without(Ability::Administer);
    let guest = plain(ClassName::GUEST, Standing::GuestLike, GUEST_MAY.iter().copied().collect());
    let rates = BTreeMap::from([
        (RateKey::Message, vec![Rate::per_minute(6, 10)]),
        (RateKey::Join, vec![Rate::per_minute(3, 3)]),
        (RateKey::Profile, vec![GUEST_PROFILE]),
        (RateKey::Report, vec![GUEST_REPORTS]),
        (RateKey::Request, vec![GUEST_REQUESTS]),
        (RateKey::ToDevice, vec![GUEST_TO_DEVICE]),
    ]);
    [
        Class {
            may_send: Some(GUEST_MAY_SEND.iter().map(|pattern| Glob::new(pattern)).collect()),
            rates,
            name_suffix: Some(" (guest)".to_owned()),
            scope: Some(guest_scope.clone()),
            ..guest
        },
        plain(ClassName::MEMBER, Standing::Full(Rung::Member), member),
        plain(
            ClassName::MODERATOR,
            Standing::Full(Rung::Moderator),
            all.without(Ability::Administer),
        ),
        plain(ClassName::ADMIN, Standing::Full(Rung::Admin), all),
        plain(ClassName::APPSERVICE, Standing::Appservice, member),
        plain(ClassName::SYSTEM, Standing::System, all),
    ]
}
