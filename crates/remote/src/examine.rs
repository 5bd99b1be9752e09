//! Finding out whether a server can be talked to, step by step, for an operator.

use std::time::Duration;

use http::StatusCode;
use ruma::{
    CanonicalJsonObject, ServerName, UserId,
    api::federation::{
        discovery::{ServerSigningKeys, get_server_keys, get_server_version},
        query::get_profile_information,
    },
};
use vestibule_events::verify_json;

use crate::{CallOptions, Finding, Outcome, Remote, RemoteError};

/// How long one request of an examination may take.
const CALL_MAX: Duration = Duration::from_secs(20);

/// Whom a signed request asks about. Whether there is such a user says nothing: that the question is
/// answered says that the signature was believed.
const NOBODY: &str = "_vestibule_test";

impl Remote {
    /// Tells how a server is found, and whether it answers, step by step. Nothing that failed lately
    /// keeps it from being asked.
    pub async fn examine(&self, server: &ServerName) -> Vec<Finding> {
        if !self.permits(server) || server == self.server_name() {
            let reason = self.why_not(server);
            return vec![Finding { step: "permission", outcome: Outcome::Failed, text: reason }];
        }
        let mut findings = Vec::new();
        if let Some(failing) = self.failing_server(server) {
            let text =
                format!("failed {} times, the last time: {}", failing.failures, failing.reason);
            findings.push(Finding { step: "back-off", outcome: Outcome::Notable, text });
        }
        findings.extend(self.parts().transport.examine(server.to_owned()).await);
        if findings.iter().any(|it| it.outcome == Outcome::Failed) {
            return findings;
        }
        findings.push(finding("version", self.version(server).await));
        findings.push(finding("keys", self.keys(server).await));
        findings.push(finding("signed request", self.signed(server).await));
        findings
    }

    fn why_not(&self, server: &ServerName) -> String {
        if server == self.server_name() {
            "this is our own name".to_owned()
        } else if self.is_enabled() {
            "federation.allowed_servers and federation.denied_servers forbid it".to_owned()
        } else {
            "federation is off: no listener serves it, and federation.enabled is not true"
                .to_owned()
        }
    }

    async fn version(&self, server: &ServerName) -> Result<String, String> {
        let request = get_server_version::v1::Request::new();
        let answer = self.call_with(server, request, options()).await.map_err(told)?;
        let software = answer.server.unwrap_or_default();
        let name = software.name.unwrap_or_else(|| "unnamed software".to_owned());
        Ok(format!("{name} {}", software.version.unwrap_or_default()).trim_end().to_owned())
    }

    /// The server's keys must be signed by themselves, be in its name, and hold.
    async fn keys(&self, server: &ServerName) -> Result<String, String> {
        let request = get_server_keys::v2::Request::new();
        let answer = self.call_with(server, request, options()).await.map_err(told)?;
        let text = answer.server_key.json().get();
        let object: CanonicalJsonObject =
            serde_json::from_str(text).map_err(|error| format!("no canonical JSON: {error}"))?;
        let keys: ServerSigningKeys = serde_json::from_str(text).map_err(|it| it.to_string())?;
        if keys.server_name != server {
            return Err(format!("they are the keys of {}", keys.server_name));
        }
        let listed: Vec<String> = keys.verify_keys.keys().map(ToString::to_string).collect();
        let public = keys.verify_keys.into_iter().map(|(id, key)| (id.to_string(), key.key));
        let public = [(server.to_string(), public.collect())].into();
        verify_json(&object, server, &public).map_err(|error| error.to_string())?;
        if keys.valid_until_ts <= self.parts().environment.now() {
            return Err(format!("{} is no longer valid", listed.join(", ")));
        }
        Ok(listed.join(", "))
    }

    async fn signed(&self, server: &ServerName) -> Result<String, String> {
        let nobody = UserId::parse_with_server_name(NOBODY, server).map_err(|it| it.to_string())?;
        let request = get_profile_information::v1::Request::new(nobody);
        match self.call_with(server, request, options()).await {
            Ok(_) => Ok("our signature is accepted".to_owned()),
            Err(RemoteError::Answered { status, .. })
                if status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN =>
            {
                Ok(format!("our signature is accepted (it answered {status}, as it may)"))
            }
            Err(error) => Err(told(error)),
        }
    }
}

fn options() -> CallOptions {
    CallOptions { time_max: CALL_MAX, ignore_back_off: true, ..CallOptions::default() }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn told(error: RemoteError) -> String {
    error.to_string()
}

fn finding(step: &'static str, result: Result<String, String>) -> Finding {
    let (outcome, text) = match result {
        Ok(text) => (Outcome::Fine, text),
        Err(text) => (Outcome::Failed, text),
    };
    Finding { step, outcome, text }
}
