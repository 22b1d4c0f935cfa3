//! Subjects, versions and ids of the groups in a snapshot.

use std::{collections::BTreeMap, sync::Arc};

use forebay_api::schema_registry::{SubjectSchema, SubjectVersion};
use forebay_catalog::{Group, Snapshot};
use forebay_model::{GroupName, GroupSchema, LayoutNumber};
use forebay_rows::avro::{avro_schema, of_schema_id, schema_id, subject, topic_name};
use serde_json::Value;

use super::{answer::Fault, same_schema::same_schema};

/// The subjects of one registry revision.
pub struct Subjects {
    snapshot: Arc<Snapshot>,
    names: Arc<Names>,
}

/// The group of each subject.
struct Names(BTreeMap<String, GroupName>);

impl Subjects {
    /// `environment` is the prefix of topics.
    pub fn of(snapshot: Arc<Snapshot>, environment: Option<&str>) -> Self {
        let names = snapshot.extensions().get_or_insert_with(|| {
            let groups = snapshot.groups().filter(|group| group.uses_row_log());
            Names(
                groups
                    .map(|group| (subject_of(&group.schema, environment), group.name.clone()))
                    .collect(),
            )
        });
        Self { snapshot, names }
    }

    /// All subjects that begin so.
    pub fn list(&self, prefix: &str) -> Vec<String> {
        let names = self.names.0.keys();
        names.filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// The newest schema of every subject, or all of them.
    pub fn schemas(&self, prefix: &str, latest_only: bool) -> Vec<SubjectSchema> {
        let subjects = self.list(prefix).into_iter();
        subjects
            .filter_map(|subject| {
                let versions = self.versions(&subject).ok()?;
                let first = if latest_only {
                    versions.len().saturating_sub(1)
                } else {
                    0
                };
                let chosen = versions.into_iter().skip(first);
                Some(
                    chosen
                        .filter_map(|version| self.version(&subject, &version.to_string()).ok())
                        .collect::<Vec<_>>(),
                )
            })
            .flatten()
            .collect()
    }

    /// A subject's versions, ascending.
    pub fn versions(&self, subject: &str) -> Result<Vec<u32>, Fault> {
        let group = self.group(subject)?;
        Ok((1..=version_of(group.schema.layout)).collect())
    }

    /// A version of a subject, `latest` being the newest.
    pub fn version(&self, subject: &str, version: &str) -> Result<SubjectSchema, Fault> {
        let group = self.group(subject)?;
        let newest = version_of(group.schema.layout);
        let wanted = match version {
            "latest" | "-1" => newest,
            text => match text.parse::<u32>() {
                Ok(wanted) if (1..=i32::MAX.unsigned_abs()).contains(&wanted) => wanted,
                _ => return Err(Fault::InvalidVersion(text.chars().take(100).collect())),
            },
        };
        let layout = layout_number(wanted).ok_or(Fault::UnknownVersion(wanted))?;
        let schema = avro_schema(&group.schema, layout).ok_or(Fault::UnknownVersion(wanted))?;
        Ok(SubjectSchema {
            subject: subject.to_owned(),
            version: wanted,
            id: schema_id(group.schema.id, layout).ok_or(Fault::UnknownVersion(wanted))?,
            schema: schema.to_string(),
        })
    }

    /// The version of a subject that has this schema.
    pub fn lookup(&self, subject: &str, schema: &str) -> Result<SubjectSchema, Fault> {
        let group = self.group(subject)?;
        let wanted: Value =
            serde_json::from_str(schema).map_err(|error| Fault::InvalidSchema(format!("it is not JSON: {error}")))?;
        let layouts = (0..=group.schema.layout.0).rev().map(LayoutNumber);
        let found = layouts
            .filter(|layout| avro_schema(&group.schema, *layout).is_some_and(|schema| same_schema(&schema, &wanted)))
            .max();
        let version = version_of(found.ok_or(Fault::UnknownSchema)?);
        self.version(subject, &version.to_string())
    }

    /// The schema of an id, also of groups that were deleted.
    pub fn schema(&self, id: &str) -> Result<Value, Fault> {
        let unknown = || Fault::UnknownId(id.chars().take(100).collect());
        let (schema, layout) = self.layout(id).ok_or_else(unknown)?;
        avro_schema(&schema, layout).ok_or_else(unknown)
    }

    /// The subjects and versions of an id.
    pub fn versions_of(&self, id: &str) -> Result<Vec<SubjectVersion>, Fault> {
        self.schema(id)?;
        let Some((schema, layout)) = self.layout(id) else {
            return Ok(Vec::new());
        };
        let of_group = self.names.0.iter().filter(|(_, group)| **group == schema.name);
        Ok(of_group
            .map(|(subject, _)| SubjectVersion {
                subject: subject.clone(),
                version: version_of(layout),
            })
            .collect())
    }

    /// The greatest id of all.
    pub fn greatest_id(&self) -> Option<u32> {
        let groups = self.snapshot.groups();
        groups
            .filter_map(|group| schema_id(group.schema.id, group.schema.layout))
            .max()
    }

    fn layout(&self, id: &str) -> Option<(Arc<GroupSchema>, LayoutNumber)> {
        let (group, layout) = of_schema_id(id.parse().ok()?);
        if let Some(group) = self.snapshot.group_by_id(group) {
            return Some((Arc::clone(&group.schema), layout));
        }
        let states = self
            .snapshot
            .entries()
            .filter_map(|(_, entry)| entry.record.group.as_ref());
        let mut schemas = states.flat_map(|state| std::iter::once(&state.schema).chain(&state.purged));
        schemas
            .find(|schema| schema.id == group)
            .map(|schema| (Arc::clone(schema), layout))
    }

    fn group(&self, subject: &str) -> Result<&Arc<Group>, Fault> {
        let group = self
            .names
            .0
            .get(subject)
            .and_then(|name| self.snapshot.group(name).ok());
        group.ok_or_else(|| Fault::UnknownSubject(subject.chars().take(300).collect()))
    }
}

fn subject_of(schema: &GroupSchema, environment: Option<&str>) -> String {
    subject(&topic_name(environment, schema))
}

/// Layouts count from 0, versions from 1.
fn version_of(layout: LayoutNumber) -> u32 {
    u32::from(layout.0) + 1
}

fn layout_number(version: u32) -> Option<LayoutNumber> {
    Some(LayoutNumber(u16::try_from(version.checked_sub(1)?).ok()?))
}
