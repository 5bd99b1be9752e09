//! Fetching a page or a picture: every address on the way is judged before it is asked.

use http::{HeaderMap, StatusCode, Uri, header};
use ruma::ServerName;
use url::Url;
use vestibule_remote::{PageReply, PageRequest, TransportError};
use vestibule_types::limits::PREVIEW_REDIRECTS_MAX;

use super::{PreviewUrlError, Previews};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    accept: &'static str,
    page: bool,
}

/// Pages.
pub(super) const PAGES: Wanted =
    Wanted { accept: "text/html,application/xhtml+xml,image/*;q=0.8,*/*;q=0.5", page: true };

/// Pictures.
pub(super) const IMAGES: Wanted =
    Wanted { accept: "image/jpeg,image/png,image/webp,image/gif", page: false };

/// What was found at the end of the redirects.
pub(super) struct Fetched {
    /// Where.
    pub(super) url: Url,
    /// What its server says it is, in small letters and with its parameters.
    pub(super) content_type: String,
    /// The answer.
    pub(super) reply: PageReply,
}

impl Fetched {
    /// Whether it says that it is a page.
    pub(super) fn is_page(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        matches!(kind, "text/html" | "application/xhtml+xml")
    }

    /// Whether it says that it is a picture.
    pub(super) fn is_image(&self) -> bool {
        self.content_type.starts_with("image/")
    }
}

/// The address of a page, as clients give it.
pub(super) fn page_address(text: &str) -> Result<Url, PreviewUrlError> {
    let mut url = Url::parse(text).map_err(|_| PreviewUrlError::BadUrl)?;
    url.set_fragment(None);
    if is_web(&url) { Ok(url) } else { Err(PreviewUrlError::BadUrl) }
}

/// Whether it leads to a web server, and names nobody who logs in there.
fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
}

impl Previews {
    /// Fetches what an address leads to. The way to the web refuses private addresses, at each step.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        wanted: Wanted,
    ) -> Result<Fetched, PreviewUrlError> {
        let mut url = url.clone();
        for _ in 0..=PREVIEW_REDIRECTS_MAX {
            self.admit(&url)?;
            let reply =
                self.web.get(self.request(&url, wanted)?).await.map_err(|error| refusal(&error))?;
            if let Some(next) = redirect(&reply, &url) {
                url = next;
                continue;
            }
            if reply.status != StatusCode::OK {
                return Err(PreviewUrlError::Unreachable);
            }
            let content_type = text(&reply.headers, header::CONTENT_TYPE).unwrap_or_default();
            return Ok(Fetched { url, content_type: content_type.to_ascii_lowercase(), reply });
        }
        Err(PreviewUrlError::Unreachable)
    }

    /// Whether the operator lets this host be asked.
    fn admit(&self, url: &Url) -> Result<(), PreviewUrlError> {
        let host = url.host_str().and_then(|host| <&ServerName>::try_from(host).ok());
        let allowed = host.is_some_and(|host| self.settings.hosts.permit(host)) && is_web(url);
        if allowed { Ok(()) } else { Err(PreviewUrlError::NotAllowed) }
    }

    fn request(&self, url: &Url, wanted: Wanted) -> Result<PageRequest, PreviewUrlError> {
        let mut bare = url.clone();
        bare.set_fragment(None);
        let uri: Uri = bare.as_str().parse().map_err(|_| PreviewUrlError::BadUrl)?;
        // A page may turn out to be a picture.
        let pictures = self.settings.image_bytes_max;
        let bytes_max =
            if wanted.page { pictures.max(self.settings.page_bytes_max) } else { pictures };
        Ok(PageRequest {
            uri,
            accept: wanted.accept,
            accept_language: self.settings.languages.clone(),
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        })
    }
}

fn refusal(error: &TransportError) -> PreviewUrlError {
    match error {
        TransportError::Refused => PreviewUrlError::NotAllowed,
        TransportError::Unreachable(_) | TransportError::BadAnswer(_) => {
            PreviewUrlError::Unreachable
        }
    }
}

/// Where an answer leads on to.
fn redirect(reply: &PageReply, from: &Url) -> Option<Url> {
    let redirects = matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = text(&reply.headers, header::LOCATION).filter(|_| redirects)?;
    from.join(location).ok()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
