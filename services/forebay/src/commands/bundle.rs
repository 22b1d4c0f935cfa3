//! `plan` and `apply`.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use forebay_api::Code;
use forebay_api::apply::{Break, Plan};

use super::Session;
use crate::cli::{ApplyArgs, BundleArgs};
use crate::exit::Failure;
use crate::table::{align_right, table, text};

pub async fn plan(session: &Session, args: BundleArgs) -> Result<(), Failure> {
    let plan = session.client.plan(read(&args.files)?, args.prune).await?;
    session.output.write(&plan, |plan| rendered(plan, "would be"))?;
    match plan.breaks.is_empty() {
        true => Ok(()),
        false => Err(Failure::Failed(
            "these changes break readers, so that apply would be refused".to_owned(),
        )),
    }
}

pub async fn apply(session: &Session, args: ApplyArgs) -> Result<(), Failure> {
    let bundle = read(&args.bundle.files)?;
    match session.client.apply(bundle, args.bundle.prune, args.revision).await {
        Ok(plan) => Ok(session.output.write(&plan, |plan| rendered(plan, "are"))?),
        Err(error) if error.is(Code::BreakingChange) => {
            let breaks = error
                .problem()
                .and_then(|problem| problem.extensions.get("breaks").cloned());
            let breaks: Vec<Break> = breaks
                .and_then(|breaks| serde_json::from_value(breaks).ok())
                .unwrap_or_default();
            Err(Failure::Failed(format!("{error}\n{}", broken(&breaks))))
        }
        Err(error) => Err(error.into()),
    }
}

/// All files as one YAML stream; JSON is YAML, too.
fn read(files: &[PathBuf]) -> Result<Bytes, Failure> {
    let mut bundle = String::new();
    for file in files {
        if !bundle.is_empty() {
            bundle.push_str("\n---\n");
        }
        let read = match file == Path::new("-") {
            true => std::io::stdin().read_to_string(&mut bundle).map(|_| ()),
            false => std::fs::read_to_string(file).map(|text| bundle.push_str(&text)),
        };
        read.map_err(|source| Failure::File {
            file: file.display().to_string(),
            source,
        })?;
    }
    Ok(Bytes::from(bundle))
}

fn rendered(plan: &Plan, tense: &str) -> String {
    let mut parts = Vec::new();
    let mut changes = table(["action", "kind", "name", "revision"]);
    align_right(&mut changes, 3);
    let changed = plan.changes.iter().filter(|change| change.action != "none");
    for change in changed.clone() {
        changes.add_row([&change.action, &change.kind, &change.name, &change.revision.to_string()]);
    }
    let unchanged = plan.changes.len() - changed.count();
    if unchanged < plan.changes.len() {
        parts.push(text(&changes));
    }
    if unchanged > 0 {
        parts.push(format!("{unchanged} unchanged"));
    }
    if !plan.breaks.is_empty() {
        parts.push(broken(&plan.breaks));
    }
    if !plan.affects.is_empty() {
        let affected: Vec<_> = plan
            .affects
            .iter()
            .map(|one| format!("  {} ({})", one.reader, one.why))
            .collect();
        parts.push(format!("affected:\n{}", affected.join("\n")));
    }
    if !plan.recompute.is_empty() {
        parts.push(format!("to be computed, in this order: {}", plan.recompute.join(", ")));
    }
    parts.extend(
        plan.warnings
            .iter()
            .map(|warning| format!("warning: {}: {}", warning.object, warning.detail)),
    );
    if !plan.pending.is_empty() {
        parts.push(format!("tables are still being made: {}", plan.pending.join(", ")));
    }
    parts.push(format!(
        "definitions {tense} at registry revision {}",
        plan.registry_revision
    ));
    parts.join("\n")
}

fn broken(breaks: &[Break]) -> String {
    let mut table = table(["object", "breaks", "because it is"]);
    for one in breaks {
        table.add_row([&one.object, &one.reader, &one.why]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    use forebay_api::apply::{Affect, Change, Warning};

    use super::*;

    fn change(action: &str, kind: &str, name: &str, revision: u64) -> Change {
        Change {
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: action.to_owned(),
            revision,
        }
    }

    #[test]
    fn a_plan_says_what_changes_and_what_it_means() {
        let plan = Plan {
            registry_revision: 41,
            changes: vec![
                change("none", "Domain", "product", 1),
                change("create", "FeatureGroup", "product.yield", 1),
                change("update", "FeatureGroup", "product.value", 12),
            ],
            recompute: vec!["product.value".to_owned(), "product.yield".to_owned()],
            breaks: Vec::new(),
            affects: vec![Affect {
                reader: "fair_price".to_owned(),
                why: "sql_changed".to_owned(),
            }],
            warnings: vec![Warning {
                object: "product.interest".to_owned(),
                code: "not_computed_yet".to_owned(),
                detail: "streaming groups get no rows by themselves".to_owned(),
            }],
            pending: Vec::new(),
        };
        insta::assert_snapshot!(rendered(&plan, "are"));
        let nothing = Plan {
            changes: plan.changes[..1].to_vec(),
            registry_revision: 41,
            ..Plan::default()
        };
        insta::assert_snapshot!(rendered(&nothing, "would be"), @r"
        1 unchanged
        definitions would be at registry revision 41
        ");
    }

    #[test]
    fn breaks_name_object_and_reader() {
        let one = Break {
            object: "product.value.sale_price".to_owned(),
            reader: "product.yield.gross_yield".to_owned(),
            why: "removed".to_owned(),
        };
        insta::assert_snapshot!(broken(&[one]));
    }
}
