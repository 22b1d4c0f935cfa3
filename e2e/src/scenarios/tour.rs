//! The example from its files to training rows, on the real data, against what follows from the generated rows alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::RecordBatch;
use forebay_example_real_estate::calendar::{self, DAY};
use forebay_example_real_estate::clicks::{Click, clicks};
use forebay_example_real_estate::draw::Draw;
use forebay_example_real_estate::labels::{Label, labels};
use forebay_example_real_estate::listings::{Listing, listings};
use forebay_example_real_estate::profiles::profiles;
use forebay_example_real_estate::sale::Sale;
use forebay_example_real_estate::tables::{labels_batch, listings_by_year, write_delta};
use forebay_example_real_estate::{FEATURES, SEED};
use serde_json::{Value, json};

use crate::stage::{Stage, column, place};

const BATCH_GROUPS: [&str; 9] = [
    "product.value",
    "product.attributes",
    "product.interest",
    "product.yield",
    "product.unit_price",
    "product.heat",
    "market.price",
    "product.position",
    "product.bargain",
];

/// Puts the example's tables into the lake, registers its definitions, pushes its events and computes all groups.
pub async fn load(stage: &Stage) {
    let draw = Draw::new(SEED);
    let sales = Sale::all().expect("the example's file");
    let history = listings_by_year(&listings(&sales, draw)).expect("columns fit");
    put_table(stage, "listings", &history).await;
    let labels = labels_batch(&labels(&sales, draw)).expect("columns fit");
    put_table(stage, "labels", &[labels]).await;

    let applied = stage.http.post_yaml("/v1/apply", &[], FEATURES).await.expect(200);
    let actions: BTreeSet<_> = applied["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| change["action"].as_str())
        .collect();
    assert_eq!(actions, BTreeSet::from([Some("create")]), "{applied}");

    push_lines(stage, "visitor.profile", &profiles(draw)).await;
    push_lines(stage, "visitor.click", &clicks(&sales, draw)).await;
    let run = stage.run(&json!({"groups": BATCH_GROUPS})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
}

/// A Delta table in the lake, one version per batch.
async fn put_table(stage: &Stage, name: &str, batches: &[RecordBatch]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let table = folder.path().join(name);
    write_delta(&table, batches).await.expect("an empty folder");
    stage.lake.put_folder(name, &table).await;
}

/// Pushes rows as NDJSON, 5,000 to a request.
async fn push_lines<T>(stage: &Stage, group: &str, rows: &[T])
where
    Json: for<'a> From<&'a T>,
{
    let chunks: Vec<_> = rows.chunks(5000).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let lines: Vec<u8> = chunk.iter().flat_map(|row| Json::from(row).0).collect();
        let last = number + 1 == chunks.len();
        let path = format!(
            "/v1/rows/{group}{}",
            if last { "?wait=online,offline&timeout=60s" } else { "" }
        );
        let key = format!("{}-{group}-{number}", stage.domain);
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("idempotency-key", key.as_str()),
        ];
        let answer = stage.http.send("POST", &path, &headers, lines).await.ok();
        assert_eq!(answer["accepted"], chunk.len(), "{answer}");
    }
}

/// One line of NDJSON.
pub struct Json(Vec<u8>);

impl From<&Click> for Json {
    fn from(click: &Click) -> Json {
        Json(
            format!(
                "{}\n",
                json!({
                    "visitor_id": click.visitor_id,
                    "product_id": click.product_id,
                    "event_time": calendar::rfc3339(click.event_time),
                    "action": click.action,
                    "seconds": click.seconds,
                })
            )
            .into_bytes(),
        )
    }
}

impl From<&forebay_example_real_estate::profiles::Profile> for Json {
    fn from(profile: &forebay_example_real_estate::profiles::Profile) -> Json {
        Json(
            format!(
                "{}\n",
                json!({
                    "visitor_id": profile.visitor_id,
                    "event_time": profile.event_time,
                    "city": profile.city,
                    "taste": profile.taste,
                })
            )
            .into_bytes(),
        )
    }
}

/// The whole tour. It uses the example's own names, so it plays once on an installation.
pub async fn plays(stage: &Stage) {
    load(stage).await;
    the_work_goes_level_by_level(stage).await;
    online_answers_are_the_newest_states(stage).await;
    training_rows_are_as_of_the_sale(stage).await;
    a_second_run_writes_nothing(stage).await;
}

