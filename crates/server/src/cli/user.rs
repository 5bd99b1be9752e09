//! `vestibule user`

use std::{path::Path, process::ExitCode};

use http::Method;
use vestibule_admin_api::{
    ClassChange, Deactivation, Done, LockChange, ModerationsAnswer, NewUser, PasswordChange,
    SuspensionChange, UserAnswer, UsersAnswer,
};
use vestibule_types::segment;

use vestibule_types::Secret;

use super::{
    arguments::UserCommand,
    ask::{Question, ask},
    output::{password, say, table},
};

pub(super) fn run(file: &Path, command: &UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Create { name, class } => {
            let body = NewUser {
                name: name.clone(),
                class: class.clone(),
                password: Secret::new(password()?),
            };
            let made: UserAnswer = ask(file, Question::with(Method::POST, "/users", &body)?)?;
            say(&format!("made {} ({})", made.user_id, made.class));
        }
        UserCommand::Password { name, keep_sessions } => {
            let body = PasswordChange {
                password: Secret::new(password()?),
                keep_sessions: *keep_sessions,
            };
            let path = format!("/users/{}/password", segment(name));
            let Done {} = ask(file, Question::with(Method::PUT, path, &body)?)?;
            say("the password is changed");
        }
        UserCommand::Class { name, class } => {
            let path = format!("/users/{}/class", segment(name));
            let body = ClassChange { class: class.clone() };
            let user: UserAnswer = ask(file, Question::with(Method::PUT, path, &body)?)?;
            say(&format!("{} is {} from now on", user.user_id, user.class));
        }
        UserCommand::Lock { name } => {
            restrain(file, (name, "lock"), &LockChange { locked: true })?;
            say(&format!("{name} is locked"));
        }
        UserCommand::Unlock { name } => {
            restrain(file, (name, "lock"), &LockChange { locked: false })?;
            say(&format!("{name} is not locked"));
        }
        UserCommand::Suspend { name } => {
            restrain(file, (name, "suspend"), &SuspensionChange { suspended: true })?;
            say(&format!("{name} is suspended"));
        }
        UserCommand::Unsuspend { name } => {
            restrain(file, (name, "suspend"), &SuspensionChange { suspended: false })?;
            say(&format!("{name} is not suspended"));
        }
        UserCommand::Deactivate { name, erase } => {
            let path = format!("/users/{}/deactivate", segment(name));
            let body = Deactivation { erase: *erase };
            let Done {} = ask(file, Question::with(Method::POST, path, &body)?)?;
            say(&format!("{name} is deactivated"));
        }
        UserCommand::Moderation { limit } => moderation(file, *limit)?,
        UserCommand::List { class } => list(file, class.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn restrain(
    file: &Path,
    (name, what): (&str, &str),
    body: &impl serde::Serialize,
) -> anyhow::Result<()> {
    let path = format!("/users/{}/{what}", segment(name));
    let Done {} = ask(file, Question::with(Method::PUT, path, body)?)?;
    Ok(())
}

fn moderation(file: &Path, limit: usize) -> anyhow::Result<()> {
    let told: ModerationsAnswer = ask(file, Question::get(format!("/moderation?limit={limit}")))?;
    let mut rows = vec![["when", "what", "user", "by"].map(str::to_owned).to_vec()];
    rows.extend(told.acts.into_iter().map(|act| {
        let by = act.by.unwrap_or_else(|| "operator".to_owned());
        vec![act.at_ms.to_string(), act.act, act.user_id, by]
    }));
    say(&table(&rows));
    Ok(())
}

fn list(file: &Path, class: Option<&str>) -> anyhow::Result<()> {
    let mut rows = vec![["user", "class", "state"].map(str::to_owned).to_vec()];
    let mut from: Option<String> = None;
    loop {
        let after = from.iter().map(|from| format!("from={}", segment(from)));
        let only = class.iter().map(|class| format!("class={}", segment(class)));
        let query = after.chain(only).collect::<Vec<_>>().join("&");
        let page: UsersAnswer = ask(file, Question::get(format!("/users?{query}")))?;
        rows.extend(page.users.into_iter().map(|user| vec![user.user_id, user.class, user.state]));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    say(&table(&rows));
    Ok(())
}
