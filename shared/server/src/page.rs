//! Pages of lists: their size and their tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use forebay_api::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Items on a page if the caller does not say.
pub const DEFAULT_PAGE_SIZE: usize = 100;

/// Most items on a page.
pub const MAX_PAGE_SIZE: usize = 1000;

/// The size of a page from `page_size`: 1 to 1000, 100 without it. Otherwise 422.
pub fn size(asked: Option<u32>) -> Result<usize, ApiError> {
    match asked.map(|size| usize::try_from(size).unwrap_or(usize::MAX)) {
        None => Ok(DEFAULT_PAGE_SIZE),
        Some(size) if (1..=MAX_PAGE_SIZE).contains(&size) => Ok(size),
        Some(_) => {
            let detail = format!("page_size is 1 to {MAX_PAGE_SIZE}");
            Err(Problem::parameter(Code::InvalidParameter, "page_size", detail).into())
        }
    }
}

/// An opaque token of the place where the next page begins, such as the last name of this one.
pub fn token<T: Serialize>(place: &T) -> Result<String, ApiError> {
    serde_json::to_vec(place)
        .map(|json| URL_SAFE_NO_PAD.encode(json))
        .map_err(ApiError::internal)
}

/// The place in a token that [`token`] made; none without a token. 422 `invalid_page_token` for any other text.
pub fn place<T: DeserializeOwned>(token: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(token) = token else { return Ok(None) };
    let json = URL_SAFE_NO_PAD.decode(token).ok();
    match json.and_then(|json| serde_json::from_slice(&json).ok()) {
        Some(place) => Ok(Some(place)),
        None => {
            let detail = "send the next_page_token of the page before as it is";
            Err(Problem::parameter(Code::InvalidPageToken, "page_token", detail).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back() {
        let token = token(&("product.value", 3)).expect("a token");
        assert_eq!(
            place(Some(&token)).expect("a place"),
            Some(("product.value".to_owned(), 3))
        );
        assert_eq!(place::<String>(None).expect("none"), None);
        for wrong in ["", "%", "abc", token.as_str()] {
            assert_eq!(
                place::<String>(Some(wrong)).expect_err("a problem").problem().code,
                "invalid_page_token"
            );
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(size(None).expect("default"), 100);
        assert_eq!(size(Some(1000)).expect("the most"), 1000);
        assert!(size(Some(0)).is_err() && size(Some(1001)).is_err());
    }
}
