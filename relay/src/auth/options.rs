//! What can be set about who may do what. Without `--auth-keys` there is no authentication, and all the rest says nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::pattern::Pattern;
use crate::config::parse_time;

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[non_exhaustive]
pub struct AuthOptions {
    /// The keys that tokens are signed with: JSON Web Keys (Ed25519, or `oct` for HS256), a PEM key of Ed25519, or a bare secret of 32
    /// bytes at least. Whoever connects needs a token then. The file is read again when it changes, and on SIGHUP; see `keygen`
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_KEYS", value_name = "FILE")]
    pub auth_keys: Option<PathBuf>,

    /// The name of this relay in the `aud` of tokens, which is required then. Without it, tokens that name an audience are refused
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_AUDIENCE", value_name = "NAME", requires = "auth_keys")]
    pub auth_audience: Option<String>,

    /// How far clocks may differ: a token counts so long before its `nbf` and after its `exp`. So a live connection has this long to bring
    /// another token, after it was asked for one a minute before
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_LEEWAY", value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub auth_leeway: Duration,

    /// The longest that a token may still count. What was stolen is useless after that, and what was revoked is forgotten
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_LONGEST", value_name = "TIME", default_value = "24h", value_parser = parse_time)]
    pub auth_longest: Duration,

    /// Where revocations are kept, so that they outlive the relay. Without it a relay that starts again has forgotten them
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_REVOCATIONS", value_name = "FILE", requires = "auth_keys")]
    pub auth_revocations: Option<PathBuf>,

    /// Ask this address about each document that a token allows: it is sent the claims and the document's name, and answers whether, and
    /// with which lower limits. Without an answer nothing is opened. An answer counts as long as the token
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_WEBHOOK", value_name = "URL", requires = "auth_keys")]
    pub auth_webhook: Option<String>,

    /// What the webhook is sent as `Authorization: Bearer`, so that it knows who asks: the first line of this file
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_WEBHOOK_SECRET", value_name = "FILE", requires = "auth_webhook")]
    pub auth_webhook_secret: Option<PathBuf>,

    /// How long the webhook may take. The connection that waits for it says nothing else meanwhile
    #[arg(long, env = "WEFTLINE_RELAY_AUTH_WEBHOOK_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub auth_webhook_timeout: Duration,

    /// Documents that may be read without a token: a name, or a beginning of names with a `*` at the end; repeatable
    #[arg(
        long,
        env = "WEFTLINE_RELAY_AUTH_ANONYMOUS_READ",
        value_name = "PATTERN",
        value_delimiter = ',',
        requires = "auth_keys"
    )]
    pub auth_anonymous_read: Vec<Pattern>,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            auth_keys: None,
            auth_audience: None,
            auth_leeway: Duration::from_secs(30),
            auth_longest: Duration::from_secs(86_400),
            auth_revocations: None,
            auth_webhook: None,
            auth_webhook_secret: None,
            auth_webhook_timeout: Duration::from_secs(5),
            auth_anonymous_read: Vec::new(),
        }
    }
}
