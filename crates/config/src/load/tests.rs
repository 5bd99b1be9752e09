use super::*;
use crate::{RegistrationMode, Surface};

fn no_variables() -> Vec<(String, String)> {
    Vec::new()
}

fn variable(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn wrong(text: &str) -> Vec<Problem> {
    parse(text, no_variables()).expect_err("this must be refused").0
}

fn keys(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.key.as_str()).collect()
}

const LEAST: &str = "[server]\nname = \"example.org\"\n";

#[test]
fn a_name_is_all_that_must_be_written() {
    let loaded = parse(LEAST, no_variables()).unwrap();
    assert_eq!(loaded.config.server_name(), "example.org");
    assert_eq!(loaded.config.listeners.len(), 1);
    assert_eq!(loaded.config.listeners[0].bind.to_string(), "127.0.0.1:8008");
    assert_eq!(loaded.config.registration.mode, RegistrationMode::Closed);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_with_key_value_line_and_remedy() {
    let problems = wrong(
        "[server]\n\
         nmae = \"example.org\"\n\
         [[listener]]\n\
         bind = \"localhost\"\n\
         [[listener]]\n\
         serves = [\"client\", \"clients\", \"fun\"]\n\
         [storage]\n\
         cache_mib = \"many\"\n\
         durability = \"none\"\n\
         [registartion]\n\
         mode = \"open\"\n\
         [guests]\n\
         enabeld = true\n",
    );
    assert_eq!(
        keys(&problems),
        [
            "server.nmae",
            "listener[0].bind",
            "listener[1].serves[1]",
            "listener[1].serves[2]",
            "storage.cache_mib",
            "storage.durability",
            "guests.enabeld",
            "registartion",
            "server.name",
            "listener[1].bind",
        ]
    );
    let lines = problems.iter().map(|problem| problem.line).collect::<Vec<_>>();
    let at = [
        Some(2),
        Some(4),
        Some(6),
        Some(6),
        Some(8),
        Some(9),
        Some(13),
        Some(10),
        Some(1),
        Some(5),
    ];
    assert_eq!(lines, at);
    let by_key = |key: &str| problems.iter().find(|problem| problem.key == key).unwrap();
    assert!(by_key("server.nmae").remedy.contains("`name`"));
    assert!(by_key("registartion").remedy.contains("`registration`"));
    assert!(by_key("storage.durability").remedy.contains("\"fsync\", \"os\""));
    assert_eq!(by_key("storage.cache_mib").value.as_deref(), Some("\"many\""));
    assert!(by_key("storage.cache_mib").remedy.contains("cache_mib = 64"));
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
}

#[test]
fn syntax_errors_name_their_line() {
    let problems = wrong("[server]\nname = \"a.org\n");
    assert_eq!(problems[0].line, Some(2));
}

#[test]
fn the_environment_stands_above_the_file() {
    let text = format!("{LEAST}[storage]\ncache_mib = 10\n");
    let loaded = parse(&text, variable("VESTIBULE_STORAGE__CACHE_MIB", "20")).unwrap();
    assert_eq!(loaded.config.storage.cache_mib, 20);
    let loaded = parse(LEAST, variable("VESTIBULE_LISTENER__0__SERVES", "[\"metrics\"]")).unwrap();
    assert_eq!(loaded.config.listeners[0].serves, [Surface::Metrics]);
}

#[test]
fn the_environment_alone_suffices_where_no_file_is_at_the_usual_place() {
    let folder = tempfile::tempdir().unwrap();
    let usual = folder.path().join("vestibule.toml");
    let named = variable("VESTIBULE_SERVER__NAME", "example.org");
    let loaded = load_with(&usual, named.clone(), &usual).unwrap();
    assert_eq!(loaded.config.server_name(), "example.org");
    assert!(loaded.warnings[0].to_string().contains("the environment alone"), "{loaded:?}");
    // A file that somebody named, and an environment that names no server, are mistakes.
    let other = folder.path().join("vestibul.toml");
    for (path, variables) in [(&other, named.clone()), (&usual, no_variables())] {
        let told = load_with(path, variables, &usual).unwrap_err().to_string();
        assert!(told.contains("config example") && told.contains("--config"), "{told}");
    }
    // One that is there counts.
    fs::write(&usual, LEAST.replace("example.org", "file.example")).unwrap();
    assert_eq!(
        load_with(&usual, no_variables(), &usual).unwrap().config.server_name(),
        "file.example"
    );
    assert!(load_with(&usual, named, &usual).unwrap().warnings.is_empty());
}

#[test]
fn text_from_the_environment_may_look_like_a_number() {
    let secret = "12345678901234567";
    let loaded = parse(LEAST, variable("VESTIBULE_REGISTRATION__SHARED_SECRET", secret)).unwrap();
    assert_eq!(loaded.config.shared_secret().map(|s| s.expose().as_str()), Some(secret));
}

#[test]
fn a_wrong_variable_is_refused_and_said_to_be_one() {
    let problems = parse(LEAST, variable("VESTIBULE_SERVER__NMAE", "x")).unwrap_err().0;
    assert_eq!(keys(&problems), ["server.nmae"]);
    let problems = parse(LEAST, variable("VESTIBULE_STORAGE__CACHE_MIB", "x")).unwrap_err().0;
    assert!(problems[0].message.contains("environment"));
    assert_eq!(problems[0].line, None);
}

#[test]
fn a_secret_is_never_shown() {
    let problems = wrong(&format!("{LEAST}[registration]\nshared_secret = \"hunter2\"\n"));
    assert_eq!(keys(&problems), ["registration.shared_secret"]);
    assert!(!Problems(problems).to_string().contains("hunter2"));
}

#[test]
fn contradictions_are_refused() {
    let with = |text: &str| keys_of(wrong(&format!("{LEAST}{text}")));
    let same_bind = "[[listener]]\n[[listener]]\nbind = \"0.0.0.0:8008\"\n";
    assert_eq!(with(same_bind), ["listener[1].bind"]);
    assert_eq!(with("[[listener]]\nserves = []\n"), ["listener[0].serves"]);
    let open_metrics = "[[listener]]\nbind = \"[::]:80\"\nserves = [\"client\", \"metrics\"]\n";
    assert_eq!(with(open_metrics), ["listener[0].serves"]);
    let no_file = "[[listener]]\ntls = { certificate = \"/none\", private_key = \"/none\" }\n";
    assert_eq!(with(no_file), ["listener[0].tls.certificate", "listener[0].tls.private_key"]);
    assert_eq!(with("[rooms]\ndefault_version = \"2\"\n"), ["rooms.default_version"]);
    assert_eq!(with("[limits]\nworkers = 0\n"), ["limits.workers"]);
    assert_eq!(with("[log]\nfilter = \"info,=,\"\n"), ["log.filter"]);
    assert_eq!(with("[limits]\naccess_token_life = \"1s\"\n"), ["limits.access_token_life"]);
}

#[test]
fn certificates_that_cannot_be_used_are_told_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let made = || rcgen::generate_simple_self_signed(vec!["example.org".to_owned()]).unwrap();
    let (ours, others) = (made(), made());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let nonsense = write("nonsense.pem", "nonsense");
    let certificate = write("certificate.pem", &ours.cert.pem());
    let key = write("key.pem", &ours.signing_key.serialize_pem());
    let other_key = write("other.pem", &others.signing_key.serialize_pem());
    let with = |certificate: &str, key: &str| {
        format!(
            "{LEAST}[[listener]]\ntls = {{ certificate = \"{certificate}\", private_key = \"{key}\" }}\n"
        )
    };
    assert!(parse(&with(&certificate, &key), no_variables()).is_ok());
    let told = |certificate: &str, key: &str| keys_of(wrong(&with(certificate, key)));
    assert_eq!(told(&nonsense, &key), ["listener[0].tls.certificate"]);
    assert_eq!(told(&certificate, &nonsense), ["listener[0].tls.private_key"]);
    assert_eq!(told(&certificate, &other_key), ["listener[0].tls.certificate"]);
}

