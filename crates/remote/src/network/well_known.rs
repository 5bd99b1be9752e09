//! Delegation: `https://<host>/.well-known/matrix/server` (server-server API, "Resolving server
//! names", step 3).

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::Full;
use ruma::OwnedServerName;
use serde::Deserialize;
use vestibule_types::{
    Environment,
    limits::{
        WELL_KNOWN_AGE_DEFAULT, WELL_KNOWN_AGE_MAX, WELL_KNOWN_AGE_MIN, WELL_KNOWN_BYTES_MAX,
        WELL_KNOWN_FETCH_MAX, WELL_KNOWN_REDIRECTS_MAX,
    },
};

use super::{authority::Authority, client::HttpClient};
use crate::Reply;

/// Where the file lies.
const PATH: &str = "/.well-known/matrix/server";

/// What a host says of its delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// Another authority stands for it.
    Delegated {
        /// Which one.
        to: Authority,
        /// How long that holds.
        age: Duration,
    },
    /// It delegates nothing, for this reason.
    Absent(String),
    /// It could not be asked, for this reason.
    Failed(String),
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "m.server")]
    server: OwnedServerName,
}

/// Fetches the file, following redirects.
pub(crate) async fn fetch(client: &HttpClient, environment: &Environment, host: &str) -> Fetched {
    let late = environment.clock.sleep(WELL_KNOWN_FETCH_MAX);
    tokio::select! {
        biased;
        fetched = follow(client, environment, host) => fetched,
        () = late => Fetched::Failed("no answer in time".to_owned()),
    }
}

async fn follow(client: &HttpClient, environment: &Environment, host: &str) -> Fetched {
    let Ok(mut uri) = format!("https://{host}{PATH}").parse::<Uri>() else {
        return Fetched::Absent(format!("{host} cannot be part of a URL"));
    };
    let mut seen = BTreeSet::new();
    for _ in 0..=WELL_KNOWN_REDIRECTS_MAX {
        if !seen.insert(uri.to_string()) {
            return Fetched::Absent(format!("the redirects go round in circles at {uri}"));
        }
        let mut request = Request::new(Full::new(Bytes::new()));
        uri.clone_into(request.uri_mut());
        let reply = match client.send(request, WELL_KNOWN_BYTES_MAX).await {
            Ok(reply) => reply,
            Err(error) => return Fetched::Failed(format!("{uri}: {error}")),
        };
        if !is_redirect(reply.status) {
            return judge(&uri, &reply, environment.now_ms());
        }
        uri = match redirected(&uri, &reply.headers) {
            Ok(next) => next,
            Err(reason) => return Fetched::Absent(reason),
        };
    }
    Fetched::Absent(format!("more than {WELL_KNOWN_REDIRECTS_MAX} redirects"))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads: a whole `https` URL, or a path on the same host.
fn redirected(from: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| format!("{from} redirects to nowhere"))?;
    let refused = || format!("{from} redirects to {location:?}, which is not followed");
    let mut parts = location.parse::<Uri>().map_err(|_| refused())?.into_parts();
    let path_alone = location.starts_with('/') && !location.starts_with("//");
    if parts.scheme.is_none() && parts.authority.is_none() && path_alone {
        parts.scheme = from.scheme().cloned();
        parts.authority = from.authority().cloned();
    }
    let next = Uri::from_parts(parts).map_err(|_| refused())?;
    let host = next.authority().and_then(Authority::of_uri);
    if next.scheme() == Some(&Scheme::HTTPS) && host.is_some() { Ok(next) } else { Err(refused()) }
}

fn judge(uri: &Uri, reply: &Reply, now_ms: u64) -> Fetched {
    if reply.status.is_server_error() {
        return Fetched::Failed(format!("{uri} answered {}", reply.status));
    }
    if reply.status != StatusCode::OK {
        return Fetched::Absent(format!("{uri} answered {}", reply.status));
    }
    match serde_json::from_slice::<File>(&reply.body) {
        Ok(file) => Fetched::Delegated {
            to: Authority::of_server(&file.server),
            age: age(&reply.headers, now_ms),
        },
        Err(error) => Fetched::Absent(format!("{uri} holds no valid m.server: {error}")),
    }
}

/// How long the answer says it holds, within our bounds.
fn age(headers: &HeaderMap, now_ms: u64) -> Duration {
    let stated = cache_control(headers).or_else(|| expires(headers, now_ms));
    stated.unwrap_or(WELL_KNOWN_AGE_DEFAULT).clamp(WELL_KNOWN_AGE_MIN, WELL_KNOWN_AGE_MAX)
}

fn cache_control(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|it| it.to_str().ok());
    let directives: Vec<String> =
        values.flat_map(|it| it.split(',')).map(|it| it.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|it| it == "no-store" || it == "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = directives.iter().find_map(|it| it.strip_prefix("max-age="))?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}

fn expires(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let value = headers.get(header::EXPIRES)?.to_str().ok()?;
    // An invalid date, `0` above all, lies in the past (RFC 9111, 5.3).
    let at = httpdate::parse_http_date(value).ok();
    let since = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Some(since.saturating_sub(Duration::from_millis(now_ms)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_age_is_what_the_answer_says_within_bounds() {
        // 1994-11-06T08:49:37Z
        let now_ms = 784_111_777_000;
        for (lines, hours) in [
            (&[][..], 24.0),
            (&[("cache-control", "public, max-age=7200")], 2.0),
            (&[("cache-control", "Max-Age=\"7200\"")], 2.0),
            (&[("cache-control", "max-age=999999999")], 48.0),
            (&[("cache-control", "max-age=0")], 1.0 / 12.0),
            (&[("cache-control", "no-store")], 1.0 / 12.0),
            (&[("expires", "Sun, 06 Nov 1994 11:49:37 GMT")], 3.0),
            (&[("expires", "0")], 1.0 / 12.0),
            (&[("cache-control", "max-age=x")], 24.0),
            (&[("cache-control", "max-age=3600"), ("expires", "0")], 1.0),
        ] {
            let age = age(&headers(lines), now_ms).as_secs_f64() / 3600.0;
            assert!((age - hours).abs() < 1e-9, "{lines:?} gives {age} h");
        }
    }

    #[test]
    fn a_redirect_leads_to_https_only() {
        let from: Uri = "https://a.example/.well-known/matrix/server".parse().unwrap();
        let to = |location| redirected(&from, &headers(&[("location", location)]));
        assert_eq!(to("/x?y").unwrap(), "https://a.example/x?y");
        assert_eq!(to("https://b.example:444/x").unwrap(), "https://b.example:444/x");
        for refused in
            ["http://b.example/", "https://me@b.example/", "file:///etc", "b", "//b/x", ""]
        {
            to(refused).unwrap_err();
        }
        redirected(&from, &HeaderMap::new()).unwrap_err();
    }
}
