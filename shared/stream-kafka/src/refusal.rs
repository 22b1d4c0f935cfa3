//! Why brokers do not answer, in the client's words, and which settings in `[kafka]` are the likely cause.

use rdkafka::error::KafkaError;

use crate::KafkaConfig;

/// A question that had no answer, and what the client said meanwhile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{advice} ({complaint})")]
    Explained { advice: String, complaint: String },
    #[error("{error} ({complaint})")]
    Unexplained { error: KafkaError, complaint: String },
}

impl Refusal {
    /// Of complaints in their order, of which the first that is understood counts. `None` without any.
    pub(crate) fn of(config: &KafkaConfig, error: KafkaError, complaints: &[String]) -> Option<Self> {
        let explained = complaints.iter().find_map(|complaint| {
            let advice = advice(config, complaint)?;
            let complaint = complaint.clone();
            Some(Self::Explained { advice, complaint })
        });
        let last = complaints.last().cloned();
        explained.or_else(|| last.map(|complaint| Self::Unexplained { error, complaint }))
    }
}

/// By librdkafka's words and OpenSSL's, which are those of the alerts in RFC 8446. With TLS 1.3 brokers judge our certificate after the handshake: their
/// alert is the answer to the first request.
fn advice(config: &KafkaConfig, complaint: &str) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|words| complaint.contains(words));
    if says(&["SASL"]) && says(&["uthentication failed", "handshake failed", "authentication error"]) {
        return Some(format!(
            "the brokers do not let user `{}` in: check `username`, `password` and `sasl_mechanism`",
            config.username
        ));
    }
    if config.tls && says(&["certificate verify failed"]) {
        return Some(match &config.ca_file {
            Some(file) => format!(
                "the broker's certificate is not for this address, or by none of the authorities in {}: check `ca_file`",
                file.display()
            ),
            None => "the broker's certificate is by none of the authorities that this system trusts: set `ca_file`"
                .to_owned(),
        });
    }
    if config.tls
        && says(&[
            "wrong version number",
            "record layer failure",
            "connecting to a PLAINTEXT",
        ])
    {
        return Some("the broker does not speak TLS at this port: check `brokers` and `tls`".to_owned());
    }
    if config.tls && says(&["alert"]) {
        return Some(match &config.certificate_file {
            Some(file) => format!(
                "the broker does not accept the certificate in {}: check `certificate_file` and `key_file`",
                file.display()
            ),
            None => "the brokers ask clients for a certificate: set `certificate_file` and `key_file`".to_owned(),
        });
    }
    if says(&["isconnected"]) && config.username.is_empty() {
        return Some(if config.tls {
            "the broker hung up: if it asks for users, set `username` and `password`".to_owned()
        } else {
            "the broker hung up: if it speaks TLS, set `tls`; if it asks for users, set `username` and `password`"
                .to_owned()
        });
    }
    None
}
