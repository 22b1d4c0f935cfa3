//! The order of work.

use std::collections::{BTreeMap, BTreeSet};

use crate::GroupName;

/// Groups that read each other in a ring, so that none of them can be computed first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is a cycle: {}", .path.first().map_or_else(String::new, ToString::to_string), shown(.path))]
pub struct Cycle {
    /// Each reads the next; the last is the first again.
    pub path: Vec<GroupName>,
}

fn shown(path: &[GroupName]) -> String {
    let names: Vec<_> = path.iter().map(ToString::to_string).collect();
    names.join(" reads ")
}

/// Groups level by level: each stands one level after the last of those it reads. Linear in groups and dependencies.
pub(super) fn levels(dependencies: &BTreeMap<GroupName, BTreeSet<GroupName>>) -> Result<Vec<Vec<GroupName>>, Cycle> {
    let mut waiting: BTreeMap<&GroupName, usize> =
        dependencies.iter().map(|(group, read)| (group, read.len())).collect();
    let mut readers: BTreeMap<&GroupName, Vec<&GroupName>> = BTreeMap::new();
    for (group, read) in dependencies {
        for dependency in read {
            readers.entry(dependency).or_default().push(group);
        }
    }
    let mut levels = Vec::new();
    let mut level: Vec<&GroupName> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(group, _)| *group)
        .collect();
    while !level.is_empty() {
        let mut next = Vec::new();
        for group in &level {
            waiting.remove(group);
            for reader in readers.get(group).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(reader) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(*reader);
                    }
                }
            }
        }
        next.sort();
        levels.push(level.into_iter().cloned().collect());
        level = next;
    }
    match waiting.keys().next() {
        None => Ok(levels),
        Some(first) => Err(cycle(first, &waiting, dependencies)),
    }
}

/// A ring among the groups that could not be placed; `first` is one of them, and reads into a ring if it is in none.
fn cycle(
    first: &GroupName,
    waiting: &BTreeMap<&GroupName, usize>,
    dependencies: &BTreeMap<GroupName, BTreeSet<GroupName>>,
) -> Cycle {
    let mut path = vec![first.clone()];
    let mut group = first;
    loop {
        // A group that still waits does so for another that still waits.
        let next = dependencies
            .get(group)
            .into_iter()
            .flatten()
            .find(|read| waiting.contains_key(read));
        let Some(next) = next else {
            return Cycle { path };
        };
        if let Some(start) = path.iter().position(|seen| seen == next) {
            let mut ring = path.split_off(start);
            ring.push(next.clone());
            return Cycle { path: ring };
        }
        path.push(next.clone());
        group = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(index: usize) -> GroupName {
        format!("d.g{index}").parse().expect("a group's name")
    }

    type Dependencies = BTreeMap<GroupName, BTreeSet<GroupName>>;

    fn graphs() -> impl Strategy<Value = Dependencies> {
        (1usize..12).prop_flat_map(|count| {
            prop::collection::vec((0..count, 0..count), 0..2 * count).prop_map(move |edges| {
                let mut graph: Dependencies = (0..count).map(|i| (name(i), BTreeSet::new())).collect();
                for (reader, read) in edges {
                    graph.entry(name(reader)).or_default().insert(name(read));
                }
                graph
            })
        })
    }

    /// Longest chain of reads below a group, by plain recursion; none when a group is met again on the way.
    fn depth(graph: &Dependencies, group: &GroupName, path: &mut Vec<GroupName>) -> Option<usize> {
        if path.contains(group) {
            return None;
        }
        path.push(group.clone());
        let mut deepest = 0;
        for read in &graph[group] {
            deepest = deepest.max(depth(graph, read, path)? + 1);
        }
        path.pop();
        Some(deepest)
    }

    proptest! {
        #[test]
        fn levels_and_cycles_are_those_of_the_naive_oracle(graph in graphs()) {
            let depths: Option<BTreeMap<_, _>> = graph
                .keys()
                .map(|group| Some((group.clone(), depth(&graph, group, &mut Vec::new())?)))
                .collect();
            match (levels(&graph), depths) {
                (Ok(levels), Some(depths)) => {
                    let found: BTreeMap<_, _> = levels
                        .iter()
                        .enumerate()
                        .flat_map(|(level, groups)| groups.iter().map(move |g| (g.clone(), level)))
                        .collect();
                    prop_assert_eq!(found, depths);
                }
                (Err(cycle), None) => {
                    prop_assert!(cycle.path.len() >= 2);
                    prop_assert_eq!(cycle.path.first(), cycle.path.last());
                    for pair in cycle.path.windows(2) {
                        prop_assert!(graph[&pair[0]].contains(&pair[1]));
                    }
                    let inner: BTreeSet<_> = cycle.path[1..].iter().collect();
                    prop_assert_eq!(inner.len(), cycle.path.len() - 1, "a group stands twice");
                }
                (levels, depths) => prop_assert!(false, "{levels:?} but the oracle says {depths:?}"),
            }
        }
    }

    #[test]
    fn a_group_that_reads_itself_is_a_cycle() {
        let graph = BTreeMap::from([(name(0), BTreeSet::from([name(0)]))]);
        let cycle = levels(&graph).expect_err("a cycle");
        assert_eq!(cycle.to_string(), "d.g0 is a cycle: d.g0 reads d.g0");
    }
}
