//! What must hold between the definitions of an installation.

use std::collections::{BTreeMap, HashSet};

use super::{
    Definition, DefinitionSet, Dependency, EntityUse, FeatureGroup, FeatureView, Input, Kind, ObjectId, Problem,
    Streaming, WayIn,
};
use crate::{DataType, FeatureRef, GroupName, KeyColumn, KeyType, Name, limits::KEY_COLUMNS};

impl DefinitionSet {
    /// Everything that is wrong with how the definitions fit together, in the order of kind and name. Their `document`
    /// is none: whoever knows the bundle fills it in.
    ///
    /// SQL is not looked at here.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (id, definition) in self.iter() {
            let mut check = Check {
                set: self,
                id,
                problems: &mut problems,
            };
            check.owner(definition);
            match &**definition {
                Definition::FeatureGroup(group) => check.group(group),
                Definition::FeatureView(view) => check.view(view),
                Definition::Domain(_) | Definition::Entity(_) | Definition::Source(_) => {}
            }
        }
        problems
    }
}

/// So many problems say what was meant; comparing every wrong name with every right one costs more than it helps.
const WITH_NEAREST: usize = 100;

struct Check<'a, 'p> {
    set: &'a DefinitionSet,
    id: &'a ObjectId,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Check<'a, '_> {
    fn report(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem::of(self.id.clone(), pointer, code, detail));
    }

    fn unknown(&mut self, pointer: impl Into<String>, kind: Kind, name: &str) {
        let (code, word) = match kind {
            Kind::Domain => ("unknown_domain", "domain"),
            Kind::Entity => ("unknown_entity", "entity"),
            Kind::Source => ("unknown_source", "source"),
            Kind::FeatureGroup => ("unknown_group", "feature group"),
            Kind::FeatureView => ("unknown_view", "feature view"),
        };
        let detail = format!("no {word} is called `{name}`");
        if self.problems.len() >= WITH_NEAREST {
            return self.report(pointer, code, detail);
        }
        self.problems
            .push(Problem::of(self.id.clone(), pointer, code, detail).near(name, self.set.names(kind)));
    }

    /// The group, if it has that feature; otherwise the problem is reported.
    fn feature(&mut self, pointer: &str, feature: &FeatureRef) -> Option<&'a FeatureGroup> {
        let set = self.set;
        let Some(group) = set.group(feature.group()) else {
            self.unknown(pointer, Kind::FeatureGroup, &feature.group().to_string());
            return None;
        };
        if group.feature(feature.feature().as_str()).is_none() {
            let detail = format!("the group `{}` has no feature `{}`", group.name, feature.feature());
            let names = group.features.iter().map(|f| f.name.as_str());
            self.problems.push(
                Problem::of(self.id.clone(), pointer, "unknown_feature", detail)
                    .near(feature.feature().as_str(), names),
            );
            return None;
        }
        Some(group)
    }

    fn owner(&mut self, definition: &Definition) {
        let domain = definition.domain();
        if self.set.domain(domain).is_none() {
            let pointer = match definition {
                Definition::FeatureGroup(_) => "/name",
                _ => "/domain",
            };
            self.unknown(pointer, Kind::Domain, domain.as_str());
        }
    }

    fn group(&mut self, group: &FeatureGroup) {
        self.keys(group);
        if let Some(batch) = &group.batch {
            for (alias, input) in &batch.inputs {
                let pointer = format!("/batch/inputs/{alias}");
                if self.set.source(alias).is_some() {
                    self.report(
                        &pointer,
                        "ambiguous_input",
                        format!("`{alias}` is a source's name too; call the input something else"),
                    );
                }
                self.input(&pointer, input);
            }
        }
        if let Some(streaming) = &group.streaming {
            self.streaming(streaming);
            self.aggregates(group, streaming);
        }
        for (index, dependency) in group.depends_on.iter().enumerate() {
            self.dependency(&format!("/depends_on/{index}"), dependency);
        }
        for (index, feature) in group.features.iter().enumerate() {
            let replacement = feature.deprecated.as_ref().and_then(|d| d.replacement.as_ref());
            if let Some(replacement) = replacement {
                self.feature(&format!("/features/{index}/deprecated/use"), replacement);
            }
        }
    }

    fn keys(&mut self, group: &FeatureGroup) {
        let mut known = true;
        for (index, used) in group.entities.iter().enumerate() {
            known &= self.entity_use(&format!("/entities/{index}"), used);
        }
        let Ok(keys) = self.set.group_keys(group) else {
            return;
        };
        if !known {
            return;
        }
        if keys.len() > KEY_COLUMNS {
            self.report(
                "/entities",
                "over_limit",
                format!("{} key columns; at most {KEY_COLUMNS} are allowed", keys.len()),
            );
        }
        let mut seen = HashSet::new();
        for key in &keys {
            if !seen.insert(&key.name) {
                self.report(
                    "/entities",
                    "duplicate",
                    format!("two keys would be the column `{}`; rename one with `keys`", key.name),
                );
            }
        }
        for (index, feature) in group.features.iter().enumerate() {
            if seen.contains(&feature.name) {
                self.report(
                    format!("/features/{index}/name"),
                    "feature_named_like_key",
                    format!("`{}` is a key of this group", feature.name),
                );
            }
        }
    }

    fn entity_use(&mut self, pointer: &str, used: &EntityUse) -> bool {
        let set = self.set;
        let Some(entity) = set.entity(&used.entity) else {
            self.unknown(pointer, Kind::Entity, used.entity.as_str());
            return false;
        };
        let keys: Vec<&str> = entity.keys.iter().map(|key| key.name.as_str()).collect();
        self.mapped_keys(pointer, &used.keys, &keys)
    }

    /// Whether every mapped key is one of `keys`.
    fn mapped_keys(&mut self, pointer: &str, mapping: &BTreeMap<Name, Name>, keys: &[&str]) -> bool {
        let mut known = true;
        for key in mapping.keys() {
            if !keys.contains(&key.as_str()) {
                known = false;
                let detail = format!("`{key}` is not a key here; the keys are {}", listed(keys));
                self.problems.push(
                    Problem::of(self.id.clone(), format!("{pointer}/keys/{key}"), "unknown_key", detail)
                        .near(key.as_str(), keys.iter()),
                );
            }
        }
        known
    }

    /// An input's features exist, have a past, and belong to groups with the same keys.
    fn input(&mut self, pointer: &str, input: &Input) {
        let mut keys: Option<(GroupName, HashSet<(Name, KeyType)>)> = None;
        for (index, used) in input.features.iter().enumerate() {
            let pointer = format!("{pointer}/features/{index}");
            let Some(group) = self.feature(&pointer, &used.feature) else {
                continue;
            };
            let (name, history) = (group.name.clone(), group.has_history());
            let columns = self.set.group_keys(group).unwrap_or_default();
            if columns.iter().any(|key| &key.name == used.column()) {
                self.report(
                    &pointer,
                    "feature_named_like_key",
                    format!("`{}` is a key of this input; name the feature with `as`", used.column()),
                );
            }
            if !history {
                self.report(
                    &pointer,
                    "no_history",
                    format!("`{name}` keeps no history, so nothing can be computed from its past; add `offline` to its stores"),
                );
            }
            let columns: HashSet<_> = columns.into_iter().map(|key| (key.name, key.key_type)).collect();
            match &keys {
                None => keys = Some((name, columns)),
                Some((first, expected)) if *expected != columns => self.report(
                    &pointer,
                    "mixed_keys",
                    format!("`{name}` has other keys than `{first}`; the features of one input have the same keys"),
                ),
                Some(_) => {}
            }
        }
    }

    fn streaming(&mut self, streaming: &Streaming) {
        const AT: &str = "/streaming/source";
        match &streaming.source {
            Dependency::Source(name) => match self.set.source(name) {
                None => self.unknown(AT, Kind::Source, name.as_str()),
                Some(source) if source.kafka.is_none() => self.report(
                    AT,
                    "not_a_stream",
                    format!("`{name}` is a table; a streaming group reads a Kafka source or a group whose rows come in as rows"),
                ),
                Some(_) => {}
            },
            Dependency::Group(name) => match self.set.group(name).map(FeatureGroup::way_in) {
                None => self.unknown(AT, Kind::FeatureGroup, &name.to_string()),
                Some(WayIn::Rows | WayIn::Streaming) => {}
                Some(WayIn::Batch | WayIn::Commits) => self.report(
                    AT,
                    "not_a_stream",
                    format!("the rows of `{name}` come in as commits; a streaming group reads a Kafka source or a group whose rows come in as rows"),
                ),
            },
            Dependency::Feature(_) => {}
        }
    }

    /// Every aggregate is one of a column that exists, and gives the type that its feature has.
    fn aggregates(&mut self, group: &FeatureGroup, streaming: &Streaming) {
        let columns: BTreeMap<String, DataType> = match &streaming.source {
            Dependency::Source(name) => match self.set.source(name) {
                Some(source) => source
                    .schema
                    .iter()
                    .map(|c| (c.name.clone(), c.data_type.clone()))
                    .collect(),
                None => return,
            },
            Dependency::Group(name) => match self.set.group(name) {
                Some(read) => {
                    let keys = self.set.group_keys(read).unwrap_or_default();
                    let keys = keys.into_iter().map(|k| (k.name.to_string(), k.key_type.data_type()));
                    let features = read.features.iter().map(|f| (f.name.to_string(), f.data_type.clone()));
                    keys.chain(features).collect()
                }
                None => return,
            },
            Dependency::Feature(_) => return,
        };
        for key in self.set.group_keys(group).unwrap_or_default() {
            match columns.get(key.name.as_str()) {
                Some(found) if *found == key.key_type.data_type() => {}
                Some(found) => self.report(
                    "/entities",
                    "wrong_type",
                    format!(
                        "the key `{}` is {}, but {found} in `{}`",
                        key.name, key.key_type, streaming.source
                    ),
                ),
                None => self.report(
                    "/entities",
                    "unknown_column",
                    format!(
                        "`{}` has no column `{}`, which is a key of this group",
                        streaming.source, key.name
                    ),
                ),
            }
        }
        for (index, feature) in group.features.iter().enumerate() {
            let Some(aggregate) = &feature.aggregate else {
                continue;
            };
            let of = aggregate.of.as_ref().map(|of| (of, columns.get(of)));
            if let Some((of, None)) = of {
                let detail = format!("`{}` has no column `{of}`", streaming.source);
                let pointer = format!("/features/{index}/aggregate/of");
                let problem = Problem::of(self.id.clone(), pointer, "unknown_column", detail);
                self.problems.push(problem.near(of, columns.keys()));
                continue;
            }
            let given = aggregate.output_type(of.and_then(|(_, found)| found));
            if given.as_ref() != Some(&feature.data_type) {
                let gives = given.map_or_else(|| "cannot aggregate this column".to_owned(), |t| format!("gives {t}"));
                self.report(
                    format!("/features/{index}/type"),
                    "wrong_type",
                    format!(
                        "`{}` is {}, but its aggregation {gives}",
                        feature.name, feature.data_type
                    ),
                );
            }
        }
    }

    fn dependency(&mut self, pointer: &str, dependency: &Dependency) {
        match dependency {
            Dependency::Source(name) => {
                if self.set.source(name).is_none() {
                    self.unknown(pointer, Kind::Source, name.as_str());
                }
            }
            Dependency::Group(name) => {
                if self.set.group(name).is_none() {
                    self.unknown(pointer, Kind::FeatureGroup, &name.to_string());
                }
            }
            Dependency::Feature(feature) => {
                self.feature(pointer, feature);
            }
        }
    }

    fn view(&mut self, view: &FeatureView) {
        // The request's columns: who asks for them, and as which type.
        let mut columns: BTreeMap<Name, (GroupName, KeyType)> = BTreeMap::new();
        for (index, used) in view.features.iter().enumerate() {
            let pointer = format!("/features/{index}");
            let Some(group) = self.feature(&pointer, &used.feature) else {
                continue;
            };
            let name = group.name.clone();
            let Ok(keys) = self.set.group_keys(group) else {
                continue;
            };
            let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            self.mapped_keys(&pointer, &used.keys, &names);
            for (column, key_type) in request_columns(&keys, &used.keys) {
                match columns.get(&column) {
                    Some((first, other)) if *other != key_type => {
                        let detail = format!(
                            "`{column}` is {key_type} for `{name}` and {other} for `{first}`; map one of them with `keys`"
                        );
                        self.report(&pointer, "key_type_conflict", detail);
                    }
                    Some(_) => {}
                    None => {
                        columns.insert(column, (name.clone(), key_type));
                    }
                }
            }
        }
        let named = view
            .features
            .iter()
            .enumerate()
            .filter_map(|(i, f)| Some((format!("/features/{i}/as"), f.alias.clone()?)))
            .chain(
                view.request
                    .iter()
                    .enumerate()
                    .map(|(i, r)| (format!("/request/{i}/name"), r.name.clone())),
            )
            .chain(
                view.expressions
                    .iter()
                    .enumerate()
                    .map(|(i, e)| (format!("/expressions/{i}/name"), e.name.clone())),
            );
        for (pointer, name) in named {
            if columns.contains_key(&name) {
                self.report(
                    pointer,
                    "feature_named_like_key",
                    format!("`{name}` is a key that requests to this view send"),
                );
            }
        }
    }
}

/// The columns in which a request sends a group's keys.
fn request_columns<'a>(
    keys: &'a [KeyColumn],
    mapping: &'a BTreeMap<Name, Name>,
) -> impl Iterator<Item = (Name, KeyType)> + 'a {
    keys.iter()
        .map(|key| (mapping.get(&key.name).unwrap_or(&key.name).clone(), key.key_type))
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
