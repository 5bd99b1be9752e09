//! Commands without a running server.

use crate::bench::Bench;

#[test]
fn the_first_admin_is_made_before_any_server_runs() {
    let bench = Bench::new();
    let made = bench.run_with("user create root --class admin", "secret password\n");
    assert!(made.ok, "{made:?}");
    assert_eq!(made.out, "made @root:localhost (admin)\n");
    let listed = bench.run("user list");
    assert!(listed.out.contains("@root:localhost  admin  active"), "{listed:?}");
}

#[test]
fn a_user_is_named_by_localpart_or_in_full_and_only_here() {
    let bench = Bench::new();
    assert!(bench.run_with("user create @Alice:localhost", "secret password\n").ok);
    assert!(bench.run("user class alice moderator").ok);
    assert!(bench.run("user class @alice:localhost member").ok);
    let elsewhere = bench.run("user class @alice:elsewhere.example admin");
    assert!(!elsewhere.ok && elsewhere.err.contains("not a user of localhost"), "{elsewhere:?}");
    assert!(bench.run_with("user password alice", "another password\n").ok);
}

#[test]
fn an_account_without_a_password_is_not_made() {
    let bench = Bench::new();
    let refused = bench.run_with("user create alice", "\n");
    assert!(!refused.ok && refused.err.contains("standard input"), "{refused:?}");
    assert!(!bench.run("user list").out.contains("alice"));
}

#[test]
fn a_wrong_configuration_is_refused_by_every_command_with_all_its_problems() {
    let bench = Bench::new();
    bench.write("[storage]\ncache_mib = \"x\"\n[guests]\nenabeld = true\n");
    for words in ["config check", "user list", "serve", "policy check", "db check"] {
        let refused = bench.run(words);
        assert!(!refused.ok, "{words}: {refused:?}");
        assert!(refused.err.contains("storage.cache_mib"), "{words}: {refused:?}");
        assert!(refused.err.contains("guests.enabeld"), "{words}: {refused:?}");
        assert!(refused.err.contains("did you mean `enabled`"), "{words}: {refused:?}");
    }
    assert!(!bench.data().exists());
}

#[test]
fn a_policy_that_contradicts_itself_is_refused_with_the_remedy() {
    let bench = Bench::new();
    bench.write("[guests]\nenabled = true\n");
    let refused = bench.run("policy check");
    assert!(!refused.ok, "{refused:?}");
    assert!(refused.err.contains("aliases.create") && refused.err.contains("remedy:"));
}

#[test]
fn checking_does_not_make_a_database() {
    let bench = Bench::new();
    assert!(bench.run("config check").ok);
    assert!(bench.run("policy check").ok);
    assert!(!bench.data().exists());
}

#[test]
fn the_example_can_be_used_as_it_is() {
    let bench = Bench::new();
    let example = bench.run("config example");
    std::fs::write(bench.config(), &example.out).unwrap();
    let checked = bench.run("config check");
    assert!(checked.ok, "{checked:?}");
}

#[test]
fn a_fresh_database_is_clean() {
    let bench = Bench::new();
    let checked = bench.run("db check");
    assert!(checked.ok && checked.out.contains("0 problems"), "{checked:?}");
}

#[test]
fn whoever_has_no_configuration_is_told_how_to_come_by_one() {
    let bench = Bench::new();
    std::fs::remove_file(bench.config()).unwrap();
    for words in ["serve", "config check", "user list"] {
        let told = bench.run(words);
        assert!(!told.ok && told.err.contains("config example"), "{words}: {told:?}");
        assert!(told.err.contains("--config"), "{words}: {told:?}");
    }
}

#[test]
fn a_database_that_another_process_has_and_one_that_is_damaged_are_told_apart() {
    let bench = Bench::new();
    assert!(bench.run("db check").ok);
    let served = bench.serve();
    // Nobody answers at the socket any more, and the database is still taken.
    std::fs::remove_file(bench.data().join("vestibule.sock")).unwrap();
    let taken = bench.run("db check");
    assert!(!taken.ok && taken.err.contains("does another process use it?"), "{taken:?}");
    drop(served);
    std::fs::write(bench.data().join("db/CURRENT"), "MANIFEST-000005").unwrap();
    let damaged = bench.run("db check");
    assert!(!damaged.ok && damaged.err.contains("cannot open the database in"), "{damaged:?}");
    assert!(!damaged.err.contains("another process"), "{damaged:?}");
}

