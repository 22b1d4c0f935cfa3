//! Which of the offered media types a caller prefers.

use forebay_api::{Code, Problem};
use http::{HeaderMap, header};

use crate::error::ApiError;

/// The offered media type with the greatest quality in `Accept`; the earlier offer wins a tie, and the first one if
/// there is no header. 406 if none is accepted.
pub fn preferred<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Result<&'a str, ApiError> {
    let ranges: Vec<(String, f32)> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    let mut best: Option<(&'a str, f32)> = None;
    for offer in offered {
        let quality = if ranges.is_empty() {
            1.0
        } else {
            quality(offer, &ranges)
        };
        if quality > best.map_or(0.0, |(_, quality)| quality) {
            best = Some((offer, quality));
        }
    }
    best.map(|(offer, _)| offer).ok_or_else(|| {
        let detail = format!("this endpoint answers as {}", offered.join(", "));
        Problem::parameter(Code::NotAcceptable, "Accept", detail).into()
    })
}

/// `text/csv;q=0.5` as the range and its quality.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?.to_ascii_lowercase();
    let quality = parts
        .find_map(|part| part.strip_prefix("q="))
        .and_then(|q| q.parse().ok())
        .unwrap_or(1.0);
    Some((range, quality))
}

/// The quality of the most specific range that covers the offer.
fn quality(offer: &str, ranges: &[(String, f32)]) -> f32 {
    let covering = ranges.iter().filter_map(|(range, quality)| {
        let specificity = match range.strip_suffix("/*") {
            _ if range == offer => 2,
            Some("*") => 0,
            Some(kind) if offer.split('/').next() == Some(kind) => 1,
            _ => return None,
        };
        Some((specificity, *quality))
    });
    covering
        .max_by_key(|(specificity, _)| *specificity)
        .map_or(0.0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 3] = ["application/json", "text/csv", "application/vnd.apache.parquet"];

    fn choose(accept: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, http::HeaderValue::from_static(accept));
        preferred(&headers, &OFFERED).ok()
    }

    #[test]
    fn prefers_by_quality_then_by_order() {
        assert_eq!(preferred(&HeaderMap::new(), &OFFERED).ok(), Some("application/json"));
        assert_eq!(choose("*/*"), Some("application/json"));
        assert_eq!(choose("text/*"), Some("text/csv"));
        assert_eq!(choose("application/json;q=0.1, Text/CSV; q=0.5"), Some("text/csv"));
        assert_eq!(
            choose("*/*;q=0.1, application/vnd.apache.parquet"),
            Some("application/vnd.apache.parquet")
        );
        assert_eq!(choose("*/*, application/json;q=0"), Some("text/csv"));
        assert_eq!(choose("image/png"), None);
    }
}
