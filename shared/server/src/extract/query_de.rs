//! serde over decoded query parameters, which knows the struct's fields and so refuses all others.

use std::fmt;

use forebay_api::{Code, Problem};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The parameters, each with all its values in their order.
pub struct QueryDeserializer {
    parameters: Vec<(String, Vec<String>)>,
}

/// A parameter that is unknown, missing or not allowed.
#[derive(Debug)]
pub struct QueryFault {
    code: Code,
    parameter: Option<String>,
    detail: String,
}

impl QueryFault {
    pub fn into_problem(self) -> Problem {
        match self.parameter {
            Some(parameter) => Problem::parameter(self.code, parameter, self.detail),
            None => Problem::new(self.code, self.detail),
        }
    }
}

impl fmt::Display for QueryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for QueryFault {}

impl de::Error for QueryFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        QueryFault {
            code: Code::InvalidParameter,
            parameter: None,
            detail: message.to_string(),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        QueryFault {
            code: Code::MissingParameter,
            parameter: Some(field.to_owned()),
            detail: format!("the query parameter {field} is required"),
        }
    }
}

impl QueryDeserializer {
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        let mut parameters: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in pairs {
            match parameters.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => parameters.push((name, vec![value])),
            }
        }
        QueryDeserializer { parameters }
    }
}

/// The fault of a parameter that an endpoint does not take.
pub fn unknown_parameter(name: &str, known: &[&str]) -> Problem {
    let detail = match known {
        [] => "this endpoint takes no query parameters".to_owned(),
        _ => format!("this endpoint takes the query parameters {}", known.join(", ")),
    };
    Problem::parameter(Code::UnknownParameter, name, detail)
}

impl<'de> de::Deserializer<'de> for QueryDeserializer {
    type Error = QueryFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_map(Parameters {
            rest: self.parameters.into_iter(),
            current: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, QueryFault> {
        if let Some((name, _)) = self
            .parameters
            .iter()
            .find(|(name, _)| !fields.contains(&name.as_str()))
        {
            let problem = unknown_parameter(name, fields);
            let (code, detail) = (Code::UnknownParameter, problem.detail);
            return Err(QueryFault {
                code,
                parameter: Some(name.clone()),
                detail,
            });
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Parameters {
    rest: std::vec::IntoIter<(String, Vec<String>)>,
    current: Option<(String, Vec<String>)>,
}

impl<'de> MapAccess<'de> for Parameters {
    type Error = QueryFault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, QueryFault> {
        self.current = self.rest.next();
        match &self.current {
            Some((name, _)) => seed.deserialize(name.as_str().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, QueryFault> {
        let (name, values) = self.current.take().unwrap_or_default();
        seed.deserialize(Values(values)).map_err(|fault| QueryFault {
            parameter: Some(name),
            ..fault
        })
    }
}

/// All values of one parameter.
struct Values(Vec<String>);

impl Values {
    fn one(self) -> Result<String, QueryFault> {
        let mut values = self.0;
        match (values.pop(), values.is_empty()) {
            (Some(value), true) => Ok(value),
            _ => Err(de::Error::custom("this query parameter may stand once only")),
        }
    }

    fn parsed<T: std::str::FromStr>(self, what: &str) -> Result<T, QueryFault> {
        let value = self.one()?;
        value
            .parse()
            .map_err(|_| de::Error::custom(format!("{value:?} is not {what}")))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $what:literal,)+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
                visitor.$visit(self.parsed($what)?)
            }
        )+
    };
}

impl<'de> de::Deserializer<'de> for Values {
    type Error = QueryFault;

    parsed! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "a whole number",
        deserialize_i16 visit_i16 "a whole number",
        deserialize_i32 visit_i32 "a whole number",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_u8 visit_u8 "a whole number from 0",
        deserialize_u16 visit_u16 "a whole number from 0",
        deserialize_u32 visit_u32 "a whole number from 0",
        deserialize_u64 visit_u64 "a whole number from 0",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
        deserialize_char visit_char "one character",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_string(self.one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, QueryFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, QueryFault> {
        visitor.visit_enum(self.one()?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryFault> {
        let parts = self
            .0
            .iter()
            .flat_map(|value| value.split(','))
            .filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        visitor.visit_seq(Parts(parts.into_iter()))
    }

    forward_to_deserialize_any! {
        i128 u128 str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// The parts of a list, each of which is one value.
struct Parts(std::vec::IntoIter<String>);

impl<'de> SeqAccess<'de> for Parts {
    type Error = QueryFault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, QueryFault> {
        self.0
            .next()
            .map(|part| seed.deserialize(Values(vec![part])))
            .transpose()
    }
}
