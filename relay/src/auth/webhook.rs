//! Asking the application's own server about a document, beyond what the token says.
//!
//! A question is a POST of `{"claims": {…}, "document": "todo/home"}`; the answer is 200 and
//! `{"allow": true, "access": "read", "presence": false, "limits": {"max_documents": 3}}`, all but `allow` optional, and can only lower what
//! the token allows; or 401 or 403, which is no. Whatever else comes, or does not come in time, opens nothing (it fails closed), and is
//! not remembered: whoever asked is told to come back. A yes counts for as long as the token, a no for ten seconds, so that a crowd that
//! is refused does not become one at the application's door.
//!
//! Every question has a connection of its own, so many at a time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::claims::{Access, Claims, TokenLimits};

/// Questions that may be under way at a time; more wait, for no longer than an answer may take.
const AT_A_TIME: usize = 64;

/// The longest answer.
const MAX_ANSWER: usize = 16 << 10;

/// How long a no is remembered, in seconds.
const NO_FOR_S: u64 = 10;

/// How many bytes of questions are remembered with their answers.
const REMEMBERED: usize = 16 << 20;

/// What the webhook says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) allow: bool,
    #[serde(default)]
    pub(super) access: Option<Access>,
    #[serde(default)]
    pub(super) presence: Option<bool>,
    #[serde(default)]
    pub(super) limits: TokenLimits,
}

impl Answer {
    fn no() -> Self {
        Self { allow: false, access: None, presence: None, limits: TokenLimits::default() }
    }
}

/// Why there is no answer. Nothing of what was asked is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    #[error("it does not speak HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is too long, or breaks off")]
    Body,
    #[error("its answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("it does not answer in time")]
    Slow,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not an address.
    #[error("--auth-webhook must be an address such as https://app.example/weftline or http://127.0.0.1:3000/weftline")]
    Address,
    /// What cannot be the value of a header.
    #[error("--auth-webhook-secret holds what cannot be sent in a header")]
    Secret,
    /// Nobody here says whom to trust.
    #[error(
        "--auth-webhook: no root certificates are installed on this machine; SSL_CERT_FILE may name a file of them"
    )]
    NoRoots,
    /// Encryption does not work here.
    #[error("--auth-webhook: {0}")]
    Tls(#[from] rustls::Error),
}

/// A connection to the webhook.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How a server is reached: the one place where it matters whether that is encrypted.
pub(super) trait Dial: Send + Sync + std::fmt::Debug {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Wire>>>;
}

/// Without encryption: on this machine, or on a network of one's own.
#[derive(Debug)]
struct Plain;

impl Dial for Plain {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Wire>>> {
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        }
        .boxed()
    }
}

/// Encrypted, with a server whose certificate the machine trusts.
struct Encrypted(TlsConnector);

impl Encrypted {
    fn new() -> Result<Self, AddressError> {
        let mut roots = RootCertStore::empty();
        // Of what cannot be read nothing is trusted, and that is all there is to it.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() { Err(AddressError::NoRoots) } else { Self::trusting(roots) }
    }

    fn trusting(roots: RootCertStore) -> Result<Self, AddressError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(Arc::new(config).into()))
    }
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Encrypted")
    }
}

