//! Who does which job.

use vestibule_federation::{Federation, FederationJobError};
use vestibule_media::{DeleteMediaError, Media};
use vestibule_rooms::{JobError, Rooms, job_lane};
use vestibule_types::BoxFuture;

/// Why a job has to be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    /// One about rooms.
    #[error(transparent)]
    Rooms(#[from] JobError),
    /// One about other servers.
    #[error(transparent)]
    Federation(#[from] FederationJobError),
    /// One about files.
    #[error(transparent)]
    Media(#[from] DeleteMediaError),
}

/// Knows what to do with jobs.
pub(crate) trait Work: Send + Sync + 'static {
    /// What a job must not run beside: whatever else gives the same answer.
    fn lane(&self, kind: &str, payload: &[u8]) -> String;

    /// Does a job. Gives back when to run it once more, in milliseconds since the Unix epoch.
    fn run<'a>(
        &'a self,
        kind: &'a str,
        payload: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<u64>, WorkError>>;
}

/// The services that leave jobs.
pub(crate) struct Doers {
    pub(crate) rooms: Rooms,
    pub(crate) federation: Federation,
    pub(crate) media: Media,
}

impl Work for Doers {
    fn lane(&self, kind: &str, payload: &[u8]) -> String {
        if Federation::does_job(kind) {
            Federation::job_lane(kind, payload)
        } else if Media::does_job(kind) {
            Media::job_lane(payload)
        } else {
            job_lane(kind, payload)
        }
    }

    fn run<'a>(
        &'a self,
        kind: &'a str,
        payload: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<u64>, WorkError>> {
        Box::pin(async move {
            if Federation::does_job(kind) {
                Ok(self.federation.run_job(payload).await?)
            } else if Media::does_job(kind) {
                self.media.run_job(payload).await?;
                Ok(None)
            } else {
                Ok(self.rooms.run_job(kind, payload).await?)
            }
        })
    }
}
