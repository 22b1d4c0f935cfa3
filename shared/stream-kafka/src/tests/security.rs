//! Brokers that let in whom they know: users with passwords over TLS, and clients with certificates.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use forebay_model::SystemClock;
use forebay_storage::{Channel, Heard, Secret, StorageError};
use forebay_testbed::{Authority, KafkaOptions, KafkaSecurity};
use futures::StreamExt;

use super::place::{Environment, OwnCluster, at};
use crate::{KafkaConfig, KafkaStreams, SaslMechanism};

const PASSWORD: &str = "s3cret-of-forebay";

/// A cluster, and the settings of those it lets in.
struct Bed {
    by_password: KafkaConfig,
    by_certificate: KafkaConfig,
    /// With the certificates' files.
    _authority: Authority,
    _cluster: OwnCluster,
}

impl Bed {
    async fn start() -> Self {
        let authority = Authority::new().expect("an authority");
        let security = KafkaSecurity {
            own: authority.certify("kafka").expect("a certificate"),
            users: vec![("forebay".to_owned(), PASSWORD.to_owned())],
        };
        let cluster = OwnCluster::start(KafkaOptions {
            security: Some(security),
            ..KafkaOptions::default()
        })
        .await;
        let broker = &cluster.kafka.brokers()[0];
        let client = authority.certify("forebay").expect("a certificate");
        let tls = |address: String| KafkaConfig {
            tls: true,
            ca_file: Some(authority.file()),
            request_timeout_ms: 5_000,
            ..at(&address)
        };
        Self {
            by_password: KafkaConfig {
                username: "forebay".to_owned(),
                password: Secret::new(PASSWORD),
                ..tls(broker.for_passwords().to_string())
            },
            by_certificate: KafkaConfig {
                certificate_file: Some(client.certificate_file),
                key_file: Some(client.key_file),
                ..tls(broker.for_certificates().to_string())
            },
            _authority: authority,
            _cluster: cluster,
        }
    }
}

/// Topics are made, and an announcement goes there and back.
async fn works(config: KafkaConfig) {
    let environment = Environment::migrated(config).await;
    let streams = environment.connect().await;
    streams.ping().await.expect("an answer");
    let mut heard = streams.announcements.listen(Channel::Signals).await.expect("listening");
    let announced = streams
        .announcements
        .announce(Channel::Signals, Bytes::from_static(b"a"));
    announced.await.expect("announced");
    assert_eq!(heard.next().await, Some(Heard::Message(Bytes::from_static(b"a"))));
}

/// What is told to a process with these settings, which is not let in.
async fn refusal(config: &KafkaConfig) -> StorageError {
    let begin = Instant::now();
    let connected = KafkaStreams::connect(config, None, Arc::new(SystemClock)).await;
    let refused = connected.err().expect("refused");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    for told in [refused.to_string(), format!("{refused:?}")] {
        let password = config.password.expose();
        assert!(password.is_empty() || !told.contains(password), "{told}");
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_are_let_in_who_prove_who_they_are() {
    let bed = Bed::start().await;
    let (by_password, by_certificate) = (&bed.by_password, &bed.by_certificate);
    works(by_password.clone()).await;
    works(KafkaConfig {
        sasl_mechanism: SaslMechanism::ScramSha256,
        ..by_password.clone()
    })
    .await;
    works(by_certificate.clone()).await;

    fn with(config: &KafkaConfig, change: impl FnOnce(&mut KafkaConfig)) -> KafkaConfig {
        let mut config = KafkaConfig {
            request_timeout_ms: 1_500,
            ..config.clone()
        };
        change(&mut config);
        config
    }
    let stranger = Authority::new().expect("an authority");
    let strange = stranger.certify("forebay").expect("a certificate");
    let refusals = [
        (
            with(by_password, |config| config.password = Secret::new("not-the-password")),
            "check `username`, `password` and `sasl_mechanism`",
        ),
        (
            with(by_password, |config| config.username = "nobody".to_owned()),
            "check `username`, `password` and `sasl_mechanism`",
        ),
        (
            with(by_password, |config| config.sasl_mechanism = SaslMechanism::Plain),
            "check `username`, `password` and `sasl_mechanism`",
        ),
        (
            with(by_password, |config| config.username.clear()),
            "set `username` and `password`",
        ),
        (
            with(by_password, |config| config.ca_file = Some(stranger.file())),
            "check `ca_file`",
        ),
        (with(by_password, |config| config.ca_file = None), "set `ca_file`"),
        (
            with(by_certificate, |config| {
                (config.certificate_file, config.key_file) = (None, None);
            }),
            "set `certificate_file` and `key_file`",
        ),
        (
            with(by_certificate, |config| {
                config.certificate_file = Some(strange.certificate_file.clone());
                config.key_file = Some(strange.key_file.clone());
            }),
            "check `certificate_file`",
        ),
        (with(by_certificate, |config| config.tls = false), "set `tls`"),
    ];
    for (config, advice) in refusals {
        let told = refusal(&config).await.to_string();
        assert!(told.contains(advice), "{told}");
    }

    // What is wrong with files waits for nobody.
    let mismatch = with(by_certificate, |config| {
        config.key_file = Some(strange.key_file.clone())
    });
    let missing = with(by_password, |config| {
        config.ca_file = Some("/nonexistent/ca.pem".into())
    });
    for config in [mismatch, missing] {
        let told = refusal(&config).await;
        assert!(matches!(told, StorageError::Misconfigured { .. }), "{told}");
    }
}
