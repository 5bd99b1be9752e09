//! Time, randomness and spawning as parameters, so that tests and the simulator own them.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use ruma::MilliSecondsSinceUnixEpoch;

/// A future in a box, for traits used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of the current time. The machine's own clock lives in `server`.
pub trait Clock: Send + Sync + 'static {
    /// The current wall-clock time.
    fn now(&self) -> MilliSecondsSinceUnixEpoch;

    /// Time since some fixed moment; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Completes after `duration` of this clock's time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// Starts background work that the server waits for when it stops.
pub trait Spawner: Send + Sync + 'static {
    /// Runs the future to its end, beside the caller.
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>);

    /// Completes when the server is asked to stop.
    fn stopping(&self) -> BoxFuture<'static, ()>;
}

/// The three of them, as services take them.
#[derive(Clone)]
pub struct Environment {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where unpredictable bytes come from.
    pub random: Arc<dyn Random>,
    /// Who runs background work.
    pub spawner: Arc<dyn Spawner>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// The current wall-clock time.
    #[must_use]
    pub fn now(&self) -> MilliSecondsSinceUnixEpoch {
        self.clock.now()
    }

    /// The current wall-clock time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now().get().into()
    }

    /// `N` random bytes.
    #[must_use]
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A random string of `length` characters out of `alphabet`, without bias for alphabets whose
    /// length divides 256 and with one below 2⁻⁵⁶ otherwise.
    #[must_use]
    pub fn random_text(&self, alphabet: &[u8], length: usize) -> String {
        let size = alphabet.len().max(1) as u64;
        (0..length)
            .map(|_| {
                let number = u64::from_be_bytes(self.random_bytes());
                let at = usize::try_from(number % size).unwrap_or_default();
                char::from(alphabet.get(at).copied().unwrap_or(b'x'))
            })
            .collect()
    }
}
