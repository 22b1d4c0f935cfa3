use forebay_rows::json::{RowReader, Scanner, Token};

use super::{Decoded, Refusal, lines::RowSink};

/// Reads `{"rows": [{…}, …]}`.
pub fn read(body: &[u8], reader: RowReader, decoded: &mut Decoded) -> Result<(), Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| Refusal::NotUtf8(error.valid_up_to()))?;
    let mut sink = RowSink::new(reader);
    let mut scanner = Scanner::new(text);
    let token = scanner.value()?;
    if token != Token::Object {
        scanner.skip(token)?;
        scanner.end()?;
        return Err(Refusal::NotRows);
    }
    let (mut first, mut has_rows, mut unknown) = (true, false, None);
    let mut buffer = String::new();
    while let Some(key) = scanner.key(&mut first)? {
        let key = key.resolve(&mut buffer);
        if key != "rows" {
            unknown.get_or_insert(key.chars().take(100).collect::<String>());
            let token = scanner.value()?;
            scanner.skip(token)?;
            continue;
        }
        if std::mem::replace(&mut has_rows, true) {
            return Err(Refusal::DuplicateRows);
        }
        let token = scanner.value()?;
        if token != Token::Array {
            scanner.skip(token)?;
            return Err(Refusal::RowsNotAList);
        }
        let mut first = true;
        while scanner.element(&mut first)? {
            sink.row_of_many(&mut scanner, decoded)?;
        }
    }
    scanner.end()?;
    match unknown {
        Some(name) => Err(Refusal::UnknownField(name)),
        None if !has_rows => Err(Refusal::MissingRows),
        None => sink.finish(decoded),
    }
}
