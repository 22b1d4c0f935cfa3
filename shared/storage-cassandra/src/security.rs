//! A cluster that speaks TLS only, asks for certificates and for passwords.

use std::time::{Duration, Instant};

use forebay_storage::{
    OnlineAnswer, OnlineRead, OnlineStore, Provision, Secret,
    conformance::{rows::PlainRow, schemas},
};
use forebay_testbed::{Authority, Cassandra, CassandraOptions, Certified};
use tokio::time::sleep;

use crate::{
    CassandraConfig, CassandraStores, CassandraTls, ConnectError, cluster::Cluster, conformance::config, migrate,
};

const PASSWORD: &str = "s3cret-of-forebay";

/// The server, whom it trusts, and what a process needs to be let in.
struct Bed {
    config: CassandraConfig,
    /// With the certificates' files.
    _authority: Authority,
    _server: Cassandra,
}

impl Bed {
    async fn start() -> Self {
        let authority = Authority::new().expect("an authority");
        let own = authority.certify("cassandra").expect("a certificate");
        let server = tokio::task::spawn_blocking(|| {
            Cassandra::start(CassandraOptions {
                passwords: true,
                tls: Some(own),
                ..CassandraOptions::default()
            })
        });
        let server = server.await.expect("no panic").expect("a server");
        let client = authority.certify("forebay").expect("a certificate");
        let config = CassandraConfig {
            username: "forebay".to_owned(),
            password: Secret::new(PASSWORD),
            tls: tls(&client),
            ..config(server.address().to_string())
        };
        add_user(&config).await;
        Self {
            config,
            _authority: authority,
            _server: server,
        }
    }
}

/// What is told to a process with these settings, which is not let in.
async fn refusal(config: &CassandraConfig) -> String {
    let begin = Instant::now();
    let refused = CassandraStores::connect(config, None).await.err().expect("refused");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused:?}");
    let told = refused.to_string();
    let migrated = migrate::migrate(config, None).await.expect_err("refused");
    for told in [&told, &format!("{refused:?}"), &migrated.to_string()] {
        assert!(!told.contains(config.password.expose()), "{told}");
    }
    told
}

fn tls(client: &Certified) -> CassandraTls {
    CassandraTls {
        enabled: true,
        ca_file: Some(client.authority_file.clone()),
        certificate_file: Some(client.certificate_file.clone()),
        key_file: Some(client.key_file.clone()),
    }
}

/// The node makes its first user a moment after it takes CQL.
async fn add_user(config: &CassandraConfig) {
    let first = CassandraConfig {
        username: "cassandra".to_owned(),
        password: Secret::new("cassandra"),
        ..config.clone()
    };
    let begin = Instant::now();
    let cluster = loop {
        match Cluster::connect(&first, first.keyspace.clone()).await {
            Ok(cluster) => break cluster,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "{error}"),
        }
        sleep(Duration::from_millis(200)).await;
    };
    let user = format!("CREATE ROLE forebay WITH PASSWORD = '{PASSWORD}' AND LOGIN = true");
    cluster.change(user).await.expect("a user");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_are_let_in_who_prove_who_they_are() {
    let bed = Bed::start().await;
    let migrated = migrate::migrate(&bed.config, None).await;
    migrated.expect("migrated");
    let stores = CassandraStores::connect(&bed.config, None).await.expect("connected");
    stores.ping().await.expect("an answer");
    let schema = schemas::prices(0);
    stores.online.ensure(&schema).await.expect("tables");
    let row = PlainRow::price(1, 10, 0, 2.5).packed(&schema);
    let written = stores.online.upsert(&schema, vec![row.clone()], None).await;
    written.expect("written");
    let mut read = OnlineRead::new(schema);
    read.push(&row.key);
    let mut answer = OnlineAnswer::default();
    let deadline = Instant::now() + Duration::from_secs(10);
    stores.online.read(&[read], deadline, &mut answer).await;
    assert_eq!(answer.row(0, 0).expect("an answer"), Some(&row.row[..]));

    let config = &bed.config;
    let with = |change: &dyn Fn(&mut CassandraConfig)| {
        let mut config = config.clone();
        change(&mut config);
        config
    };
    let stranger = Authority::new().expect("an authority");
    let strange = tls(&stranger.certify("forebay").expect("a certificate"));
    let refusals = [
        (
            with(&|config| config.password = Secret::new("not-the-password")),
            "check `username` and `password`",
        ),
        (
            with(&|config| config.username = "nobody".to_owned()),
            "no user `nobody`",
        ),
        (with(&|config| config.username.clear()), "set `username` and `password`"),
        (
            with(&|config| config.tls.ca_file = strange.ca_file.clone()),
            "check `tls.ca_file`",
        ),
        (with(&|config| config.tls.ca_file = None), "set `tls.ca_file`"),
        (
            with(&|config| (config.tls.certificate_file, config.tls.key_file) = (None, None)),
            "set `tls.certificate_file` and `tls.key_file`",
        ),
        (
            with(&|config| {
                config.tls.certificate_file = strange.certificate_file.clone();
                config.tls.key_file = strange.key_file.clone();
            }),
            "check `tls.certificate_file`",
        ),
        (with(&|config| config.tls.enabled = false), "set `tls.enabled`"),
    ];
    for (config, advice) in refusals {
        let told = refusal(&config).await;
        assert!(told.contains(advice), "{told}");
    }

    // What is wrong with files waits for nobody.
    let mismatch = with(&|config| config.tls.key_file = strange.key_file.clone());
    let missing = with(&|config| config.tls.ca_file = Some("/nonexistent/ca.pem".into()));
    for (config, setting) in [(mismatch, "`key_file`"), (missing, "`ca_file`")] {
        let refused = CassandraStores::connect(&config, None).await.err().expect("refused");
        assert!(matches!(refused, ConnectError::Tls { .. }), "{refused:?}");
        assert!(refused.to_string().contains(setting), "{refused}");
    }
}

/// TLS where the cluster has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_tls() {
    let contact_point = tokio::task::spawn_blocking(crate::conformance::contact_point);
    let mut config = config(contact_point.await.expect("a server"));
    config.tls.enabled = true;
    (config.username, config.password) = ("forebay".to_owned(), Secret::new(PASSWORD));
    let told = refusal(&config).await;
    assert!(told.contains("check `contact_points` and `tls.enabled`"), "{told}");
}
