//! Reads JSON text piece by piece, so that numbers keep their digits and values go where they belong without a tree in between.

/// How deep arrays and objects may nest in values that are skipped.
pub const MAX_DEPTH: usize = 128;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {what}")]
pub struct SyntaxError {
    /// Bytes before the place.
    pub at: usize,
    pub what: &'static str,
}

/// The beginning of a value; all of it if it is a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    String(JsonString<'a>),
    /// `[` was read.
    Array,
    /// `{` was read.
    Object,
}

/// A string between its quotes, its escapes checked and not yet resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonString<'a> {
    raw: &'a str,
    escaped: bool,
}

/// A cursor over JSON text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads the next value or its beginning.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&mut self) -> Result<Token<'a>, SyntaxError> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Number),
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Object)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Token::Array)
            }
            Some(b'n') => self.word("null", Token::Null),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the text ends where a value is expected")),
        }
    }

    /// Inside an object, after `{` or a value: the next key, whose value follows; `None` after the last. `first` must be true the first time; it is cleared.
    ///
    /// # Errors
    /// When neither a key nor the end follows.
    pub fn key(&mut self, first: &mut bool) -> Result<Option<JsonString<'a>>, SyntaxError> {
        self.space();
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::take(first) {
            if !self.take(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
            self.space();
        }
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a field's name in quotes"));
        }
        let key = self.string()?;
        self.space();
        if !self.take(b':') {
            return Err(self.error("expected `:`"));
        }
        Ok(Some(key))
    }

    /// Inside an array, after `[` or a value: whether another value follows. `first` must be true the first time; it is cleared.
    ///
    /// # Errors
    /// When neither a separator nor the end follows.
    pub fn element(&mut self, first: &mut bool) -> Result<bool, SyntaxError> {
        self.space();
        if self.take(b']') {
            return Ok(false);
        }
        if !std::mem::take(first) && !self.take(b',') {
            return Err(self.error("expected `,` or `]`"));
        }
        Ok(true)
    }

    /// Skips the rest of a value whose beginning was read.
    ///
    /// # Errors
    /// When it is not JSON or nests deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self, begun: Token<'a>) -> Result<(), SyntaxError> {
        // Of each open array or object: whether it is an object, and whether nothing was read in it yet.
        let mut open = Vec::new();
        let mut token = begun;
        loop {
            match token {
                Token::Array => open.push((false, true)),
                Token::Object => open.push((true, true)),
                _ => {}
            }
            if open.len() > MAX_DEPTH {
                return Err(self.error("nested too deeply"));
            }
            loop {
                let Some((is_object, first)) = open.last_mut() else {
                    return Ok(());
                };
                let more = if *is_object {
                    self.key(first)?.is_some()
                } else {
                    self.element(first)?
                };
                if more {
                    break;
                }
                open.pop();
            }
            token = self.value()?;
        }
    }

    /// The number of elements of the array whose `[` was read. The cursor stays.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn count_elements(&self) -> Result<usize, SyntaxError> {
        let mut ahead = self.clone();
        let (mut first, mut count) = (true, 0);
        while ahead.element(&mut first)? {
            let token = ahead.value()?;
            ahead.skip(token)?;
            count += 1;
        }
        Ok(count)
    }

    /// Checks that nothing but space is left.
    ///
    /// # Errors
    /// When something is.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        self.space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.error("something follows the value"))
        }
    }

    /// An error at the cursor.
    #[must_use]
    pub fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, SyntaxError> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(token)
        } else {
            Err(self.error("expected a value"))
        }
    }

    fn number(&mut self) -> Result<&'a str, SyntaxError> {
        let length = number_length(&self.text.as_bytes()[self.at..]).ok_or(self.error("malformed number"))?;
        let number = &self.text[self.at..self.at + length];
        self.at += length;
        if let Some(b'0'..=b'9' | b'.' | b'-' | b'+' | b'a'..=b'z' | b'A'..=b'Z') = self.peek() {
            return Err(self.error("malformed number"));
        }
        Ok(number)
    }

    fn string(&mut self) -> Result<JsonString<'a>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            let rest = &bytes[self.at..];
            let plain = rest
                .iter()
                .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
                .ok_or(self.error("a string does not end"))?;
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(JsonString { raw, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.at += escape(&rest[plain..]).ok_or(self.error("malformed escape"))?.1;
                }
                _ => return Err(self.error("a control character in a string")),
            }
        }
    }
}

