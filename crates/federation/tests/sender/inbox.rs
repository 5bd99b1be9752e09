//! How much of what belongs to no room is taken from others.

use std::time::Duration;

use ruma::UserId;
use vestibule_types::limits::{TO_DEVICE_FROM_SENDER_AT_ONCE, TO_DEVICE_FROM_SERVER_AT_ONCE};

use crate::rig::Rig;

/// How many messages of a sender are taken of so many.
fn taken(rig: &Rig, sender: &str, sent: u32) -> u32 {
    let sender = UserId::parse(sender).unwrap();
    (0..sent).map(|_| u32::from(rig.rooms.charge_direct(&sender).is_ok())).sum()
}

#[tokio::test]
async fn messages_to_devices_are_limited_for_each_sender_and_each_server() {
    let rig = Rig::new(1).await;
    let (of_one, of_all) = (TO_DEVICE_FROM_SENDER_AT_ONCE, TO_DEVICE_FROM_SERVER_AT_ONCE);
    assert_eq!(taken(&rig, "@mallory:b.test", 2 * of_one), of_one);
    assert_eq!(taken(&rig, "@bob:b.test", 10), 10, "one sender leaves the others their share");
    assert_eq!(taken(&rig, "@trudy:b.test", 2 * of_one), of_all - of_one - 10);
    assert_eq!(taken(&rig, "@bob:b.test", 10), 0);
    assert_eq!(taken(&rig, "@eve:e.test", 10), 10, "other servers have their own");
    rig.test.clock.advance(Duration::from_mins(1));
    assert_eq!(taken(&rig, "@bob:b.test", 10), 10);
}
