//! Brokers that want TLS and a password.

use std::{path::Path, process::Command, sync::Arc};

use bytes::Bytes;
use forebay_model::SystemClock;
use forebay_storage::{Channel, Heard, Secret, StorageError};
use forebay_testbed::KafkaOptions;
use futures::StreamExt;

use super::place::{Environment, OwnCluster, at};
use crate::{KafkaConfig, KafkaStreams, SaslMechanism};

const KEYSTORE_PASSWORD: &str = "changeit";

fn keytool(folder: &Path, arguments: &[&str]) {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/keytool"));
    let program = home
        .filter(|program| program.exists())
        .unwrap_or_else(|| "keytool".into());
    let output = Command::new(&program)
        .args(arguments)
        .args([
            "-keystore",
            "broker.p12",
            "-storepass",
            KEYSTORE_PASSWORD,
            "-alias",
            "broker",
        ])
        .current_dir(folder)
        .output()
        .expect("keytool, which comes with the JDK");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A broker that takes only users it knows, over TLS, with a certificate that it has signed itself.
async fn start(folder: &Path) -> OwnCluster {
    keytool(
        folder,
        &[
            "-genkeypair",
            "-keyalg",
            "EC",
            "-dname",
            "CN=broker",
            "-ext",
            "SAN=ip:127.0.0.1",
            "-validity",
            "2",
            "-storetype",
            "PKCS12",
        ],
    );
    keytool(folder, &["-exportcert", "-rfc", "-file", "ca.pem"]);
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"admin\" \
                 user_admin=\"admin\" user_forebay=\"s3cret\";";
    let keystore = folder.join("broker.p12").display().to_string();
    let properties = [
        (
            "listener.security.protocol.map",
            "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        ),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("sasl.mechanism.inter.broker.protocol", "PLAIN"),
        ("listener.name.plaintext.plain.sasl.jaas.config", login),
        ("ssl.keystore.type", "PKCS12"),
        ("ssl.keystore.location", &keystore),
        ("ssl.keystore.password", KEYSTORE_PASSWORD),
        ("ssl.truststore.type", "PKCS12"),
        ("ssl.truststore.location", &keystore),
        ("ssl.truststore.password", KEYSTORE_PASSWORD),
    ];
    OwnCluster::start(KafkaOptions {
        properties: properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..KafkaOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_a_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = start(folder.path()).await;
    let config = KafkaConfig {
        tls: true,
        ca_file: Some(folder.path().join("ca.pem")),
        sasl_mechanism: SaslMechanism::Plain,
        username: "forebay".to_owned(),
        password: Secret::new("s3cret"),
        request_timeout_ms: 5_000,
        ..at(&cluster.kafka.addresses())
    };
    let environment = Environment::migrated(config.clone()).await;
    let streams = environment.connect().await;
    streams.ping().await.expect("an answer");
    let mut heard = streams.announcements.listen(Channel::Signals).await.expect("listening");
    streams
        .announcements
        .announce(Channel::Signals, Bytes::from_static(b"a"))
        .await
        .expect("announced");
    assert_eq!(heard.next().await, Some(Heard::Message(Bytes::from_static(b"a"))));

    let refused = async |config: KafkaConfig| {
        let connected = KafkaStreams::connect(&config, None, Arc::new(SystemClock)).await;
        connected.err().expect("refused")
    };
    let wrong_password = KafkaConfig {
        password: Secret::new("wr0ng"),
        ..config.clone()
    };
    let told = refused(wrong_password).await.to_string();
    assert!(told.contains("authentication") && !told.contains("wr0ng"), "{told}");
    let wrong_authority = KafkaConfig {
        ca_file: None,
        ..config.clone()
    };
    let told = refused(wrong_authority).await.to_string();
    assert!(told.contains("certificate"), "{told}");
    let no_such_file = KafkaConfig {
        ca_file: Some("/nonexistent/ca.pem".into()),
        ..config.clone()
    };
    let told = refused(no_such_file).await;
    assert!(matches!(told, StorageError::Misconfigured { .. }), "{told}");
    let scram = KafkaConfig {
        sasl_mechanism: SaslMechanism::ScramSha512,
        ..config
    };
    let told = refused(scram).await.to_string();
    assert!(
        told.contains("SCRAM-SHA-512"),
        "the brokers, not the client, do not have it: {told}"
    );
}
