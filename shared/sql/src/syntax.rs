//! From text to syntax tree: one query that only reads, or one scalar expression.
//!
//! `{{ start }}` and `{{ end }}` are replaced token by token, never inside a string or a comment, by placeholders cast to a
//! timestamp; every token keeps the place it has in the caller's text.

use std::ops::{ControlFlow, Range};

use datafusion_sql::sqlparser::{
    ast::{Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor},
    dialect::GenericDialect,
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace},
};
use forebay_model::definitions::limits::SQL_LENGTH;

use crate::{ErrorKind, Position, SqlError, functions::FUNCTIONS};

const BOUNDS: [&str; 2] = ["start", "end"];
const BOUND_TYPE: &str = "Timestamp(Microsecond, Some(\"UTC\"))";

/// A query as it was parsed.
#[derive(Debug, Clone)]
pub(crate) struct ParsedQuery {
    pub statement: Statement,
    /// The caller's text with the bounds replaced by placeholders.
    pub engine_sql: String,
    pub uses_interval: bool,
}

/// Operators within operators, and tables or SELECTs of one query: more would overflow the stack of whoever walks them.
const DEEPEST: usize = 128;

/// To be called on a large stack.
pub(crate) fn parse_query(text: &str) -> Result<ParsedQuery, SqlError> {
    let tokens = tokenize(text)?;
    let bounds = find_bounds(&tokens)?;
    let engine_sql = replace_in_text(text, &tokens, &bounds);
    let uses_interval = !bounds.is_empty();
    let tokens = replace_tokens(tokens, &bounds);
    let end = tokens.iter().rev().find(|t| !is_space(&t.token)).map(|t| t.span.start);
    let mut statements = Parser::new(&GenericDialect {})
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| syntax_error(error, end))?;
    if statements.len() > 1 {
        return Err(
            SqlError::new(ErrorKind::NotAQuery, "expected one SELECT statement, found several")
                .at(statements.get(1).and_then(|s| position(span_of(s)))),
        );
    }
    let Some(statement) = statements.pop() else {
        return Err(
            SqlError::new(ErrorKind::NotAQuery, "expected a SELECT statement, found nothing")
                .at(Some(Position { line: 1, column: 1 })),
        );
    };
    if !matches!(statement, Statement::Query(_)) {
        return Err(SqlError::new(
            ErrorKind::NotAQuery,
            "expected a SELECT statement: a batch query only reads",
        )
        .at(position(span_of(&statement)).or(Some(Position { line: 1, column: 1 }))));
    }
    screen(&statement, false)?;
    Ok(ParsedQuery {
        statement,
        engine_sql,
        uses_interval,
    })
}

/// To be called on a large stack.
pub(crate) fn parse_expression(text: &str) -> Result<Expr, SqlError> {
    let tokens = tokenize(text)?;
    if let Some((range, _)) = find_bounds(&tokens)?.first() {
        return Err(SqlError::new(
            ErrorKind::NotSupported,
            "an expression has no interval: `{{ start }}` and `{{ end }}` are for batch queries",
        )
        .at(position(tokens[range.start].span)));
    }
    let end = tokens.iter().rev().find(|t| !is_space(&t.token)).map(|t| t.span.start);
    let mut parser = Parser::new(&GenericDialect {}).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(|error| syntax_error(error, end))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(SqlError::new(
            ErrorKind::Syntax,
            format!("expected the end of the expression, found `{}`", rest.token),
        )
        .at(position(rest.span)));
    }
    screen(&expr, true)?;
    Ok(expr)
}

fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if text.len() > SQL_LENGTH {
        return Err(SqlError::new(
            ErrorKind::NotSupported,
            format!("the SQL has {} bytes; at most {SQL_LENGTH} are allowed", text.len()),
        ));
    }
    Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| {
            SqlError::new(ErrorKind::Syntax, error.message).at(Some(Position {
                line: error.location.line.max(1),
                column: error.location.column.max(1),
            }))
        })
}

