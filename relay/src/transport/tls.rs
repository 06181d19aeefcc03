//! TLS, and certificates that are replaced while the relay runs.
//!
//! Whoever renews a certificate writes its files anew; the relay looks at their times now and then, and at a signal, and takes the new pair if
//! it is one. If it is not, it goes on with the old one and says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", file.display())]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub detail: String,
}

/// A certificate with its key, from two files.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    present: RwLock<Present>,
}

#[derive(Debug)]
struct Present {
    config: Arc<ServerConfig>,
    times: [Option<SystemTime>; 2],
}

impl Tls {
    /// Reads the certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let times = times(certificate, key);
        let present = RwLock::new(Present { config: read(certificate, key)?, times });
        Ok(Tls { certificate: certificate.to_owned(), key: key.to_owned(), present })
    }

    /// Reads them again if they have changed, or anyway; says whether there is a new certificate now.
    ///
    /// # Errors
    /// When what is there now cannot be used. The old one still is.
    pub fn reload(&self, anyway: bool) -> Result<bool, TlsError> {
        let times = times(&self.certificate, &self.key);
        if !anyway && self.present.read().unwrap_or_else(PoisonError::into_inner).times == times {
            return Ok(false);
        }
        let read = read(&self.certificate, &self.key);
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        // What could not be used is not tried again before it changes.
        present.times = times;
        present.config = read?;
        Ok(true)
    }

    /// The handshake with a client.
    ///
    /// # Errors
    /// When the client does not speak TLS, or not ours.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner).config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn times(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let refused =
        |file: &Path, detail: &dyn std::fmt::Display| TlsError { file: file.to_owned(), detail: detail.to_string() };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| refused(certificate, &error))?;
    if chain.is_empty() {
        return Err(refused(certificate, &"no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|error| refused(certificate, &error))?;
    Ok(Arc::new(config))
}
