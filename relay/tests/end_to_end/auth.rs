//! Who may do what, over sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use weftline::sync::{Close, CloseReason, Link, MessageKind, NackReason, Open, Retry, Session, SessionConfig};
use weftline_relay::auth::claims::{Access, Claims};
use weftline_relay::auth::keys::{Algorithm, Keys, Minted};
use weftline_relay::auth::token::mint;
use weftline_relay::auth::{AuthOptions, Revocation};
use weftline_relay::{Config, Relay, StoreChoice};

use super::client::{Client, Socket, websocket};
use super::convergence::config;
use super::processes::Process;

/// A relay that wants tokens, and who can make them.
struct Guarded {
    relay: Relay,
    keys: Keys,
    folder: TempDir,
}

impl Guarded {
    async fn start(change: impl FnOnce(&mut AuthOptions)) -> Self {
        Self::start_with(|config| change(&mut config.auth)).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempdir().unwrap();
        let minted = Minted::new(Algorithm::EdDsa, "first", [7; 32], None).unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, minted.public.unwrap()).unwrap();
        let mut config = config(StoreChoice::Memory);
        config.auth.auth_keys = Some(path);
        change(&mut config);
        let relay = Relay::bind(config).await.unwrap();
        Self { relay, keys: Keys::parse(minted.private.as_bytes()).unwrap(), folder }
    }

    fn at(&self) -> SocketAddr {
        self.relay.local_addr()
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn sign(&self, claims: &Claims) -> String {
        mint(claims, &self.keys, None).unwrap()
    }

    fn token(&self, documents: &[(&str, Access)]) -> String {
        self.sign(&claims(documents))
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Alice, for ten minutes.
fn claims(documents: &[(&str, Access)]) -> Claims {
    let mut claims = Claims::new("alice", now_s() + 600);
    claims.iat = Some(now_s());
    claims.documents = documents.iter().map(|(pattern, access)| (pattern.parse().unwrap(), *access)).collect();
    claims
}

/// A client with this token, connected.
async fn with_token(relay: SocketAddr, document: &str, token: &str) -> Client {
    let mut client = Client::new(document);
    client.replica.set_token(token.as_bytes());
    client.connect(relay).await;
    client
}

impl Client {
    /// Waits until the relay sends it away, and gives what it says.
    async fn until_away(&mut self) -> Close {
        self.until("sent away", |client| client.sent_away.is_some()).await;
        self.replica.status().closed.expect("the relay says why")
    }
}

const fn again(reason: CloseReason) -> Close {
    Close { reason, retry: Retry::BACKOFF }
}

const fn never(reason: CloseReason) -> Close {
    Close { reason, retry: Retry::NEVER }
}

#[tokio::test]
async fn a_document_is_opened_with_a_token_that_allows_it_and_not_otherwise() {
    let guarded = Guarded::start(|_| {}).await;
    let mut stranger = Client::new("todo/home");
    stranger.put("k", 1);
    stranger.connect(guarded.at()).await;
    assert_eq!(stranger.until_away().await, never(CloseReason::Token));

    let token = guarded.token(&[("todo/*", Access::Write)]);
    let mut alice = with_token(guarded.at(), "todo/home", &token).await;
    alice.put("k", 2);
    alice.until_synced().await;
    for document in ["todo", "todolist", "news", "../todo/home"] {
        let mut curious = with_token(guarded.at(), document, &token).await;
        assert_eq!(curious.until_away().await, never(CloseReason::Denied), "{document}");
    }
    // A name that looks like a way out is a name like any other.
    with_token(guarded.at(), "todo/../news", &token).await.until_live().await;
    let news = guarded.token(&[("news", Access::Write)]);
    let mut reader = with_token(guarded.at(), "news", &news).await;
    reader.until_live().await;
    assert_eq!(reader.keys(), 0);

    // The edit that the stranger made is not lost, and goes where it was to go with a token.
    stranger.replica.set_token(token.as_bytes());
    stranger.connect(guarded.at()).await;
    stranger.until_synced().await;
    alice.until("both are there", |alice| alice.get("k").is_some() && alice.keys() == 1).await;
    guarded.relay.shutdown().await.unwrap();
}

async fn with_header(relay: SocketAddr, authorization: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("ws://{relay}/").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", HeaderValue::from_str(authorization).unwrap());
    Ok(connect_async(request).await?.0)
}

#[tokio::test]
async fn the_upgrade_request_may_carry_the_token() {
    let guarded = Guarded::start(|_| {}).await;
    let token = guarded.token(&[("d", Access::Write)]);
    let mut client = Client::new("d");
    client.connect_by(with_header(guarded.at(), &format!("bearer {token}")).await.unwrap());
    client.put("k", 1);
    client.until_synced().await;
    for (authorization, expected) in [
        ("Bearer nonsense".to_owned(), again(CloseReason::Token)),
        (format!("Basic {token}"), never(CloseReason::Token)),
    ] {
        let mut client = Client::new("d");
        client.connect_by(with_header(guarded.at(), &authorization).await.unwrap());
        assert_eq!(client.until_away().await, expected, "{authorization}");
    }
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_ends_the_connection_with_the_reason_and_without_the_token() {
    let guarded = Guarded::start(|options| options.auth_audience = Some("us".into())).await;
    let for_us = |change: fn(&mut Claims)| {
        let mut claims = claims(&[("*", Access::Write)]);
        claims.aud.0.push("us".into());
        change(&mut claims);
        guarded.sign(&claims)
    };
    let good = for_us(|_| {});
    let (head, signature) = good.rsplit_once('.').unwrap();
    let huge = "a".repeat(9_000);
    for (token, reason, text) in [
        (head.to_owned(), CloseReason::Token, "not a JSON Web Token"),
        (format!("{head}.{}", signature.chars().rev().collect::<String>()), CloseReason::Token, ""),
        (for_us(|claims| claims.aud.0 = vec!["them".into()]), CloseReason::Token, "another audience"),
        (for_us(|claims| claims.exp = now_s() - 3600), CloseReason::Expired, "expired 36"),
        (for_us(|claims| claims.nbf = Some(now_s() + 3600)), CloseReason::Token, "counts only in 3"),
        (for_us(|claims| claims.exp = now_s() + 90_000), CloseReason::Token, "the limit is 86400"),
        (huge, CloseReason::Token, "9000 bytes"),
    ] {
        let mut client = with_token(guarded.at(), "d", &token).await;
        assert_eq!(client.until_away().await, again(reason), "{text}");
        // What a person sees in the tools of a browser.
        let mut socket = with_header(guarded.at(), &format!("Bearer {token}")).await.unwrap();
        let close = loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => break close,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(close.code, CloseCode::from(3000));
        assert!(close.reason.contains(text), "{close:?}");
        assert!(!token.split('.').any(|part| close.reason.contains(part)), "{close:?}");
    }
    with_token(guarded.at(), "d", &good).await.until_live().await;
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_is_asked_for_before_it_ends_and_without_another_the_connection_ends() {
    let guarded = Guarded::start(|options| options.auth_leeway = Duration::ZERO).await;
    let for_s = |seconds: u64| {
        let mut claims = claims(&[("d", Access::Write)]);
        claims.exp = now_s() + seconds;
        guarded.sign(&claims)
    };
    let mut client = with_token(guarded.at(), "d", &for_s(3)).await;
    client.until("asked", |client| client.asked_for_token == 1).await;
    assert_eq!(client.replica.status().link, Link::Live);
    client.replica.set_token(for_s(6).as_bytes());
    client.until("asked again", |client| client.asked_for_token == 2).await;
    client.put("k", 1);
    client.until_synced().await;
    // Showing the same once more does not help.
    let close = client.until_away().await;
    assert_eq!((close, client.asked_for_token), (again(CloseReason::Expired), 2));
    client.put("k", 2);
    client.replica.set_token(for_s(600).as_bytes());
    client.connect(guarded.at()).await;
    client.until_synced().await;
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_that_allows_less_takes_effect_at_once_and_no_edit_is_lost() {
    let guarded = Guarded::start(|_| {}).await;
    let write = guarded.token(&[("d", Access::Write)]);
    let mut alice = with_token(guarded.at(), "d", &write).await;
    alice.put("k", 1);
    alice.until_synced().await;
    let mut ben = with_token(guarded.at(), "d", &guarded.token(&[("d", Access::Read)])).await;
    ben.until("ben sees it", |ben| ben.get("k") == Some(1.into())).await;
    ben.put("k", "ben");
    ben.until("refused", |ben| ben.replica.status().refused.is_some()).await;
    let status = ben.replica.status();
    assert_eq!((status.link, status.unsaved, status.stuck), (Link::Live, 1, 1));
    assert_eq!(status.refused.unwrap().reason, NackReason::ReadOnly);
    // What is written after that is not even sent, and what others write still comes.
    ben.put("l", "ben");
    alice.put("m", 1);
    alice.until_synced().await;
    ben.until("ben sees more", |ben| ben.get("m").is_some()).await;
    assert_eq!((ben.replica.status().unsaved, alice.keys()), (2, 2));

    // With the right to write, on the same connection, all of it goes out.
    ben.replica.set_token(write.as_bytes());
    ben.until_synced().await;
    assert_eq!(ben.replica.status().refused, None);
    alice.until("alice sees both", |alice| alice.get("l").is_some() && alice.get("k") == Some("ben".into())).await;

    // And the other way round.
    alice.replica.set_token(guarded.token(&[("d", Access::Read)]).as_bytes());
    alice.put("k", "alice");
    alice.until("refused", |alice| alice.replica.status().refused.is_some()).await;
    assert_eq!(alice.replica.status().unsaved, 1);
    // A document that is not allowed any more is closed.
    alice.replica.set_token(guarded.token(&[("other", Access::Write)]).as_bytes());
    assert_eq!(alice.until_away().await, never(CloseReason::Denied));
    alice.replica.set_token(write.as_bytes());
    alice.connect(guarded.at()).await;
    alice.until_synced().await;
    // Somebody else's token does not replace one's own.
    let mut mallory = claims(&[("d", Access::Write)]);
    mallory.sub = "mallory".into();
    alice.replica.set_token(guarded.sign(&mallory).as_bytes());
    assert_eq!(alice.until_away().await, again(CloseReason::Token));
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_revoked_ends_now_and_does_not_come_back() {
    let guarded = Guarded::start(|_| {}).await;
    let mut first = claims(&[("d", Access::Write)]);
    first.jti = Some("t1".into());
    let (first, second) = (guarded.sign(&first), guarded.token(&[("d", Access::Write)]));
    let mut one = with_token(guarded.at(), "d", &first).await;
    let mut two = with_token(guarded.at(), "d", &second).await;
    one.until_live().await;
    two.until_live().await;

    assert!(guarded.relay.revoke(&Revocation::Token("t1".into())).await.unwrap());
    assert_eq!(one.until_away().await, again(CloseReason::Revoked));
    one.connect(guarded.at()).await;
    assert_eq!(one.until_away().await, again(CloseReason::Revoked));
    two.put("k", 1);
    two.until_synced().await;

    assert!(guarded.relay.revoke(&Revocation::Subject("alice".into())).await.unwrap());
    assert_eq!(two.until_away().await, again(CloseReason::Revoked));
    two.connect(guarded.at()).await;
    assert_eq!(two.until_away().await, again(CloseReason::Revoked));
    // What is made from now on counts.
    let mut later = claims(&[("d", Access::Write)]);
    later.iat = Some(now_s() + 5);
    with_token(guarded.at(), "d", &guarded.sign(&later)).await.until_live().await;
    guarded.relay.shutdown().await.unwrap();

    let open = Relay::bind(config(StoreChoice::Memory)).await.unwrap();
    assert!(!open.revoke(&Revocation::Subject("alice".into())).await.unwrap(), "there are no tokens");
    // Who has one all the same may show it.
    with_token(open.local_addr(), "d", "whatever").await.until_live().await;
    open.shutdown().await.unwrap();
}

#[tokio::test]
async fn auth_4_what_was_revoked_stays_so_across_a_restart() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("revoked.json");
    let mut token = String::new();
    for run in 0..2 {
        let guarded = Guarded::start(|options| options.auth_revocations = Some(path.clone())).await;
        if run == 0 {
            token = guarded.token(&[("d", Access::Write)]);
            with_token(guarded.at(), "d", &token).await.until_live().await;
            guarded.relay.revoke(&Revocation::Subject("alice".into())).await.unwrap();
        }
        assert_eq!(with_token(guarded.at(), "d", &token).await.until_away().await, again(CloseReason::Revoked));
        guarded.relay.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_lowers_the_limits_of_its_connection_and_a_subject_has_so_many() {
    let guarded = Guarded::start_with(|config| config.limits.max_subject_connections = 2).await;
    let mut narrow = claims(&[("*", Access::Write)]);
    narrow.limits.max_documents = Some(1);
    let mut socket = websocket(guarded.at()).await;
    let mut session = Session::new(SessionConfig::default(), super::client::now());
    session.send(0, &weftline::sync::Message::Token(guarded.sign(&narrow).as_bytes().into()));
    for channel in [1, 2] {
        let open = Open { document: format!("d{channel}"), opening: channel, ..Open::default() };
        session.send(channel, &weftline::sync::Message::Open(open));
    }
    while let Some(frame) = session.poll() {
        socket.send(Message::Binary(frame.into())).await.unwrap();
    }
    let mut said = Vec::new();
    while said.len() < 2 {
        let Some(Ok(Message::Binary(frame))) = socket.next().await else { panic!("the relay goes on") };
        let message = session.frame(super::client::now(), &frame).unwrap();
        said.extend(message.filter(|(_, message)| message.kind() != MessageKind::CaughtUp));
    }
    said.sort_by_key(|(channel, _)| *channel);
    assert_eq!(said[0].1.kind(), MessageKind::OpenAck);
    assert_eq!(said[1], (2, weftline::sync::Message::Close(never(CloseReason::TooMany))));

    let token = guarded.token(&[("*", Access::Write)]);
    let mut second = with_token(guarded.at(), "d", &token).await;
    second.until_live().await;
    let mut third = with_token(guarded.at(), "d", &token).await;
    assert_eq!(third.until_away().await.reason, CloseReason::TooMany);
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn of_who_has_no_token_no_long_message_is_kept() {
    let guarded = Guarded::start(|_| {}).await;
    let long = weftline::sync::Message::Token(vec![b'a'; 2 << 20].as_slice().into());
    for (token, expected) in [(None, CloseReason::Limit), (Some(guarded.token(&[])), CloseReason::Token)] {
        let mut socket = websocket(guarded.at()).await;
        let mut session = Session::new(SessionConfig::default(), super::client::now());
        if let Some(token) = token {
            session.send(0, &weftline::sync::Message::Token(token.as_bytes().into()));
        }
        session.send(0, &long);
        while let Some(frame) = session.poll() {
            // It may have had enough before the end.
            if socket.send(Message::Binary(frame.into())).await.is_err() {
                break;
            }
        }
        let reason = loop {
            match socket.next().await {
                Some(Ok(Message::Binary(frame))) => match session.frame(super::client::now(), &frame).unwrap() {
                    Some((_, weftline::sync::Message::Goodbye(goodbye))) => break goodbye.reason,
                    _ => continue,
                },
                other => panic!("a goodbye, not {other:?}"),
            }
        };
        assert_eq!(reason, expected);
    }
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_anybody_may_read_is_read_without_a_token_and_not_written() {
    let guarded = Guarded::start(|options| options.auth_anonymous_read = vec!["news/*".parse().unwrap()]).await;
    let mut author = with_token(guarded.at(), "news/today", &guarded.token(&[("news/*", Access::Write)])).await;
    author.put("k", 1);
    author.until_synced().await;
    let mut reader = Client::new("news/today");
    reader.connect(guarded.at()).await;
    reader.until("read", |reader| reader.get("k") == Some(1.into())).await;
    reader.put("k", 2);
    reader.until("refused", |reader| reader.replica.status().refused.is_some()).await;
    assert_eq!(reader.replica.status().refused.unwrap().reason, NackReason::ReadOnly);
    let mut other = Client::new("news");
    other.connect(guarded.at()).await;
    assert_eq!(other.until_away().await, never(CloseReason::Token));
    // Who logs in may write from then on; whose token says nothing of it may still read.
    reader.replica.set_token(guarded.token(&[("news/*", Access::Write)]).as_bytes());
    reader.until_synced().await;
    with_token(guarded.at(), "news/today", &guarded.token(&[])).await.until_live().await;
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn who_brings_no_token_does_not_stay() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "a secret that is long enough to be one").unwrap();
    let mut config = config(StoreChoice::Memory);
    config.auth.auth_keys = Some(path);
    config.handshake_timeout = Duration::from_millis(300);
    let relay = Relay::bind(config).await.unwrap();
    let mut socket = websocket(relay.local_addr()).await;
    let mut client = Session::new(SessionConfig::default(), super::client::now());
    while let Some(frame) = client.poll() {
        socket.send(Message::Binary(frame.into())).await.unwrap();
    }
    let mut said = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(frame) => said.extend(client.frame(super::client::now(), &frame).unwrap()),
            Message::Close(close) => assert_eq!(close.unwrap().reason, "no token came"),
            _ => {}
        }
    }
    let [(0, weftline::sync::Message::Goodbye(goodbye))] = &said[..] else { panic!("{said:?}") };
    assert_eq!((goodbye.reason, goodbye.retry), (CloseReason::Token, Retry::NEVER));
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn keys_are_rotated_while_the_relay_runs() {
    let guarded = Guarded::start(|_| {}).await;
    let first = guarded.token(&[("d", Access::Write)]);
    let mut old = with_token(guarded.at(), "d", &first).await;
    old.until_live().await;
    // A new key is added. Its first token is why the file is read again.
    let before = Minted::new(Algorithm::EdDsa, "first", [7; 32], None).unwrap();
    let both = Minted::new(Algorithm::EdDsa, "second", [8; 32], Some(&before)).unwrap();
    let second = mint(&claims(&[("d", Access::Write)]), &Keys::parse(both.private.as_bytes()).unwrap(), None).unwrap();
    std::fs::write(guarded.key_file(), both.public.unwrap()).unwrap();
    let mut new = Client::new("d");
    new.replica.set_token(second.as_bytes());
    loop {
        new.connect(guarded.at()).await;
        new.until("an answer", |new| new.sent_away.is_some() || new.replica.status().link == Link::Live).await;
        match new.replica.status().closed {
            // Right after the relay has looked, it does not look again for a moment.
            Some(close) => assert_eq!(close, again(CloseReason::Token)),
            None => break,
        }
        tokio::task::yield_now().await;
    }
    old.put("k", 1);
    old.until_synced().await;

    // The old one is taken out: whoever came with it goes, and nobody comes with it.
    let only = Minted::new(Algorithm::EdDsa, "second", [8; 32], None).unwrap();
    std::fs::write(guarded.key_file(), only.public.unwrap()).unwrap();
    guarded.relay.authority().unwrap().reload().await;
    assert_eq!(old.until_away().await, again(CloseReason::Token));
    old.connect(guarded.at()).await;
    assert_eq!(old.until_away().await, again(CloseReason::Token));
    new.put("k", 2);
    new.until_synced().await;
    guarded.relay.shutdown().await.unwrap();
}

/// A webhook: allows reading of `read/…`, everything with `write/…`, nothing else; fails for `broken`.
async fn webhook() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut text = String::new();
            while !text.contains("\"document\":") {
                let mut bytes = [0; 4096];
                let len = stream.read(&mut bytes).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&bytes[..len]));
            }
            let (status, body) = if text.contains("\"document\":\"read/") {
                ("200 OK", r#"{"allow":true,"access":"read"}"#)
            } else if text.contains("\"document\":\"write/") {
                ("200 OK", r#"{"allow":true}"#)
            } else if text.contains("\"document\":\"broken\"") {
                ("500 Broken", "")
            } else {
                ("200 OK", r#"{"allow":false}"#)
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_webhook_may_say_no_and_without_an_answer_nothing_is_opened() {
    let (url, asked) = webhook().await;
    let guarded = Guarded::start(|options| options.auth_webhook = Some(url)).await;
    let token = guarded.token(&[("*", Access::Write)]);
    let mut writer = with_token(guarded.at(), "write/a", &token).await;
    writer.put("k", 1);
    writer.until_synced().await;
    let mut reader = with_token(guarded.at(), "read/a", &token).await;
    reader.put("k", 1);
    reader.until("refused", |reader| reader.replica.status().refused.is_some()).await;
    let mut denied = with_token(guarded.at(), "else", &token).await;
    assert_eq!(denied.until_away().await, never(CloseReason::Denied));
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(before, 3);
    for _ in 0..2 {
        let mut broken = with_token(guarded.at(), "broken", &token).await;
        let close = broken.until_away().await;
        assert_eq!(close.reason, CloseReason::Restart);
        assert!(close.retry.delay_ms().is_some(), "it comes back later");
    }
    assert_eq!(asked.load(Ordering::SeqCst), before + 2, "what fails is asked again");
    // The same token and document are not asked about again; what the token itself does not allow is not asked about at all.
    writer.cut();
    writer.connect(guarded.at()).await;
    writer.until_live().await;
    let narrow = guarded.token(&[("read/*", Access::Read)]);
    let mut outside = with_token(guarded.at(), "write/b", &narrow).await;
    assert_eq!(outside.until_away().await, never(CloseReason::Denied));
    assert_eq!(asked.load(Ordering::SeqCst), before + 2);
    guarded.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_token_is_ever_in_the_log() {
    let folder = tempdir().unwrap();
    let minted = Minted::new(Algorithm::EdDsa, "first", [7; 32], None).unwrap();
    let (keys, store) = (folder.path().join("keys"), folder.path().join("relay.db"));
    std::fs::write(&keys, minted.public.unwrap()).unwrap();
    let arguments = ["--auth-keys", keys.to_str().unwrap(), "--log", "trace"];
    let process = Process::start_with(&store, &arguments).await;
    let signing = Keys::parse(minted.private.as_bytes()).unwrap();
    let good = mint(&claims(&[("d", Access::Write)]), &signing, None).unwrap();
    let mut expired = claims(&[("d", Access::Write)]);
    expired.exp = now_s() - 600;
    let expired = mint(&expired, &signing, None).unwrap();
    let mut client = with_token(process.address, "d", &good).await;
    client.put("k", 1);
    client.until_synced().await;
    let mut other = Client::new("d");
    other.connect_by(with_header(process.address, &format!("Bearer {good}")).await.unwrap());
    other.until_live().await;
    let mangled = format!("{}AAAA", &good[..good.len() - 4]);
    for wrong in [&expired, &mangled] {
        with_token(process.address, "d", wrong).await.until_away().await;
        let mut client = Client::new("d");
        client.connect_by(with_header(process.address, &format!("Bearer {wrong}")).await.unwrap());
        client.until_away().await;
    }
    let log = process.stop().await;
    assert!(log.contains("the token expired") && log.contains("DEBUG"), "it says what was wrong: {log}");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for token in [&good, &expired, &mangled] {
        for part in token.split('.') {
            // A piece of it would be too much, in whatever form.
            let piece = &part[part.len() / 2..][..12.min(part.len() / 2)];
            assert!(!log.contains(piece) && !log.contains(&hex(piece)), "{piece} is in {log}");
        }
    }
}