/// The token ranges that are `{{ start }}` or `{{ end }}`, in order.
fn find_bounds(tokens: &[TokenWithSpan]) -> Result<Vec<(Range<usize>, &'static str)>, SqlError> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let at = position(tokens[i].span);
        match &tokens[i].token {
            Token::LBrace if tokens.get(i + 1).is_some_and(|t| t.token == Token::LBrace) => {
                let (range, name) = read_bound(tokens, i).ok_or_else(|| {
                    SqlError::new(
                        ErrorKind::Syntax,
                        "expected `{{ start }}` or `{{ end }}`, the bounds of the run's interval; nothing else is filled in",
                    )
                    .at(at)
                })?;
                i = range.end;
                found.push((range, name));
                continue;
            }
            Token::Placeholder(text) => {
                return Err(SqlError::new(
                    ErrorKind::NotSupported,
                    format!("`{text}` has no value here: the bounds of the run's interval are `{{{{ start }}}}` and `{{{{ end }}}}`"),
                )
                .at(at));
            }
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)
                if text.contains("{{") && BOUNDS.iter().any(|bound| text.contains(bound)) =>
            {
                return Err(SqlError::new(
                    ErrorKind::Syntax,
                    "`{{ start }}` and `{{ end }}` are timestamps: leave the quotes around them away",
                )
                .at(at));
            }
            _ => {}
        }
        i += 1;
    }
    Ok(found)
}

fn read_bound(tokens: &[TokenWithSpan], start: usize) -> Option<(Range<usize>, &'static str)> {
    let mut rest = (start + 2..tokens.len()).filter(|i| !is_space(&tokens[*i].token));
    let name = match &tokens[rest.next()?].token {
        Token::Word(word) if word.quote_style.is_none() => {
            BOUNDS.iter().find(|b| word.value.eq_ignore_ascii_case(b))?
        }
        _ => return None,
    };
    let close = rest.next()?;
    let closed = tokens[close].token == Token::RBrace && tokens.get(close + 1)?.token == Token::RBrace;
    closed.then_some((start..close + 2, name))
}

const fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_))
}

fn bound_sql(name: &str) -> String {
    format!("arrow_cast(${name}, '{BOUND_TYPE}')")
}

fn replace_tokens(tokens: Vec<TokenWithSpan>, bounds: &[(Range<usize>, &str)]) -> Vec<TokenWithSpan> {
    let mut replaced = Vec::with_capacity(tokens.len());
    let mut bounds = bounds.iter().peekable();
    for (i, token) in tokens.into_iter().enumerate() {
        while bounds.peek().is_some_and(|(range, _)| range.end <= i) {
            bounds.next();
        }
        match bounds.peek() {
            Some((range, name)) if range.start == i => {
                let sql = bound_sql(name);
                let cast = Tokenizer::new(&GenericDialect {}, &sql).tokenize().unwrap_or_default();
                replaced.extend(cast.into_iter().map(|inner| TokenWithSpan::new(inner, token.span)));
            }
            // A line break inside the braces still ends the line for what follows; spaces carry no meaning.
            Some((range, _)) if range.contains(&i) => {
                replaced.push(TokenWithSpan::new(Token::Whitespace(Whitespace::Space), token.span));
            }
            _ => replaced.push(token),
        }
    }
    replaced
}

fn replace_in_text(text: &str, tokens: &[TokenWithSpan], bounds: &[(Range<usize>, &str)]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut taken = 0;
    for (range, name) in bounds {
        let start = offset(text, tokens[range.start].span.start);
        let end = tokens
            .get(range.end)
            .map_or(text.len(), |next| offset(text, next.span.start));
        replaced.push_str(&text[taken..start]);
        replaced.push_str(&bound_sql(name));
        taken = end;
    }
    replaced.push_str(&text[taken..]);
    replaced
}

/// Byte offset of a location.
fn offset(text: &str, location: Location) -> usize {
    let (mut line, mut column) = (1, 1);
    for (i, c) in text.char_indices() {
        if (line, column) == (location.line, location.column) {
            return i;
        }
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    text.len()
}

pub(crate) fn position(span: Span) -> Option<Position> {
    (span.start.line > 0).then_some(Position {
        line: span.start.line,
        column: span.start.column,
    })
}

fn span_of(node: &impl datafusion_sql::sqlparser::ast::Spanned) -> Span {
    node.span()
}

fn syntax_error(error: ParserError, end: Option<Location>) -> SqlError {
    let message = match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(ErrorKind::NotSupported, "the SQL is nested too deeply");
        }
    };
    let (message, at) = split_location(&message);
    SqlError::new(ErrorKind::Syntax, message).at(at.or(end.map(|end| Position {
        line: end.line,
        column: end.column,
    })))
}

