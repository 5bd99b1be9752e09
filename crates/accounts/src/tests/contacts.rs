//! E-mail addresses, below HTTP: bounds, slots, and what is left in the database.

use std::time::Duration;

use parking_lot::Mutex;
use vestibule_storage::tables::contact::{
    MAIL_BY_DUE, MAIL_COUNT, VALIDATION, VALIDATION_BY_CLIENT, VALIDATION_BY_END, VALIDATION_COUNT,
};
use vestibule_types::{BoxFuture, limits::CONTACTS_PER_USER_MAX};

use super::*;
use crate::{
    AddContact, AddContactError, EmailConfig, Letter, Post, PostError, RequestValidation,
    ValidationPurpose,
};

#[derive(Default)]
struct Mailbox(Mutex<Vec<Letter>>);

impl Post for Mailbox {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), PostError>> {
        self.0.lock().push(letter.clone());
        Box::pin(async { Ok(()) })
    }
}

fn house_with_mail(slots: u16) -> (House, Arc<Mailbox>) {
    let house = house_with(
        slots,
        |_| {},
        |config| {
            config.email = Some(EmailConfig {
                link_base: "https://a.example".to_owned(),
                link_life: Duration::from_hours(1),
                next_link_hosts: Vec::new(),
            });
        },
    );
    let mailbox = Arc::new(Mailbox::default());
    house.accounts.set_post(mailbox.clone());
    (house, mailbox)
}

fn wanted(email: &str) -> RequestValidation {
    RequestValidation {
        purpose: ValidationPurpose::Add,
        client_secret: "s".to_owned(),
        email: email.to_owned(),
        send_attempt: 1,
        next_link: None,
        peer: PEER,
    }
}

/// Proves to have an address and returns the session.
async fn prove((house, mailbox): &(House, Arc<Mailbox>), email: &str) -> String {
    house.time.clock.advance(Duration::from_mins(1));
    let sid = house.accounts.request_validation(wanted(email)).await.unwrap();
    house.accounts.send_waiting_mail().await.unwrap();
    let letter = mailbox.0.lock().pop().unwrap();
    let token = letter.text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(house.accounts.confirm_email(&sid, token, PEER).await.unwrap(), None);
    sid
}

async fn add(house: &House, actor: &Actor, sid: &str) -> Result<(), AddContactError> {
    let command = AddContact {
        sid: sid.to_owned(),
        client_secret: "s".to_owned(),
        attempt: Some(password("tea")),
        peer: PEER,
    };
    house.accounts.add_contact(actor, command).await
}

/// How many rows there are of sessions, of what finds them, and of mail; and what is counted of both.
async fn rows(house: &House) -> ([usize; 4], [u64; 2]) {
    let counted = house.store.read(|read| {
        let rows = [
            VALIDATION.scan(read, (), 100)?.len(),
            VALIDATION_BY_CLIENT.scan(read, (), 100)?.len(),
            VALIDATION_BY_END.scan(read, (), 100)?.len(),
            MAIL_BY_DUE.scan(read, (), 100)?.len(),
        ];
        let count = VALIDATION_COUNT.get(read, (0,))?.unwrap_or_default();
        Ok::<_, StorageError>((rows, [count, MAIL_COUNT.get(read, (0,))?.unwrap_or_default()]))
    });
    counted.await.unwrap()
}

#[tokio::test]
async fn a_proof_is_spent_with_everything_that_led_to_it() {
    for slots in [1, 3] {
        let scene = house_with_mail(slots);
        let house = &scene.0;
        let alice = house.person("alice").await;
        let sid = prove(&scene, "alice@b.example").await;
        assert_eq!(rows(house).await, ([1, 1, 1, 0], [1, 0]));
        add(house, &alice, &sid).await.unwrap();
        assert_eq!(rows(house).await, ([0; 4], [0; 2]));
        let again = add(house, &alice, &sid).await;
        assert!(matches!(again, Err(AddContactError::NotProven)), "{again:?}");
        let contacts = house.accounts.contacts(alice.user_id()).await.unwrap();
        assert_eq!(contacts.len(), 1);
        assert_eq!(contacts[0].address, "alice@b.example");
    }
}

#[tokio::test]
async fn sessions_that_are_over_make_room_for_the_next() {
    let scene = house_with_mail(1);
    for name in ["a", "b", "c"] {
        prove(&scene, &format!("{name}@b.example")).await;
    }
    assert_eq!(rows(&scene.0).await, ([3, 3, 3, 0], [3, 0]));
    scene.0.time.clock.advance(Duration::from_hours(1));
    prove(&scene, "d@b.example").await;
    assert_eq!(rows(&scene.0).await, ([1, 1, 1, 0], [1, 0]));
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_addresses() {
    let scene = house_with_mail(1);
    let alice = scene.0.person("alice").await;
    for number in 0..CONTACTS_PER_USER_MAX {
        let sid = prove(&scene, &format!("a{number}@b.example")).await;
        add(&scene.0, &alice, &sid).await.unwrap();
    }
    let sid = prove(&scene, "last@b.example").await;
    let refused = add(&scene.0, &alice, &sid).await;
    assert!(matches!(refused, Err(AddContactError::TooMany)), "{refused:?}");
    scene.0.accounts.delete_contact(&alice, "email", "A0@b.example").await.unwrap();
    add(&scene.0, &alice, &sid).await.unwrap();
}
