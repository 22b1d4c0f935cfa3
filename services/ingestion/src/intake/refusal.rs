use forebay_api::{Code, Problem};
use forebay_rows::json::SyntaxError;
use forebay_server::ApiError;

/// Why a request with rows is refused as a whole, apart from rows that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("as many rows as this process holds at once are under way; send them again shortly")]
    Full,
    #[error("the request holds more than {0} rows; send them in parts")]
    TooManyRows(usize),
    #[error("the body is {0}")]
    Syntax(#[from] SyntaxError),
    #[error("the body is not UTF-8: byte {0} belongs to no character")]
    NotUtf8(usize),
    #[error("the body is a JSON object such as {{\"rows\": [{{…}}]}}")]
    NotRows,
    #[error("`rows` is a list of objects")]
    RowsNotAList,
    #[error("`rows` is missing; the body is a JSON object such as {{\"rows\": [{{…}}]}}")]
    MissingRows,
    #[error("`rows` stands in the body twice")]
    DuplicateRows,
    #[error("the body has a field `{0}`; it has `rows` only, and options are query parameters")]
    UnknownField(String),
    #[error("the body cannot be read as {format}: {detail}")]
    Malformed { format: &'static str, detail: String },
    /// Small in the body and large in memory.
    #[error("the values of a column take more than {0} bytes when they are written out; send fewer rows at once")]
    TooMuchExpanded(usize),
    #[error(
        "rows are taken as application/json, application/x-ndjson, application/vnd.apache.arrow.stream or application/vnd.apache.parquet, not as {0}"
    )]
    MediaType(String),
    /// From the body itself.
    #[error("{}", .0.problem().detail)]
    Body(ApiError),
    #[error("reading the body was interrupted")]
    Interrupted,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Full => Problem::new(Code::Full, detail).retry_after(1).into(),
            Refusal::TooManyRows(_) | Refusal::TooMuchExpanded(_) => Problem::new(Code::OverLimit, detail).into(),
            Refusal::Syntax(_) | Refusal::Malformed { .. } => Problem::new(Code::NotParseable, detail).into(),
            Refusal::NotUtf8(_) => Problem::new(Code::InvalidUtf8, detail).into(),
            Refusal::NotRows => Problem::at(Code::WrongType, "", detail).into(),
            Refusal::RowsNotAList => Problem::at(Code::WrongType, "/rows", detail).into(),
            Refusal::MissingRows => Problem::at(Code::MissingField, "/rows", detail).into(),
            Refusal::DuplicateRows => Problem::new(Code::DuplicateKey, detail).into(),
            Refusal::UnknownField(ref name) => {
                let mut pointer = String::new();
                forebay_api::push_pointer(&mut pointer, name);
                Problem::at(Code::UnknownField, pointer, detail).into()
            }
            Refusal::MediaType(_) => Problem::parameter(Code::UnsupportedMediaType, "Content-Type", detail).into(),
            Refusal::Body(error) => error,
            Refusal::Interrupted => ApiError::internal(refusal),
        }
    }
}
