//! How long pods take from being made to being ready, seen as it happens: the API itself tells times in whole seconds.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kube::Kube;
use super::pods::is_ready;

/// Watches the pods of a namespace until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    kubectl: Child,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    service: String,
    made: Instant,
    ready: Option<Duration>,
}

impl Watch {
    pub fn start(kube: &Kube) -> Watch {
        let mut command = kube.cluster.kubectl();
        command
            .args([
                "--namespace",
                kube.namespace,
                "get",
                "pods",
                "--watch",
                "--output",
                "json",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut kubectl = command.spawn().expect("kubectl runs");
        let output = kubectl.stdout.take().expect("its output");
        let seen: Arc<Mutex<BTreeMap<String, Seen>>> = Arc::default();
        let book = Arc::clone(&seen);
        std::thread::spawn(move || {
            for pod in serde_json::Deserializer::from_reader(output).into_iter::<Value>() {
                // It ends in the middle of an object.
                let Ok(pod) = pod else { return };
                note(&mut book.lock().unwrap_or_else(PoisonError::into_inner), &pod);
            }
        });
        Watch { kubectl, seen }
    }

    /// By service, how long its pods took to get ready the first time, in order.
    pub fn times(&self) -> BTreeMap<String, Vec<Duration>> {
        let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for seen in self.seen.lock().unwrap_or_else(PoisonError::into_inner).values() {
            if let Some(ready) = seen.ready {
                times.entry(seen.service.clone()).or_default().push(ready);
            }
        }
        times.values_mut().for_each(|times| times.sort_unstable());
        times
    }

    /// Forgets what was seen so far.
    pub fn begin_again(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn note(seen: &mut BTreeMap<String, Seen>, pod: &Value) {
    let (Some(id), Some(service)) = (
        pod["metadata"]["uid"].as_str(),
        pod["metadata"]["labels"]["app.kubernetes.io/component"].as_str(),
    ) else {
        return;
    };
    if service == "migration" {
        return;
    }
    // One that was there before has been ready before.
    let is_new = pod["status"]["containerStatuses"].is_null() || seen.contains_key(id);
    if !is_new {
        return;
    }
    let entry = seen.entry(id.to_owned()).or_insert_with(|| Seen {
        service: service.to_owned(),
        made: Instant::now(),
        ready: None,
    });
    if entry.ready.is_none() && is_ready(pod) {
        entry.ready = Some(entry.made.elapsed());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
