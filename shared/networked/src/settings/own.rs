//! What of a source of settings is a process's own.

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

/// All sections that some process reads.
pub const SECTIONS: &[&str] = &[
    "server",
    "runtimes",
    "logs",
    "telemetry",
    "registry",
    "storage",
    "cassandra",
    "kafka",
    "lake",
    "engine",
    "ingestion",
    "sinks",
    "compute",
    "online_serving",
    "offline_query",
];

/// The settings of `[storage]` that only embedded stores read.
pub const EMBEDDED: &[&str] = &[
    "overlay_bytes",
    "merge_bytes",
    "merge_interval_ms",
    "map_bytes",
    "segment_bytes",
    "log_bytes",
    "pending_bytes",
];

const STORAGE: &str = "storage";

/// Gives of another source what the process reads, which is what its defaults name.
pub struct Own<'a, P> {
    source: P,
    defaults: &'a Dict,
}

impl<P: Provider> Provider for Own<'_, P> {
    fn metadata(&self) -> Metadata {
        self.source.metadata()
    }

    /// An error for a section that nobody reads.
    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut data = self.source.data()?;
        for sections in data.values_mut() {
            if let Some(unknown) = sections.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
                return Err(Error::from(Kind::UnknownField(unknown.clone(), SECTIONS)));
            }
            sections.retain(|name, _| self.defaults.contains_key(name));
            self.leave_to_embedded(sections);
        }
        Ok(data)
    }
}

impl<'a, P> Own<'a, P> {
    pub fn new(source: P, defaults: &'a Dict) -> Self {
        Own { source, defaults }
    }

    /// `[storage]` is shared: every process that spills reads the folder, one with embedded stores the rest.
    fn leave_to_embedded(&self, sections: &mut Dict) {
        let (Some(Value::Dict(_, own)), Some(Value::Dict(_, found))) =
            (self.defaults.get(STORAGE), sections.get_mut(STORAGE))
        else {
            return;
        };
        found.retain(|name, _| own.contains_key(name) || !EMBEDDED.contains(&name.as_str()));
    }
}
