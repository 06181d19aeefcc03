//! `weftline-relay token`: makes a token, for development. In production the application's own server makes them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use weftline::ReplicaId;
use weftline_relay::auth::claims::{Access, Audience, Claims, Replicas, TokenLimits};
use weftline_relay::auth::keys::{KeyError, Keys};
use weftline_relay::auth::pattern::Pattern;
use weftline_relay::auth::token::mint;
use weftline_relay::config::parse_time;

/// Print a token signed with a key of `keygen`, for development
#[derive(Debug, Args)]
pub(super) struct Token {
    /// The file with the key: what `keygen` wrote, a PEM private key of Ed25519, or a secret
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Which key of the file to sign with; the last one if it is not given
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,

    /// Whose token it is
    #[arg(long, value_name = "NAME")]
    sub: String,

    /// A document that may be read, or a beginning of names with a `*` at the end; repeatable
    #[arg(long, value_name = "PATTERN", required = true)]
    document: Vec<Pattern>,

    /// These documents may also be written
    #[arg(long)]
    write: bool,

    /// For how long the token counts
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    expires: Duration,

    /// For which relay: what that has as --auth-audience
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,

    /// The id of the token, to be revoked by
    #[arg(long, value_name = "NAME")]
    jti: Option<String>,

    /// The bearer is not shown to others
    #[arg(long)]
    no_presence: bool,

    /// How many replica ids the subject may bring to a document
    #[arg(long, value_name = "COUNT")]
    new_replicas: Option<usize>,

    /// The only replica ids that deltas are taken of; repeatable
    #[arg(long, value_name = "ID")]
    replica: Vec<ReplicaId>,

    /// The most documents open at a time on a connection
    #[arg(long, value_name = "COUNT")]
    max_documents: Option<usize>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}: {source}", file.display())]
    Keys { file: PathBuf, source: KeyError },
}

impl Token {
    pub(super) fn run(self) -> Result<(), TokenError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        println!("{}", self.mint(now)?);
        Ok(())
    }

    fn mint(self, now_s: u64) -> Result<String, TokenError> {
        let file = self.key.clone();
        let bytes = fs::read(&file).map_err(|source| TokenError::File { file: file.clone(), source })?;
        let keys_error = |source| TokenError::Keys { file: file.clone(), source };
        let keys = Keys::parse(&bytes).map_err(keys_error)?;
        let kid = self.kid.clone();
        mint(&self.claims(now_s), &keys, kid.as_deref()).map_err(keys_error)
    }

    fn claims(self, now_s: u64) -> Claims {
        let access = if self.write { Access::Write } else { Access::Read };
        let mut claims = Claims::new(self.sub, now_s.saturating_add(self.expires.as_secs()));
        claims.iat = Some(now_s);
        claims.jti = self.jti;
        claims.aud = Audience(self.audience.into_iter().collect());
        claims.documents = self.document.into_iter().map(|pattern| (pattern, access)).collect();
        claims.presence = !self.no_presence;
        let only = Some(self.replica).filter(|ids| !ids.is_empty()).map(Into::into);
        claims.replicas = Replicas { new: self.new_replicas, only };
        claims.limits = TokenLimits { max_documents: self.max_documents, ..TokenLimits::default() };
        claims
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use weftline_relay::auth::keys::{Algorithm, Minted};
    use weftline_relay::auth::token::{Rules, verify};

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        token: Token,
    }

    #[test]
    fn a_minted_token_is_what_the_relay_takes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        let minted = Minted::new(Algorithm::EdDsa, "k", [5; 32], None).unwrap();
        fs::write(&file, &minted.private).unwrap();
        let arguments = format!(
            "token --key {} --sub alice --document todo/* --document news --write --expires 10m --audience us --jti 1 \
             --no-presence --new-replicas 3 --replica 0123456789abcdef0123456789abcdef --max-documents 2",
            file.display()
        );
        let token = Only::try_parse_from(arguments.split(' ')).unwrap().token.mint(1_000_000).unwrap();
        let keys = Keys::parse(minted.public.unwrap().as_bytes()).unwrap();
        let rules = Rules { audience: Some("us".into()), leeway_s: 0, longest_s: 600 };
        let claims = verify(token.as_bytes(), &keys, &rules, 1_000_000).unwrap();
        assert_eq!((claims.sub.as_str(), claims.exp, claims.iat), ("alice", 1_000_600, Some(1_000_000)));
        assert_eq!((claims.access("todo/x"), claims.access("x")), (Some(Access::Write), None));
        assert_eq!((claims.presence, claims.replicas.new, claims.limits.max_documents), (false, Some(3), Some(2)));
    }

    #[test]
    fn the_public_half_makes_no_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json.pub");
        let minted = Minted::new(Algorithm::EdDsa, "k", [5; 32], None).unwrap();
        fs::write(&file, minted.public.unwrap()).unwrap();
        let arguments = format!("token --key {} --sub alice --document d", file.display());
        let error = Only::try_parse_from(arguments.split(' ')).unwrap().token.mint(0).unwrap_err();
        assert!(error.to_string().contains("public half"), "{error}");
    }
}