#[test]
fn tokens_are_made_listed_and_withdrawn() {
    let bench = Bench::new();
    let made = bench.run("token create welcome --uses 2 --expires 7d");
    assert_eq!(made.out, "welcome\n", "{made:?}");
    assert!(bench.run("token list").out.contains("welcome"));
    assert!(bench.run("token delete welcome").ok);
    assert!(!bench.run("token list").out.contains("welcome"));
    assert!(!bench.run("token create other --expires soon").ok);
}

#[test]
fn an_operator_is_told_why_a_server_cannot_be_talked_to() {
    let bench = Bench::new();
    let off = bench.run("federation test b.example");
    assert!(!off.ok && off.out.contains("federation is off"), "{off:?}");
    bench.write("[federation]\nenabled = true\n");
    let private = bench.run("federation test 10.0.0.1");
    assert!(!private.ok && private.out.contains("federation.allowed_networks"), "{private:?}");
    assert!(private.out.ends_with("10.0.0.1 cannot be talked to\n"), "{private:?}");
    let none = bench.run("federation destinations");
    assert!(none.ok && none.out.contains("has answered"), "{none:?}");
    let retried = bench.run("federation retry b.example");
    assert!(retried.ok && retried.out.contains("it had not failed"), "{retried:?}");
    assert!(!bench.run("federation test b/c").ok);
}

#[test]
fn an_account_is_locked_suspended_and_freed() {
    let bench = Bench::new();
    assert!(bench.run_with("user create alice", "secret password\n").ok);
    for (words, state) in [
        ("user suspend alice", "suspended"),
        ("user lock alice", "locked, suspended"),
        ("user unsuspend alice", "locked"),
        ("user unlock alice", "active"),
    ] {
        assert!(bench.run(words).ok, "{words}");
        let listed = bench.run("user list");
        assert!(listed.out.trim_end().ends_with(&format!("member  {state}")), "{listed:?}");
    }
    let told = bench.run("user moderation --limit 2");
    assert!(told.out.contains("unlock") && told.out.contains("operator"), "{told:?}");
    assert!(!told.out.contains("  lock"), "only so many were asked for: {told:?}");
    assert!(bench.run_with("user create root --class admin", "secret password\n").ok);
    let refused = bench.run("user lock root");
    assert!(!refused.ok && refused.err.contains("admin"), "{refused:?}");
}

#[test]
fn only_a_room_that_is_here_can_be_purged() {
    let bench = Bench::new();
    let unknown = bench.run("room purge-history !nowhere:localhost --before 90d");
    assert!(!unknown.ok && unknown.err.contains("does not know the room"), "{unknown:?}");
    let period = bench.run("room purge-history !nowhere:localhost --before soon");
    assert!(!period.ok && period.err.contains("--before"), "{period:?}");
}

#[test]
fn the_server_speaks_to_one_user_or_to_all_of_them() {
    let bench = Bench::new();
    assert!(bench.run_with("user create alice", "secret password\n").ok);
    let sent = bench.run("notice send --to alice hello");
    assert!(sent.ok && sent.out.starts_with("sent as $"), "{sent:?}");
    let limit = bench.run("notice send --to alice --usage-limit mailto:admin@localhost full");
    assert!(limit.ok, "{limit:?}");
    assert_eq!(bench.run("notice unpin alice").out, "1 notices are taken down\n");
    assert_eq!(bench.run("notice send --all hello").out, "everybody is being told\n");
    let nobody = bench.run("notice send hello");
    assert!(!nobody.ok && nobody.err.contains("--to"), "{nobody:?}");
    let both = bench.run("notice send --to alice --all hello");
    assert!(!both.ok, "{both:?}");
}

#[test]
fn guests_are_switched_off_and_on_while_no_server_runs() {
    let bench = Bench::new();
    bench.write("[guests]\nenabled = true\n[aliases]\ncreate = \"moderator\"\n");
    let open = bench.run("guests status");
    assert!(open.ok && open.out.contains("where a door is open"), "{open:?}");
    let off = bench.run("guests off --evict");
    assert!(off.ok && off.out.contains("by operator, and those inside are put out"), "{off:?}");
    assert!(bench.run("guests status").out.contains("switched off since"));
    let checked = bench.run("policy check");
    assert!(checked.ok && checked.err.contains("`vestibule guests on`"), "{checked:?}");
    let on = bench.run("guests on");
    assert!(on.ok && on.out.contains("where a door is open"), "{on:?}");
    assert!(!bench.run("policy check").err.contains("guests on"));
    bench.write("[guests]\nenabled = false\n");
    assert!(bench.run("guests on").out.contains("guests.enabled = false"));
}
