//! What the operator's page shows is what the program does.

use super::*;

const PAGE: &str = include_str!("../../../../docs/policy.md");

/// The blocks of a kind on the page.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    PAGE.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_example_on_the_page_compiles() {
    let examples = blocks("toml");
    assert_eq!(examples.len(), 2);
    for example in examples {
        let config: PolicyConfig = toml::from_str(example).unwrap();
        compile(&config, server_name!("example.org")).unwrap();
    }
}

#[test]
fn the_explanation_on_the_page_is_what_is_printed() {
    let (policy, _) = compile(&config(OPEN), server_name!("example.org")).unwrap();
    let room = RoomId::parse("!tea:example.org").unwrap();
    let mut facts = closed_room();
    facts.counts.guests_in_room = Some(2);
    facts.rate = RateFact::NotCharged;
    let room_facts = room_mut(&mut facts);
    room_facts.room_id = room.clone();
    room_facts.aliases = vec![row("#tea:example.org", "member", AliasOrigin::User)];
    let user = UserId::parse("@guest-a:example.org").unwrap();
    let guest = Subject::new(user, ClassName::guest(), None);
    let request = Request::new(&guest, Action::Join { room: &room }, at(NOW), None);
    let printed = policy.at_epoch(3).decide(&facts, &request).explain().to_string();
    let shown = blocks("console")[0].split_once('\n').unwrap().1.trim_end();
    assert_eq!(printed, shown);
}

#[test]
fn every_rate_is_named_on_the_page() {
    for key in crate::RateKey::ALL {
        assert!(PAGE.contains(&format!("`{}`", key.name())), "{}", key.name());
    }
}