async fn the_work_goes_level_by_level(stage: &Stage) {
    let graph = stage.http.get("/v1/graph?format=json").await.expect(200);
    let level = |id: &str| {
        let nodes = graph["nodes"].as_array().expect("nodes");
        let node = nodes
            .iter()
            .find(|node| node["name"] == id)
            .unwrap_or_else(|| panic!("no node {id} in {graph}"));
        node["level"].as_u64().expect("a level")
    };
    let path = [
        "product.value",
        "product.unit_price",
        "market.price",
        "product.position",
        "product.bargain",
    ];
    assert!(path.windows(2).all(|pair| level(pair[0]) < level(pair[1])), "{graph}");
    let mermaid = stage
        .http
        .get("/v1/graph?around=product.bargain.score&direction=upstream&format=mermaid")
        .await;
    assert_eq!(mermaid.status, 200);
    assert!(mermaid.text().contains("product.value"), "{}", mermaid.text());
}

async fn online_answers_are_the_newest_states(stage: &Stage) {
    let draw = Draw::new(SEED);
    let sales = Sale::all().expect("the example's file");
    let ids: Vec<i64> = sales.iter().map(|sale| sale.product_id).step_by(29).collect();
    let names = [
        "product.value.sale_price",
        "product.value.condominium_fee",
        "product.yield.gross_yield",
    ]
    .map(String::from);
    let answer = stage.online(&names, json!({"product_id": ids})).await;
    let states = listings(&sales, draw);
    for (row, id) in ids.iter().enumerate() {
        let newest = states
            .iter()
            .rfind(|state| state.sale.product_id == *id)
            .expect("every product has states");
        let cell = |name: &str, part: &str| answer["results"][place(&answer, name)][part][row].clone();
        assert_eq!(cell("product.value.sale_price", "values"), newest.sale_price as f64);
        assert_eq!(
            cell("product.value.sale_price", "event_timestamps"),
            calendar::rfc3339(newest.updated_at)
        );
        let fee = if newest.condominium_fee.is_some() {
            "PRESENT"
        } else {
            "NULL_VALUE"
        };
        assert_eq!(cell("product.value.condominium_fee", "statuses"), fee);
        let expected = newest.rent_price as f64 * 12.0 / newest.sale_price as f64;
        assert_eq!(cell("product.yield.gross_yield", "values"), as_read(expected));
    }

    // The interest of years ago is past its time to live, and says so; nobody has ever heard of product 0.
    let names = ["product.interest.views_7d", "product.value.sale_price"].map(String::from);
    let answer = stage.online(&names, json!({"product_id": [1, 0]})).await;
    let interest = &answer["results"][place(&answer, "product.interest.views_7d")];
    assert_eq!(interest["statuses"], json!(["OUTSIDE_MAX_AGE", "NOT_FOUND"]));
    assert_eq!(interest["values"], json!([null, null]));

    let body = json!({
        "view": "fair_price",
        "entities": {"product_id": [1, 2], "buyer_id": ["v0001"]},
        "request": {"asked_price": [430_000.0, 105_000.0]},
    });
    let answer = stage.http.post("/v1/online-features", &body).await.expect(200);
    assert_eq!(
        answer["results"][place(&answer, "asked_ratio")]["values"],
        json!([2.0, 1.0])
    );
    assert_eq!(answer["metadata"]["view_revision"], 1);
}

/// A number as it arrives over JSON: serde_json reads digits fast rather than to the last bit, the same for both sides.
fn as_read(number: f64) -> Value {
    serde_json::from_str(&number.to_string()).expect("a number")
}

