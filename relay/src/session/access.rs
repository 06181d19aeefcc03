//! What a connection may do: the token that it came with, or has said since, and when that ends.
//!
//! A relay that wants no tokens has none of this, and a connection of it costs a pointer. Elsewhere whatever has to be waited for, the keys' file
//! or the webhook, is one piece of *work* at a time, and nothing more is read from the client until it is done: so what a client says
//! after its token is judged by that token, in the order in which it was said, and nothing queues.
//!
//! A token is asked for again before it ends. One that is not replaced, that is revoked, or whose key goes, ends the connection, with a
//! reason that a client answers with another token. One that allows less closes what it does not allow and takes the rest over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;
use weftline::sync::{Close, CloseReason, Open, Retry};

use super::Credentials;
use crate::auth::token::Refusal;
use crate::auth::{Authority, Barred, Grant, Permission};
use crate::limits::{ConnectionLimits, Doors, Place};
use crate::room::Rights;

/// A token is asked for so long before its end, or when three quarters of its time are over.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Who could not be told whether a document is allowed comes back within this time.
const UNAVAILABLE_MS: u32 = 5_000;

/// What came of it.
#[derive(Debug)]
pub(super) enum News {
    /// A document may be opened, or not.
    Opened { channel: u64, open: Box<Open>, permission: Result<Permission, Close> },
    /// There is a token, and these are the limits by it: what is open is to be looked at again, by [`Access::review`].
    Admitted { limits: ConnectionLimits, subject: Arc<str> },
    /// What is open may stay so, with these rights, or not.
    Reviewed(Vec<(u64, Result<Permission, Close>)>),
    /// The token ends soon.
    Renew,
    /// The connection is to end.
    End { close: Close, why: String },
}

/// See the module.
pub(super) struct Access<'a>(Option<Box<Guarded<'a>>>);

struct Guarded<'a> {
    doors: &'a Doors,
    /// What a connection may do at most.
    limits: ConnectionLimits,
    authority: Arc<Authority>,
    /// Resolves when a key or a revocation has changed.
    changed: BoxFuture<'static, watch::Receiver<u64>>,
    grant: Option<Arc<Grant>>,
    /// Among the connections of its subject.
    place: Option<Place<Arc<str>>>,
    /// When the grant ends; without one, when there must be one, or something open that needs none.
    until: Option<Instant>,
    /// When to ask for the next token.
    renew: Option<Instant>,
    /// Rings at the earlier of the two.
    timer: Pin<Box<Sleep>>,
    work: Option<BoxFuture<'static, Done>>,
}

enum Done {
    Verified(Result<Arc<Grant>, Refusal>),
    News(News),
}

impl<'a> Access<'a> {
    /// For a connection that has just come up, with what it said in its upgrade request. Without a token, or a document that needs none,
    /// it has so long to bring one.
    pub(super) fn new(credentials: Credentials<'a>, limits: &ConnectionLimits, within: Duration) -> Self {
        let Credentials { authority, doors, bearer, .. } = credentials;
        let Some(authority) = authority else { return Self(None) };
        let mut access = Self(Some(Box::new(Guarded {
            doors,
            limits: limits.clone(),
            authority: Arc::clone(authority),
            changed: changed(authority.changes()),
            grant: None,
            place: None,
            until: Some(Instant::now() + within),
            renew: None,
            timer: Box::pin(sleep_until(Instant::now() + within)),
            work: None,
        })));
        if let Some(token) = bearer {
            access.token(token);
        }
        access
    }

    /// Whether something is under way, so that nothing more may be read.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|guarded| guarded.work.is_some())
    }

    /// The client has said a token. Where none is wanted, that is of no interest.
    pub(super) fn token(&mut self, token: Vec<u8>) {
        let Some(guarded) = &mut self.0 else { return };
        let authority = Arc::clone(&guarded.authority);
        guarded.work = Some(async move { Done::Verified(authority.admit(&token).await) }.boxed());
    }

    /// The client opens a document. What it may do with it is given at once, or is news.
    pub(super) fn open(&mut self, channel: u64, open: Box<Open>) -> Option<(Box<Open>, Rights)> {
        let Some(guarded) = &mut self.0 else { return Some((open, Rights::ALL)) };
        let (authority, grant) = (Arc::clone(&guarded.authority), guarded.grant.clone());
        let ask = async move {
            let permission = authority.permission(grant.as_deref(), &open.document).await.map_err(close_for);
            Done::News(News::Opened { channel, open, permission })
        };
        guarded.work = Some(ask.boxed());
        None
    }

    /// Looks at what is open by the token that there is now.
    pub(super) fn review(&mut self, open: Vec<(u64, Arc<str>)>) {
        let Some(guarded) = self.0.as_mut().filter(|_| !open.is_empty()) else { return };
        let (authority, grant) = (Arc::clone(&guarded.authority), guarded.grant.clone());
        let ask = async move {
            let permissions = open.iter().map(|(channel, document)| {
                let permission = authority.permission(grant.as_deref(), document);
                permission.map(|permission| (*channel, permission.map_err(close_for)))
            });
            Done::News(News::Reviewed(join_all(permissions).await))
        };
        guarded.work = Some(ask.boxed());
    }

    /// Whether there is news; none ever, where no tokens are wanted. `is_used` says whether anything is open.
    pub(super) fn poll_news(&mut self, context: &mut Context<'_>, is_used: bool) -> Poll<News> {
        match &mut self.0 {
            Some(guarded) => guarded.poll_news(context, is_used),
            None => Poll::Pending,
        }
    }
}

