//! Who gets an account, and how.

use std::time::Duration;

use ruma::user_id;
use vestibule_storage::ThreadPool;
use vestibule_types::ClassName;

use super::*;
use crate::{
    Challenge, CreateAccountError, Failure, NewRegistrationToken, PasswordError, RegisterShared,
    RegisterSharedError, Stage, Terms, UsernameError,
};

fn terms() -> Terms {
    Terms {
        name: "privacy".to_owned(),
        version: "1".to_owned(),
        language: "en".to_owned(),
        title: "Privacy".to_owned(),
        url: "https://a.example/privacy".to_owned(),
    }
}

/// What a registration that does not succeed yet is told.
async fn refused(house: &House, command: Register) -> Challenge {
    challenge(house.accounts.register(command).await.unwrap_err())
}

#[tokio::test]
async fn open_registration_takes_one_request_with_the_dummy_stage() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let session = house.register("Alice").await;
        assert_eq!(session.user_id, "@alice:a.example");
        assert!(session.access_token.expose().starts_with("vst_"));
        assert_eq!(session.refresh_token, None);
        let actor = house.actor(&session).await;
        assert_eq!(actor.class(), &ClassName::member());
        assert_eq!(actor.device_id(), Some(&*session.device_id));
    }
}

#[tokio::test]
async fn without_auth_the_flows_are_told_and_the_session_goes_on() {
    let house = house();
    let first = Register { attempt: None, ..registration("alice") };
    let told = challenge(house.accounts.register(first).await.unwrap_err());
    assert_eq!(told.flows, [[Stage::Dummy]]);
    assert_eq!(told.failure, None);
    let attempt = Some(Attempt { session: Some(told.session), proof: Some(Proof::Dummy) });
    house.accounts.register(Register { attempt, ..registration("alice") }).await.unwrap();
}

#[tokio::test]
async fn the_name_may_come_and_change_while_the_session_goes_on() {
    let house = house();
    let probe = Register { attempt: None, username: None, password: None, ..registration("") };
    let told = refused(&house, probe).await;
    let mut attempt = Attempt { session: Some(told.session), proof: None };
    let command = Register { attempt: Some(attempt.clone()), ..registration("alice") };
    assert_eq!(refused(&house, command).await.failure, None);
    attempt.proof = Some(Proof::Dummy);
    let command = Register { attempt: Some(attempt), ..registration("bob") };
    let registered = house.accounts.register(command).await.unwrap();
    assert_eq!(registered.user_id, "@bob:a.example");
}

#[tokio::test]
async fn stages_are_completed_in_order_and_once() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Token;
            config.registration.terms = vec![terms()];
        },
    );
    let command = NewRegistrationToken {
        token: Some("sesame".to_owned()),
        ..NewRegistrationToken::default()
    };
    house.accounts.create_registration_token(command).await.unwrap();
    let told = refused(&house, Register { attempt: None, ..registration("alice") }).await;
    assert_eq!(told.flows, [[Stage::RegistrationToken, Stage::Terms]]);
    let with = |proof| {
        let attempt = Attempt { session: Some(told.session.clone()), proof: Some(proof) };
        Register { attempt: Some(attempt), ..registration("alice") }
    };
    let token = |token: &str| with(Proof::RegistrationToken(token.to_owned()));
    let early = refused(&house, with(Proof::Terms)).await;
    assert_eq!((early.failure, early.completed), (Some(Failure::Order), vec![]));
    let first = refused(&house, token("sesame")).await;
    assert_eq!((first.failure, first.completed), (None, vec![Stage::RegistrationToken]));
    // It is done, so that nothing is asked of it any more.
    let again = refused(&house, token("abracadabra")).await;
    assert_eq!((again.failure, again.completed), (None, vec![Stage::RegistrationToken]));
    house.accounts.register(with(Proof::Terms)).await.unwrap();
}

/// A request of the registration that was begun, which says nothing more.
fn goes_on(session: &str) -> Register {
    let attempt = Attempt { session: Some(session.to_owned()), proof: Some(Proof::Dummy) };
    Register {
        attempt: Some(attempt),
        username: None,
        password: None,
        initial_device_display_name: None,
        ..registration("")
    }
}

/// Registers alice in two requests, and returns her session and the conversation.
async fn register_in_two(house: &House) -> (NewSession, String) {
    let first = Register { attempt: None, ..registration("alice") };
    let told = refused(house, first).await;
    let registered = house.accounts.register(goes_on(&told.session)).await.unwrap();
    (registered.session.unwrap(), told.session)
}

