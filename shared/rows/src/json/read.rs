//! Single values from JSON into packed rows and encoded keys.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use forebay_model::{DataType, KeyType, entity_key::append};

use super::{
    number,
    scan::{JsonString, Scanner, SyntaxError, Token},
    time,
};
use crate::{packed::RowsWriter, rejected::RejectCode};

/// Takes base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a value does not fit its type.
pub type Unfit = RejectCode;

/// Reads the next value into a slot of the row that the writer has begun; null leaves it null. The value is read to its end also when it does not fit.
///
/// # Errors
/// When the text is not JSON; inside, why the value does not fit.
pub fn slot(
    scanner: &mut Scanner<'_>,
    writer: &mut RowsWriter,
    slot: usize,
    data_type: &DataType,
    buffer: &mut String,
) -> Result<Result<(), Unfit>, SyntaxError> {
    let token = scanner.value()?;
    match (data_type, token) {
        (_, Token::Null) => Ok(Ok(())),
        (DataType::Vector { length }, Token::Array) => vector(scanner, writer, slot, *length),
        (DataType::List(element), Token::Array) => list(scanner, writer, slot, element, buffer),
        (_, Token::Array | Token::Object) => {
            scanner.skip(token)?;
            Ok(Err(RejectCode::WrongType))
        }
        (data_type, scalar) => Ok(self::scalar(
            scalar,
            data_type,
            buffer,
            &mut SlotTarget { writer, slot },
        )),
    }
}

/// Reads the next value as a key column and appends its encoding.
///
/// # Errors
/// When the text is not JSON; inside, why the value does not fit: `null_key` for null.
pub fn key(
    scanner: &mut Scanner<'_>,
    key_type: KeyType,
    key: &mut Vec<u8>,
    buffer: &mut String,
) -> Result<Result<(), Unfit>, SyntaxError> {
    let token = scanner.value()?;
    match token {
        Token::Null => Ok(Err(RejectCode::NullKey)),
        Token::Array | Token::Object => {
            scanner.skip(token)?;
            Ok(Err(RejectCode::WrongType))
        }
        scalar => Ok(self::scalar(scalar, &key_type.data_type(), buffer, key)),
    }
}

/// Where a scalar goes.
trait Target {
    fn bool(&mut self, value: bool);
    fn i32(&mut self, value: i32);
    fn i64(&mut self, value: i64);
    fn f32(&mut self, value: f32);
    fn f64(&mut self, value: f64);
    fn decimal(&mut self, value: i128);
    fn string(&mut self, value: JsonString<'_>, buffer: &mut String);
    fn bytes(&mut self, value: &[u8]);
}

fn scalar(token: Token<'_>, data_type: &DataType, buffer: &mut String, target: &mut impl Target) -> Result<(), Unfit> {
    match (data_type, token) {
        (DataType::Float64, Token::Number(text)) => target.f64(number::f64(text)?),
        (DataType::Float64, Token::String(text)) => target.f64(special(text)?),
        (DataType::Float32, Token::Number(text)) => target.f32(number::f32(text)?),
        (DataType::Float32, Token::String(text)) => target.f32(special(text)? as f32),
        (DataType::Int64, Token::Number(text)) => target.i64(number::integer(text)?),
        (DataType::Int64, Token::String(text)) => target.i64(number::integer(text.resolve(buffer))?),
        (DataType::Int32, Token::Number(text)) => target.i32(int32(text)?),
        (DataType::Int32, Token::String(text)) => target.i32(int32(text.resolve(buffer))?),
        (DataType::Bool, Token::Bool(value)) => target.bool(value),
        (DataType::String, Token::String(text)) => target.string(text, buffer),
        (DataType::Timestamp, Token::String(text)) => {
            target.i64(time::timestamp(text.resolve(buffer)).ok_or(RejectCode::WrongType)?);
        }
        (DataType::Date, Token::String(text)) => {
            target.i32(time::date(text.resolve(buffer)).ok_or(RejectCode::WrongType)?);
        }
        (DataType::Decimal { precision, scale }, Token::Number(text)) => {
            target.decimal(number::decimal(text, *precision, *scale)?);
        }
        (DataType::Decimal { precision, scale }, Token::String(text)) => {
            target.decimal(number::decimal(text.resolve(buffer), *precision, *scale)?);
        }
        (DataType::Binary, Token::String(text)) => {
            target.bytes(&BASE64.decode(text.resolve(buffer)).map_err(|_| RejectCode::WrongType)?);
        }
        _ => return Err(RejectCode::WrongType),
    }
    Ok(())
}

fn int32(text: &str) -> Result<i32, Unfit> {
    i32::try_from(number::integer(text)?).map_err(|_| RejectCode::OutOfRange)
}

fn special(text: JsonString<'_>) -> Result<f64, Unfit> {
    match text.plain() {
        Some("NaN") => Ok(f64::NAN),
        Some("Infinity") => Ok(f64::INFINITY),
        Some("-Infinity") => Ok(f64::NEG_INFINITY),
        _ => Err(RejectCode::WrongType),
    }
}

fn vector(
    scanner: &mut Scanner<'_>,
    writer: &mut RowsWriter,
    slot: usize,
    length: u32,
) -> Result<Result<(), Unfit>, SyntaxError> {
    writer.put_content(slot, |heap| {
        let (mut first, mut count, mut unfit) = (true, 0, None);
        while scanner.element(&mut first)? {
            let token = scanner.value()?;
            let element = match token {
                Token::Number(text) => number::f32(text),
                Token::String(text) => special(text).map(|value| value as f32),
                Token::Null => Err(RejectCode::NullElement),
                other => {
                    scanner.skip(other)?;
                    Err(RejectCode::WrongType)
                }
            };
            count += 1;
            match element {
                Ok(value) if count <= length => heap.extend_from_slice(&value.to_le_bytes()),
                Ok(_) => {}
                Err(code) => {
                    unfit.get_or_insert(code);
                }
            }
        }
        Ok(match unfit {
            Some(code) => Err(code),
            None if count != length => Err(RejectCode::WrongLength),
            None => Ok(()),
        })
    })
}

fn list(
    scanner: &mut Scanner<'_>,
    writer: &mut RowsWriter,
    slot: usize,
    element: &DataType,
    buffer: &mut String,
) -> Result<Result<(), Unfit>, SyntaxError> {
    let count = scanner.count_elements()?;
    let mut list = writer.put_list(slot, element, count);
    let (mut first, mut result) = (true, Ok(()));
    while scanner.element(&mut first)? {
        let token = scanner.value()?;
        let read = match token {
            Token::Null => {
                list.push_null();
                Ok(())
            }
            Token::Array | Token::Object => {
                scanner.skip(token)?;
                Err(RejectCode::WrongType)
            }
            scalar => self::scalar(scalar, element, buffer, &mut list),
        };
        result = result.and(read);
    }
    list.finish();
    Ok(result)
}

struct SlotTarget<'a> {
    writer: &'a mut RowsWriter,
    slot: usize,
}

