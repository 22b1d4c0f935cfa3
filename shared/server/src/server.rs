//! A process's server: its services behind one listener.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use forebay_api::Code;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept_loop;
use crate::config::ServerConfig;
use crate::edge::{Edge, Shared};
use crate::error::ApiError;
use crate::health::{self, Health};
use crate::openapi;
use crate::roof::Roof;
use crate::service::{ReadyCheck, Service, Task};
use crate::shutdown::Shutdown;
use crate::starting::Starting;
use crate::telemetry::{self, Measure};

/// How often recorded samples are moved into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Services that are to be served together.
pub struct Server {
    config: ServerConfig,
    services: Vec<Service>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {source}; choose another address with --listen or server.listen")]
pub struct BindError {
    listen: SocketAddr,
    source: io::Error,
}

/// A server with its socket, not yet serving.
pub struct Bound {
    config: ServerConfig,
    services: Vec<Service>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// A server without services, which still answers /livez, /readyz, /metrics and /docs.
    pub fn new(config: ServerConfig) -> Self {
        telemetry::start_metrics();
        Server {
            config,
            services: Vec::new(),
        }
    }

    /// Adds a service. No two may have a path in common.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Opens the socket; connections wait in its queue until [`Bound::serve`].
    pub async fn bind(self) -> Result<Bound, BindError> {
        let listen = self.config.listen;
        let bind_error = |source| BindError { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Bound {
            config: self.config,
            services: self.services,
            listener,
            address,
        })
    }
}

impl Bound {
    /// The address, with the port that was chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` drains; then finishes what is under way, stops the tasks and returns. Tasks run on
    /// `work`. What is not done after `drain_deadline` is cut.
    pub async fn serve(self, shutdown: Shutdown, work: &Handle) {
        let shared = Shared::new(self.config.clone(), shutdown.clone());
        let (app, tasks) = start(self.services, &shared, &shutdown, work);
        let places = Arc::clone(&shared.connections);
        let accepting = accept_loop::run(
            self.listener,
            Roof::new(app),
            self.config.clone(),
            places,
            shutdown.clone(),
        );
        finish(tokio::spawn(accepting), tasks, self.config.drain_deadline, &shutdown).await;
    }

    /// The same for services that are still being made: until `opening` has them, /livez answers, /readyz says what is
    /// waited for, and everything else is refused with 503. A shutdown meanwhile ends at once.
    ///
    /// # Errors
    /// That of `opening`.
    pub async fn serve_when<E>(
        self,
        opening: impl Future<Output = Result<Vec<Service>, E>>,
        starting: &Starting,
        shutdown: Shutdown,
        work: &Handle,
    ) -> Result<(), E> {
        let shared = Shared::new(self.config.clone(), shutdown.clone());
        let roof = Roof::new(starting_app(&shared, starting, &shutdown, work));
        let places = Arc::clone(&shared.connections);
        let accepting = accept_loop::run(
            self.listener,
            roof.clone(),
            self.config.clone(),
            places,
            shutdown.clone(),
        );
        let accepting = tokio::spawn(accepting);
        let opened = tokio::select! {
            opened = opening => opened,
            () = shutdown.draining() => {
                accepting.abort();
                return Ok(());
            }
        };
        let mut services = self.services;
        match opened {
            Ok(mut more) => services.append(&mut more),
            Err(error) => {
                accepting.abort();
                return Err(error);
            }
        }
        let (app, tasks) = start(services, &shared, &shutdown, work);
        roof.replace(app);
        finish(accepting, tasks, self.config.drain_deadline, &shutdown).await;
        Ok(())
    }
}

/// Starts the tasks of all services and puts their routes under one roof.
fn start(mut services: Vec<Service>, shared: &Arc<Shared>, shutdown: &Shutdown, work: &Handle) -> (Router, Tasks) {
    let upkeep = work.spawn(async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            telemetry::upkeep();
        }
    });
    let tasks = Tasks {
        tracker: TaskTracker::new(),
        stop: CancellationToken::new(),
        upkeep,
    };
    let mut checks: Vec<ReadyCheck> = Vec::new();
    let mut measures = vec![of_server(shared)];
    for service in &mut services {
        checks.append(&mut service.checks);
        measures.append(&mut service.measures);
        checks.extend(service.tasks.drain(..).map(|task| tasks.spawn(task, work)));
    }
    let health = Health {
        checks,
        starting: None,
        shutdown: shutdown.clone(),
        measures,
        runtimes: runtimes(work),
    };
    (app(services, health, shared), tasks)
}

