//! Definitions: plan, apply, read, search, graph.

use bytes::Bytes;
use forebay_api::apply::Plan;
use forebay_api::changes::RegistrySnapshot;
use forebay_api::graph::GraphQuery;
use forebay_api::info::Info;
use forebay_api::search::{SearchPage, SearchQuery};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::{Call, segment};
use crate::client::Client;
use crate::error::ClientError;

/// A kind of object, as its path has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// `/v1/domains`
    Domains,
    /// `/v1/entities`
    Entities,
    /// `/v1/sources`
    Sources,
    /// `/v1/groups`
    Groups,
    /// `/v1/features`
    Features,
    /// `/v1/views`
    Views,
}

impl Collection {
    /// The last part of its path.
    pub fn as_str(self) -> &'static str {
        match self {
            Collection::Domains => "domains",
            Collection::Entities => "entities",
            Collection::Sources => "sources",
            Collection::Groups => "groups",
            Collection::Features => "features",
            Collection::Views => "views",
        }
    }
}

impl Client {
    /// The installation: its version, environment and limits.
    pub async fn info(&self) -> Result<Info, ClientError> {
        self.json(&Call::get("/v1/info")).await
    }

    /// Everything that is registered, for services that keep a copy; none when the registry is still at revision
    /// `known` with all its groups ready.
    pub async fn registry_snapshot(&self, known: Option<u64>) -> Result<Option<RegistrySnapshot>, ClientError> {
        let mut call = Call::get("/v1/changes/snapshot");
        if let Some(known) = known {
            call = call.header("if-none-match", format!("\"{known}\""));
        }
        match self.json(&call).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(ClientError::Unexpected { status: 304, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What this bundle, YAML with one object per document, would change.
    pub async fn plan(&self, yaml: Bytes, prune: bool) -> Result<Plan, ClientError> {
        let call = Call::post("/v1/plan")
            .only_reads()
            .query("prune", prune.then_some(true));
        self.json(&call.body("application/yaml", yaml)).await
    }

    /// Makes the registry what this bundle says, if it is still at the revision of the plan.
    pub async fn apply(&self, yaml: Bytes, prune: bool, planned: Option<u64>) -> Result<Plan, ClientError> {
        let mut call = Call::post("/v1/apply").query("prune", prune.then_some(true));
        if let Some(revision) = planned {
            call = call.header("if-match", format!("\"{revision}\""));
        }
        self.json(&call.body("application/yaml", yaml)).await
    }

    /// One object as it is registered; `T` is the type of its collection in `forebay_api::definitions`, or JSON.
    pub async fn get<T: DeserializeOwned>(
        &self,
        collection: Collection,
        name: &str,
        revision: Option<u64>,
    ) -> Result<T, ClientError> {
        let path = format!("/v1/{}/{}", collection.as_str(), segment(name));
        self.json(&Call::get(path).query("revision", revision)).await
    }

    /// All objects of a collection, page by page.
    pub async fn list(&self, collection: Collection) -> Result<Vec<Value>, ClientError> {
        self.all_pages(|token| Call::get(format!("/v1/{}", collection.as_str())).query("page_token", token))
            .await
    }

    /// Objects and features that match, one page.
    pub async fn search(&self, query: &SearchQuery) -> Result<SearchPage, ClientError> {
        let call = Call::get("/v1/search")
            .query("q", query.q.as_ref())
            .query("kind", query.kind.as_ref())
            .query("domain", query.domain.as_ref())
            .query("owner", query.owner.as_ref())
            .query("tag", query.tag.as_ref())
            .query("page_size", query.page_size)
            .query("page_token", query.page_token.as_ref());
        self.json(&call).await
    }

    /// What depends on what, as text in the format that was asked for.
    pub async fn graph(&self, query: &GraphQuery) -> Result<String, ClientError> {
        let call = Call::get("/v1/graph")
            .query("around", query.around.as_ref())
            .query("direction", query.direction.as_ref())
            .query("format", query.format.as_ref());
        self.text(&call).await
    }

    /// Deletes an object if it is still at this revision; `purge` removes its data too.
    pub async fn delete(
        &self,
        collection: Collection,
        name: &str,
        revision: u64,
        purge: bool,
    ) -> Result<Plan, ClientError> {
        let path = format!("/v1/{}/{}", collection.as_str(), segment(name));
        let call = Call::delete(path).query("purge", purge.then_some(true));
        self.json(&call.header("if-match", format!("\"{revision}\""))).await
    }
}
