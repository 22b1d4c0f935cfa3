//! The programs and schemas that the chart's checks use.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{chart, shown};
use forebay_testbed::checkout;

use crate::shell::{self, Error};
use crate::{schemas, tools, yaml};

/// Where they are.
pub struct Tools {
    pub helm: PathBuf,
    pub kubeconform: PathBuf,
    pub unittest: PathBuf,
    pub helm_docs: PathBuf,
    pub promtool: PathBuf,
    /// The API's schemas.
    kubernetes: PathBuf,
    /// Those of the Gateway API, of the Prometheus operator, and of skaffold.yaml.
    others: PathBuf,
}

impl Tools {
    /// Installs what is not there yet.
    pub fn install() -> Result<Tools, Error> {
        let kubernetes = tools::kubernetes()?;
        Ok(Tools {
            helm: kubernetes.join("helm"),
            kubeconform: kubernetes.join("kubeconform"),
            unittest: kubernetes.join("helm-unittest"),
            helm_docs: tools::helm_docs()?,
            promtool: tools::promtool()?,
            kubernetes: kubernetes.join("schemas"),
            others: tools::schemas()?,
        })
    }

    /// `helm` with one subcommand on the chart, and these values.
    pub fn helm(&self, subcommand: &[&str], values: &Path) -> Command {
        let mut helm = Command::new(&self.helm);
        helm.args(subcommand).arg(chart()).arg("--values").arg(values);
        helm
    }

    /// Holds a file of objects against the API's schemas; unknown kinds and fields are errors.
    pub fn validate(&self, file: &Path) -> Result<(), Error> {
        let mut kubeconform = Command::new(&self.kubeconform);
        kubeconform.args(["-strict", "-summary"]);
        for folder in [&self.kubernetes, &self.others] {
            let pattern = folder.join("{{.ResourceKind}}{{.KindSuffix}}.json");
            kubeconform.arg("-schema-location").arg(pattern);
        }
        shell::run(kubeconform.arg(file))
    }

    /// Skaffold's own schema; to kubeconform it is one more kind.
    pub fn validate_skaffold(&self) -> Result<(), Error> {
        let file = checkout().join("skaffold.yaml");
        let version = yaml::documents(&super::read(&file)?)?
            .first()
            .and_then(|document| document["apiVersion"].as_str().map(str::to_owned));
        let expected = format!("skaffold/{}", schemas::SKAFFOLD_VERSION);
        if version.as_ref() != Some(&expected) {
            return Err(Error::Other(format!(
                "{}: apiVersion is {version:?}, and the schema at hand that of {expected}",
                shown(&file)
            )));
        }
        let mut kubeconform = Command::new(&self.kubeconform);
        kubeconform.args(["-strict", "-summary", "-schema-location"]);
        kubeconform.arg(self.others.join("skaffold-{{.ResourceKind}}.json"));
        shell::run(kubeconform.arg(file))
    }
}
