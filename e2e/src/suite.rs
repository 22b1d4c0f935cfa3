//! The services as processes of their own, in one or several copies, over Kafka, Cassandra and S3, behind one base URL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_testbed::S3Address;
use tempfile::TempDir;

use crate::http::Http;
use crate::lake::Lake;
use crate::process::{Launch, Process};
use crate::proxy::{Proxy, SERVICES};
use crate::stage::{self, Stage};

/// The servers that an installation works on.
#[derive(Clone, Debug)]
pub struct Backends {
    /// `host:port`.
    pub cassandra: String,
    /// `bootstrap.servers`.
    pub kafka: String,
    pub s3: S3Address,
}

impl Backends {
    /// Those that all tests share.
    pub fn shared() -> Self {
        Backends {
            cassandra: forebay_testbed::cassandra().to_owned(),
            kafka: forebay_testbed::kafka().to_owned(),
            s3: forebay_testbed::s3().clone(),
        }
    }

    /// Settings of an installation on these servers in which all names are its own, and its lake.
    pub fn installation(&self) -> Installation {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let environment = format!("t{}", &unique[..8]);
        let settings = [
            ("CASSANDRA__CONTACT_POINTS", format!("[\"{}\"]", self.cassandra)),
            ("CASSANDRA__REPLICATION_FACTOR", "1".into()),
            ("KAFKA__BROKERS", self.kafka.clone()),
            ("KAFKA__REPLICATION", "0".into()),
            ("KAFKA__PARTITIONS", "3".into()),
            // A query as known now waits until no row can appear any more below that moment, which takes this bound and the clocks' tolerance.
            ("KAFKA__DELIVERY_BOUND_MS", "1000".into()),
            ("KAFKA__CLOCK_TOLERANCE_MS", "200".into()),
            ("OFFLINE_QUERY__SETTLE_MS", "20000".into()),
            // A slow machine is no reason to fail.
            ("ONLINE_SERVING__STORE_DEADLINE_MS", "10000".into()),
            ("LAKE__ROOT", format!("s3://{}/e2e", S3Address::BUCKET)),
            ("LAKE__S3__ENDPOINT", self.s3.endpoint.clone()),
            ("LAKE__S3__ALLOW_HTTP", "true".into()),
            ("LAKE__S3__ACCESS_KEY_ID", S3Address::ACCESS_KEY.into()),
            ("LAKE__S3__SECRET_ACCESS_KEY", S3Address::SECRET_KEY.into()),
            ("LAKE__S3__REGION", S3Address::REGION.into()),
            ("REGISTRY__ENVIRONMENT", environment.clone()),
        ];
        Installation {
            settings: settings
                .into_iter()
                .map(|(name, value)| (format!("FOREBAY_{name}"), value))
                .collect(),
            lake: Lake::s3(&self.s3, &format!("e2e/{environment}")),
        }
    }
}

/// What processes of one installation have in common.
#[derive(Clone, Debug)]
pub struct Installation {
    pub settings: Vec<(String, String)>,
    pub lake: Lake,
}

/// A running suite. Its processes are killed when it is dropped, and when this process ends.
#[derive(Debug)]
pub struct Suite {
    installation: Installation,
    proxy: Proxy,
    /// By service, its copies; none where one was killed.
    copies: Mutex<BTreeMap<&'static str, Vec<Option<Arc<Process>>>>>,
    folder: TempDir,
}

impl Suite {
    /// Prepares an installation and starts so many copies of each service, with further settings.
    pub async fn start(backends: &Backends, copies: usize, settings: &[(&str, &str)]) -> Self {
        let mut installation = backends.installation();
        let proxy = Proxy::start();
        let registry = [("FOREBAY_REGISTRY__URL", proxy.base_url())];
        installation
            .settings
            .extend(registry.map(|(name, value)| (name.to_owned(), value)));
        let further = settings
            .iter()
            .map(|(name, value)| (format!("FOREBAY_{name}"), (*value).to_owned()));
        installation.settings.extend(further);
        let folder = TempDir::with_prefix("forebay-suite-").expect("a temporary folder");
        let suite = Suite {
            installation,
            proxy,
            copies: Mutex::default(),
            folder,
        };
        Launch::new(suite.folder.path())
            .settings(&suite.installation.settings)
            .migrate();
        for (service, _) in SERVICES {
            suite.all().insert(service, vec![None; copies]);
            for copy in 0..copies {
                suite.begin(service, copy);
            }
        }
        suite.ready().await;
        suite
    }

    /// Waits until all processes are ready.
    pub async fn ready(&self) {
        for process in self.processes() {
            process.ready().await;
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<Option<Arc<Process>>>>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that run.
    fn processes(&self) -> Vec<Arc<Process>> {
        self.all().values().flatten().flatten().cloned().collect()
    }

    /// The copies of a service that run.
    pub fn copies_of(&self, service: &str) -> Vec<Arc<Process>> {
        self.all()[service].iter().flatten().cloned().collect()
    }

    /// How the copy of a service is started.
    fn launch(&self, service: &str, copy: usize) -> Launch {
        let folder: PathBuf = self.folder.path().join(format!("{service}-{copy}"));
        Launch::service(service, &folder, self.folder.path()).settings(&self.installation.settings)
    }

    /// Starts a copy, after kill -9 if it runs, without waiting until it is ready. The proxy knows it from here on.
    pub fn begin(&self, service: &'static str, copy: usize) -> Arc<Process> {
        self.kill(service, copy);
        let process = Arc::new(self.launch(service, copy).begin());
        self.set(service, copy, Some(Arc::clone(&process)));
        process
    }

    /// Starts a copy again, after kill -9 if it runs, and waits until it is ready.
    pub async fn restart(&self, service: &'static str, copy: usize) {
        self.begin(service, copy).ready().await;
    }

    /// Ends a copy with kill -9.
    pub fn kill(&self, service: &'static str, copy: usize) {
        if let Some(process) = self.set(service, copy, None) {
            process.kill();
        }
    }

    /// Puts another process in a copy's place. Returns the one before.
    fn set(&self, service: &'static str, copy: usize, process: Option<Arc<Process>>) -> Option<Arc<Process>> {
        let mut all = self.all();
        let copies = all.get_mut(service).expect("a service");
        let before = std::mem::replace(&mut copies[copy], process);
        let addresses = copies.iter().flatten().map(|process| process.address()).collect();
        self.proxy.route(service, addresses);
        before
    }

    /// Every service behind one base URL.
    pub fn http(&self) -> Http {
        Http::new(self.proxy.base_url()).heard_by(self.proxy.upstreams())
    }

    /// The whole of it, and a domain of one's own.
    pub fn stage(&self) -> Stage {
        Stage::new(self.http(), self.installation.lake.clone())
    }

    /// Whether one of the copies of ingestion says that a group is stopped.
    pub async fn is_stopped(&self, group: &str) -> bool {
        for process in self.copies_of("ingestion") {
            if stage::is_stopped(&Http::new(process.http.base_url.clone()), group).await {
                return true;
            }
        }
        false
    }

    /// What the processes have logged, each under its name.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for (service, copies) in self.all().iter() {
            for (copy, process) in copies.iter().enumerate() {
                if let Some(process) = process {
                    text += &format!("== {service} {copy}\n{}\n", process.log());
                }
            }
        }
        text
    }
}