#[test]
fn a_class_for_a_sign_in_that_does_not_exist_is_doubted() {
    let text = format!(
        "{LEAST}[guests]\nenabled = true\n[aliases]\ncreate = \"moderator\"\n\
         [class.webchat]\ninherits = \"guest\"\nassign = {{ sso = \"shop\" }}\n"
    );
    let loaded = parse(&text, no_variables()).unwrap();
    assert!(keys(&loaded.warnings).contains(&"class.webchat.assign.sso"), "{:?}", loaded.warnings);
}

fn keys_of(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn doubts_are_told_and_do_not_refuse() {
    let text = format!(
        "{LEAST}[[listener]]\nbind = \"0.0.0.0:8448\"\nserves = [\"client\", \"federation\"]\n\
         trusted_proxies = [\"0.0.0.0/0\"]\n[storage]\nengine = \"memory\"\n"
    );
    let loaded = parse(&text, no_variables()).unwrap();
    let keys = keys(&loaded.warnings);
    assert_eq!(keys, ["listener[0].tls", "listener[0].trusted_proxies", "storage.engine"]);
}

#[test]
fn loopback_listeners_trust_loopback_proxies_and_others_nobody() {
    let trusted = |bind: &str| {
        let text = format!("{LEAST}[[listener]]\nbind = \"{bind}\"\n");
        parse(&text, no_variables()).unwrap().config.listeners[0].trusted_networks().len()
    };
    assert_eq!(trusted("127.0.0.1:80"), 2);
    assert_eq!(trusted("[::1]:80"), 2);
    assert_eq!(trusted("0.0.0.0:80"), 0);
}

#[test]
fn what_the_policy_refuses_is_reported_beside_the_rest() {
    let problems =
        wrong("[storage]\ncache_mib = 1\n[guests]\nenabled = true\nfederated_join = \"maybe\"\n");
    let keys = keys(&problems);
    for key in ["server.name", "storage.cache_mib", "guests.federated_join", "aliases.create"] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
}

#[test]
fn open_registration_beside_guests_is_a_doubt() {
    let text = format!(
        "{LEAST}[registration]\nmode = \"open\"\n[guests]\nenabled = true\n\
         [aliases]\ncreate = \"moderator\"\n"
    );
    let loaded = parse(&text, no_variables()).unwrap();
    assert!(keys(&loaded.warnings).contains(&"registration.mode"), "{:?}", loaded.warnings);
}

#[test]
fn federation_is_on_when_a_listener_serves_it_unless_it_is_said_otherwise() {
    let listener = "[[listener]]\nserves = [\"client\", \"federation\"]\n";
    let federates = |more: &str| {
        let loaded = parse(&format!("{LEAST}{more}"), no_variables()).unwrap();
        (loaded.config.federates(), loaded.warnings.len())
    };
    assert_eq!(federates(""), (false, 0));
    assert_eq!(federates(listener), (true, 0));
    assert_eq!(federates("[federation]\nenabled = true\n"), (true, 1));
    let against = wrong(&format!("{LEAST}{listener}[federation]\nenabled = false\n"));
    assert_eq!(keys(&against), ["federation.enabled"]);
}

#[test]
fn what_is_wrong_about_other_servers_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    let problems = wrong(&format!(
        "{LEAST}[federation]\n\
         allowed_servers = [\"*.example.org\", \"\"]\n\
         denied_servers = [\"bad host\"]\n\
         ca_file = \"{}\"\n\
         allowed_networks = [\"10.0.0.0/8\", \"nowhere\"]\n\
         resolve = {{ \"example.org\" = \"127.0.0.1:8448\", \"b.example\" = \"127.0.0.1:0\" }}\n\
         resolve_web = {{ \"c.example\" = \"127.0.0.1:0\" }}\n\
         name_servers = [\"127.0.0.1:53\", \"127.0.0.1:0\"]\n\
         request_timeout = \"10ms\"\n",
        empty.display()
    ));
    assert_eq!(
        keys(&problems),
        [
            "federation.allowed_networks[1]",
            "federation.ca_file",
            "federation.allowed_servers[1]",
            "federation.denied_servers[0]",
            "federation.resolve.\"b.example\"",
            "federation.resolve.\"example.org\"",
            "federation.resolve_web.\"c.example\"",
            "federation.name_servers[1]",
            "federation.request_timeout",
        ]
    );
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()), "{problems:?}");
}