#[tokio::test]
async fn what_an_earlier_request_said_holds_for_those_that_leave_it_out() {
    let house = house();
    let first = Register {
        attempt: None,
        device_id: Some("PHONE".into()),
        refresh_token: Some(true),
        ..registration("alice")
    };
    let told = refused(&house, first).await;
    let attempt = Some(Attempt { session: Some(told.session.clone()), proof: None });
    let second = Register {
        attempt,
        username: Some("bob".to_owned()),
        refresh_token: Some(false),
        ..goes_on("")
    };
    assert_eq!(refused(&house, second).await.session, told.session);
    let registered = house.accounts.register(goes_on(&told.session)).await.unwrap();
    let session = registered.session.unwrap();
    assert_eq!((session.user_id.as_str(), session.device_id.as_str()), ("@bob:a.example", "PHONE"));
    assert_eq!(session.refresh_token, None, "the later word counts");
    let device = house.accounts.device(&session.user_id, &session.device_id).await.unwrap();
    assert_eq!(device.unwrap().display_name.as_deref(), Some("phone"));
    house.accounts.log_in(login("bob", "tea")).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_taken_may_be_changed_in_the_same_session() {
    let house = house();
    let told = refused(&house, Register { attempt: None, ..registration("alice") }).await;
    house.register("alice").await;
    let taken = house.accounts.register(goes_on(&told.session)).await;
    assert!(matches!(taken, Err(RegisterError::Taken)));
    let other = Register { username: Some("bob".to_owned()), ..goes_on(&told.session) };
    assert_eq!(house.accounts.register(other).await.unwrap().user_id, "@bob:a.example");
}

#[tokio::test]
async fn the_last_request_sent_again_gets_the_same_account() {
    for slots in [1, 3] {
        let house = house_with(slots, |_| {}, |_| {});
        let (first, conversation) = register_in_two(&house).await;
        let named = Register { attempt: goes_on(&conversation).attempt, ..registration("Alice") };
        for again in [goes_on(&conversation), named] {
            let registered = house.accounts.register(again).await.unwrap();
            let session = registered.session.unwrap();
            assert_eq!((&session.user_id, &session.device_id), (&first.user_id, &first.device_id));
            house.actor(&session).await;
        }
        assert_eq!(house.resolve(&first.access_token).await, Resolved::Unknown);
        assert_eq!(house.accounts.devices(&first.user_id).await.unwrap().len(), 1);
        let other = Register { username: Some("bob".to_owned()), ..goes_on(&conversation) };
        let told = refused(&house, Register { password: Some(secret("tea")), ..other }).await;
        assert_eq!(told.failure, Some(Failure::Session), "it was alice's registration");
    }
}

#[tokio::test]
async fn two_equal_requests_at_once_make_one_account() {
    let house = house();
    // Passwords are hashed elsewhere, so that one request finds the other under way.
    let accounts = Accounts::new(AccountsParts {
        store: house.store.clone(),
        policy: house.policy.clone(),
        rates: Arc::new(RateBuckets::default()),
        environment: house.time.environment.clone(),
        executor: Arc::new(ThreadPool::new("hash", 1, 2).unwrap()),
        config: house.accounts.config().clone(),
    });
    let first = Register { attempt: None, username: None, ..registration("") };
    let told = challenge(accounts.register(first).await.unwrap_err());
    let (one, other) = tokio::join!(
        accounts.register(goes_on(&told.session)),
        accounts.register(goes_on(&told.session)),
    );
    assert_eq!(one.unwrap().user_id, other.unwrap().user_id);
}

#[tokio::test]
async fn whoever_asked_for_no_session_gets_none_by_asking_again() {
    let house = house();
    let first = Register { attempt: None, inhibit_login: Some(true), ..registration("alice") };
    let told = refused(&house, first).await;
    for _ in 0..2 {
        let registered = house.accounts.register(goes_on(&told.session)).await.unwrap();
        assert_eq!(registered.user_id, "@alice:a.example");
        assert!(registered.session.is_none());
    }
    assert!(house.accounts.devices(user_id!("@alice:a.example")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_registration_sent_again_is_no_way_to_log_in_later() {
    // A new password, a logout, the end of the account, a lock, time: each ends it.
    for ended_by in 0..5 {
        let house = house();
        let (session, conversation) = register_in_two(&house).await;
        let actor = house.actor(&session).await;
        let accounts = &house.accounts;
        match ended_by {
            0 => accounts.set_password(actor.user_id(), secret("mate"), false).await.unwrap(),
            1 => accounts.log_out(&actor).await.unwrap(),
            2 => accounts.deactivate_account(actor.user_id(), false).await.unwrap(),
            3 => {
                let act = Restrain {
                    user_id: actor.user_id().to_owned(),
                    restraint: Restraint::Lock,
                    on: true,
                };
                accounts.restrain(&Assigner::Operator, act).await.unwrap();
            }
            _ => house.time.clock.advance(Duration::from_mins(5)),
        }
        let again = goes_on(&conversation);
        let told = refused(&house, Register { password: Some(secret("tea")), ..again }).await;
        assert_eq!(told.failure, Some(Failure::Session), "{ended_by}");
        let named = Register { attempt: goes_on(&conversation).attempt, ..registration("alice") };
        assert!(matches!(accounts.register(named).await, Err(RegisterError::Taken)));
    }
}

#[tokio::test]
async fn refuses_a_bad_taken_or_reserved_name_before_asking_for_proof() {
    let house = house();
    house.register("alice").await;
    let refusal = async |username: &str| {
        let command = Register { attempt: None, ..registration(username) };
        house.accounts.register(command).await.unwrap_err()
    };
    assert!(matches!(refusal("alice").await, RegisterError::Taken));
    let error = refusal("al ice").await;
    assert!(matches!(error, RegisterError::Username(UsernameError::Invalid)));
    for reserved in ["guest-aaaaaaaaaaaaaaaa", "guest-a", "GUEST-a"] {
        let error = refusal(reserved).await;
        assert!(matches!(error, RegisterError::Username(UsernameError::Reserved)), "{reserved}");
    }
    house.register("guesthouse").await;
}

#[tokio::test]
async fn a_name_is_never_given_out_again() {
    let house = house();
    let actor = house.person("alice").await;
    house.accounts.deactivate_account(actor.user_id(), true).await.unwrap();
    let again = house.accounts.register(registration("alice")).await;
    assert!(matches!(again, Err(RegisterError::Taken)));
}

#[tokio::test]
async fn closed_registration_answers_before_anything_else() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Closed;
        },
    );
    let refused = house.accounts.register(registration("no name")).await;
    assert!(matches!(refused, Err(RegisterError::Closed)));
    house.create("alice", "member").await;
}

#[tokio::test]
async fn a_password_is_needed_and_bounded() {
    let house = house();
    let without = Register { password: None, ..registration("alice") };
    assert!(matches!(house.accounts.register(without).await, Err(RegisterError::NoPassword)));
    let long = Register { password: Some(secret(&"x".repeat(513))), ..registration("alice") };
    assert!(matches!(
        house.accounts.register(long).await,
        Err(RegisterError::Password(PasswordError::TooLong))
    ));
    let empty = Register { password: Some(secret("")), ..registration("alice") };
    assert!(matches!(
        house.accounts.register(empty).await,
        Err(RegisterError::Password(PasswordError::Weak))
    ));
}

#[tokio::test]
async fn without_a_name_one_is_made_up_and_inhibit_login_opens_no_session() {
    let house = house();
    let command = Register { username: None, inhibit_login: Some(true), ..registration("x") };
    let registered = house.accounts.register(command).await.unwrap();
    assert_eq!(registered.user_id.localpart().len(), 12);
    assert!(registered.session.is_none());
}

#[tokio::test]
async fn a_registration_token_is_used_up_and_gives_its_class() {
    let house = house_with(
        3,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Token;
        },
    );
    let command = NewRegistrationToken {
        token: Some("sesame".to_owned()),
        uses_max: Some(1),
        class: Some(ClassName::new("webchat")),
        ..NewRegistrationToken::default()
    };
    house.accounts.create_registration_token(command).await.unwrap();
    let with = |username: &str, token: &str| Register {
        attempt: Some(Attempt {
            session: None,
            proof: Some(Proof::RegistrationToken(token.to_owned())),
        }),
        ..registration(username)
    };

    let wrong = house.accounts.register(with("alice", "abracadabra")).await.unwrap_err();
    assert_eq!(challenge(wrong).failure, Some(Failure::RegistrationToken));
    let dummy = house.accounts.register(registration("alice")).await.unwrap_err();
    assert_eq!(challenge(dummy).failure, Some(Failure::Stage));

    let alice = house.accounts.register(with("alice", "sesame")).await.unwrap();
    let actor = house.actor(&alice.session.unwrap()).await;
    assert_eq!(actor.class(), &ClassName::new("webchat"));
    let again = house.accounts.register(with("bob", "sesame")).await.unwrap_err();
    assert_eq!(challenge(again).failure, Some(Failure::RegistrationToken));
    assert!(!house.accounts.registration_token_valid("sesame", PEER).await.unwrap());
}

