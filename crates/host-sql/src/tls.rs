//! How a server proves who it is. Never sends anything.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

use crate::config::{Tls, TlsMode};
use crate::error::SqlError;

/// The client's side of TLS.
pub(crate) fn client(tls: &Tls) -> Result<ClientConfig, SqlError> {
    client_of(tls, rustls::DEFAULT_VERSIONS)
}

/// The same, with these versions of the protocol alone.
pub(crate) fn client_of(
    tls: &Tls,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, SqlError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| SqlError::unreachable(format!("TLS can't be used: {error}")))?;
    if tls.mode == TlsMode::VerifyFull {
        let roots = roots(tls.ca_file.as_deref())?;
        return Ok(config.with_root_certificates(roots).with_no_client_auth());
    }
    let anyone = Arc::new(Anyone(provider));
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(anyone)
        .with_no_client_auth())
}

/// Those that vouch for servers: of the file, or of this machine.
fn roots(file: Option<&Path>) -> Result<RootCertStore, SqlError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let bad = |reason: String| {
                let file = file.display();
                SqlError::unreachable(format!(
                    "the certificates in `{file}` can't be used: {reason}"
                ))
            };
            let found =
                CertificateDer::pem_file_iter(file).map_err(|error| bad(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it holds none".to_owned()));
            }
        }
        None => {
            let (_, _) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(SqlError::unreachable(
                    "this machine has no certificates to check the server's with; install `ca-certificates`, or name a file under `tls.caFile`",
                ));
            }
        }
    }
    Ok(roots)
}

/// Takes any certificate, for `require`: what is sent is encrypted, and who
/// receives it is not known.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
