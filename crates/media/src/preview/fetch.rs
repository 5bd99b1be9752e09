//! Fetching a page or a picture: every address on the way is judged before it is asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use ruma::ServerName;
use url::Url;
use vestibule_remote::{Reply, TransportError, WebRequest, redirect};
use vestibule_types::limits::{PREVIEW_REDIRECTS_MAX, PREVIEW_TIME_MAX};

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
    pub(super) reply: Reply,
    /// Whether only its beginning was read.
    pub(super) cut: bool,
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
            let asked = self.web.beginning(self.request(&url, wanted)?).await;
            let (reply, cut) = asked.map_err(|error| refusal(&error))?;
            let leads_on = redirect(reply.status, &reply.headers);
            if let Some(next) = leads_on.and_then(|location| url.join(location).ok()) {
                url = next;
                continue;
            }
            if reply.status != StatusCode::OK {
                return Err(PreviewUrlError::Unreachable);
            }
            let content_type = text(&reply.headers, header::CONTENT_TYPE).unwrap_or_default();
            return Ok(Fetched {
                url,
                content_type: content_type.to_ascii_lowercase(),
                reply,
                cut,
            });
        }
        Err(PreviewUrlError::Unreachable)
    }

    /// Whether the operator lets this host be asked.
    fn admit(&self, url: &Url) -> Result<(), PreviewUrlError> {
        let host = url.host_str().and_then(|host| <&ServerName>::try_from(host).ok());
        let allowed = host.is_some_and(|host| self.settings.hosts.permit(host)) && is_web(url);
        if allowed { Ok(()) } else { Err(PreviewUrlError::NotAllowed) }
    }

    fn request(&self, url: &Url, wanted: Wanted) -> Result<WebRequest, PreviewUrlError> {
        let mut bare = url.clone();
        bare.set_fragment(None);
        let uri: Uri = bare.as_str().parse().map_err(|_| PreviewUrlError::BadUrl)?;
        // A page may turn out to be a picture.
        let pictures = self.settings.image_bytes_max;
        let bytes_max =
            if wanted.page { pictures.max(self.settings.page_bytes_max) } else { pictures };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(wanted.accept));
        if let Some(languages) = &self.settings.languages {
            let languages = HeaderValue::try_from(languages);
            headers.extend(languages.map(|it| (header::ACCEPT_LANGUAGE, it)));
        }
        Ok(WebRequest {
            method: Method::GET,
            url: uri,
            headers,
            body: Bytes::new(),
            answer_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            time_max: PREVIEW_TIME_MAX,
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

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