async fn training_rows_are_as_of_the_sale(stage: &Stage) {
    let draw = Draw::new(SEED);
    let sales = Sale::all().expect("the example's file");
    let labels = labels(&sales, draw);
    let states = listings(&sales, draw);
    let body = json!({
        "view": "fair_price",
        "spine": {"uri": "labels", "event_time": "sold_at"},
        "include": ["values", "statuses", "event_timestamps"],
    });
    let answer = stage.http.post("/v1/historical-features", &body).await.expect(200);
    let column = |name: &str| column(&answer, name);
    assert_eq!(column("product_id").len(), labels.len(), "rows out are rows in");

    let mut of_product: HashMap<i64, Vec<&Listing<'_>>> = HashMap::new();
    for state in &states {
        of_product.entry(state.sale.product_id).or_default().push(state);
    }
    let mut cities: BTreeMap<String, Vec<(String, &str)>> = BTreeMap::new();
    for profile in profiles(draw) {
        cities
            .entry(profile.visitor_id)
            .or_default()
            .push((profile.event_time, profile.city));
    }
    for (row, label) in labels.iter().enumerate() {
        let at = |name: &str| column(name)[row].clone();
        assert_eq!(at("product_id"), label.product_id, "the spine's order");
        assert_eq!(
            at("sale_price"),
            label.sale_price as f64,
            "the spine's other columns pass through"
        );
        let known = of_product[&label.product_id]
            .iter()
            .rfind(|state| state.updated_at <= label.sold_at)
            .expect("listed before it is sold");
        assert_eq!(
            at("price"),
            label.asked_price as f64,
            "the price paid is not known at the sale"
        );
        assert_eq!(at("price"), known.sale_price as f64);
        assert_eq!(at("price__event_timestamp"), calendar::rfc3339(known.updated_at));
        assert_eq!(
            at("product.yield.gross_yield"),
            as_read(known.rent_price as f64 * 12.0 / known.sale_price as f64)
        );
        assert_eq!(at("product.attributes.living_area"), known.sale.living_area);
        assert_eq!(at("asked_ratio"), 1.0, "the label asks what was last asked");
        let sold = calendar::rfc3339(label.sold_at);
        let city = cities[&label.buyer_id]
            .iter()
            .rfind(|(since, _)| *since <= sold)
            .expect("everyone registers in 2005");
        assert_eq!(at("buyer_city"), city.1);
        assert_eq!(at("price__status"), "PRESENT");
    }
    the_interest_is_counted_right(stage, &labels, &clicks(&sales, draw)).await;
}

/// Views of the seven days before the last full day with a click, seen at the sale, by counting the events one by one.
async fn the_interest_is_counted_right(stage: &Stage, labels: &[Label], clicks: &[Click]) {
    let asked: Vec<_> = labels.iter().step_by(13).collect();
    let body = json!({
        "features": ["product.interest.views_7d", "product.interest.visitors_1d"],
        "spine": {"columns": {
            "product_id": asked.iter().map(|label| label.product_id).collect::<Vec<_>>(),
            "event_time": asked.iter().map(|label| calendar::rfc3339(label.sold_at)).collect::<Vec<_>>(),
        }},
    });
    let answer = stage.http.post("/v1/historical-features", &body).await.expect(200);
    let day = DAY * 1_000_000;
    for (row, label) in asked.iter().enumerate() {
        let days = |within: std::ops::Range<i64>| {
            clicks
                .iter()
                .filter(move |click| click.product_id == label.product_id && within.contains(&click.event_time))
        };
        // The end of the last day with a click that is over at the sale, unless it is older than the ttl of 30 days.
        let today = label.sold_at.div_euclid(day) * day;
        let end = days(i64::MIN..today)
            .map(|click| click.event_time.div_euclid(day) * day + day)
            .max();
        let (views, visitors) = match end.filter(|end| label.sold_at - end <= 30 * day) {
            None => (Value::Null, Value::Null),
            Some(end) => {
                let views = days(end - 7 * day..end).filter(|click| click.action == "view").count();
                let visitors: BTreeSet<_> = days(end - day..end).map(|click| &click.visitor_id).collect();
                (json!(views), json!(visitors.len()))
            }
        };
        assert_eq!(column(&answer, "product.interest.views_7d")[row], views, "{label:?}");
        assert_eq!(
            column(&answer, "product.interest.visitors_1d")[row],
            visitors,
            "{label:?}"
        );
    }
}

async fn a_second_run_writes_nothing(stage: &Stage) {
    let run = stage.run(&json!({"groups": BATCH_GROUPS})).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    for task in run["tasks"].as_array().expect("tasks") {
        assert_eq!(task["rows_written"], 0, "{task}");
    }
}
