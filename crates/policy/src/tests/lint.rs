//! The start-up lint: mistakes refuse, doubts warn, all at once.

use ruma::server_name;

use super::*;
use crate::StartFacts;

/// The example of the design, whole.
const EXAMPLE: &str = r##"
[guests]
enabled        = true
open_rooms_by  = ["alias", "list", "space"]
alias          = "#*:gnome.org"
list           = ["#welcome:gnome.org"]
never          = ["#staff:gnome.org"]
need_host      = true
federated_join = "resident-only"
when_room_leaves_scope = { do = "freeze", evict_after = "24h" }
[[guests.space]]
id = "!community-space"
depth = 2
curators = ["gnome.org"]
follow = true
[guests.life]
never_joined = "1h"
idle = "24h"
max = "7d"
afterwards = "erase"
[guests.caps]
per_ip = 3
per_ip_per_day = 10
live = 2000
new_per_minute = 30
rooms_each = 5
per_room = 200
[class.guest]
may = ["join", "leave", "send_event", "set_displayname", "typing_receipts", "report", "peek", "keys", "to_device", "logout"]
may_send = ["m.room.message", "m.room.encrypted", "m.reaction", "m.room.redaction", "m.sticker", "m.poll.*", "org.matrix.msc3381.poll.*", "m.key.verification.*"]
rates = { message = "6/min burst 10", join = "3/min", profile = "3/min", report = "3/min burst 5", request = "600/min" }
name_suffix = " (guest)"
[class.webchat]
assign = { sso = "shop" }
inherits = "guest"
scope = { list = ["#support:shop.example"] }
may_also = ["upload_media", "set_avatar"]
[class.newcomer]
assign = { age_below = "24h" }
inherits = "member"
may_not = ["create_room.public", "create_alias", "publish", "send_invite"]
[aliases]
create = "moderator"
members_may = ["#~{localpart}~*:gnome.org"]
protected = ["#*support*", "#*security*", "#admin*"]
follow_upgrade = "local-moderator"
[directory]
publish = "moderator"
visible_without_login = false
visible_to_servers = false
[users]
searchable_by = "member"
profile_lookup = "shared-room"
[audit]
denials = true
mode = "enforce"
"##;

#[test]
fn the_example_of_the_design_compiles_without_a_doubt() {
    let config: PolicyConfig = toml::from_str(EXAMPLE).unwrap();
    let (policy, warnings) = compile(&config, server_name!("gnome.org")).unwrap();
    assert_eq!(warnings, []);
    let built_in: PolicyConfig =
        toml::from_str(EXAMPLE.split("[class.guest]").next().unwrap()).unwrap();
    let written = policy.class(&ClassName::guest()).unwrap();
    let built_in = PolicyConfig { aliases: config.aliases.clone(), ..built_in };
    let (built_in, _) = compile(&built_in, server_name!("gnome.org")).unwrap();
    let built_in = built_in.class(&ClassName::guest()).unwrap();
    assert_eq!(written.abilities(), built_in.abilities(), "the example shows the default");
    assert_eq!(written.may_send(), built_in.may_send());
}

#[test]
fn nothing_written_compiles_without_a_doubt() {
    let (policy, warnings) = compiled("");
    assert_eq!(warnings, []);
    assert!(!policy.guests_enabled());
}

#[test]
fn what_is_written_by_default_means_the_same_as_nothing() {
    let written = toml::to_string(&PolicyConfig::default()).unwrap();
    assert_eq!(config(&written), PolicyConfig::default());
}

