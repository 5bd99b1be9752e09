//! Previews of web pages, for clients that show links.
//!
//! Off unless the operator plugs a way to the web in. What a page says is hostile: its size, time,
//! redirects and texts are bounded, every address on the way is judged, and its picture is kept only when it
//! is one.

mod charset;
mod fetch;
mod page;
mod picture;

use std::{fmt, sync::Arc};

use moka::sync::Cache;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tracing::instrument;
use vestibule_accounts::Refusal;
use vestibule_policy::{Action, Denial};
use vestibule_remote::{ServerLists, Web};
use vestibule_storage::StorageError;
use vestibule_types::{
    Actor,
    limits::{
        PREVIEW_FAILURE_LIFE, PREVIEW_LIFE, PREVIEW_TIME_MAX, PREVIEW_URL_BYTES_MAX,
        PREVIEWS_AT_ONCE_MAX, PREVIEWS_KEPT_MAX, PREVIEWS_WAITING_MAX,
    },
};

use crate::{
    Media,
    turns::{Share, Turns},
};

/// What previews are made with.
pub struct Previews {
    web: Web,
    settings: PreviewSettings,
    kept: Cache<String, Arc<Kept>>,
    turns: Turns<String>,
    at_once: Semaphore,
    waiting: Semaphore,
}

/// What the operator decided about previews.
#[derive(Clone, Debug)]
pub struct PreviewSettings {
    /// Which hosts are asked.
    pub hosts: ServerLists,
    /// How much of a page is read, in bytes.
    pub page_bytes_max: u64,
    /// The largest picture that is kept, in bytes.
    pub image_bytes_max: u64,
    /// Which languages pages are asked in, as in `Accept-Language`.
    pub languages: Option<String>,
}

/// What is known of a page: names as `OpenGraph` has them, and `matrix:image:size`.
pub type Preview = Map<String, Value>;

/// Why there is no preview.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PreviewUrlError {
    /// This server makes none.
    #[error("this server makes no previews")]
    Disabled,
    /// It is not the address of a web page.
    #[error("`url` is not the address of a web page")]
    BadUrl,
    /// The page, or one it leads to, may not be asked for.
    #[error("this page may not be asked for")]
    NotAllowed,
    /// The page could not be read.
    #[error("the page could not be read")]
    Unreachable,
    /// Too many previews are being made.
    #[error("too many previews are being made")]
    Busy,
    /// The policy refuses.
    #[error(transparent)]
    Denied(Denial),
    /// The facts or the picture could not be read or stored.
    #[error("could not keep the preview")]
    Storage(Arc<StorageError>),
}

impl From<Refusal> for PreviewUrlError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for PreviewUrlError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// A preview that was made, or why there is none, until it ends.
struct Kept {
    outcome: Result<Arc<Preview>, PreviewUrlError>,
    /// In milliseconds since the Unix epoch.
    ends: u64,
}

impl fmt::Debug for Previews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Previews").finish_non_exhaustive()
    }
}

impl Previews {
    /// Previews over a way to the web.
    #[must_use]
    pub fn new(web: Web, settings: PreviewSettings) -> Self {
        Self {
            web,
            settings,
            kept: Cache::new(PREVIEWS_KEPT_MAX),
            turns: Mutex::default(),
            at_once: Semaphore::new(PREVIEWS_AT_ONCE_MAX),
            waiting: Semaphore::new(PREVIEWS_WAITING_MAX),
        }
    }

    fn kept(&self, address: &str, now: u64) -> Option<Arc<Kept>> {
        self.kept.get(address).filter(|kept| kept.ends > now)
    }
}

impl Media {
    /// What a web page is about. A page that was looked at lately is not asked again, and one that
    /// several want at the same moment is asked once.
    #[instrument(name = "media.preview_url", skip_all)]
    pub async fn preview_url(
        &self,
        actor: &Actor,
        address: &str,
    ) -> Result<Arc<Preview>, PreviewUrlError> {
        let previews = self.previews().ok_or(PreviewUrlError::Disabled)?;
        self.charge(actor, Action::PreviewUrl).await?;
        if address.len() > PREVIEW_URL_BYTES_MAX {
            return Err(PreviewUrlError::BadUrl);
        }
        let url = fetch::page_address(address)?;
        let environment = &self.inner.parts.environment;
        if let Some(kept) = previews.kept(url.as_str(), environment.now_ms()) {
            return kept.outcome.clone();
        }
        let _place = previews.waiting.try_acquire().map_err(|_| PreviewUrlError::Busy)?;
        let share = Share::of(&previews.turns, url.to_string());
        let _alone = share.turn().await;
        // Somebody else may have made it while this one waited.
        if let Some(kept) = previews.kept(url.as_str(), environment.now_ms()) {
            return kept.outcome.clone();
        }
        let _turn = previews.at_once.acquire().await.map_err(|_| PreviewUrlError::Busy)?;
        let made = tokio::select! {
            made = self.make_preview(previews, &url) => made,
            () = environment.clock.sleep(PREVIEW_TIME_MAX) => Err(PreviewUrlError::Unreachable),
        };
        let life = if made.is_ok() { PREVIEW_LIFE } else { PREVIEW_FAILURE_LIFE };
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let outcome = made.map(Arc::new);
        let ends = environment.now_ms().saturating_add(life);
        previews.kept.insert(url.to_string(), Arc::new(Kept { outcome: outcome.clone(), ends }));
        outcome
    }

    async fn make_preview(
        &self,
        previews: &Previews,
        url: &url::Url,
    ) -> Result<Preview, PreviewUrlError> {
        let found = previews.fetch(url, fetch::PAGES).await?;
        if found.is_image() {
            let mut preview = Preview::new();
            let name = found.url.path_segments().and_then(|mut parts| parts.next_back());
            let name = name.filter(|name| !name.is_empty()).unwrap_or("image").to_owned();
            preview.insert("og:title".to_owned(), name.into());
            if let Some(picture) = self.keep_preview_picture(previews, found).await? {
                preview.append(&mut picture.described());
            }
            return Ok(preview);
        }
        if !found.is_page() {
            return Ok(Preview::new());
        }
        let page = self.read_page(found).await?;
        let mut preview = page.fields;
        let picture = match page.image {
            // A page without its picture is still worth showing.
            Some(image) => match previews.fetch(&image, fetch::IMAGES).await {
                Ok(found) => self.keep_preview_picture(previews, found).await?,
                Err(_) => None,
            },
            None => None,
        };
        if let Some(picture) = picture {
            preview.append(&mut picture.described());
        }
        Ok(preview)
    }
}
