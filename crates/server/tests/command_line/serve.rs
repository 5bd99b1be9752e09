//! A running server, its signals, and commands beside it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use vestibule_testkit::server::HttpClient;

use crate::bench::{Bench, pause};

#[test]
fn a_running_server_answers_commands_over_a_private_socket() {
    let bench = Bench::new();
    let served = bench.serve();
    let socket = bench.data().join("vestibule.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::metadata(bench.data()).unwrap().permissions().mode() & 0o777, 0o700);
    // The database is taken, so this can only come from the server.
    assert!(bench.run_with("user create root --class admin", "secret password\n").ok);
    assert!(bench.run("user list").out.contains("@root:localhost"));
    assert!(bench.run("db check").ok);
    drop(served);
}

#[test]
fn a_data_folder_with_a_long_name_has_a_socket_as_any_other() {
    let bench = Bench::with_data_in(&format!("{0}/{0}", "long".repeat(30)));
    assert!(bench.run("config check").ok);
    let served = bench.serve();
    assert!(bench.run_with("user create root --class admin", "secret password\n").ok);
    assert!(bench.run("user list").out.contains("@root:localhost"));
    drop(served);
    assert!(bench.run("user list").ok);
}

#[test]
fn the_line_that_says_ready_tells_the_ports_that_were_chosen() {
    let bench = Bench::new();
    bench.write("[[listener]]\nbind = \"127.0.0.1:0\"\nserves = [\"metrics\"]\n");
    let mut served = bench.serve();
    served.signal("-TERM");
    let log = served.end();
    let told = format!(": ready listeners=127.0.0.1:{},127.0.0.1:", bench.port);
    let chosen = log.split_once(&told).unwrap_or_else(|| panic!("{log}")).1;
    assert_ne!(chosen.lines().next().unwrap().parse::<u16>().unwrap(), 0, "{log}");
}

#[test]
fn a_server_without_an_admin_says_how_to_make_one_and_stops_in_good_order() {
    let bench = Bench::new();
    let mut served = bench.serve();
    served.signal("-TERM");
    let log = served.end();
    assert!(log.contains("user create NAME --class admin"), "{log}");
    assert!(log.contains("exit status: 0"), "{log}");
    assert!(!bench.data().join("vestibule.sock").exists());

    assert!(bench.run_with("user create root --class admin", "secret password\n").ok);
    let mut served = bench.serve();
    served.signal("-INT");
    let log = served.end();
    assert!(!log.contains("user create NAME"), "{log}");
    assert!(log.contains("exit status: 0"), "{log}");
}

#[test]
fn after_a_kill_the_stale_socket_stands_in_nobodys_way() {
    let bench = Bench::new();
    let mut served = bench.serve();
    served.signal("-KILL");
    served.end();
    assert!(bench.data().join("vestibule.sock").exists());
    assert!(bench.run("db check").ok);
    drop(bench.serve());
}

#[test]
fn a_hangup_reloads_and_a_bad_file_changes_nothing() {
    let bench = Bench::new();
    let mut served = bench.serve();
    bench.write("[guests]\nenabeld = true\n");
    served.signal("-HUP");
    pause();
    pause();
    bench.write("[guests]\nenabled = true\n[aliases]\ncreate = \"moderator\"\n");
    served.signal("-HUP");
    while !bench.run("policy rooms --class guest").ok {
        pause();
    }
    pause();
    pause();
    served.signal("-TERM");
    let log = served.end();
    assert!(log.contains("nothing is changed") && log.contains("guests.enabeld"), "{log}");
    assert!(log.contains("policy epoch 2"), "{log}");
}

#[test]
fn a_command_that_ends_in_a_moment_does_not_keep_the_server_from_starting() {
    let bench = Bench::new();
    assert!(bench.run("db check").ok);
    // Many short commands, each of which has the database for itself, while the server starts.
    let commands = std::thread::scope(|scope| {
        let busy = scope.spawn(|| (0..10).map(|_| bench.run("user list").ok).collect::<Vec<_>>());
        drop(bench.serve());
        busy.join().unwrap()
    });
    assert!(commands.iter().any(|ok| *ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_listed_withheld_released_and_purged() {
    let bench = Bench::new();
    assert!(bench.run_with("user create alice --class admin", "secret password\n").ok);
    let served = bench.serve();
    let http = HttpClient::to(([127, 0, 0, 1], bench.port).into());
    let login = json!({
        "type": "m.login.password", "password": "secret password",
        "identifier": { "type": "m.id.user", "user": "alice" },
    });
    let login = http.post("/_matrix/client/v3/login", &login).await.ok();
    let alice = http.with_token(login["access_token"].as_str().unwrap());
    let uploaded = alice.post("/_matrix/media/v3/upload", &json!({ "a": "file" })).await.ok();
    let address = uploaded["content_uri"].as_str().unwrap();
    let place = address.trim_start_matches("mxc://");
    let download = format!("/_matrix/client/v1/media/download/{place}");

    for words in ["media list", "media list --user alice", "media list --server localhost"] {
        let listed = bench.run(words);
        assert!(listed.ok && listed.out.contains(address), "{words}: {listed:?}");
        assert!(listed.out.contains("@alice:localhost"), "{words}: {listed:?}");
    }
    let none = bench.run("media list --server b.example");
    assert!(none.ok && !none.out.contains(address), "{none:?}");

    assert!(bench.run(&format!("media quarantine {address}")).ok);
    assert_eq!(alice.get(&download).await.refusal(), (404, "M_NOT_FOUND"));
    assert!(bench.run("media list").out.contains("yes"));
    assert!(bench.run(&format!("media release {address}")).ok);
    assert_eq!(alice.get(&download).await.status, 200);

    let purged = bench.run("media purge --older-than 30d");
    assert!(purged.ok && purged.out.contains("0 copies are gone"), "{purged:?}");
    assert_eq!(alice.get(&download).await.status, 200, "what is ours is no copy");
    for (words, why) in [
        ("media quarantine mxc://localhost/never".to_owned(), "no such media"),
        ("media quarantine localhost/never".to_owned(), "mxc://server/id"),
        ("media purge --older-than long".to_owned(), "--older-than"),
        ("media list --user @a:b.example".to_owned(), "not a user of localhost"),
        ("media list --user alice --server localhost".to_owned(), "cannot be used with"),
    ] {
        let said = bench.run(&words);
        assert!(!said.ok && said.err.contains(why), "{words}: {said:?}");
    }
    drop(served);
}

/// The guests of this configuration come in by an alias.
const BY_ALIAS: &str = "[guests]\nenabled = true\n[aliases]\ncreate = \"moderator\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_policy_is_tried_on_what_was_decided_and_nothing_changes() {
    let bench = Bench::new();
    let new = bench.config().with_file_name("new.toml");
    let try_on = |guests: &str| {
        bench.write(guests);
        std::fs::rename(bench.config(), &new).unwrap();
        bench.write(BY_ALIAS);
    };
    try_on(BY_ALIAS);
    let simulate = format!("policy simulate {}", new.display());
    let nothing = bench.run(&simulate);
    assert!(nothing.ok && nothing.out.contains("nothing is recorded"), "{nothing:?}");

    assert!(bench.run_with("user create alice --class admin", "secret password\n").ok);
    let served = bench.serve();
    let http = HttpClient::to(([127, 0, 0, 1], bench.port).into());
    let login = json!({
        "type": "m.login.password", "password": "secret password",
        "identifier": { "type": "m.id.user", "user": "alice" },
    });
    let login = http.post("/_matrix/client/v3/login", &login).await.ok();
    let alice = http.with_token(login["access_token"].as_str().unwrap());
    let admits = json!({
        "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" },
    });
    let room = json!({
        "preset": "public_chat", "room_alias_name": "tea", "initial_state": [admits],
    });
    let room = alice.post("/_matrix/client/v3/createRoom", &room).await.ok();
    let room = room["room_id"].as_str().unwrap();
    let guest = http.post("/_matrix/client/v3/register?kind=guest", &json!({})).await.ok();
    let guest = http.with_token(guest["access_token"].as_str().unwrap());
    guest.post("/_matrix/client/v3/join/%23tea:localhost", &json!({})).await.ok();
    let said = json!({ "msgtype": "m.text", "body": "a secret nobody is to read" });
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/1");
    guest.put(&path, &said).await.ok();

    // The same policy flips nothing.
    let same = bench.run(&simulate);
    assert!(same.ok && same.out.contains(": 0 would flip"), "{same:?}");
    assert!(same.out.contains("guest") && same.out.contains("join"), "{same:?}");

    // One that closes the alias flips the join, and what was said inside.
    try_on(
        "[guests]\nenabled = true\nalias = \"#none:localhost\"\n[aliases]\ncreate = \"moderator\"\n",
    );
    let closed = bench.run(&simulate);
    assert!(closed.ok, "{closed:?}");
    assert!(closed.out.contains("allow -> deny: out_of_scope"), "{closed:?}");
    assert!(closed.out.contains("would be allowed by: an alias #none:localhost"), "{closed:?}");
    let json = bench.run(&format!("{simulate} --json --examples 1"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["flips"].as_u64().unwrap() >= 2, "{json}");
    assert_eq!(json["examples"].as_array().unwrap().len(), 1);
    let join = json["outcomes"].as_array().unwrap().iter().find(|it| it["action"] == "join");
    let join = join.unwrap();
    assert_eq!((&join["class"], &join["now"]), (&json!("guest"), &json!("allow")));
    assert_eq!((&join["then"], &join["count"]), (&json!("deny: out_of_scope"), &json!(1)));

    // A file with mistakes is told as the check tells it, and the running policy never changed.
    try_on("[guests]\nenabled = true\n");
    std::fs::copy(&new, bench.config()).unwrap();
    let checked = bench.run("policy check");
    bench.write(BY_ALIAS);
    let refused = bench.run(&simulate);
    assert!(!refused.ok && refused.err == checked.err, "{refused:?} {checked:?}");
    try_on(BY_ALIAS);
    std::fs::write(&new, std::fs::read_to_string(&new).unwrap().replace("localhost", "b.example"))
        .unwrap();
    let other = bench.run(&simulate);
    assert!(!other.ok && other.err.contains("server.name"), "{other:?}");
    let epoch = bench.run("guests status");
    assert!(epoch.out.contains("policy epoch 1"), "{epoch:?}");
    drop(served);
}