#[test]
fn unknown_keys_are_refused() {
    for toml in
        ["[guests]\nenable = true", "[class.guest]\nmight = []", "[guest]\n", "[audit]\nx = 1"]
    {
        assert!(toml::from_str::<PolicyConfig>(toml).is_err(), "{toml}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_mistake_is_refused_with_its_key() {
    for (toml, key) in [
        ("[guests]\nenabled = true", "aliases.create"),
        ("[guests]\nenabled = true\n[aliases]\ncreate = 'member'", "aliases.create"),
        ("[class.w]\ninherits = 'guest'", "aliases.create"),
        ("[class.w]\ninherits = 'member'\nscope = { alias = '#*:home.test' }", "aliases.create"),
        ("[aliases]\ncreate = 'guest'", "aliases.create"),
        ("[aliases]\ncreate = 'nobody'", "aliases.create"),
        ("[aliases]\nmembers_may = ['#*:home.test']", "aliases.members_may"),
        ("[aliases]\nmembers_may = ['#*{localpart}*:home.test']", "aliases.members_may"),
        ("[aliases]\nmembers_may = ['#~{localpart}~*:evil.test']", "aliases.members_may"),
        ("[aliases]\nmembers_may = ['~{localpart}~*']", "aliases.members_may"),
        ("[aliases]\nprotected = ['support']", "aliases.protected"),
        ("[aliases]\nprotected = ['#']", "aliases.protected"),
        ("[aliases]\nfollow_upgrade = 'sometimes'", "aliases.follow_upgrade"),
        ("[directory]\npublish = 'everyone'", "directory.publish"),
        ("[users]\nsearchable_by = 'guest'", "users.searchable_by"),
        ("[users]\nprofile_lookup = 'nobody'", "users.profile_lookup"),
        ("[audit]\nmode = 'off'", "audit.mode"),
        ("[rooms]\nlast_admin_guard = 'maybe'", "rooms.last_admin_guard"),
        ("[guests]\nopen_rooms_by = ['alias', 'name']", "guests.open_rooms_by"),
        ("[guests]\nalias = '#*:evil.test'", "guests.alias"),
        ("[guests]\nalias = '*'", "guests.alias"),
        ("[guests]\nalias = []", "guests.alias"),
        ("[guests]\nlist = ['welcome']", "guests.list"),
        ("[guests]\nnever = ['@ada:home.test']", "guests.never"),
        ("[guests]\nlist = ['#a:home.test']\nnever = ['#a:home.test']", "guests.list"),
        ("[guests.list_via]\n'!a' = ['b.test']", "guests.list_via.\"!a\""),
        ("[guests]\nlist = ['!a']\n[guests.list_via]\n'!a' = []", "guests.list_via.\"!a\""),
        (
            "[guests]\nlist = ['!a']\n[guests.list_via]\n'!a' = ['no/name']",
            "guests.list_via.\"!a\"",
        ),
        ("[guests]\nfederated_join = 'always'", "guests.federated_join"),
        ("[guests]\nwhen_room_leaves_scope = { do = 'shout' }", "guests.when_room_leaves_scope.do"),
        (
            "[guests]\nwhen_room_leaves_scope = { evict_after = 'soon' }",
            "guests.when_room_leaves_scope.evict_after",
        ),
        ("[[guests.space]]\nid = 'community'", "guests.space.id"),
        ("[[guests.space]]\nid = '!a'\n[[guests.space]]\nid = '!a'", "guests.space.id"),
        ("[[guests.space]]\nid = '!a'\ndepth = 0", "guests.space.depth"),
        ("[[guests.space]]\nid = '!a'\ndepth = 99", "guests.space.depth"),
        ("[[guests.space]]\nid = '!a'\ncurators = ['@nobody']", "guests.space.curators"),
        ("[guests.life]\nidle = '8d'", "guests.life.idle"),
        ("[guests.life]\nmax = 'week'", "guests.life.max"),
        ("[guests.life]\nafterwards = 'forget'", "guests.life.afterwards"),
        (
            "[guests]\nenabled = true\nopen_rooms_by = ['list']\n[guests.caps]\nlive = 0",
            "guests.caps.live",
        ),
        ("[class.w]\ninherits = 'nobody'", "class.w.inherits"),
        ("[class.w]\nmay = ['join']", "class.w.inherits"),
        ("[class.w]\ninherits = 'moderator'", "class.w.inherits"),
        ("[class.w]\ninherits = 'w'", "class.w.inherits"),
        ("[class.a]\ninherits = 'b'\n[class.b]\ninherits = 'a'", "class.b.inherits"),
        ("[class.Web]\ninherits = 'member'", "class.Web"),
        ("[class.member]\ninherits = 'guest'", "class.member.inherits"),
        ("[class.guest]\nscope = { list = ['!a:b'] }", "class.guest.scope"),
        ("[class.member]\nassign = { sso = 'x' }", "class.member.assign"),
        ("[class.system]\nmay_not = ['join']", "class.system"),
        ("[class.w]\ninherits = 'member'\nscope = {}", "class.w.scope"),
        ("[class.guest]\nmay = ['jion']", "class.guest.may"),
        ("[class.guest]\nmay_also = ['everything']", "class.guest.may_also"),
        ("[class.guest]\nmay_not = ['fly']", "class.guest.may_not"),
        ("[class.guest]\nmay_not = ['leave']", "class.guest.may_not"),
        ("[class.guest]\nmay_also = ['knock']\nmay_not = ['knock']", "class.guest.may_not"),
        ("[class.guest]\nmay_also = ['administer']", "class.guest.may_also"),
        ("[class.moderator]\nmay_also = ['administer']", "class.moderator.may_also"),
        ("[class.member]\nmay_also = ['moderate']", "class.member.may_also"),
        ("[class.member]\nmay_not = ['join']", "class.guest.may"),
        ("[class.guest.rates]\nmessages = '6/min'", "class.guest.rates.messages"),
        ("[class.guest.rates]\nmessage = 'often'", "class.guest.rates.message"),
        ("[class.guest]\nname_suffix = '   '", "class.guest.name_suffix"),
        ("[class.guest]\nname_suffix = \"\\n\"", "class.guest.name_suffix"),
        (
            "[class.a]\ninherits = 'member'\nassign = { sso = 's' }\n\
             [class.b]\ninherits = 'member'\nassign = { sso = 's' }",
            "class.b.assign.sso",
        ),
        (
            "[class.a]\ninherits = 'member'\nassign = { age_below = '24h' }\n\
             [class.b]\ninherits = 'member'\nassign = { age_below = '1d' }",
            "class.b.assign.age_below",
        ),
        (
            "[class.a]\ninherits = 'member'\nassign = { age_below = '24h' }\n\
             scope = { list = ['!room:home.test'] }",
            "class.a.assign.age_below",
        ),
        (
            "[class.a]\ninherits = 'guest'\nassign = { age_below = '24h' }",
            "class.a.assign.age_below",
        ),
    ] {
        let errors = errors(toml);
        assert!(errors.iter().any(|error| error.key == key), "{toml}\n{errors:?}");
        assert!(errors.iter().all(|error| !error.remedy.is_empty() && !error.value.is_empty()));
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_each_once() {
    let errors = errors(
        "[guests]\nenabled = true\nfederated_join = 'x'\n[guests.life]\nmax = 'y'\n\
         [class.guest]\nmay_also = ['fly', 'swim']\n[class.a]\ninherits = 'b'\n\
         [class.b]\ninherits = 'c'\n[class.c]\ninherits = 'a'\n[class.d]\ninherits = 'zzz'\n\
         [class.e]\ninherits = 'd'",
    );
    let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "aliases.create",
            "class.a.inherits",
            "class.b.inherits",
            "class.c.inherits",
            "class.d.inherits",
            "class.guest.may_also",
            "class.guest.may_also",
            "guests.federated_join",
            "guests.life.idle",
            "guests.life.max",
            "guests.life.never_joined",
        ]
    );
}

#[test]
fn each_doubt_warns_with_its_key() {
    let on = "[guests]\nenabled = true\nopen_rooms_by";
    for (toml, key) in [
        (format!("{on} = ['any']"), "guests.open_rooms_by"),
        (format!("{on} = []"), "guests.open_rooms_by"),
        (format!("{on} = ['list']"), "guests.list"),
        (format!("{on} = ['space']"), "guests.space"),
        (format!("{on} = ['any']\nlist = ['!a:b']"), "guests.list"),
        (format!("{on} = ['any']\n[[guests.space]]\nid = '!a'"), "guests.space"),
        (
            format!("{on} = ['space']\n[[guests.space]]\nid = '!a'\ncurators = ['elsewhere.test']"),
            "guests.space.curators",
        ),
        ("[audit]\nmode = 'observe'".to_owned(), "audit.mode"),
        (
            "[class.guest]\nmay_send = []\nmay_also = ['redact_own']".to_owned(),
            "class.guest.may_send",
        ),
        (
            "[aliases]\nmembers_may = ['#u-{localpart}-*:home.test']".to_owned(),
            "aliases.members_may",
        ),
    ] {
        let (_, warnings) = compiled(&toml);
        assert!(warnings.iter().any(|warning| warning.key == key), "{toml}\n{warnings:?}");
    }
}

#[test]
fn doubts_that_need_facts_are_told_with_them() {
    let policy = policy(OPEN);
    assert_eq!(policy.doubts(&StartFacts::default()), []);
    let alias = RoomAliasId::parse("#a:home.test").unwrap();
    let facts = StartFacts {
        open_registration: true,
        unresolved_listed: vec![alias.clone()],
        drifted: vec![alias.clone()],
        unresolved_never: vec![alias.clone()],
        outlived_aliases: vec![(alias, guest().user_id, ClassName::member())],
        absent_spaces: vec![room_id()],
        overflowing_spaces: vec![room_id()],
        rooms_without_guest_access: vec![room_id()],
        tombstoned: vec![room_id()],
        appservices_over_guests: vec!["irc".to_owned()],
        plain_federation_listeners: vec!["0.0.0.0:8448".to_owned()],
        untrusted_forwarders: vec!["192.0.2.1".to_owned()],
    };
    assert_eq!(policy.doubts(&facts).len(), 12);
}
