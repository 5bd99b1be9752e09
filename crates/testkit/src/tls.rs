//! A certificate authority that nobody but a test believes.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

/// A certificate authority.
pub struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for TestAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestAuthority").finish_non_exhaustive()
    }
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct TestCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub private_key: String,
}

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl TestAuthority {
    /// A new authority with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Vestibule tests");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate of the authority"))
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes it to a file and says where.
    #[must_use]
    pub fn write_to(&self, folder: &Path) -> PathBuf {
        let path = folder.join("authority.pem");
        std::fs::write(&path, self.pem()).expect("the authority's file");
        path
    }

    /// A certificate for these hosts. IP addresses become addresses in it, everything else names.
    #[must_use]
    pub fn certificate(&self, hosts: &[&str]) -> TestCertificate {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let params = CertificateParams::new(hosts).expect("hosts that a certificate can be for");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        TestCertificate { certificate: certificate.pem(), private_key: key.serialize_pem() }
    }
}

impl TestCertificate {
    /// Writes both parts to files of this name and says where.
    #[must_use]
    pub fn write_to(&self, folder: &Path, name: &str) -> CertificateFiles {
        let certificate = folder.join(format!("{name}.pem"));
        let private_key = folder.join(format!("{name}.key"));
        std::fs::write(&certificate, &self.certificate).expect("the certificate's file");
        std::fs::write(&private_key, &self.private_key).expect("the key's file");
        CertificateFiles { certificate, private_key }
    }
}
