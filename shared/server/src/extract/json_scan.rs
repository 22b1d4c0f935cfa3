//! What serde lets pass: keys that stand twice in an object, and nesting without end.

use std::borrow::Cow;

use forebay_api::push_pointer;

/// Deepest nesting of arrays and objects that a body may have.
pub const MAX_DEPTH: usize = 64;

/// Up to so many keys per object are compared in pairs; more are sorted.
const PAIRWISE_KEYS: usize = 8;

/// A fault in well-formed JSON, with its JSON pointer.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// An object holds this key twice.
    DuplicateKey(String),
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep(String),
}

/// One open array or object.
enum Frame {
    Array {
        index: usize,
    },
    /// `keys` of all open objects are in one vector; this object's begin here.
    Object {
        first_key: usize,
    },
}

/// Looks for duplicate keys and deep nesting in one pass without recursion.
///
/// Text that is not JSON passes as far as it goes: the parser that comes after says better what is wrong with it.
pub fn scan(text: &str) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let mut frames: Vec<Frame> = Vec::new();
    let mut keys: Vec<Cow<'_, str>> = Vec::new();
    let mut key_expected = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                if frames.len() == MAX_DEPTH {
                    return Err(Fault::TooDeep(pointer(&frames, &keys)));
                }
                key_expected = byte == b'{';
                frames.push(match byte {
                    b'{' => Frame::Object { first_key: keys.len() },
                    _ => Frame::Array { index: 0 },
                });
            }
            b'}' | b']' => {
                if let Some(Frame::Object { first_key }) = frames.pop() {
                    if let Some(key) = duplicate(&keys[first_key..]) {
                        let mut pointer = pointer(&frames, &keys[..first_key]);
                        push_pointer(&mut pointer, &key);
                        return Err(Fault::DuplicateKey(pointer));
                    }
                    keys.truncate(first_key);
                }
                key_expected = false;
            }
            b',' => match frames.last_mut() {
                Some(Frame::Array { index }) => *index += 1,
                Some(Frame::Object { .. }) => key_expected = true,
                None => return Ok(()),
            },
            b'"' => {
                let Some(end) = string_end(bytes, at) else {
                    return Ok(());
                };
                if key_expected {
                    key_expected = false;
                    let Some(key) = decoded(&text[at - 1..end]) else {
                        return Ok(());
                    };
                    keys.push(key);
                }
                at = end;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The index behind the closing quote of the string that begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The key between these quotes; none if an escape is wrong.
fn decoded(quoted: &str) -> Option<Cow<'_, str>> {
    if quoted.contains('\\') {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }
}

fn duplicate(keys: &[Cow<'_, str>]) -> Option<String> {
    if keys.len() <= PAIRWISE_KEYS {
        let again = keys.iter().enumerate().find(|(n, key)| keys[..*n].contains(key));
        return again.map(|(_, key)| key.to_string());
    }
    let mut sorted: Vec<&str> = keys.iter().map(|key| &**key).collect();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].to_owned())
}

/// The pointer of the place inside the open frames.
fn pointer(frames: &[Frame], keys: &[Cow<'_, str>]) -> String {
    let mut pointer = String::new();
    for (n, frame) in frames.iter().enumerate() {
        match frame {
            Frame::Array { index } => push_pointer(&mut pointer, &index.to_string()),
            Frame::Object { first_key } => {
                // The key being read in this object is the last one before the next open object's first.
                let end = frames[n + 1..].iter().find_map(|frame| match frame {
                    Frame::Object { first_key } => Some(*first_key),
                    Frame::Array { .. } => None,
                });
                let end = end.unwrap_or(keys.len());
                if let Some(key) = keys[*first_key..end].last() {
                    push_pointer(&mut pointer, key);
                }
            }
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicate_at(text: &str) -> Option<String> {
        match scan(text) {
            Err(Fault::DuplicateKey(pointer)) => Some(pointer),
            _ => None,
        }
    }

    #[test]
    fn finds_duplicate_keys_and_their_place() {
        assert_eq!(duplicate_at(r#"{"a": 1, "a": 2}"#).as_deref(), Some("/a"));
        assert_eq!(duplicate_at(r#"{"a": 1, "\u0061": 2}"#).as_deref(), Some("/a"));
        assert_eq!(
            duplicate_at(r#"{"x": {}, "rows": [{"k": 1}, {"k": {"b/c": 1, "b/c": []}}]}"#).as_deref(),
            Some("/rows/1/k/b~1c")
        );
        let many: Vec<String> = (0..20).chain([7]).map(|n| format!("\"k{n}\": {n}")).collect();
        assert_eq!(
            duplicate_at(&format!("[{{{}}}]", many.join(","))).as_deref(),
            Some("/0/k7")
        );
    }

    #[test]
    fn the_same_key_in_different_objects_is_fine() {
        assert_eq!(
            scan(r#"[{"a": {"a": "a"}, "b": "a"}, {"a": ["a", "a"], "b\"": "\\", "c": "{\"c\": 1, \"c\": 1}"}]"#),
            Ok(())
        );
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(scan(&nested(MAX_DEPTH)), Ok(()));
        assert!(matches!(scan(&nested(MAX_DEPTH + 1)), Err(Fault::TooDeep(_))));
        let objects = format!("{}1", r#"{"a":"#.repeat(100_000));
        assert_eq!(scan(&objects), Err(Fault::TooDeep("/a".repeat(MAX_DEPTH))));
    }

    #[test]
    fn what_is_not_json_is_left_to_the_parser() {
        for text in [
            "",
            "\"",
            "{\"",
            "]]]]",
            "}{",
            "{\"a\\",
            "{\"\\uZZZZ\": 1}",
            ",,,",
            "\"\\",
        ] {
            assert_eq!(scan(text), Ok(()), "{text}");
        }
    }
}
