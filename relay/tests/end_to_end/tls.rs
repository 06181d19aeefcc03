//! TLS, and who is behind a proxy.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use weftline_relay::{Relay, StoreChoice};

use super::client::{Client, PATIENCE};
use super::convergence::config;
use super::http::get;
use super::operators::{Lab, TOKEN, scrape};

/// Writes a new certificate and its key; gives the certificate.
fn renew(directory: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

/// A connection of somebody who trusts this certificate.
async fn connect(relay: &Relay, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = builder.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(relay.local_addr()).await.unwrap();
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn clients_connect_with_tls_and_a_new_certificate_is_taken_while_the_relay_runs() {
    let directory = tempdir().unwrap();
    let first = renew(directory.path());
    let mut config = config(StoreChoice::Memory);
    config.tls_cert = Some(directory.path().join("cert.pem"));
    config.tls_key = Some(directory.path().join("key.pem"));
    config.admin_listen = Some(([127, 0, 0, 1], 0).into());
    let relay = Relay::bind(config.clone()).await.unwrap();
    assert!(relay.is_tls());

    // A client behind something that does TLS for it.
    let tunnel = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = tunnel.local_addr().unwrap();
    let mut inside = connect(&relay, &first).await.unwrap();
    let tunnelled = tokio::spawn(async move {
        let (mut outside, _) = tunnel.accept().await.unwrap();
        // Either may end it.
        let _ = copy_bidirectional(&mut outside, &mut inside).await;
    });
    let mut client = Client::new("d");
    client.connect(through).await;
    client.put("key", "x".repeat(100_000));
    client.until_synced().await;

    let second = renew(directory.path());
    relay.reload_certificate().unwrap();
    let mut stream = connect(&relay, &second).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    connect(&relay, &first).await.unwrap_err();
    // What was connected stays.
    client.put("more", 1);
    client.until_synced().await;

    // Nonsense is not taken, and the relay goes on with what it has.
    std::fs::write(directory.path().join("cert.pem"), "no certificate").unwrap();
    let refused = relay.reload_certificate().unwrap_err().to_string();
    assert!(refused.contains("cert.pem"), "{refused}");
    connect(&relay, &second).await.unwrap();
    assert!(Relay::bind(config).await.unwrap_err().to_string().contains("cert.pem"));

    // Who does not speak TLS is not understood; operators on this machine need not.
    assert!(!get(relay.local_addr(), "/healthz").await.starts_with("HTTP"));
    let scraped = scrape(relay.admin_addr().unwrap()).await;
    assert!(scraped["weftline_relay_refused_total{reason=\"handshake\"}"] >= 1.0);
    client.cut();
    tunnelled.await.unwrap();
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_trusted_says_who_its_client_is() {
    for (trusted, expected) in [("127.0.0.1/32", "203.0.113.9"), ("192.0.2.0/24", "127.0.0.1")] {
        let lab = Lab::new(|config| config.trust_proxy = vec![trusted.parse().unwrap()]).await;
        let mut stream = TcpStream::connect(lab.relay.local_addr()).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut status)).await.unwrap().unwrap();
        assert_eq!(&status, b"HTTP/1.1 101");
        let listed = async {
            loop {
                let request = format!(
                    "GET /admin/connections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
                    TOKEN.replace(' ', "-")
                );
                let answer = super::http::exchange(lab.admin(), request.as_bytes()).await;
                if answer.contains("\"address\"") {
                    return answer;
                }
            }
        };
        let listed = timeout(PATIENCE, listed).await.unwrap();
        assert!(listed.contains(&format!("\"address\":\"{expected}\"")), "{trusted}: {listed}");
        drop(stream);
        lab.relay.shutdown().await.unwrap();
    }
}
