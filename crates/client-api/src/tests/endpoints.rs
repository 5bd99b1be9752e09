//! The table of endpoints: which class may call what. The golden file is what reviewers read; with
//! `INSTA_UPDATE=always` the test writes it anew.

use std::fmt::Write;

use vestibule_policy::EndpointRule;
use vestibule_types::ClassName;

use super::*;
use crate::routes;

#[test]
fn the_table_of_endpoints_and_classes_is_as_reviewed() {
    let server = server();
    let policy = server.api.policy.current();
    let classes = ["guest", "member", "moderator", "admin"];
    let mut table = String::new();
    for route in routes(&server.api).table() {
        let method = route.method.as_str();
        let nobody = policy.may_call(None, route.rule).is_ok();
        write!(table, "{method:6} {} | -:{}", route.path, mark(nobody)).unwrap();
        for class in classes {
            let may = policy.may_call(Some(&ClassName::new(class)), route.rule).is_ok();
            write!(table, " {class}:{}", mark(may)).unwrap();
        }
        table.push('\n');
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!("endpoints", table);
    });
}

fn mark(may: bool) -> char {
    if may { '+' } else { '.' }
}

#[test]
fn every_endpoint_is_classified() {
    for route in routes(&server().api).table() {
        assert_ne!(route.rule, EndpointRule::Unclassified, "{} {}", route.method, route.path);
    }
}

#[test]
fn what_a_guest_may_call_a_member_may_and_what_a_member_may_an_admin_may() {
    let server = server();
    let policy = server.api.policy.current();
    for route in routes(&server.api).table() {
        let may = |class| policy.may_call(Some(&ClassName::new(class)), route.rule).is_ok();
        assert!(!may("guest") || may("member"), "{} {}", route.method, route.path);
        assert!(!may("member") || may("admin"), "{} {}", route.method, route.path);
    }
}