impl Guarded<'_> {
    fn poll_news(&mut self, context: &mut Context<'_>, is_used: bool) -> Poll<News> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(done) = work.as_mut().poll(context)
        {
            self.work = None;
            return Poll::Ready(match done {
                Done::News(news) => news,
                Done::Verified(Err(refusal)) => end(&refusal),
                Done::Verified(Ok(new)) => self.take(new),
            });
        }
        while let Poll::Ready(changes) = self.changed.as_mut().poll(context) {
            self.changed = changed(changes);
            if let Some(Err(refusal)) = self.grant.as_ref().map(|grant| self.authority.stands(grant)) {
                return Poll::Ready(end(&refusal));
            }
        }
        while let Some(due) = self.until.into_iter().chain(self.renew).min() {
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(context));
            if self.renew == Some(due) {
                self.renew = None;
                return Poll::Ready(News::Renew);
            }
            self.until = None;
            match &self.grant {
                Some(grant) => {
                    debug!(subject = %grant.claims.sub, "no other token came in time");
                    return Poll::Ready(end(&Refusal::Expired { ago_s: self.authority.leeway_s() }));
                }
                None if is_used => {}
                None => {
                    let close = Close { reason: CloseReason::Token, retry: Retry::NEVER };
                    return Poll::Ready(News::End { close, why: "no token came".into() });
                }
            }
        }
        Poll::Pending
    }

    fn take(&mut self, new: Arc<Grant>) -> News {
        let before = self.grant.as_ref().map(|grant| &grant.claims);
        if before.is_some_and(|before| before.sub != new.claims.sub) {
            return end(&Refusal::OtherSubject);
        }
        if self.place.is_none() {
            match self.doors.subject(&new.subject) {
                Ok(place) => self.place = Some(place),
                Err(_) => {
                    let close = Doors::full(getrandom::u32().unwrap_or_default());
                    return News::End { close, why: "too many connections of this subject".into() };
                }
            }
        }
        let is_longer = before.is_none_or(|before| before.exp < new.claims.exp);
        let (now, left) = (Instant::now(), self.authority.left(&new));
        self.until = Some(now + left);
        // One that lasts no longer is all that the client has.
        if is_longer {
            let counts = left.saturating_sub(Duration::from_secs(self.authority.leeway_s()));
            self.renew = Some(now + counts - RENEW_BEFORE.min(counts / 4));
        }
        let limits = self.limits.lowered(&new.claims.limits);
        let subject = Arc::clone(&new.subject);
        self.grant = Some(new);
        News::Admitted { limits, subject }
    }
}

fn changed(mut changes: watch::Receiver<u64>) -> BoxFuture<'static, watch::Receiver<u64>> {
    let wait = async move {
        // An error means that the relay was dropped, which stops it too.
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        changes
    };
    wait.boxed()
}

/// What is said of a token that is refused. Another one may be better, so whoever can get one comes back with it.
fn end(refusal: &Refusal) -> News {
    let reason = match refusal {
        Refusal::Expired { .. } => CloseReason::Expired,
        Refusal::Revoked => CloseReason::Revoked,
        _ => CloseReason::Token,
    };
    News::End { close: Close { reason, retry: Retry::BACKOFF }, why: refusal.to_string() }
}

fn close_for(barred: Barred) -> Close {
    match barred {
        Barred::NoToken => Close { reason: CloseReason::Token, retry: Retry::NEVER },
        Barred::Denied => Close { reason: CloseReason::Denied, retry: Retry::NEVER },
        Barred::Unavailable => {
            Close { reason: CloseReason::Restart, retry: Retry::after_ms(super::jitter(UNAVAILABLE_MS)) }
        }
    }
}