impl Dial for Encrypted {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Wire>>> {
        async move {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let wire = Plain.dial(host, port).await?;
            Ok(Box::new(self.0.connect(name, wire).await?) as Box<dyn Wire>)
        }
        .boxed()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Webhook {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
    dial: Box<dyn Dial>,
    secret: Option<HeaderValue>,
    limit: Duration,
    places: Semaphore,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// By question: the answer, and until when it counts.
    answers: BTreeMap<String, (Answer, u64)>,
    bytes: usize,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: Option<&str>, limit: Duration) -> Result<Self, AddressError> {
        let uri: Uri = url.parse().map_err(|_| AddressError::Address)?;
        let (dial, usual_port): (Box<dyn Dial>, _) = match uri.scheme_str() {
            Some("http") => (Box::new(Plain), 80),
            Some("https") => (Box::new(Encrypted::new()?), 443),
            _ => return Err(AddressError::Address),
        };
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(AddressError::Address)?;
        let secret = secret.map(|secret| {
            let mut header = HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| AddressError::Secret)?;
            header.set_sensitive(true);
            Ok::<_, AddressError>(header)
        });
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(usual_port),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| AddressError::Address)?,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            dial,
            secret: secret.transpose()?,
            limit,
            places: Semaphore::new(AT_A_TIME),
            remembered: Mutex::default(),
        })
    }

    /// Asks, or remembers. `until_s` is when the token ends.
    pub(super) async fn ask(
        &self,
        claims: &Claims,
        document: &str,
        until_s: u64,
        now_s: u64,
    ) -> Result<Answer, WebhookError> {
        let question = serde_json::json!({ "claims": claims, "document": document }).to_string();
        if let Some(answer) = self.remember(&question, now_s) {
            return Ok(answer);
        }
        let asked = timeout(self.limit, async {
            let _place = self.places.acquire().await.expect("the semaphore is never closed");
            self.post(question.clone()).await
        });
        let answer = asked.await.map_err(|_| WebhookError::Slow)??;
        let until_s = if answer.allow { until_s } else { until_s.min(now_s + NO_FOR_S) };
        self.note(question, answer.clone(), until_s, now_s);
        Ok(answer)
    }

    async fn post(&self, question: String) -> Result<Answer, WebhookError> {
        let wire = self.dial.dial(&self.host, self.port).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(wire)).await?;
        let mut request = Request::new(question);
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.path.parse().expect("it was part of an address");
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secret) = &self.secret {
            headers.insert(AUTHORIZATION, secret.clone());
        }
        let answer = async {
            let response = sender.send_request(request).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(Answer::no()),
                other => return Err(WebhookError::Status(other)),
            }
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok(serde_json::from_slice(&body.map_err(|_| WebhookError::Body)?.to_bytes())?)
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection's own end only matters when it comes before the answer, and then the answer says so.
            _ = connection => answer.await,
        }
    }

    fn remember(&self, question: &str, now_s: u64) -> Option<Answer> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.answers.get(question).filter(|(_, until)| now_s < *until).map(|(answer, _)| answer.clone())
    }

    fn note(&self, question: String, answer: Answer, until_s: u64, now_s: u64) {
        let remembered = &mut *self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.bytes > REMEMBERED {
            remembered.answers.retain(|_, (_, until)| now_s < *until);
            remembered.bytes = remembered.answers.keys().map(String::len).sum();
        }
        // So many that all count: it is only the application that is asked again.
        if remembered.bytes > REMEMBERED {
            *remembered = Remembered::default();
        }
        let len = question.len();
        if remembered.answers.insert(question, (answer, until_s)).is_none() {
            remembered.bytes += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers everything with this, and counts; gives what it was asked last.
    async fn server(answer: &'static str) -> (String, Arc<AtomicUsize>, Arc<Mutex<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
        let (asked, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (count, heard) = (Arc::clone(&asked), Arc::clone(&last));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut bytes = vec![0; 4096];
                let mut len = 0;
                while !String::from_utf8_lossy(&bytes[..len]).contains("\"document\":") {
                    len += stream.read(&mut bytes[len..]).await.unwrap();
                }
                *heard.lock().unwrap() = String::from_utf8_lossy(&bytes[..len]).into_owned();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, asked, last)
    }

    async fn ask(url: &str) -> Result<Answer, WebhookError> {
        let webhook = Webhook::new(url, None, Duration::from_secs(30)).unwrap();
        webhook.ask(&Claims::new("alice", 100), "d", 100, 0).await
    }

    #[tokio::test]
    async fn a_yes_counts_as_long_as_the_token_and_a_no_for_a_moment() {
        let yes = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"allow\":true,\"access\":\"read\"}          ";
        let (url, asked, last) = server(yes).await;
        let webhook = Webhook::new(&url, Some("s3cret"), Duration::from_secs(30)).unwrap();
        let alice = Claims::new("alice", 100);
        for now_s in [0, 50, 99] {
            let answer = webhook.ask(&alice, "d", 100, now_s).await.unwrap();
            assert_eq!((answer.allow, answer.access), (true, Some(Access::Read)));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        for (claims, document, now_s) in [(&alice, "e", 0), (&Claims::new("bob", 100), "d", 0), (&alice, "d", 100)] {
            webhook.ask(claims, document, 200, now_s).await.unwrap();
        }
        assert_eq!(asked.load(Ordering::SeqCst), 4, "another question, or too late");
        let request = last.lock().unwrap().clone();
        assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
        assert!(request.contains(r#""sub":"alice""#) && request.contains(r#""document":"d""#), "{request}");

        let (url, asked, _) = server("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        let webhook = Webhook::new(&url, None, Duration::from_secs(30)).unwrap();
        for (now_s, expected) in [(0, 1), (9, 1), (10, 2)] {
            assert!(!webhook.ask(&alice, "d", 100, now_s).await.unwrap().allow);
            assert_eq!(asked.load(Ordering::SeqCst), expected, "at {now_s}");
        }
    }

    #[tokio::test]
    async fn everything_else_is_no_answer() {
        for answer in [
            "HTTP/1.1 500 Oh\r\ncontent-length: 14\r\n\r\n{\"allow\":true}",
            "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"allow\":\"true\"}",
            "HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{\"allow\":true,\"acess\":\"read\"}   ",
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"allow\":true}",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{\"allow\":true}",
            "hello",
            "",
        ] {
            let (url, ..) = server(answer).await;
            assert!(ask(&url).await.is_err(), "{answer}");
        }
        assert!(matches!(ask("http://127.0.0.1:1/").await, Err(WebhookError::Unreachable(_))));
    }

    #[tokio::test]
    async fn over_https_only_who_is_trusted_is_asked() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"allow\":true}";
                let _ = stream.write_all(answer).await;
            }
        });
        let mut trusting = RootCertStore::empty();
        trusting.add(certificate).unwrap();
        let mut others = RootCertStore::empty();
        let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        others.add(stranger.cert.der().clone()).unwrap();
        for (host, roots, expected) in
            [("localhost", &trusting, true), ("localhost", &others, false), ("127.0.0.1", &trusting, false)]
        {
            let mut webhook = Webhook::new(&format!("http://{host}:{port}/"), None, Duration::from_secs(30)).unwrap();
            webhook.dial = Box::new(Encrypted::trusting(roots.clone()).unwrap());
            let answer = webhook.ask(&Claims::new("alice", 100), "d", 100, 0).await;
            assert_eq!(answer.is_ok_and(|answer| answer.allow), expected, "{host}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_in_time_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        assert!(matches!(ask(&url).await, Err(WebhookError::Slow)));
    }

    #[test]
    fn addresses_are_looked_at_before_anybody_asks() {
        let new = |url| Webhook::new(url, None, Duration::ZERO);
        for wrong in ["", "hook", "/hook", "ftp://a/", "http://", "http://user:secret@host/", "ws://a"] {
            assert!(new(wrong).is_err(), "{wrong}");
        }
        let webhook = new("http://[::1]:3000").unwrap();
        assert_eq!((webhook.host.as_str(), webhook.port, webhook.path.as_str()), ("::1", 3000, "/"));
        assert_eq!(new("http://hooks.example/a").unwrap().port, 80);
        assert!(Webhook::new("http://a/", Some("two\nlines"), Duration::ZERO).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let webhook = Webhook::new("http://a/", None, Duration::ZERO).unwrap();
        for count in 0..40_u64 {
            webhook.note(format!("{count}{}", " ".repeat(1 << 20)), Answer::no(), 100, 0);
        }
        let remembered = webhook.remembered.lock().unwrap();
        assert!(remembered.bytes <= REMEMBERED + (2 << 20) && remembered.bytes > 0);
        assert_eq!(remembered.bytes, remembered.answers.keys().map(String::len).sum::<usize>());
    }
}
