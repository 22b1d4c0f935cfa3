//! The clickstream: what visitors did with the offers while these were on the market.
//!
//! An event is written as a row of the group `visitor.click`, so that a file of them can be pushed as it is.

use serde::Serialize;

use crate::calendar::{self, DAY};
use crate::draw::{Draw, Purpose};
use crate::labels;
use crate::listings::Timeline;
use crate::profiles;
use crate::sale::Sale;

/// One event. There is at most one per visitor, product and moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Click {
    pub visitor_id: String,
    pub product_id: i64,
    /// Microseconds UTC.
    #[serde(serialize_with = "as_rfc3339")]
    pub event_time: i64,
    pub action: &'static str,
    /// How long the page stayed open; only views have it.
    pub seconds: Option<i32>,
}

fn as_rfc3339<S: serde::Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&calendar::rfc3339(*micros))
}

/// All events, by time, visitor and product.
pub fn clicks(sales: &[Sale], draw: Draw) -> Vec<Click> {
    let mut clicks: Vec<_> = sales.iter().flat_map(|sale| of_sale(sale, draw)).collect();
    let place = |click: &Click| (click.event_time, click.visitor_id.clone(), click.product_id);
    clicks.sort_by_key(place);
    clicks.dedup_by_key(|click| place(click));
    clicks
}

fn of_sale(sale: &Sale, draw: Draw) -> Vec<Click> {
    let id = sale.product_id;
    let timeline = Timeline::of(sale, draw);
    let listed = timeline.listed_at * 1_000_000;
    let span = (timeline.sold_at - timeline.listed_at) as u64 * 1_000_000;
    let count = 3 + draw.below(Purpose::Clicks, id, 0, 7);
    let mut clicks: Vec<_> = (0..count)
        .map(|n| {
            let action = match draw.below(Purpose::Action, id, n, 100) {
                0..70 => "view",
                70..90 => "favorite",
                _ => "contact",
            };
            Click {
                visitor_id: profiles::visitor_id(1 + draw.below(Purpose::Visitor, id, n, profiles::VISITORS)),
                product_id: id,
                event_time: listed + draw.below(Purpose::ClickTime, id, n, span) as i64,
                action,
                seconds: (action == "view").then(|| 3 + draw.below(Purpose::Seconds, id, n, 240) as i32),
            }
        })
        .collect();
    // Who buys has asked before: two to seven days before the contract.
    let asked = timeline.sold_at - 2 * DAY - draw.below(Purpose::BuyerTime, id, 0, 5 * DAY as u64) as i64;
    clicks.push(Click {
        visitor_id: labels::buyer_id(sale, draw),
        product_id: id,
        event_time: asked * 1_000_000,
        action: "contact",
        seconds: None,
    });
    clicks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED;

    #[test]
    fn events_fall_into_the_time_on_the_market() {
        let sales = Sale::all().expect("the file fits");
        let draw = Draw::new(SEED);
        let clicks = clicks(&sales, draw);
        assert!((15_000..30_000).contains(&clicks.len()), "{}", clicks.len());
        for click in &clicks {
            let timeline = Timeline::of(&sales[click.product_id as usize - 1], draw);
            let market = timeline.listed_at * 1_000_000..timeline.sold_at * 1_000_000;
            assert!(market.contains(&click.event_time), "{click:?}");
            assert_eq!(click.seconds.is_some(), click.action == "view");
        }
        let place = |click: &Click| (click.event_time, click.visitor_id.clone(), click.product_id);
        assert!(clicks.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])));
    }

    #[test]
    fn an_event_is_a_row_of_the_group() {
        let click = Click {
            visitor_id: "v0001".into(),
            product_id: 7,
            event_time: 1_000_001,
            action: "contact",
            seconds: None,
        };
        let row = serde_json::to_string(&click).expect("plain data");
        assert_eq!(
            row,
            r#"{"visitor_id":"v0001","product_id":7,"event_time":"1970-01-01T00:00:01.000001Z","action":"contact","seconds":null}"#
        );
    }
}
