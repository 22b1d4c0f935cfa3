//! Percent-decoding of query strings.

/// Splits a query string into decoded names and values; `Err` holds the part that is not UTF-8 once decoded.
pub fn decode_query(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            _ => return Err(part.to_owned()),
        }
    }
    Ok(pairs)
}

/// `+` is a space; `%` without two hex digits stands for itself, as in browsers.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match (hex(bytes.get(at)), hex(bytes.get(at + 1))) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    at += 2;
                }
                _ => decoded.push(b'%'),
            },
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    let value = char::from(*digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_names_and_values() {
        let pairs = decode_query("q=caf%C3%A9+1&&tag=pii%3Ayes&flag&a%20b=%zz%").expect("utf-8");
        let expected = [("q", "café 1"), ("tag", "pii:yes"), ("flag", ""), ("a b", "%zz%")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(decode_query("a=1&b=%ff"), Err("b=%ff".to_owned()));
    }
}