impl<'a> JsonString<'a> {
    /// The string, if nothing in it is escaped.
    #[must_use]
    pub fn plain(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// The string; resolved in `buffer` if need be, whose content is lost.
    #[must_use]
    pub fn resolve<'b>(self, buffer: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        if !self.escaped {
            return self.raw;
        }
        buffer.clear();
        self.each_piece(|piece| buffer.push_str(piece));
        buffer
    }

    /// Appends the string's UTF-8.
    pub fn append(self, out: &mut Vec<u8>) {
        if self.escaped {
            self.each_piece(|piece| out.extend_from_slice(piece.as_bytes()));
        } else {
            out.extend_from_slice(self.raw.as_bytes());
        }
    }

    fn each_piece(self, mut push: impl FnMut(&str)) {
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            push(&rest[..at]);
            // Escapes were checked when the string was read.
            let Some((character, length)) = escape(&rest.as_bytes()[at..]) else {
                return;
            };
            push(character.encode_utf8(&mut [0; 4]));
            rest = &rest[at + length..];
        }
        push(rest);
    }
}

/// The character that an escape stands for, and the escape's length. Lone surrogates are no characters.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex(text.get(2..6)?)?;
            return match unit {
                0xD800..0xDC00 => {
                    let low = text.get(6..12)?.strip_prefix(b"\\u").and_then(hex)?;
                    let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                    Some((char::from_u32(0x1_0000 + ((unit - 0xD800) << 10 | low))?, 12))
                }
                unit => Some((char::from_u32(unit)?, 6)),
            };
        }
        _ => return None,
    };
    Some((character, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// The length of the JSON number at the start of the text; `None` when there is none.
pub(super) fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return None,
        count if count > 1 && text[at] == b'0' => return None,
        count => at += count,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return None,
            count => at += 1 + count,
        }
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match digits(at + 1 + sign) {
            0 => return None,
            count => at += 1 + sign + count,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Rebuilds the value, so that serde_json can judge the reading.
    fn tree(scanner: &mut Scanner<'_>, token: Token<'_>, depth: usize) -> Result<Value, SyntaxError> {
        if depth > 60 {
            return Err(scanner.error("nested too deeply"));
        }
        Ok(match token {
            Token::Null => Value::Null,
            Token::Bool(value) => value.into(),
            Token::Number(text) => serde_json::from_str(text).expect("a number"),
            Token::String(text) => text.resolve(&mut String::new()).into(),
            Token::Array => {
                let (mut first, mut elements) = (true, Vec::new());
                while scanner.element(&mut first)? {
                    let token = scanner.value()?;
                    elements.push(tree(scanner, token, depth + 1)?);
                }
                elements.into()
            }
            Token::Object => {
                let (mut first, mut fields) = (true, serde_json::Map::new());
                while let Some(key) = scanner.key(&mut first)? {
                    let token = scanner.value()?;
                    fields.insert(
                        key.resolve(&mut String::new()).to_owned(),
                        tree(scanner, token, depth + 1)?,
                    );
                }
                fields.into()
            }
        })
    }

    fn read(text: &str) -> Result<Value, SyntaxError> {
        let mut scanner = Scanner::new(text);
        let token = scanner.value()?;
        let value = tree(&mut scanner, token, 0)?;
        scanner.end()?;
        let mut skipping = Scanner::new(text);
        let token = skipping.value()?;
        skipping.skip(token)?;
        skipping.end()?;
        Ok(value)
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(text in r#"(\{|\}|\[|\]|,|:|"(a|\\n|\\u00e9|\\ud83d\\ude00|\\udc00|\\|é)*"|-|0|1|12|\.5|e3|E-2| |null|true|false|\n){0,12}"#) {
            match (read(&text), serde_json::from_str::<Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs),
            }
        }

        #[test]
        fn any_string_reads_back(value in any::<String>()) {
            let text = serde_json::to_string(&value).expect("JSON");
            prop_assert_eq!(read(&text), Ok(Value::String(value)));
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let deep = "[".repeat(1_000_000);
        let mut scanner = Scanner::new(&deep);
        let token = scanner.value().expect("begins");
        assert_eq!(scanner.skip(token).map_err(|e| e.what), Err("nested too deeply"));
    }
}
