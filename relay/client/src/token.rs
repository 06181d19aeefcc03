//! Where tokens come from: what says to the relay who this is and what it may do.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type Asked = Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send>>;

/// One token for as long as the replica lives, or somebody who is asked for one.
#[derive(Clone)]
pub(crate) enum TokenSource {
    /// The same every time.
    Fixed(String),
    /// A new one every time, most likely.
    Asked(Arc<dyn Fn() -> Asked + Send + Sync>),
}

impl TokenSource {
    /// A source that asks.
    pub(crate) fn asking<F, Fut, E>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::Asked(Arc::new(move || {
            let asked = ask();
            Box::pin(async move { asked.await.map_err(Into::into) })
        }))
    }

    /// Gets a token.
    pub(crate) async fn get(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Asked(ask) => ask().await,
        }
    }

    /// Whether asking again may give another one.
    pub(crate) const fn is_renewable(&self) -> bool {
        matches!(self, Self::Asked(_))
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token is a secret.
        formatter.write_str(if self.is_renewable() { "Asked" } else { "Fixed" })
    }
}