#[tokio::test]
async fn a_registration_token_ends() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Token;
        },
    );
    let command = NewRegistrationToken {
        token: Some("sesame".to_owned()),
        expires_at: Some(vestibule_testkit::EPOCH_MS + 1_000),
        ..NewRegistrationToken::default()
    };
    house.accounts.create_registration_token(command).await.unwrap();
    assert!(house.accounts.registration_token_valid("sesame", PEER).await.unwrap());
    house.time.clock.advance(Duration::from_secs(1));
    assert!(!house.accounts.registration_token_valid("sesame", PEER).await.unwrap());
}

#[tokio::test]
async fn no_registration_token_makes_an_admin() {
    let house = house();
    for class in ["admin", "guest", "nonsense"] {
        let command = NewRegistrationToken {
            class: Some(ClassName::new(class)),
            ..NewRegistrationToken::default()
        };
        let refused = house.accounts.create_registration_token(command).await;
        assert!(matches!(refused, Err(crate::CreateTokenError::Class(_))), "{class}");
    }
}

#[tokio::test]
async fn terms_are_a_stage_with_the_documents() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.terms = vec![terms()];
        },
    );
    let told = challenge(house.accounts.register(registration("alice")).await.unwrap_err());
    assert_eq!(told.flows, [[Stage::Terms]]);
    assert_eq!(told.terms.len(), 1);
    let attempt = Some(Attempt { session: None, proof: Some(Proof::Terms) });
    house.accounts.register(Register { attempt, ..registration("alice") }).await.unwrap();
}

