//! Certificates that can be replaced while the server runs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tokio_rustls::TlsAcceptor;

/// Why certificates could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read, or holds no such item.
    #[error("could not read `{}`: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// The certificate and the key do not fit, or the key is of an unknown kind.
    #[error("the certificate `{}` cannot be used with its key: {cause}", path.display())]
    Unusable {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong with it.
        cause: rustls::Error,
    },
}

/// Certificates as read from their files, checked and ready to be put to use.
#[derive(Clone)]
pub struct LoadedCertificates(Arc<ServerConfig>);

impl fmt::Debug for LoadedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadedCertificates")
    }
}

/// The certificate chain and key of a listener.
pub struct Certificates {
    certificate: PathBuf,
    private_key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the chain and the key, both PEM.
    pub fn open(certificate: &Path, private_key: &Path) -> Result<Arc<Self>, CertificateError> {
        let loaded = load(certificate, private_key)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            current: RwLock::new(loaded.0),
        }))
    }

    /// Reads the files again, without using them yet: a reload of several things checks all of
    /// them before it changes any.
    pub fn load(&self) -> Result<LoadedCertificates, CertificateError> {
        load(&self.certificate, &self.private_key)
    }

    /// Uses these certificates from the next handshake on.
    pub fn replace(&self, loaded: LoadedCertificates) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded.0;
    }

    /// Reads the files again and uses them. If they are bad, the old ones stay.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.load().map(|loaded| self.replace(loaded))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn load(certificate: &Path, private_key: &Path) -> Result<LoadedCertificates, CertificateError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |cause| CertificateError::File { path, cause }
    };
    let unusable = |cause| CertificateError::Unusable { path: certificate.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file(certificate))?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(file(private_key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(LoadedCertificates(Arc::new(config)))
}
