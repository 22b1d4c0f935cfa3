//! The stable error codes, each with its HTTP status and title: the one place where a status is chosen.

use std::fmt;

macro_rules! codes {
    ($( $(#[$doc:meta])* $variant:ident = $status:literal $code:literal $title:literal, )+) => {
        /// What went wrong, as a stable word for programs. `docs/errors.md` lists every one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $( $(#[$doc])* $variant, )+
        }

        impl Code {
            /// Every code, in the order of their statuses.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The word that stands in `code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code),+ }
            }

            /// The HTTP status of a response with this code.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status),+ }
            }

            /// A short sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),+ }
            }

            /// The code of this word; none for a word this version does not know.
            pub fn parse(word: &str) -> Option<Code> {
                match word { $($code => Some(Code::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The body or a header cannot be parsed.
    NotParseable = 400 "not_parseable" "The request cannot be parsed",
    /// A JSON object names one key twice.
    DuplicateKey = 400 "duplicate_key" "A JSON object holds a key twice",
    /// Text that is not UTF-8.
    InvalidUtf8 = 400 "invalid_utf8" "The request is not UTF-8",
    /// JSON nested deeper than the limit.
    TooDeep = 400 "too_deep" "The JSON is nested too deeply",
    /// No or unknown credentials.
    Unauthenticated = 401 "unauthenticated" "Credentials are required",
    /// Credentials without the right to do this.
    Forbidden = 403 "forbidden" "Not allowed",
    /// A path that names nothing.
    NotFound = 404 "not_found" "Nothing has this name",
    /// The path exists, the method does not.
    MethodNotAllowed = 405 "method_not_allowed" "The path does not take this method",
    /// None of the media types in `Accept` is offered.
    NotAcceptable = 406 "not_acceptable" "No offered media type is accepted",
    /// A change would break what reads the object.
    BreakingChange = 409 "breaking_change" "The change breaks a reader",
    /// The change cannot be made in the group's tables as they are.
    NeedsNewGeneration = 409 "needs_new_generation" "The change needs a new generation of the group",
    /// The group's rows are computed or committed; it takes none from callers.
    ComputedGroup = 409 "computed_group" "The group takes no rows from callers",
    /// The object is in a state that does not allow this.
    Conflict = 409 "conflict" "The state does not allow this",
    /// The first request with this idempotency key is still being worked on.
    IdempotencyKeyInUse = 409 "idempotency_key_in_use" "A request with this idempotency key is under way",
    /// What the answer was made from is gone.
    NotReproducible = 409 "not_reproducible" "The answer cannot be made again",
    /// `If-Match` names another revision than the current one.
    StaleRevision = 412 "stale_revision" "The object has changed since",
    /// The body is larger than the limit.
    BodyTooLarge = 413 "body_too_large" "The body is too large",
    /// A content type or content encoding that the endpoint does not take.
    UnsupportedMediaType = 415 "unsupported_media_type" "The content type is not supported",
    /// Several things are wrong; `errors` lists them.
    Invalid = 422 "invalid" "The request is wrong",
    /// A field nobody reads; never ignored.
    UnknownField = 422 "unknown_field" "A field is not known",
    /// A required field is absent.
    MissingField = 422 "missing_field" "A field is missing",
    /// A value of another type than the field's.
    WrongType = 422 "wrong_type" "A value has the wrong type",
    /// A value of the right type that is not allowed.
    InvalidValue = 422 "invalid_value" "A value is not allowed",
    /// A query parameter nobody reads; never ignored.
    UnknownParameter = 422 "unknown_parameter" "A query parameter is not known",
    /// A required query parameter is absent.
    MissingParameter = 422 "missing_parameter" "A query parameter is missing",
    /// A query parameter that is given twice or whose value is not allowed.
    InvalidParameter = 422 "invalid_parameter" "A query parameter is not allowed",
    /// Fields or parameters that exclude each other, or that need one another.
    InvalidCombination = 422 "invalid_combination" "These fields do not go together",
    /// The page token is not one of this endpoint.
    InvalidPageToken = 422 "invalid_page_token" "The page token is not valid",
    /// The idempotency key was used with another body.
    IdempotencyKeyReused = 422 "idempotency_key_reused" "The idempotency key belongs to another request",
    /// A name that breaks the rules of names.
    InvalidName = 422 "invalid_name" "A name is not allowed",
    /// No feature has this name; the detail gives the nearest ones.
    UnknownFeature = 422 "unknown_feature" "A feature is not known",
    /// No group has this name.
    UnknownGroup = 422 "unknown_group" "A feature group is not known",
    /// No view has this name or revision.
    UnknownView = 422 "unknown_view" "A feature view is not known",
    /// No entity has this name, or a key belongs to none of the asked ones.
    UnknownEntity = 422 "unknown_entity" "An entity is not known",
    /// No source has this name.
    UnknownSource = 422 "unknown_source" "A source is not known",
    /// No domain has this name.
    UnknownDomain = 422 "unknown_domain" "A domain is not known",
    /// The groups depend on each other in a circle; the detail gives the path.
    Cycle = 422 "cycle" "The dependencies form a cycle",
    /// SQL that cannot be planned against its inputs.
    InvalidSql = 422 "invalid_sql" "The SQL cannot be planned",
    /// Text that is not SQL.
    SqlSyntax = 422 "sql_syntax" "The SQL cannot be parsed",
    /// SQL that is not one query that only reads.
    SqlNotAQuery = 422 "sql_not_a_query" "The SQL is not one query",
    /// SQL that Forebay does not run.
    SqlNotSupported = 422 "sql_not_supported" "The SQL uses what is not supported",
    /// SQL whose answer is not decided by its inputs.
    SqlNotDeterministic = 422 "sql_not_deterministic" "The SQL gives another answer each time",
    /// A query reads a table that is no source, input or group.
    UnknownTable = 422 "unknown_table" "A table is not known",
    /// A column name that several tables of a query have.
    AmbiguousColumn = 422 "ambiguous_column" "A column could be one of several",
    /// A function that is not known.
    UnknownFunction = 422 "unknown_function" "A function is not known",
    /// A query does not give a key or feature of its group.
    MissingColumn = 422 "missing_column" "The query leaves a column out",
    /// A query gives a column that its group does not have.
    ExtraColumn = 422 "extra_column" "The query gives a column too many",
    /// A query gives a column twice.
    DuplicateColumn = 422 "duplicate_column" "The query gives a column twice",
    /// Part of the contract that this version does not have yet.
    NotSupported = 422 "not_supported" "Not supported yet",
    /// One name or object stands in a place more than once.
    Duplicate = 422 "duplicate" "Something stands here twice",
    /// A name that Forebay uses itself.
    ReservedName = 422 "reserved_name" "A name is reserved",
    /// A feature, or a column of a view, has the name of a key.
    FeatureNamedLikeKey = 422 "feature_named_like_key" "A feature is named like a key",
    /// A text that is not a type, or a type that cannot stand here.
    InvalidType = 422 "invalid_type" "A type is not allowed",
    /// A key that is not one of the entity's or group's.
    UnknownKey = 422 "unknown_key" "A key is not known",
    /// Two groups of a view want one request column with different types.
    KeyTypeConflict = 422 "key_type_conflict" "Two groups give a key different types",
    /// A column that its source or group does not have.
    UnknownColumn = 422 "unknown_column" "A column is not known",
    /// An input has the name of a source.
    AmbiguousInput = 422 "ambiguous_input" "An input is named like a source",
    /// A streaming group reads something that is no stream.
    NotAStream = 422 "not_a_stream" "The source is not a stream",
    /// A query reads a stream as if it were a table.
    NotATable = 422 "not_a_table" "The source is not a table",
    /// There is no Delta table where a source says, and the source declares no schema.
    SourceNotFound = 422 "source_not_found" "The source's table does not exist",
    /// A row leaves a feature out.
    MissingFeature = 422 "missing_feature" "A row leaves a feature out",
    /// A row lacks a key column, or its key is null.
    MissingKey = 422 "missing_key" "A key is missing",
    /// A row without event time.
    MissingEventTime = 422 "missing_event_time" "A row has no event time",
    /// A row whose event time is further ahead than is waited for.
    EventTimeAhead = 422 "event_time_ahead" "A row is from the future",
    /// A value that one of the feature's checks rejects.
    CheckFailed = 422 "check_failed" "A check rejects a value",
    /// Rows of which at least one is wrong; `rejected` lists them.
    RejectedRows = 422 "rejected_rows" "Rows are rejected",
    /// The group keeps no history.
    NoHistory = 422 "no_history" "The group keeps no history",
    /// The group is not stored online.
    NotOnline = 422 "not_online" "The group is not stored online",
    /// One query asks groups whose keys differ.
    MixedKeys = 422 "mixed_keys" "The groups have different keys",
    /// A path or URI outside the configured roots.
    LocationNotAllowed = 422 "location_not_allowed" "The location is outside the configured roots",
    /// More rows, features, entities or bytes than the limit.
    OverLimit = 422 "over_limit" "A limit is exceeded",
    /// A queue is full, or too many requests of this kind are under way.
    Full = 429 "full" "Too much is under way",
    /// A fault of Forebay's own.
    Internal = 500 "internal" "Forebay failed",
    /// A store or stream does not answer.
    Unavailable = 503 "unavailable" "A backend is down",
    /// The group's tables are not ready yet.
    NotReady = 503 "not_ready" "Not ready yet",
    /// As many requests as the process takes at once are under way.
    Overloaded = 503 "overloaded" "The server is busy",
    /// The answer was not ready within the deadline.
    DeadlineExceeded = 504 "deadline_exceeded" "The deadline has passed",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_words_and_parse_back() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{code}");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }
}
