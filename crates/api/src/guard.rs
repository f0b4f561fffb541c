//! Who may call a server that asks for no token: nobody who comes through a
//! web page of somebody else. The `Host` header must carry a name of this
//! server (a page whose name was re-pointed at it does not know one), `Origin`
//! must be the server's own, and `Sec-Fetch-Site` must not say `cross-site`.
//! Never reads a body; `body` sees to it that forms are refused.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};

use crate::error::ApiError;
use crate::extract::shortened;

/// The names that a loopback server always has.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

/// The names and origins that are this server's own.
pub(crate) struct Access {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Access {
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Self {
        let plain = |text: &String| text.trim().trim_end_matches('/').to_ascii_lowercase();
        Self {
            hosts: hosts.iter().map(plain).collect(),
            origins: origins.iter().map(plain).collect(),
        }
    }

    /// Refuses what a page of somebody else may have sent.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        let headers = request.headers();
        let host = self.check_host(request.uri(), headers)?;
        let trusted = self.check_origin(&host, headers)?;
        if trusted {
            return Ok(());
        }
        check_fetch_site(request.method(), headers)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, ApiError> {
        let mut given = headers.get_all(HOST).iter();
        let (host, more) = (given.next(), given.next());
        let host = match host {
            Some(value) if more.is_none() => Authority::try_from(value.as_bytes()).ok(),
            _ => None,
        };
        let Some(host) = host.filter(|host| !host.as_str().contains('@')) else {
            return Err(ApiError::malformed(
                "bad_host",
                "the request needs one `Host` header with the name of this server",
            ));
        };
        for authority in [Some(&host), uri.authority()].into_iter().flatten() {
            if !self.knows(authority.host()) {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "host_not_allowed",
                    format!(
                        "`{}` is no name of this server; if it should be, add it to \
                         `allowedHosts` in the server's configuration",
                        shortened(authority.host())
                    ),
                ));
            }
        }
        Ok(host)
    }

    /// True when the origin is one that an admin named.
    fn check_origin(&self, host: &Authority, headers: &HeaderMap) -> Result<bool, ApiError> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(false);
        };
        let origin = String::from_utf8_lossy(origin.as_bytes()).to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return Ok(true);
        }
        if self.is_own(&origin, host) {
            return Ok(false);
        }
        Err(refused(format!(
            "a page of `{}` may not call this server",
            shortened(&origin)
        )))
    }

    fn is_own(&self, origin: &str, host: &Authority) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        if authority.eq_ignore_ascii_case(host.as_str()) {
            return true;
        }
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        // The loopback names are one server as long as the port is the same.
        is_loopback(authority.host())
            && is_loopback(host.host())
            && authority.port_u16().unwrap_or(default_port) == host.port_u16().unwrap_or(80)
    }

    fn knows(&self, host: &str) -> bool {
        is_loopback(host)
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host))
    }
}

fn is_loopback(host: &str) -> bool {
    LOOPBACK.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A link or a typed address may open a page of ours; all else that a browser
/// calls cross-site is somebody else's page at work.
fn check_fetch_site(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    if !says(SEC_FETCH_SITE, "cross-site") {
        return Ok(());
    }
    let opened =
        method.is_safe() && says(SEC_FETCH_MODE, "navigate") && says(SEC_FETCH_DEST, "document");
    if opened {
        return Ok(());
    }
    Err(refused(
        "a page of another site may not call this server".to_owned(),
    ))
}

fn refused(error: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", error)
}