impl Target for SlotTarget<'_> {
    fn bool(&mut self, value: bool) {
        self.writer.put_bool(self.slot, value);
    }

    fn i32(&mut self, value: i32) {
        self.writer.put_i32(self.slot, value);
    }

    fn i64(&mut self, value: i64) {
        self.writer.put_i64(self.slot, value);
    }

    fn f32(&mut self, value: f32) {
        self.writer.put_f32(self.slot, value);
    }

    fn f64(&mut self, value: f64) {
        self.writer.put_f64(self.slot, value);
    }

    fn decimal(&mut self, value: i128) {
        self.writer.put_decimal(self.slot, value);
    }

    fn string(&mut self, value: JsonString<'_>, _: &mut String) {
        self.writer.put_content(self.slot, |heap| value.append(heap));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.writer.put_bytes(self.slot, value);
    }
}

impl Target for crate::packed::ListWriter<'_> {
    fn bool(&mut self, value: bool) {
        self.push_bool(value);
    }

    fn i32(&mut self, value: i32) {
        self.push_i32(value);
    }

    fn i64(&mut self, value: i64) {
        self.push_i64(value);
    }

    fn f32(&mut self, value: f32) {
        self.push_f32(value);
    }

    fn f64(&mut self, value: f64) {
        self.push_f64(value);
    }

    fn decimal(&mut self, value: i128) {
        self.push_decimal(value);
    }

    fn string(&mut self, value: JsonString<'_>, _: &mut String) {
        self.push_content(|heap| value.append(heap));
    }

    fn bytes(&mut self, value: &[u8]) {
        self.push_bytes(value);
    }
}

/// Encoded keys. Types that are no keys cannot come here: a [`KeyType`] names none of them.
impl Target for Vec<u8> {
    fn bool(&mut self, value: bool) {
        append::bool(self, value);
    }

    fn i32(&mut self, value: i32) {
        append::i32(self, value);
    }

    fn i64(&mut self, value: i64) {
        append::i64(self, value);
    }

    fn f32(&mut self, _: f32) {}

    fn f64(&mut self, _: f64) {}

    fn decimal(&mut self, _: i128) {}

    fn string(&mut self, value: JsonString<'_>, buffer: &mut String) {
        append::bytes(self, value.resolve(buffer).as_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        append::bytes(self, value);
    }
}
