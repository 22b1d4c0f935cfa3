//! `search`.

use forebay_api::search::{SearchPage, SearchQuery};

use super::Session;
use crate::cli::SearchArgs;
use crate::exit::Failure;
use crate::table::{table, text};

pub async fn search(session: &Session, args: SearchArgs) -> Result<(), Failure> {
    let query = SearchQuery {
        q: (!args.words.is_empty()).then(|| args.words.join(" ")),
        kind: args.kind,
        domain: args.domain,
        owner: args.owner,
        tag: args.tag,
        page_size: Some(args.limit),
        page_token: None,
    };
    let page = session.client.search(&query).await?;
    Ok(session.output.write(&page, rendered)?)
}

fn rendered(page: &SearchPage) -> String {
    if page.items.is_empty() {
        return "nothing found".to_owned();
    }
    let mut table = table(["kind", "name", "type", "owners", "description"]);
    for found in &page.items {
        table.add_row([
            found.kind.clone(),
            found.name.clone(),
            found.r#type.clone().unwrap_or_default(),
            found.owners.join(", "),
            found.description.clone().unwrap_or_default(),
        ]);
    }
    match page.next_page_token {
        Some(_) => format!("{}\nthere are more; narrow the search, or raise --limit", text(&table)),
        None => text(&table),
    }
}

#[cfg(test)]
mod tests {
    use forebay_api::search::Found;

    use super::*;

    #[test]
    fn found_things_are_a_table() {
        let found = Found {
            kind: "Feature".to_owned(),
            name: "product.value.sale_price".to_owned(),
            domain: "product".to_owned(),
            revision: 1,
            r#type: Some("float64".to_owned()),
            description: None,
            owners: vec!["pricing".to_owned()],
            tags: Default::default(),
        };
        insta::assert_snapshot!(rendered(&SearchPage {
            items: vec![found],
            next_page_token: Some("x".to_owned())
        }));
        assert_eq!(
            rendered(&SearchPage {
                items: Vec::new(),
                next_page_token: None
            }),
            "nothing found"
        );
    }
}