/// The parser gives a location only as the end of its message.
fn split_location(message: &str) -> (&str, Option<Position>) {
    let parse = || {
        let (text, location) = message.rsplit_once(" at Line: ")?;
        let (line, column) = location.split_once(", Column: ")?;
        Some((
            text,
            Position {
                line: line.trim().parse().ok()?,
                column: column.trim().parse().ok()?,
            },
        ))
    };
    parse().map_or((message, None), |(text, position)| (text, Some(position)))
}

/// Refuses what can be seen without knowing any table.
fn screen(node: &impl Visit, is_expression: bool) -> Result<(), SqlError> {
    match node.visit(&mut Screen {
        is_expression,
        depth: 0,
        tables: 0,
        selects: 0,
    }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Screen {
    is_expression: bool,
    depth: usize,
    tables: usize,
    selects: usize,
}

type Screened = ControlFlow<Box<SqlError>>;

fn refuse(kind: ErrorKind, message: impl Into<String>, span: Span) -> Screened {
    ControlFlow::Break(Box::new(SqlError::new(kind, message).at(position(span))))
}

fn too_large(span: Span) -> Screened {
    refuse(
        ErrorKind::NotSupported,
        format!("more than {DEEPEST} operators within one another, tables or SELECTs: split the query"),
        span,
    )
}

impl Visitor for Screen {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> Screened {
        let span = span_of(query);
        if self.is_expression {
            return refuse(
                ErrorKind::NotSupported,
                "an expression reads one row: it holds no subquery",
                span,
            );
        }
        if !reads_only(&query.body) || !query.locks.is_empty() {
            return refuse(ErrorKind::NotAQuery, "a batch query only reads", span);
        }
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return refuse(ErrorKind::NotSupported, "WITH RECURSIVE is not supported", span);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Screened {
        self.selects += 1;
        if self.selects > DEEPEST {
            return too_large(select.select_token.0.span);
        }
        if select.into.is_some() {
            return refuse(
                ErrorKind::NotAQuery,
                "a batch query only reads: SELECT INTO is not supported",
                span_of(select),
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Screened {
        self.tables += 1;
        if self.tables > DEEPEST {
            return too_large(span_of(factor));
        }
        match factor {
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. } => refuse(
                ErrorKind::NotSupported,
                "table functions are not supported",
                span_of(factor),
            ),
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => refuse(
                ErrorKind::NotDeterministic,
                "a sample gives other rows each time",
                span_of(factor),
            ),
            TableFactor::Table { version: Some(_), .. } => refuse(
                ErrorKind::NotSupported,
                "a query reads the newest version of a table",
                span_of(factor),
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> Screened {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Screened {
        self.depth += 1;
        if self.depth > DEEPEST {
            return too_large(Span::empty());
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let span = span_of(&function.name);
        let name = function_name(&function.name);
        if !FUNCTIONS.is_known(&name) {
            let error = SqlError::new(ErrorKind::UnknownFunction, format!("there is no function `{name}`"))
                .at(position(span))
                .nearest_of(&name, FUNCTIONS.names().filter(|known| !FUNCTIONS.is_volatile(known)));
            return ControlFlow::Break(Box::new(error));
        }
        if FUNCTIONS.is_volatile(&name) {
            let instead = if self.is_expression {
                "hand the value in as a request feature"
            } else {
                "the bounds of the run's interval are `{{ start }}` and `{{ end }}`"
            };
            return refuse(
                ErrorKind::NotDeterministic,
                format!("`{name}` gives another answer each time it is asked: {instead}"),
                span,
            );
        }
        if self.is_expression && (function.over.is_some() || FUNCTIONS.needs_rows(&name)) {
            return refuse(
                ErrorKind::NotSupported,
                format!("an expression reads one row: `{name}` is for batch queries"),
                span,
            );
        }
        ControlFlow::Continue(())
    }
}

fn reads_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Values(_) => true,
        // Visited on its own.
        SetExpr::Query(_) => true,
        SetExpr::SetOperation { left, right, .. } => reads_only(left) && reads_only(right),
        _ => false,
    }
}

fn function_name(name: &ObjectName) -> String {
    let parts: Vec<_> = name
        .0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) if ident.quote_style.is_none() => ident.value.to_ascii_lowercase(),
            Some(ident) => ident.value.clone(),
            None => part.to_string(),
        })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::on_large_stack;

    fn parse_query(text: &str) -> Result<ParsedQuery, SqlError> {
        on_large_stack(|| super::parse_query(text))
    }

    fn parse_expression(text: &str) -> Result<Expr, SqlError> {
        on_large_stack(|| super::parse_expression(text))
    }

    fn error(text: &str) -> (ErrorKind, Option<(u64, u64)>) {
        let error = parse_query(text).expect_err(text);
        (error.kind, error.position.map(|p| (p.line, p.column)))
    }

    #[test]
    fn bounds_become_placeholders() {
        let parsed = parse_query("SELECT 'é', a FROM t\nWHERE at >= {{ start }} AND at < {{end}} -- {{ start }}")
            .expect("a query");
        assert!(parsed.uses_interval);
        assert_eq!(
            parsed.engine_sql,
            "SELECT 'é', a FROM t\nWHERE at >= arrow_cast($start, 'Timestamp(Microsecond, Some(\"UTC\"))') \
             AND at < arrow_cast($end, 'Timestamp(Microsecond, Some(\"UTC\"))') -- {{ start }}"
        );
        assert_eq!(parse_query("SELECT 1").expect("a query").engine_sql, "SELECT 1");
    }

    #[test]
    fn positions_are_those_of_the_callers_text() {
        assert_eq!(
            error("SELECT {{ start }}, nope(1) FROM t"),
            (ErrorKind::UnknownFunction, Some((1, 21)))
        );
        assert_eq!(error("SELECT a\n  FROM t WHERE"), (ErrorKind::Syntax, Some((2, 10))));
        assert_eq!(error("SELECT 'open"), (ErrorKind::Syntax, Some((1, 8))));
    }

    #[test]
    fn other_templates_and_quoted_bounds_are_refused() {
        assert_eq!(error("SELECT {{ now }}"), (ErrorKind::Syntax, Some((1, 8))));
        assert_eq!(error("SELECT '{{ start }}'"), (ErrorKind::Syntax, Some((1, 8))));
        assert_eq!(error("SELECT $1"), (ErrorKind::NotSupported, Some((1, 8))));
    }

    #[test]
    fn only_one_query_that_reads_is_taken() {
        for text in [
            "",
            ";",
            "SELECT 1; SELECT 2",
            "DROP TABLE t",
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE t AS SELECT 1",
            "SELECT 1 INTO t",
            "COPY t TO 'x.csv'",
            "SET a = 1",
            "EXPLAIN SELECT 1",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM x",
            "DELETE FROM t",
        ] {
            let error = parse_query(text).expect_err(text);
            assert!(
                matches!(error.kind, ErrorKind::NotAQuery | ErrorKind::Syntax),
                "{text}: {error}"
            );
        }
        assert!(parse_query("SELECT 1;").is_ok());
    }

    #[test]
    fn what_changes_from_run_to_run_is_refused() {
        for text in [
            "SELECT now()",
            "SELECT random()",
            "SELECT uuid()",
            "SELECT CURRENT_DATE",
            "SELECT a FROM t TABLESAMPLE (10)",
        ] {
            assert_eq!(error(text).0, ErrorKind::NotDeterministic, "{text}");
        }
    }

    #[test]
    fn an_expression_reads_one_row() {
        let kind = |text| parse_expression(text).expect_err(text).kind;
        assert_eq!(kind("(SELECT 1)"), ErrorKind::NotSupported);
        assert_eq!(kind("a IN (SELECT 1)"), ErrorKind::NotSupported);
        assert_eq!(kind("sum(a)"), ErrorKind::NotSupported);
        assert_eq!(kind("lag(a) OVER (ORDER BY b)"), ErrorKind::NotSupported);
        assert_eq!(kind("now()"), ErrorKind::NotDeterministic);
        assert_eq!(kind("{{ end }}"), ErrorKind::NotSupported);
        assert_eq!(kind("a b"), ErrorKind::Syntax);
        assert_eq!(kind("a; b"), ErrorKind::Syntax);
        assert_eq!(kind(""), ErrorKind::Syntax);
        assert!(parse_expression("asked_price / price").is_ok());
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(
            parse_expression(&deep).expect_err("too deep").kind,
            ErrorKind::NotSupported
        );
    }
}
