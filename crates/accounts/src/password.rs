//! Password hashes, computed away from the async workers.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{Semaphore, oneshot};
use vestibule_storage::Executor;
use vestibule_types::{Environment, Secret, limits};

/// There are too many passwords to hash already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct HasherBusy;

/// Hashes and checks passwords on the executor, a few at a time.
pub(crate) struct Passwords {
    executor: Arc<dyn Executor>,
    environment: Environment,
    /// Who may hash now.
    turns: Semaphore,
    /// Who may wait for a turn.
    places: Semaphore,
}

impl Passwords {
    pub(crate) fn new(
        executor: Arc<dyn Executor>,
        environment: Environment,
        at_once: usize,
    ) -> Self {
        Self {
            executor,
            environment,
            turns: Semaphore::new(at_once.max(1)),
            places: Semaphore::new(limits::PASSWORDS_WAITING_MAX),
        }
    }

    /// The argon2id hash of a password, in the PHC format.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, HasherBusy> {
        let salt: [u8; 16] = self.environment.random_bytes();
        self.run(move || hash_with(&password, &salt)).await?.ok_or(HasherBusy)
    }

    /// Whether the password fits the hash. Without a hash it takes as long and does not fit, so
    /// that the time of an answer does not tell which accounts exist.
    pub(crate) async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, HasherBusy> {
        let salt: [u8; 16] = self.environment.random_bytes();
        self.run(move || {
            let Some(hash) = hash else {
                let _cost = hash_with(&password, &salt);
                return false;
            };
            let Ok(hash) = PasswordHash::new(&hash) else { return false };
            Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherBusy> {
        let _place = self.places.try_acquire().map_err(|_| HasherBusy)?;
        let _turn = self.turns.acquire().await.map_err(|_| HasherBusy)?;
        let (answer, answered) = oneshot::channel();
        self.executor
            .execute(Box::new(move || drop(answer.send(work()))))
            .map_err(|_| HasherBusy)?;
        answered.await.map_err(|_| HasherBusy)
    }
}

fn hash_with(password: &Secret, salt: &[u8]) -> Option<String> {
    let hash: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.expose().as_bytes(), salt);
    hash.map(|hash| hash.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_fits_only_its_password() {
        let hash = hash_with(&Secret::new("tea".to_owned()), &[7; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(b"tea", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"Tea", &parsed).is_err());
    }
}
