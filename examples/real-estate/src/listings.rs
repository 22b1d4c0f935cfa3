//! The history of an offer: it appears, its price is revised, it is sold, and the portal hears of the sale.
//!
//! The formulas are those of the example's README; `p` there is the product, and `below` is [`Draw::below`].

use crate::calendar::{self, DAY};
use crate::draw::{Draw, Purpose};
use crate::sale::Sale;

/// What happened to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Listed,
    Revised,
    Sold,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Listed => "listed",
            Status::Revised => "revised",
            Status::Sold => "sold",
        }
    }
}

/// One line of the source table `listings`: the whole offer, as the portal knew it from `updated_at` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<'a> {
    pub sale: &'a Sale,
    /// Microseconds UTC.
    pub updated_at: i64,
    pub status: Status,
    /// The price asked, USD; in the last row the price paid.
    pub sale_price: i64,
    /// USD a month; houses that stand alone have none.
    pub condominium_fee: Option<i64>,
    /// USD a month.
    pub rent_price: i64,
}

/// When the things that happen to an offer happen, in seconds UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    pub listed_at: i64,
    /// How often the price is revised: 1 to 3.
    pub revisions: i64,
    /// The contract.
    pub sold_at: i64,
    /// When the portal hears of it: a day or more later, so that no feature at `sold_at` knows the price paid.
    pub recorded_at: i64,
}

impl Timeline {
    pub fn of(sale: &Sale, draw: Draw) -> Timeline {
        let id = sale.product_id;
        let below = |purpose, n, bound: i64| draw.below(purpose, id, n, bound as u64) as i64;
        let (month, next_month) = calendar::month(sale.year_sold, sale.month_sold);
        let sold_at = month + below(Purpose::SaleTime, 0, next_month - month);
        let days = 21 + below(Purpose::DaysListed, 0, 180).min(below(Purpose::DaysListed, 1, 180));
        let listed_at = sold_at - days * DAY - below(Purpose::ListingTime, 0, DAY);
        let recorded_at = sold_at + DAY + below(Purpose::Recording, 0, 8 * DAY);
        Timeline {
            listed_at,
            revisions: 1 + days / 70,
            sold_at,
            recorded_at,
        }
    }

    /// When the price is revised for the `i`th time; `i` from 1.
    pub fn revised_at(&self, i: i64) -> i64 {
        self.listed_at + (self.sold_at - self.listed_at) * i / (self.revisions + 1)
    }
}

/// The price asked after `i` revisions (0: at first), USD: above the price paid by a markup that shrinks with each.
pub fn asked_price(sale: &Sale, timeline: &Timeline, i: i64, draw: Draw) -> i64 {
    let steps = timeline.revisions + 1;
    let markup = draw.below(Purpose::Markup, sale.product_id, 0, 130) as i64;
    rounded(
        sale.sale_price * (1000 * steps + markup * (steps - i)),
        1000 * steps,
        100,
    )
}

/// USD a month; none for houses that stand alone.
pub fn condominium_fee(sale: &Sale) -> Option<i64> {
    match sale.building.as_str() {
        "OneFam" => None,
        _ => Some(60 + i64::from(sale.living_area) * 8 / 100 + 15 * i64::from(sale.garage_cars)),
    }
}

/// USD a month, for a rent that begins in `year`.
pub fn rent_price(sale: &Sale, year: i32, draw: Draw) -> i64 {
    let base =
        250 + i64::from(sale.living_area) * 45 / 100 + 75 * i64::from(sale.bedrooms) + 40 * i64::from(sale.garage_cars);
    let taste = 850 + draw.below(Purpose::Rent, sale.product_id, 0, 300) as i64;
    let growth = 100 + 2 * i64::from(year - 2005);
    rounded(base * taste * growth, 100_000, 5)
}

/// `numerator / denominator` to the nearest multiple of `unit`, halves up.
fn rounded(numerator: i64, denominator: i64, unit: i64) -> i64 {
    (2 * numerator + denominator * unit) / (2 * denominator * unit) * unit
}

/// All rows of the source table, by time and then by product.
pub fn listings(sales: &[Sale], draw: Draw) -> Vec<Listing<'_>> {
    let mut rows: Vec<_> = sales.iter().flat_map(|sale| of_sale(sale, draw)).collect();
    rows.sort_by_key(|row| (row.updated_at, row.sale.product_id));
    rows
}

fn of_sale(sale: &Sale, draw: Draw) -> Vec<Listing<'_>> {
    let timeline = Timeline::of(sale, draw);
    let row = |seconds: i64, status, sale_price| {
        let updated_at = seconds * 1_000_000;
        Listing {
            sale,
            updated_at,
            status,
            sale_price,
            condominium_fee: condominium_fee(sale),
            rent_price: rent_price(sale, calendar::year(updated_at), draw),
        }
    };
    let mut rows = vec![row(
        timeline.listed_at,
        Status::Listed,
        asked_price(sale, &timeline, 0, draw),
    )];
    for i in 1..=timeline.revisions {
        rows.push(row(
            timeline.revised_at(i),
            Status::Revised,
            asked_price(sale, &timeline, i, draw),
        ));
    }
    rows.push(row(timeline.recorded_at, Status::Sold, sale.sale_price));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED;

    #[test]
    fn an_offer_goes_through_its_life_in_order() {
        let sales = Sale::all().expect("the file fits");
        let draw = Draw::new(SEED);
        for sale in &sales {
            let rows = of_sale(sale, draw);
            let times: Vec<_> = rows.iter().map(|row| row.updated_at).collect();
            assert!(
                times.windows(2).all(|pair| pair[0] < pair[1]),
                "product {}: {times:?}",
                sale.product_id
            );
            let (first, last) = (&rows[0], &rows[rows.len() - 1]);
            assert_eq!((first.status, last.status), (Status::Listed, Status::Sold));
            assert_eq!(last.sale_price, sale.sale_price);
            assert!((3..=5).contains(&rows.len()));
            assert!(
                rows.windows(2)
                    .all(|pair| pair[0].sale_price + 100 >= pair[1].sale_price),
                "prices only fall"
            );

            let timeline = Timeline::of(sale, draw);
            let (month, next_month) = calendar::month(sale.year_sold, sale.month_sold);
            assert!(
                (month..next_month).contains(&timeline.sold_at),
                "sold in the month the data names"
            );
            assert!(timeline.recorded_at >= timeline.sold_at + DAY);
        }
    }

    #[test]
    fn rounds_to_the_nearest_unit() {
        assert_eq!(
            (rounded(149, 1, 100), rounded(150, 1, 100), rounded(10, 4, 5)),
            (100, 200, 5)
        );
    }

    #[test]
    fn fees_belong_to_shared_buildings() {
        let sales = Sale::all().expect("the file fits");
        let with_fee = sales.iter().filter(|sale| condominium_fee(sale).is_some()).count();
        assert_eq!(with_fee, 2930 - 2425);
        assert!(
            sales
                .iter()
                .all(|sale| (250..4000).contains(&rent_price(sale, 2010, Draw::new(SEED))))
        );
    }
}
