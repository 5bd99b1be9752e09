//! Contradictions and doubts about mail.

use std::fs;

use vestibule_types::Secret;

use super::{Checked, readable, support::is_web_address};
use crate::{Email, EmailAtRegistration, EmailTls, Period, Problem, load::Sections};

/// A link has to live as long as it takes to read mail.
const LINK_LIFE_MIN: Period = Period::seconds(300);

pub(super) fn email(sections: &Sections, found: &mut Checked) {
    let email = &sections.email;
    found.email_password = password(email, found);
    let Some(from) = &email.from else {
        if sections.registration.email != EmailAtRegistration::Off {
            found.problems.push(Problem::new(
                "registration.email",
                "this server sends no mail",
                "set email.from and email.server, or write \"off\"",
            ));
        }
        return;
    };
    if !from.contains('@') {
        let remedy = "write it like \"Example <noreply@example.org>\"";
        let problem = Problem::new("email.from", "has no address in it", remedy);
        found.problems.push(problem.with_value(format!("\"{from}\"")));
    }
    if email.server.is_none() {
        let remedy = "write the host of the mail server";
        found.problems.push(Problem::new("email.server", "must be set", remedy));
    }
    links(sections, found);
    transport(email, found);
}

/// The password of the mail server, wherever it was written.
fn password(email: &Email, found: &mut Checked) -> Option<Secret> {
    match (&email.password, &email.password_file) {
        (Some(_), Some(_)) => {
            found.problems.push(Problem::new(
                "email.password_file",
                "the password is given twice",
                "keep either password or password_file",
            ));
            None
        }
        (None, Some(path)) => {
            readable("email.password_file", path, found);
            let text = fs::read_to_string(path).ok();
            text.map(|text| Secret::new(text.trim().to_owned()))
        }
        (password, None) => password.clone(),
    }
}

fn links(sections: &Sections, found: &mut Checked) {
    let base = sections.email.link_base.as_ref().or(sections.server.public_url.as_ref());
    if !base.is_some_and(|base| is_web_address(base)) {
        found.problems.push(Problem::new(
            "email.link_base",
            "nobody could open a link: it does not begin with an address of the web",
            "write where clients reach this server, here or as server.public_url",
        ));
    }
    if sections.email.link_life < LINK_LIFE_MIN {
        let problem =
            Problem::new("email.link_life", "too short to read mail", "write \"5m\" or more");
        found.problems.push(problem.with_value(format!("\"{}\"", sections.email.link_life)));
    }
}

fn transport(email: &Email, found: &mut Checked) {
    let here = email
        .server
        .as_deref()
        .is_some_and(|server| ["localhost", "127.0.0.1", "::1"].contains(&server));
    if email.tls == EmailTls::None && !here {
        found.warnings.push(Problem::new(
            "email.tls",
            "links that open accounts travel in the clear",
            "write \"starttls\" or \"tls\", or use a mail server on this machine",
        ));
    }
    if email.username.is_some() != (email.password.is_some() || email.password_file.is_some()) {
        found.problems.push(Problem::new(
            "email.username",
            "a name and a password belong together",
            "set both username and password, or neither",
        ));
    }
}
