//! Walking a caller through the stages of one operation.

use std::net::IpAddr;

use ruma::{OwnedUserId, UserId};
use vestibule_storage::{
    StorageError,
    tables::account::{REGISTRATION_TOKEN, TokenDigest},
};
use vestibule_types::Secret;

use super::{
    Asked, Attempt, Beginner, Challenge, Failure, Proof, Shown, Stage, Step, sessions::Resumed,
};
use crate::{
    Accounts, Named, ValidationPurpose, contact::ProvenEmail, facts, password::HasherBusy,
    service::counted_address, token,
};

/// Why an operation that needs interactive authentication was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum UiaError {
    /// There is more to prove.
    #[error("more authentication is needed")]
    Challenge(Box<Challenge>),
    /// What was proven in the conversation is for another operation.
    #[error("this authentication session was begun for something else")]
    OtherOperation,
    /// The caller is somebody else than who authenticated.
    #[error("this password is another user's")]
    OtherUser,
    /// Too many wrong proofs.
    #[error("too many attempts")]
    Limited(std::time::Duration),
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The proof could not be checked.
    #[error("could not check the proof")]
    Storage(#[from] StorageError),
}

/// What has to be proven, and by whom.
pub(crate) struct Question<'a> {
    /// What the proof is for; a proof for one thing is none for another.
    pub(crate) operation: TokenDigest,
    pub(crate) flows: Vec<Vec<Stage>>,
    /// Whose password counts.
    pub(crate) caller: Option<&'a UserId>,
    /// What an address has to be proven for, to count.
    pub(crate) email_for: Option<ValidationPurpose>,
    pub(crate) peer: IpAddr,
}

impl<'a> Question<'a> {
    /// What the owner of an account has to prove before `operation`.
    pub(crate) fn of_owner(
        operation: &str,
        flows: Vec<Vec<Stage>>,
        owner: &'a UserId,
        peer: IpAddr,
    ) -> Self {
        let operation = token::digest(&format!("{operation} {owner}"));
        Self { operation, flows, caller: Some(owner), email_for: None, peer }
    }
}

/// What was proven.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) session: String,
    pub(crate) registration_token: Option<String>,
    pub(crate) email: Option<ProvenEmail>,
}

impl Accounts {
    /// Returns once one flow is complete, else says what is missing. What was proven is spent.
    pub(crate) async fn authenticate(
        &self,
        question: &Question<'_>,
        attempt: Option<Attempt>,
    ) -> Result<Granted, UiaError> {
        let granted = self.walk(question, attempt).await?;
        self.0.uia.finish(&granted.session);
        Ok(granted)
    }

    /// As [`Accounts::authenticate`], for who ends the conversation when the operation is done.
    pub(crate) async fn walk(
        &self,
        question: &Question<'_>,
        attempt: Option<Attempt>,
    ) -> Result<Granted, UiaError> {
        let Attempt { session, proof } = attempt.unwrap_or(Attempt { session: None, proof: None });
        let mut step = self.step(question, session)?;
        if let Some(proof) = proof
            && let Err(failure) = self.prove(question, &mut step, proof).await?
        {
            return Err(self.challenge(question, step, Some(failure)));
        }
        let done = |flow: &Vec<Stage>| flow.iter().all(|stage| step.completed.contains(stage));
        if !question.flows.iter().any(done) {
            return Err(self.challenge(question, step, None));
        }
        let Step { session, shown, .. } = step;
        Ok(Granted { session, registration_token: shown.registration_token, email: shown.email })
    }

    /// The step of the session, or of a new one when none was named.
    fn step(&self, question: &Question<'_>, session: Option<String>) -> Result<Step, UiaError> {
        let Some(name) = session else { return Ok(self.begin(question)) };
        match self.0.uia.resume(&name, question.operation, self.0.monotonic()) {
            Resumed::Step(step) => Ok(step),
            Resumed::OtherOperation => Err(UiaError::OtherOperation),
            Resumed::Unknown => {
                let step = self.begin(question);
                Err(self.challenge(question, step, Some(Failure::Session)))
            }
        }
    }

    fn begin(&self, question: &Question<'_>) -> Step {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let name = self.0.environment.random_text(alphabet, 24);
        let asked = Asked {
            operation: question.operation,
            flows: question.flows.clone(),
            caller: question.caller.map(ToOwned::to_owned),
            email_for: question.email_for,
        };
        let owner = match question.caller {
            Some(caller) => Some(Beginner::User(caller.to_owned())),
            None => counted_address(question.peer).map(Beginner::Address),
        };
        self.0.uia.begin(name, asked, (owner, self.0.monotonic()))
    }

    fn challenge(&self, question: &Question<'_>, step: Step, failure: Option<Failure>) -> UiaError {
        let asks_terms = question.flows.iter().any(|flow| flow.contains(&Stage::Terms));
        let terms = if asks_terms { self.0.config.registration.terms.clone() } else { Vec::new() };
        UiaError::Challenge(Box::new(Challenge {
            flows: question.flows.clone(),
            completed: step.completed,
            session: step.session,
            terms,
            failure,
        }))
    }

