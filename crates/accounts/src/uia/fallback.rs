//! Stages on a page of this server, for clients that do not know them (client-server API, "Fallback").

use std::net::IpAddr;

use super::{Asked, Failure, Proof, Question, Stage, UiaError};
use crate::{Accounts, RequestValidation, RequestValidationError, config::Terms};

/// A stage somebody is asked for in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackStage {
    /// Whether it is done.
    pub is_done: bool,
    /// The documents to agree to, for the stage that is about them.
    pub terms: Vec<Terms>,
}

/// A mail that was sent for the stage that is about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackMail {
    /// The session in which opening its link counts.
    pub sid: String,
    /// What names the attempt, as a client would have made it up.
    pub client_secret: String,
}

impl Accounts {
    /// A stage of a conversation. `None` when there is no such conversation, or it has no such stage.
    #[must_use]
    pub fn fallback_stage(&self, session: &str, stage: Stage) -> Option<FallbackStage> {
        let (asked, step) = self.0.uia.find(session, self.0.monotonic())?;
        if !asked.flows.iter().any(|flow| flow.contains(&stage)) {
            return None;
        }
        let terms = match stage {
            Stage::Terms => self.0.config.registration.terms.clone(),
            Stage::Dummy | Stage::Password | Stage::RegistrationToken | Stage::Email => Vec::new(),
        };
        let is_done = step.completed.contains(&stage);
        Some(FallbackStage { is_done, terms })
    }

    /// Mails a link to an address that the stage of a conversation asks for. `None` when there is no
    /// such conversation, or it asks for none.
    pub async fn mail_by_fallback(
        &self,
        session: &str,
        email: String,
        peer: IpAddr,
    ) -> Result<Option<FallbackMail>, RequestValidationError> {
        let found = self.0.uia.find(session, self.0.monotonic());
        let asked = found.map(|(asked, _)| asked);
        let wants = |asked: &Asked| asked.flows.iter().any(|flow| flow.contains(&Stage::Email));
        let Some(purpose) = asked.filter(wants).and_then(|asked| asked.email_for) else {
            return Ok(None);
        };
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let client_secret = self.0.environment.random_text(alphabet, 32);
        let sid = self
            .request_validation(RequestValidation {
                purpose,
                client_secret: client_secret.clone(),
                email,
                send_attempt: 1,
                next_link: None,
                peer,
            })
            .await?;
        Ok(Some(FallbackMail { sid, client_secret }))
    }

    /// Completes a stage of a conversation, or says why the proof does not count. The operation itself
    /// is carried out when the client asks for it again.
    pub async fn prove_by_fallback(
        &self,
        session: &str,
        proof: Proof,
        peer: IpAddr,
    ) -> Result<Result<(), Failure>, UiaError> {
        self.charge_lookup(peer).map_err(UiaError::Limited)?;
        let Some((asked, mut step)) = self.0.uia.find(session, self.0.monotonic()) else {
            return Ok(Err(Failure::Session));
        };
        let Asked { operation, flows, caller, email_for } = asked;
        let question = Question { operation, flows, caller: caller.as_deref(), email_for, peer };
        self.prove(&question, &mut step, proof).await
    }
}
