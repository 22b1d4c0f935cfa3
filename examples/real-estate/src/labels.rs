//! What a price model is to learn: for each sale, at the moment of the contract, the price paid.

use crate::draw::{Draw, Purpose};
use crate::listings::{Timeline, asked_price};
use crate::profiles;
use crate::sale::Sale;

/// One line of the table `labels`, the spine of the training query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub product_id: i64,
    pub buyer_id: String,
    /// Microseconds UTC.
    pub sold_at: i64,
    /// The price last asked, USD.
    pub asked_price: i64,
    /// The price paid, USD.
    pub sale_price: i64,
}

/// Who buys the house of this sale.
pub fn buyer_id(sale: &Sale, draw: Draw) -> String {
    profiles::visitor_id(1 + draw.below(Purpose::Buyer, sale.product_id, 0, profiles::VISITORS))
}

/// All labels, by product.
pub fn labels(sales: &[Sale], draw: Draw) -> Vec<Label> {
    sales
        .iter()
        .map(|sale| {
            let timeline = Timeline::of(sale, draw);
            Label {
                product_id: sale.product_id,
                buyer_id: buyer_id(sale, draw),
                sold_at: timeline.sold_at * 1_000_000,
                asked_price: asked_price(sale, &timeline, timeline.revisions, draw),
                sale_price: sale.sale_price,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED;
    use crate::listings::{Status, listings};

    #[test]
    fn no_row_of_the_history_knows_the_price_paid_before_the_sale() {
        let sales = Sale::all().expect("the file fits");
        let draw = Draw::new(SEED);
        let labels = labels(&sales, draw);
        for row in listings(&sales, draw) {
            let label = &labels[row.sale.product_id as usize - 1];
            assert_eq!(row.updated_at > label.sold_at, row.status == Status::Sold);
        }
    }
}