#[tokio::test]
async fn an_address_registers_only_so_often_and_the_machine_itself_always() {
    let house = house();
    let burst = house.accounts.config().limits.registrations.burst;
    for number in 0..burst {
        house.register(&format!("user{number}")).await;
    }
    let refused = house.accounts.register(registration("late")).await;
    assert!(matches!(refused, Err(RegisterError::Limited(_))));
    let local = Register { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), ..registration("late") };
    house.accounts.register(local).await.unwrap();
}

#[tokio::test]
async fn the_operator_gives_any_class_but_those_that_are_not_given() {
    let house = house();
    house.create("root", "admin").await;
    assert_eq!(house.accounts.admins().await.unwrap(), 1);
    for class in ["guest", "system", "appservice", "nonsense"] {
        let command = CreateAccount {
            username: "x".to_owned(),
            password: secret("tea"),
            class: ClassName::new(class),
            displayname: None,
        };
        let refused = house.accounts.create_account(command).await;
        assert!(matches!(refused, Err(CreateAccountError::Class(_))), "{class}");
    }
}

fn shared(nonce: &str, mac: String) -> RegisterShared {
    RegisterShared {
        nonce: nonce.to_owned(),
        username: "root".to_owned(),
        displayname: None,
        password: secret("tea"),
        admin: true,
        user_type: None,
        mac,
    }
}

fn mac(key: &str, nonce: &str) -> String {
    use hmac::{Hmac, Mac};
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{nonce}\0root\0tea\0admin").as_bytes());
    format!("{:x}", mac.finalize().into_bytes())
}

#[tokio::test]
async fn the_shared_secret_makes_the_first_admin_once_for_each_nonce() {
    let house = house_with(
        1,
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Closed;
            config.registration.shared_secret = Some(secret("key"));
        },
    );
    let nonce = house.accounts.registration_nonce().unwrap();
    let wrong = house.accounts.register_shared(shared(&nonce, mac("yek", &nonce))).await;
    assert!(matches!(wrong, Err(RegisterSharedError::Mac)));
    let spent = house.accounts.register_shared(shared(&nonce, mac("key", &nonce))).await;
    assert!(matches!(spent, Err(RegisterSharedError::Nonce)));

    let nonce = house.accounts.registration_nonce().unwrap();
    let (_, session) =
        house.accounts.register_shared(shared(&nonce, mac("key", &nonce))).await.unwrap();
    assert!(house.actor(&session).await.class().is_admin());

    let nonce = house.accounts.registration_nonce().unwrap();
    house.time.clock.advance(Duration::from_mins(1));
    let old = house.accounts.register_shared(shared(&nonce, mac("key", &nonce))).await;
    assert!(matches!(old, Err(RegisterSharedError::Nonce)));
}

#[tokio::test]
async fn without_a_shared_secret_there_is_no_nonce() {
    assert_eq!(house().accounts.registration_nonce(), None);
}
