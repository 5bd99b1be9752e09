//! Contradictions in what clients are told of a TURN server.

use std::fs;

use vestibule_types::{Secret, limits::TURN_URIS_MAX};

use super::{Checked, readable};
use crate::{Period, Problem, Voip};

/// A call has to be set up within the life of its credentials.
const LIFETIME_MIN: Period = Period::seconds(60);

pub(super) fn voip(voip: &Voip, found: &mut Checked) {
    found.turn_secret = secret(voip, found);
    addresses(voip, found);
    credentials(voip, found);
    if voip.turn_lifetime < LIFETIME_MIN {
        let problem =
            Problem::new("voip.turn_lifetime", "too short for a call", "write \"1m\" or more");
        found.problems.push(problem.with_value(format!("\"{}\"", voip.turn_lifetime)));
    }
}

/// The secret shared with the TURN server, wherever it was written.
fn secret(voip: &Voip, found: &mut Checked) -> Option<Secret> {
    match (&voip.turn_shared_secret, &voip.turn_shared_secret_file) {
        (Some(_), Some(_)) => {
            found.problems.push(Problem::new(
                "voip.turn_shared_secret_file",
                "the shared secret is given twice",
                "keep either turn_shared_secret or turn_shared_secret_file",
            ));
            None
        }
        (None, Some(path)) => {
            readable("voip.turn_shared_secret_file", path, found);
            let text = fs::read_to_string(path).ok();
            text.map(|text| Secret::new(text.trim().to_owned()))
        }
        (secret, None) => secret.clone(),
    }
}

fn addresses(voip: &Voip, found: &mut Checked) {
    for (index, uri) in voip.turn_uris.iter().enumerate() {
        if !["turn:", "turns:"].iter().any(|scheme| uri.starts_with(scheme)) {
            let remedy = "write one like \"turn:turn.example.org?transport=udp\"";
            let key = format!("voip.turn_uris[{index}]");
            let problem = Problem::new(&key, "is no address of a TURN server", remedy);
            found.problems.push(problem.with_value(format!("\"{uri}\"")));
        }
    }
    if voip.turn_uris.len() > TURN_URIS_MAX {
        let message = format!("more than {TURN_URIS_MAX} addresses");
        found.problems.push(Problem::new("voip.turn_uris", message, "keep the best of them"));
    }
}

fn credentials(voip: &Voip, found: &mut Checked) {
    let shared = voip.turn_shared_secret.is_some() || voip.turn_shared_secret_file.is_some();
    let fixed = voip.turn_username.is_some() || voip.turn_password.is_some();
    let (key, message, remedy) = if shared && fixed {
        (
            "voip.turn_username",
            "there is a shared secret as well",
            "keep either the shared secret or the name and its password",
        )
    } else if voip.turn_username.is_some() != voip.turn_password.is_some() {
        (
            "voip.turn_username",
            "a name and a password belong together",
            "set both turn_username and turn_password, or neither",
        )
    } else if voip.turn_uris.is_empty() && (shared || fixed) {
        ("voip.turn_uris", "must be set: nobody knows where to call", "write its addresses")
    } else if !voip.turn_uris.is_empty() && !shared && !fixed {
        (
            "voip.turn_shared_secret",
            "must be set: nobody could log in there",
            "write the secret of the TURN server, or turn_username and turn_password",
        )
    } else {
        return;
    };
    found.problems.push(Problem::new(key, message, remedy));
}