#[test]
fn letting_every_network_be_reached_is_doubted() {
    let text = format!("{LEAST}[federation]\nallowed_networks = [\"0.0.0.0/0\"]\n");
    let loaded = parse(&text, no_variables()).unwrap();
    assert_eq!(keys(&loaded.warnings), ["federation.allowed_networks"]);
}

#[test]
fn a_turn_server_needs_addresses_and_one_way_to_log_in() {
    let with = |voip: &str| parse(&format!("{LEAST}[voip]\n{voip}"), no_variables());
    let problems = |voip: &str| {
        let found = with(voip).unwrap_err();
        keys(&found.0).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let uris = "turn_uris = [\"turn:t.example?transport=udp\"]\n";
    let shared = "turn_shared_secret = \"key\"\n";
    let name = "turn_username = \"u\"\n";
    assert_eq!(problems(uris), ["voip.turn_shared_secret"]);
    assert_eq!(problems(shared), ["voip.turn_uris"]);
    assert_eq!(problems(&format!("{uris}{name}")), ["voip.turn_username"]);
    let both = format!("{uris}{shared}{name}turn_password = \"p\"\n");
    assert_eq!(problems(&both), ["voip.turn_username"]);
    let twice = format!("{uris}{shared}turn_shared_secret_file = \"/dev/null\"\n");
    assert_eq!(problems(&twice), ["voip.turn_shared_secret_file"]);
    let short = format!("turn_uris = [\"stun:t.example\"]\n{shared}turn_lifetime = \"1s\"\n");
    assert_eq!(problems(&short), ["voip.turn_uris[0]", "voip.turn_lifetime"]);
    let many = format!("turn_uris = [{}]\n{shared}", "\"turn:t\",".repeat(11));
    assert_eq!(problems(&many), ["voip.turn_uris"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("turn-secret");
    fs::write(&file, "from a file\n").unwrap();
    let loaded =
        with(&format!("{uris}turn_shared_secret_file = \"{}\"\n", file.display())).unwrap();
    let secret = loaded.config.turn_secret().map(|secret| secret.expose().clone());
    assert_eq!(secret.as_deref(), Some("from a file"));
}
