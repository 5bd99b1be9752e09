//! What runs beside what, with jobs that end when the test says so.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use vestibule_rooms::JobError;
use vestibule_storage::{StorageError, Store, jobs};
use vestibule_testkit::{TestEnvironment, environment, memory_store};
use vestibule_types::{
    BoxFuture,
    limits::{JOBS_LOOKED_AT_MAX, JOBS_OF_A_KIND_AT_ONCE},
};

use super::{RETRY_FIRST_MS, RETRY_LAST_MS, SERVER_SLOT, Work, back_off, start, work::WorkError};

/// A kind that other servers have a part in.
const ABROAD: &str = "abroad";
/// Another kind.
const HOME: &str = "home";

/// Payloads are `lane/what`. What hangs ends when the gate is opened; what fails fails once.
struct Script {
    begun: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Work for Script {
    fn lane(&self, _: &str, payload: &[u8]) -> String {
        text(payload).split('/').next().unwrap_or_default().to_owned()
    }

    fn run<'a>(
        &'a self,
        _: &'a str,
        payload: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<u64>, WorkError>> {
        Box::pin(async move {
            let again = self.begun.lock().contains(&text(payload));
            self.begun.lock().push(text(payload));
            match text(payload).split_once('/').unwrap().1 {
                "hangs" => self.gate.acquire().await.unwrap().forget(),
                "fails" if !again => return Err(JobError::Unreadable.into()),
                _ => {}
            }
            Ok(None)
        })
    }
}

/// A store with a runner.
struct Scene {
    store: Store,
    time: TestEnvironment,
    script: Arc<Script>,
}

impl Scene {
    async fn with(waiting: &[(&str, &str)]) -> Self {
        let store = memory_store(1);
        let scene = Self::over(store);
        let now = scene.time.environment.now_ms();
        let jobs: Vec<_> = waiting.iter().map(|(kind, what)| (*kind, (*what).to_owned())).collect();
        let kinds: Vec<_> =
            jobs.iter().map(|(kind, what)| ((*kind).to_owned(), what.clone())).collect();
        let enqueue = scene.store.write::<_, StorageError, _>(SERVER_SLOT, move |tx| {
            for (kind, what) in &kinds {
                jobs::enqueue(tx, kind, what.clone().into_bytes(), now)?;
            }
            Ok(())
        });
        enqueue.await.unwrap();
        scene.start();
        scene
    }

    fn over(store: Store) -> Self {
        let script = Script { begun: Mutex::default(), gate: Semaphore::new(0) };
        Self { store, time: environment(3), script: Arc::new(script) }
    }

    fn start(&self) {
        let bell = Arc::new(Notify::new());
        start(self.store.clone(), self.script.clone(), &self.time.environment, bell);
    }

    async fn left(&self) -> Vec<String> {
        let read = |read: &vestibule_storage::Snapshot<'_>| jobs::due(read, None, u64::MAX, 10_000);
        let left = self.store.read::<_, StorageError, _>(read).await.unwrap();
        left.into_iter().map(|(_, job)| text(&job.payload)).collect()
    }

    /// Waits until these jobs are left, in any order.
    async fn until_left(&self, expected: &[&str]) {
        let mut published = self.store.watch();
        loop {
            published.mark_unchanged();
            let mut left = self.left().await;
            left.sort();
            if left == expected {
                return;
            }
            published.changed().await.unwrap();
        }
    }

    fn begun(&self) -> Vec<String> {
        self.script.begun.lock().clone()
    }

    fn open_gate(&self, times: usize) {
        self.script.gate.add_permits(times);
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).unwrap()
}

#[tokio::test]
async fn a_job_that_hangs_holds_up_nobody_else() {
    let jobs = [(ABROAD, "a/hangs"), (ABROAD, "b/ends"), (HOME, "room/ends")];
    let scene = Scene::with(&jobs).await;
    scene.until_left(&["a/hangs"]).await;
    scene.open_gate(1);
    scene.until_left(&[]).await;
}

#[tokio::test]
async fn jobs_of_one_lane_run_one_after_the_other() {
    let jobs = [(ABROAD, "a/hangs"), (HOME, "a/ends"), (HOME, "b/ends")];
    let scene = Scene::with(&jobs).await;
    scene.until_left(&["a/ends", "a/hangs"]).await;
    assert_eq!(scene.begun(), ["a/hangs", "b/ends"]);
    scene.open_gate(1);
    scene.until_left(&[]).await;
    assert_eq!(scene.begun(), ["a/hangs", "b/ends", "a/ends"]);
}

#[tokio::test]
async fn no_kind_takes_more_than_its_share() {
    let names: Vec<_> = (0..=JOBS_OF_A_KIND_AT_ONCE).map(|lane| format!("{lane}/hangs")).collect();
    let mut jobs: Vec<_> = names.iter().map(|name| (ABROAD, name.as_str())).collect();
    jobs.push((HOME, "room/ends"));
    let scene = Scene::with(&jobs).await;
    let mut expected: Vec<_> = names.iter().map(String::as_str).collect();
    expected.sort_unstable();
    scene.until_left(&expected).await;
    assert_eq!(scene.begun().len(), JOBS_OF_A_KIND_AT_ONCE + 1);
    scene.open_gate(names.len());
    scene.until_left(&[]).await;
    assert_eq!(scene.begun().len(), names.len() + 1);
}

#[tokio::test]
async fn a_crowd_that_waits_for_one_lane_hides_nobody_behind_it() {
    let crowd = vec![(ABROAD, "a/hangs"); JOBS_LOOKED_AT_MAX + 1];
    let jobs = [crowd, vec![(ABROAD, "b/ends")]].concat();
    let scene = Scene::with(&jobs).await;
    scene.until_left(&vec!["a/hangs"; JOBS_LOOKED_AT_MAX + 1]).await;
    assert_eq!(scene.begun(), ["a/hangs", "b/ends"]);
}

#[tokio::test]
async fn what_was_under_way_when_the_server_stopped_is_begun_again() {
    let first = Scene::with(&[(ABROAD, "a/hangs"), (HOME, "room/ends")]).await;
    first.until_left(&["a/hangs"]).await;
    first.time.spawner.stop();
    let second = Scene::over(first.store.clone());
    second.open_gate(1);
    second.start();
    second.until_left(&[]).await;
    assert_eq!(second.begun(), ["a/hangs"]);
}

#[tokio::test]
async fn what_failed_is_tried_again_after_a_pause_and_holds_up_nobody_meanwhile() {
    let scene = Scene::with(&[(ABROAD, "a/fails"), (ABROAD, "a/ends")]).await;
    scene.until_left(&["a/fails"]).await;
    assert_eq!(scene.begun(), ["a/fails", "a/ends"]);
    scene.time.clock.advance(std::time::Duration::from_millis(RETRY_FIRST_MS));
    scene.until_left(&[]).await;
    assert_eq!(scene.begun(), ["a/fails", "a/ends", "a/fails"]);
}

#[test]
fn failures_wait_longer_and_longer_up_to_an_hour() {
    assert_eq!(back_off(0), 1_000);
    assert_eq!(back_off(1), 2_000);
    assert_eq!(back_off(30), RETRY_LAST_MS);
}