    /// Checks one proof and notes its stage as done. A stage that is done is not done again, and one
    /// whose time has not come counts for nothing: flows are completed in order.
    pub(super) async fn prove(
        &self,
        question: &Question<'_>,
        step: &mut Step,
        proof: Proof,
    ) -> Result<Result<(), Failure>, UiaError> {
        let offered = |stage: &Stage| question.flows.iter().any(|flow| flow.contains(stage));
        let Some(stage) = proof.stage().filter(offered) else { return Ok(Err(Failure::Stage)) };
        if step.completed.contains(&stage) {
            return Ok(Ok(()));
        }
        if !question.flows.iter().any(|flow| is_next(flow, stage, &step.completed)) {
            return Ok(Err(Failure::Order));
        }
        let mut shown = Shown::default();
        let proven = match proof {
            Proof::Dummy | Proof::Terms => Ok(()),
            Proof::Unknown => Err(Failure::Stage),
            Proof::Password { user, password } => {
                self.prove_password(question, user.as_ref(), password).await?
            }
            Proof::Email { sid, client_secret } => {
                shown.email = self.prove_email(question, &sid, &client_secret).await?;
                if shown.email.is_some() { Ok(()) } else { Err(Failure::Email) }
            }
            Proof::RegistrationToken(token) => {
                let good = self.registration_token_is_good(&token).await?;
                shown.registration_token = Some(token);
                if good { Ok(()) } else { Err(Failure::RegistrationToken) }
            }
        };
        if proven.is_ok() {
            self.0.uia.complete(step, stage, shown);
        }
        Ok(proven)
    }

    /// The address that was proven for what is asked. For the owner of an account it has to be theirs.
    async fn prove_email(
        &self,
        question: &Question<'_>,
        sid: &str,
        client_secret: &str,
    ) -> Result<Option<ProvenEmail>, UiaError> {
        let Some(purpose) = question.email_for else { return Ok(None) };
        let proven = self.proven_email(sid, client_secret, purpose).await?;
        let fits = |proven: &ProvenEmail| match question.caller {
            Some(caller) => proven.owner.as_deref() == Some(caller),
            None => true,
        };
        Ok(proven.filter(fits))
    }

    async fn prove_password(
        &self,
        question: &Question<'_>,
        user: Option<&Named>,
        password: Secret,
    ) -> Result<Result<(), Failure>, UiaError> {
        let Some(caller) = question.caller else { return Ok(Err(Failure::Stage)) };
        let claimed: Option<OwnedUserId> = match user {
            Some(user) => self.whom(user).await?,
            None => Some(caller.to_owned()),
        };
        let Some(claimed) = claimed else {
            self.0.passwords.verify(password, None).await?;
            return Ok(Err(Failure::Password));
        };
        let fits = self.password_fits(&claimed, password, question.peer).await?;
        match (fits, claimed == caller) {
            (true, true) => Ok(Ok(())),
            (true, false) => Err(UiaError::OtherUser),
            (false, _) => Ok(Err(Failure::Password)),
        }
    }

    /// Whether the password is the account's. Wrong ones are counted, by address and by account.
    pub(crate) async fn password_fits(
        &self,
        user_id: &UserId,
        password: Secret,
        peer: IpAddr,
    ) -> Result<bool, UiaError> {
        let now = self.0.monotonic();
        let throttles = &self.0.throttles;
        let address = counted_address(peer).unwrap_or_else(|| peer.to_string());
        let pair = format!("{address} {user_id}");
        throttles.wrong_passwords.check(&pair, now).map_err(UiaError::Limited)?;
        throttles
            .wrong_passwords_of_account
            .check(user_id.as_str(), now)
            .map_err(UiaError::Limited)?;
        let user = user_id.to_owned();
        let hash = self
            .0
            .store
            .read(move |read| {
                Ok::<_, StorageError>(facts::account(read, &user)?.and_then(|a| a.password))
            })
            .await?;
        let fits = self.0.passwords.verify(password, hash).await?;
        if !fits {
            // Both were checked above; a race between the two only counts one attempt less.
            let _full = throttles.wrong_passwords.charge(&pair, now);
            let _full = throttles.wrong_passwords_of_account.charge(user_id.as_str(), now);
        }
        Ok(fits)
    }

    /// Whether a registration token would let somebody register now.
    pub(crate) async fn registration_token_is_good(
        &self,
        token: &str,
    ) -> Result<bool, StorageError> {
        let (token, now) = (token.to_owned(), self.0.now_ms());
        self.0
            .store
            .read(move |read| {
                let row = REGISTRATION_TOKEN.get(read, (token.as_str(),))?;
                Ok(row.is_some_and(|row| crate::registration::is_good(&row, now)))
            })
            .await
    }

    /// The flows by which the owner of an account proves to be it: the password, or nothing where
    /// there is none, since the access token is then all such an account has.
    pub(crate) async fn owner_flows(
        &self,
        user_id: &UserId,
    ) -> Result<Vec<Vec<Stage>>, StorageError> {
        let user = user_id.to_owned();
        let has_password = self
            .0
            .store
            .read(move |read| {
                let account = facts::account(read, &user)?;
                Ok::<_, StorageError>(account.is_some_and(|account| account.password.is_some()))
            })
            .await?;
        Ok(vec![vec![if has_password { Stage::Password } else { Stage::Dummy }]])
    }
}

/// Whether the stage is in the flow, and all stages before it are done.
fn is_next(flow: &[Stage], stage: Stage, completed: &[Stage]) -> bool {
    let mut before = flow.iter().take_while(|earlier| **earlier != stage);
    flow.contains(&stage) && before.all(|earlier| completed.contains(earlier))
}
