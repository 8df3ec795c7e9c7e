//! TLS, by rustls.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Error;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Target;
use super::error::{Done, TLS, other};

#[derive(Clone)]
pub(super) struct Tls {
    connect: Option<MakeRustlsConnect>,
    /// Nobody asked for it: where it does not work, there is none.
    optional: bool,
}

impl Tls {
    pub(super) fn new(target: &Target) -> Done<Self> {
        let mode = target.config.get_ssl_mode();
        let connect = match mode {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(configuration(target)?)),
        };
        Ok(Self {
            connect,
            optional: mode != SslMode::Require,
        })
    }

    pub(super) fn connector(&self) -> Option<MakeRustlsConnect> {
        self.connect.clone()
    }

    /// Whether the server may be talked to without it, after this error.
    pub(super) fn may_be_left_out(&self, error: &Error) -> bool {
        self.optional && error.to_string().starts_with(TLS)
    }
}

fn configuration(target: &Target) -> Done<ClientConfig> {
    let found = match &target.root_certificates {
        Some(path) => rustls_native_certs::load_certs_from_paths(Some(path), None),
        None => rustls_native_certs::load_native_certs(),
    };
    if target.root_certificates.is_some() && found.certs.is_empty() {
        return Err(other("there are no certificates in the file `sslrootcert`"));
    }
    let mut roots = RootCertStore::empty();
    // The system may have some that are of no use.
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| other("TLS cannot be set up").with_source(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
