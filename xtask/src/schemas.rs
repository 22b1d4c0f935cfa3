//! JSON schemas of what is not in the API itself: the Gateway API, the Prometheus operator, and skaffold.yaml. Go's modules of these projects carry them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use crate::shell::{self, Error};
use crate::yaml;

/// A module, the file in it, and the schema's name, as kubeconform asks for it.
struct Source {
    module: &'static str,
    file: &'static str,
    name: &'static str,
}

const SOURCES: [Source; 3] = [
    Source {
        module: "sigs.k8s.io/gateway-api@v1.6.3",
        file: "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        name: "httproute-gateway-v1",
    },
    Source {
        module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        file: "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        name: "servicemonitor-monitoring-v1",
    },
    Source {
        module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        file: "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        name: "prometheusrule-monitoring-v1",
    },
];
const SKAFFOLD: &str = "github.com/GoogleContainerTools/skaffold/v2@v2.16.1";
/// The version of the schema, which skaffold.yaml names.
pub const SKAFFOLD_VERSION: &str = "v4beta13";

/// Names what is in the folder that [`write`] makes: another name for other contents.
pub const VERSION: &str = "gateway-api-1.6.3-prometheus-operator-0.85.0-skaffold-2.16.1";

/// Fetches all modules and writes their schemas into a folder.
pub fn write(folder: &Path) -> Result<(), Error> {
    let modules = tempfile::tempdir().map_err(Error::file(folder))?;
    for Source { module, file, name } in SOURCES {
        let path = fetch(module, modules.path())?.join(file);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        let version = name.rsplit('-').next().unwrap_or_default();
        let schema = yaml::documents(&text)?
            .iter()
            .find_map(|definition| schema_of(definition, version))
            .ok_or_else(|| Error::Other(format!("{} defines no {version}", path.display())))?;
        put(folder, name, &schema.to_string())?;
    }
    let path = fetch(SKAFFOLD, modules.path())?.join(format!("docs-v2/content/en/schemas/{SKAFFOLD_VERSION}.json"));
    let schema = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    put(folder, "skaffold-config", &schema)
}

fn put(folder: &Path, name: &str, schema: &str) -> Result<(), Error> {
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, schema).map_err(Error::file(&path))
}

/// The folder of a module's files.
fn fetch(module: &str, modules: &Path) -> Result<PathBuf, Error> {
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", module]).current_dir(modules);
    // Of a folder of their own, which goes afterwards: the modules are large, the schemas are not.
    go.env("GOMODCACHE", modules.join("cache"))
        .env("GOFLAGS", "-modcacherw");
    let answer: Value =
        serde_json::from_str(&shell::output(&mut go)?).map_err(|error| Error::Other(error.to_string()))?;
    let folder = answer["Dir"].as_str();
    folder
        .map(PathBuf::from)
        .ok_or_else(|| Error::Other(format!("{module} cannot be fetched: {}", answer["Error"])))
}

/// The schema of a version that a CustomResourceDefinition has.
fn schema_of(definition: &Value, version: &str) -> Option<Value> {
    let versions = definition["spec"]["versions"].as_array()?;
    let found = versions.iter().find(|candidate| candidate["name"] == version)?;
    let mut schema = found["schema"].get("openAPIV3Schema")?.clone();
    make_strict(&mut schema);
    Some(schema)
}

/// Fields that are not in the schema become errors, as they are with `kubectl apply --validate=strict`.
fn make_strict(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        schema.remove("type");
    }
    let is_open = |schema: &Map<String, Value>| {
        schema.contains_key("additionalProperties")
            || schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
    };
    if schema.contains_key("properties") && !is_open(schema) {
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(make_strict);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            make_strict(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_refused_wherever_fields_are_named() {
        let inner = json!({"type": "object", "properties": {"properties": {"type": "string"}}});
        let definition = json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {
                "metadata": {"type": "object"},
                "spec": {"type": "array", "items": inner},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "port": {"type": "string", "x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}]},
            },
        }}}]}});
        let schema = schema_of(&definition, "v1").expect("a schema");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["spec"]["items"]["additionalProperties"], false);
        assert!(schema["properties"]["metadata"].get("additionalProperties").is_none());
        assert_eq!(schema["properties"]["labels"]["additionalProperties"]["type"], "string");
        assert!(schema["properties"]["port"].get("type").is_none());
        assert!(schema_of(&definition, "v2").is_none());
    }
}
