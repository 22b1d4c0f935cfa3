//! Certificates for servers that speak TLS, and for clients that they know by them.

use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};
use tempfile::TempDir;

use crate::Error;
use crate::cassandra::temporary;

/// Longer than any test takes.
const DAYS: u32 = 7;

/// Who issues certificates. All files are PEM, and go when this is dropped.
pub struct Authority {
    key: PKey<Private>,
    certificate: X509,
    folder: TempDir,
}

/// What somebody proves with who they are.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate of the authority that vouches for it.
    pub authority_file: PathBuf,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    /// Key and certificate in one file, as Java's servers take them.
    pub both_file: PathBuf,
}

impl Authority {
    /// One that nobody knows yet.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn new() -> Result<Authority, Error> {
        let key = key()?;
        let name = common_name("Forebay test bed")?;
        let mut builder = unsigned(&name, &name, &key)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let authority = Authority {
            key,
            certificate: builder.build(),
            folder: temporary()?,
        };
        write(&authority.file(), &authority.certificate.to_pem()?)?;
        Ok(authority)
    }

    /// Its own certificate: whoever trusts this file trusts all whom it has certified.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Certifies a server at 127.0.0.1, or a client, of this name.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn certify(&self, name: &str) -> Result<Certified, Error> {
        let key = key()?;
        let subject = common_name(name)?;
        let mut builder = unsigned(&subject, self.certificate.subject_name(), &key)?;
        let address = SubjectAlternativeName::new()
            .ip("127.0.0.1")
            .build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(address)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        let (certificate, key) = (builder.build().to_pem()?, key.private_key_to_pem_pkcs8()?);
        let file = |part: &str| self.folder.path().join(format!("{name}.{part}.pem"));
        let certified = Certified {
            authority_file: self.file(),
            certificate_file: file("certificate"),
            key_file: file("key"),
            both_file: file("both"),
        };
        write(&certified.certificate_file, &certificate)?;
        write(&certified.key_file, &key)?;
        write(&certified.both_file, &[key, certificate].concat())?;
        Ok(certified)
    }
}

fn key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(
        EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref(),
    )?)
}

fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

fn unsigned(subject: &X509NameRef, issuer: &X509NameRef, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(Asn1Integer::from_bn(&serial)?.as_ref())?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(DAYS)?.as_ref())?;
    Ok(builder)
}

fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certifies_those_that_only_it_vouches_for() {
        let (authority, other) = (Authority::new().expect("one"), Authority::new().expect("another"));
        let certified = authority.certify("server").expect("a certificate");
        let text = std::fs::read(certified.certificate_file).expect("a file");
        let certificate = X509::from_pem(&text).expect("a certificate");
        assert!(certificate.verify(&authority.key).expect("a signature"));
        assert!(!certificate.verify(&other.key).expect("a signature"));
        let key = std::fs::read(certified.key_file).expect("a file");
        let key = PKey::private_key_from_pem(&key).expect("a key");
        assert!(certificate.public_key().expect("a key").public_eq(&key));
    }
}
