//! The sales as they were: one per line of `data/ames.csv`.

use serde::Deserialize;

const CSV: &str = include_str!("../data/ames.csv");

/// One house sale. Areas are in square feet, the price in USD.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Sale {
    pub product_id: i64,
    pub neighborhood: String,
    pub longitude: f64,
    pub latitude: f64,
    #[serde(rename = "ms_zoning")]
    pub zoning: String,
    #[serde(rename = "bldg_type")]
    pub building: String,
    pub year_built: i32,
    pub lot_area: i32,
    #[serde(rename = "gr_liv_area")]
    pub living_area: i32,
    #[serde(rename = "bedroom_abvgr")]
    pub bedrooms: i32,
    pub full_bath: i32,
    pub half_bath: i32,
    pub garage_cars: i32,
    #[serde(rename = "central_air", deserialize_with = "yes")]
    pub central_air: bool,
    pub year_sold: i32,
    #[serde(rename = "mo_sold")]
    pub month_sold: u32,
    pub sale_price: i64,
}

impl Sale {
    /// All sales, in the order of the file, which is that of `product_id`.
    ///
    /// # Errors
    /// When the file in this crate is not what this module reads.
    pub fn all() -> Result<Vec<Sale>, csv::Error> {
        csv::Reader::from_reader(CSV.as_bytes()).deserialize().collect()
    }
}

fn yes<'de, D: serde::Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    match <&str>::deserialize(field)? {
        "Y" => Ok(true),
        "N" => Ok(false),
        other => Err(serde::de::Error::custom(format!(
            "central_air is Y or N, not {other:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_line() {
        let sales = Sale::all().expect("the file fits");
        assert_eq!(sales.len(), 2930);
        assert_eq!(
            (
                sales[0].product_id,
                sales[0].sale_price,
                sales[0].year_sold,
                sales[0].month_sold
            ),
            (1, 215_000, 2010, 5)
        );
        assert!(sales.windows(2).all(|pair| pair[0].product_id < pair[1].product_id));
    }
}
