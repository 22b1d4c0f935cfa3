//! What to do about a cluster that does not let us in. The driver tells what happened on the connection, not which setting it is about.

use scylla::errors::{
    BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError,
    MetadataError, NewSessionError,
};

use crate::config::CassandraConfig;

/// A session that could not be opened, and the settings in `[cassandra]` that are the likely cause.
#[derive(Debug, thiserror::Error)]
#[error("{advice} ({source})")]
struct Refused {
    advice: String,
    source: NewSessionError,
}

/// The driver's error with advice, where there is some.
pub(crate) fn explained(config: &CassandraConfig, source: NewSessionError) -> Box<dyn std::error::Error + Send + Sync> {
    match advice(config, &source) {
        Some(advice) => Box::new(Refused { advice, source }),
        None => Box::new(source),
    }
}

fn advice(config: &CassandraConfig, error: &NewSessionError) -> Option<String> {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error,
        ..
    })) = error
    else {
        return None;
    };
    match last_connection_error {
        ConnectionError::ConnectionSetupRequestError(request) => match &request.error {
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _) => Some(format!(
                "the cluster has no user `{}` with this password: check `username` and `password`",
                config.username
            )),
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                Some("the cluster asks for a user: set `username` and `password`".to_owned())
            }
            ConnectionSetupRequestErrorKind::BrokenConnection(broken) => {
                let kind = broken.downcast_ref::<BrokenConnectionErrorKind>();
                handshake(config, &kind.map(ToString::to_string)?)
            }
            _ => None,
        },
        ConnectionError::IoError(error) => handshake(config, &error.to_string()),
        ConnectionError::BrokenConnection(broken) => handshake(config, &broken.to_string()),
        _ => None,
    }
}

/// By OpenSSL's words, which are those of the alerts in RFC 8446. With TLS 1.3 the node judges our certificate after the handshake: it hangs up on the first
/// request, and its alert is told or lost.
fn handshake(config: &CassandraConfig, told: &str) -> Option<String> {
    let tls = &config.tls;
    let says = |words: &[&str]| words.iter().any(|words| told.contains(words));
    let hung_up = says(&[
        "reset by peer",
        "early eof",
        "unexpected eof",
        "Broken pipe",
        "already broken",
    ]);
    if !tls.enabled {
        return hung_up.then(|| "the node hung up: if the cluster speaks TLS, set `tls.enabled`".to_owned());
    }
    if says(&["certificate verify failed"]) {
        return Some(match &tls.ca_file {
            Some(file) => format!(
                "the node's certificate is by none of the authorities in {}: check `tls.ca_file`",
                file.display()
            ),
            None => "the node's certificate is by none of the authorities that this system trusts: set `tls.ca_file`"
                .to_owned(),
        });
    }
    if says(&["wrong version number", "record layer failure"]) {
        return Some("the node does not speak TLS at this port: check `contact_points` and `tls.enabled`".to_owned());
    }
    (hung_up || says(&["alert"])).then(|| match &tls.certificate_file {
        Some(file) => format!(
            "the node hung up: if it does not accept the certificate in {}, check `tls.certificate_file` and `tls.key_file`",
            file.display()
        ),
        None => "the node hung up: if the cluster asks clients for a certificate, set `tls.certificate_file` and `tls.key_file`"
            .to_owned(),
    })
}
