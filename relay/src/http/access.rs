//! Who may look at numbers, and who may change things.
//!
//! The admin token opens everything. Without it, numbers are shown at the admin address as long as that is loopback, to requests that name
//! this machine as their host: a page of a stranger whose name leads to loopback names another. At the main address they are never shown
//! without the token: behind a proxy on this machine everybody seems to come from here.
//!
//! What changes something wants the token as a bearer. Browsers, which ask a person for a name and a password, may use it as the password to
//! look; they would add it by themselves to what a stranger's page sends, so that is not enough to change anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Response, StatusCode};
use subtle::ConstantTimeEq;

use super::{Body, Door, origin, plain};
use crate::metrics::Refused;
use crate::server::Shared;

/// Who may do what at which address.
pub(crate) struct Access {
    token: Option<String>,
    /// Whether there is an admin address, and whether only this machine reaches it.
    admin: Option<bool>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It is served elsewhere, or not at all.
    NotHere,
    /// The token is missing, or another.
    Token,
}

impl Access {
    pub(crate) const fn new(token: Option<String>, admin: Option<bool>) -> Self {
        Access { token, admin }
    }

    /// Whether somebody may look at numbers.
    pub(crate) fn may_look(&self, headers: &HeaderMap, door: Door) -> Result<(), Denied> {
        self.is_at(door)?;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_here = door == Door::Admin && self.admin == Some(true) && host.is_some_and(origin::is_here);
        if is_here || bearer(headers).or_else(|| password(headers)).is_some_and(|token| self.is_token(&token)) {
            return Ok(());
        }
        Err(if self.token.is_some() { Denied::Token } else { Denied::NotHere })
    }

    /// Whether somebody may use the admin API.
    pub(crate) fn may_change(&self, headers: &HeaderMap, door: Door) -> Result<(), Denied> {
        self.is_at(door)?;
        match &self.token {
            None => Err(Denied::NotHere),
            Some(_) if bearer(headers).is_some_and(|token| self.is_token(&token)) => Ok(()),
            Some(_) => Err(Denied::Token),
        }
    }

    /// Nothing of this is at the main address when there is an admin address.
    fn is_at(&self, door: Door) -> Result<(), Denied> {
        if door == Door::Main && self.admin.is_some() { Err(Denied::NotHere) } else { Ok(()) }
    }

    fn is_token(&self, given: &str) -> bool {
        self.token.as_ref().is_some_and(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())))
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "secret");
        formatter.debug_struct("Access").field("token", &token).field("admin", &self.admin).finish()
    }
}

impl Denied {
    pub(crate) fn answer(self, shared: &Shared) -> Response<Body> {
        match self {
            Denied::NotHere => {
                let text = "not here: see --admin-listen and --admin-token-file\n";
                plain(StatusCode::NOT_FOUND, text)
            }
            Denied::Token => {
                shared.metrics().refused.one(Refused::Admin as usize);
                let mut response = plain(StatusCode::UNAUTHORIZED, "the admin token, please\n");
                let challenge =
                    HeaderValue::from_static("Basic realm=\"weftline-relay: any name, the admin token as password\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn password(headers: &HeaderMap) -> Option<String> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let given = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(given.trim()).ok()).flatten()?;
    Some(String::from_utf8(given).ok()?.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn headers(pairs: &[(hyper::header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn access(token: Option<&str>, admin: Option<bool>) -> Access {
        Access { token: token.map(Into::into), admin }
    }

    #[test]
    fn numbers_are_shown_to_who_is_here_or_has_the_token() {
        let here = headers(&[(HOST, "127.0.0.1:9000")]);
        let rebound = headers(&[(HOST, "evil.example:9000")]);
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{TOKEN}")));
        let browser = headers(&[(HOST, "relay.example"), (AUTHORIZATION, &basic)]);
        let program = headers(&[(HOST, "relay.example"), (AUTHORIZATION, &format!("Bearer {TOKEN}"))]);
        let wrong = headers(&[(HOST, "relay.example"), (AUTHORIZATION, "Bearer 0123456789abcdeF")]);

        // A loopback address for operators.
        let local = access(None, Some(true));
        assert_eq!(local.may_look(&here, Door::Admin), Ok(()));
        assert_eq!(local.may_look(&rebound, Door::Admin), Err(Denied::NotHere));
        assert_eq!(local.may_look(&here, Door::Main), Err(Denied::NotHere));
        assert_eq!(local.may_change(&here, Door::Admin), Err(Denied::NotHere));

        // One that others reach, and no address of its own.
        for (access, door) in [(access(Some(TOKEN), Some(false)), Door::Admin), (access(Some(TOKEN), None), Door::Main)]
        {
            assert_eq!(access.may_look(&here, door), Err(Denied::Token));
            assert_eq!(access.may_look(&wrong, door), Err(Denied::Token));
            assert_eq!(access.may_look(&browser, door), Ok(()));
            assert_eq!(access.may_look(&program, door), Ok(()));
            assert_eq!(access.may_change(&browser, door), Err(Denied::Token));
            assert_eq!(access.may_change(&program, door), Ok(()));
        }
        assert_eq!(access(Some(TOKEN), Some(false)).may_change(&program, Door::Main), Err(Denied::NotHere));
        assert_eq!(access(None, None).may_look(&here, Door::Main), Err(Denied::NotHere));
    }
}