/// Waits for the end of the accept loop, then ends the tasks.
async fn finish(accepting: JoinHandle<()>, tasks: Tasks, deadline: Duration, shutdown: &Shutdown) {
    if let Err(error) = accepting.await {
        tracing::error!("the accept loop has failed: {error}");
    }
    tasks.finish(deadline, shutdown).await;
}

/// Tells how much of the server is in use.
fn of_server(shared: &Arc<Shared>) -> Measure {
    let shared = Arc::clone(shared);
    Arc::new(move || shared.measure())
}

/// The runtimes of the process; this is called on the one that serves.
fn runtimes(work: &Handle) -> Vec<(&'static str, Handle)> {
    let serving = Handle::current();
    match serving.id() == work.id() {
        true => vec![("serving", serving)],
        false => vec![("serving", serving), ("work", work.clone())],
    }
}

/// The routes of a process whose services are still being made.
fn starting_app(shared: &Arc<Shared>, starting: &Starting, shutdown: &Shutdown, work: &Handle) -> Router {
    let health = health::routes(Health {
        checks: Vec::new(),
        starting: Some(starting.clone()),
        shutdown: shutdown.clone(),
        measures: vec![of_server(shared)],
        runtimes: runtimes(work),
    });
    let around = Edge::new(Arc::clone(shared), "server", HashMap::new(), Default::default());
    health.merge(starting.routes()).layer(around)
}

/// The routes of all services under one roof.
fn app(services: Vec<Service>, health: Health, shared: &Arc<Shared>) -> Router {
    let documents: Vec<(&'static str, &Value)> = services
        .iter()
        .map(|service| (service.name, &service.document))
        .collect();
    let around = Edge::new(Arc::clone(shared), "server", HashMap::new(), Default::default());
    let mut app = health::routes(health)
        .merge(openapi::routes(&documents))
        .fallback(nothing_here)
        .layer(around);
    for service in services {
        let no_parameters = openapi::without_parameters(&service.document);
        let edge = Edge::new(Arc::clone(shared), service.name, service.limits, no_parameters);
        app = app.merge(service.router.layer(edge));
    }
    app
}

async fn nothing_here(request: Request) -> impl IntoResponse {
    ApiError::new(
        Code::NotFound,
        format!(
            "nothing has the path {}; /docs lists what there is",
            request.uri().path()
        ),
    )
}

struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Of the metrics; it knows no end of its own.
    upkeep: JoinHandle<()>,
}

impl Tasks {
    /// Starts a task; the check fails once it has ended by itself.
    fn spawn(&self, task: Task, work: &Handle) -> ReadyCheck {
        let Task { name, run } = task;
        let ended = Arc::new(AtomicBool::new(false));
        let stop = self.stop.clone();
        let running = work.spawn(run(self.stop.clone()));
        let told = Arc::clone(&ended);
        let watching = async move {
            let outcome = running.await;
            if !stop.is_cancelled() {
                told.store(true, Ordering::Relaxed);
                match outcome {
                    Ok(()) => tracing::error!(task = name, "a background task has ended before its time"),
                    Err(error) => tracing::error!(task = name, "a background task has failed: {error}"),
                }
            }
        };
        self.tracker.spawn_on(watching, work);
        let check = move || match ended.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err("this background task has ended; the log says why".to_owned()),
        };
        ReadyCheck {
            name,
            check: Arc::new(check),
        }
    }

    async fn finish(self, deadline: Duration, shutdown: &Shutdown) {
        self.upkeep.abort();
        self.stop.cancel();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = tokio::time::sleep(deadline) => {
                tracing::warn!(running = self.tracker.len(), "tasks are cut: the drain deadline has passed");
            }
            () = shutdown.cut() => {}
        }
    }
}
