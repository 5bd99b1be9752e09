//! Messages that belong to no room.

use std::time::Duration;

use serde_json::{json, value::RawValue};
use vestibule_rooms::SendToDevice;
use vestibule_storage::{
    Scan, StorageError,
    tables::sender::{EDU_OUT, EDU_OUT_COUNT},
};
use vestibule_types::Actor;

use crate::rig::Rig;

async fn send(rig: &Rig, alice: &Actor, id: &str) {
    let content = RawValue::from_string(json!({ "text": id }).to_string()).unwrap();
    let devices = [("PHONE".to_owned(), content)].into();
    let command = SendToDevice {
        event_type: "m.test".to_owned(),
        transaction_id: id.to_owned(),
        messages: [("@bob:b.test".try_into().unwrap(), devices)].into(),
    };
    rig.rooms.send_to_device(alice, command).await.unwrap();
    rig.settle().await;
}

fn texts(rig: &Rig) -> Vec<String> {
    let edus = rig.wire.taken("b.test").into_iter().flat_map(|it| it.edus());
    edus.map(|(kind, content)| {
        assert_eq!(kind, "m.direct_to_device");
        assert_eq!(content["sender"], "@alice:home.test");
        assert!(content["message_id"].as_str().is_some_and(|id| id.chars().count() <= 32));
        let text = &content["messages"]["@bob:b.test"]["PHONE"]["text"];
        text.as_str().unwrap().to_owned()
    })
    .collect()
}

async fn waiting(rig: &Rig) -> (usize, u64) {
    let read = rig.store.read::<_, StorageError, _>(|snapshot| {
        let rows = EDU_OUT.scan_with(snapshot, Scan::prefix(()))?.len();
        Ok((rows, EDU_OUT_COUNT.get(snapshot, (ruma::server_name!("b.test"),))?))
    });
    read.await.unwrap()
}

#[tokio::test]
async fn messages_to_devices_elsewhere_arrive_once_and_in_order() {
    for slots in [1, 3] {
        let rig = Rig::new(slots).await;
        let alice = rig.account("alice").await;
        for id in ["one", "two", "two", "three"] {
            send(&rig, &alice, id).await;
        }
        assert_eq!(texts(&rig), ["one", "two", "three"]);
        rig.pass(Duration::from_secs(6)).await;
        assert_eq!(waiting(&rig).await, (0, 0), "what was delivered is forgotten");
        assert_eq!(rig.rows().await, 0);
    }
}

#[tokio::test]
async fn they_wait_for_a_server_out_of_reach_also_across_a_crash() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    rig.wire.cut("b.test");
    for id in ["one", "two"] {
        send(&rig, &alice, id).await;
    }
    let rig = rig.crash().await;
    rig.wire.mend("b.test");
    send(&rig, &alice, "three").await;
    rig.pass(Duration::from_mins(1)).await;
    assert_eq!(texts(&rig), ["one", "two", "three"]);
    rig.pass(Duration::from_secs(6)).await;
    assert_eq!(waiting(&rig).await, (0, 0));
}

#[tokio::test]
async fn a_message_that_was_sent_again_keeps_its_id() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    rig.wire.silence("b.test");
    send(&rig, &alice, "one").await;
    rig.wire.mend("b.test");
    let rig = rig.crash().await;
    rig.pass(Duration::from_mins(1)).await;
    let tried = rig.wire.tried("b.test");
    assert_eq!(tried.len(), 2);
    assert_eq!(tried[0], tried[1], "the receiver knows it by its id");
}

#[tokio::test]
async fn many_of_them_go_in_transactions_of_a_hundred() {
    let rig = Rig::new(1).await;
    let alice = rig.account("alice").await;
    rig.wire.cut("b.test");
    for number in 0..130 {
        send(&rig, &alice, &number.to_string()).await;
    }
    rig.wire.mend("b.test");
    rig.remote.heard_from(ruma::server_name!("b.test")).await;
    rig.settle().await;
    let sizes: Vec<usize> = rig.wire.taken("b.test").iter().map(|it| it.edus().len()).collect();
    assert_eq!(sizes, [1, 100, 29]);
    assert_eq!(texts(&rig), (0..130).map(|number| number.to_string()).collect::<Vec<_>>());
}
