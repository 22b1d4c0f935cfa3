//! Whether a query gives the columns of its group.

use datafusion_expr::LogicalPlan;
use datafusion_sql::sqlparser::ast::{Query, Select, SelectItem, SetExpr, Spanned, Statement};
use forebay_model::DataType;

use crate::{Conversion, ErrorKind, Position, SqlError, conversion, model_type, syntax::position};

const EVENT_TIME: &str = "event_time";

/// A column that a group has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub data_type: DataType,
}

/// How the columns of a query's answer become a group's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub keys: Vec<OutputColumn>,
    /// None: the rows' event time is the end of the run's interval.
    pub event_time: Option<OutputColumn>,
    pub features: Vec<OutputColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    pub name: String,
    /// Index in the query's answer.
    pub index: usize,
    pub data_type: DataType,
    pub conversion: Conversion,
}

pub(crate) fn check(
    plan: &LogicalPlan,
    statement: &Statement,
    keys: &[Wanted],
    features: &[Wanted],
) -> Result<Output, Vec<SqlError>> {
    let mut check = Check {
        plan,
        places: Places::of(statement),
        errors: Vec::new(),
    };
    check.refuse_duplicates();
    check.refuse_extra(keys, features);
    let keys = keys.iter().filter_map(|key| check.required(key, "key")).collect();
    let features = features
        .iter()
        .filter_map(|feature| check.required(feature, "feature"))
        .collect();
    let event_time = Wanted {
        name: EVENT_TIME.to_owned(),
        data_type: DataType::Timestamp,
    };
    let event_time = check
        .find(EVENT_TIME)
        .and_then(|index| check.convert(index, &event_time));
    if check.errors.is_empty() {
        return Ok(Output {
            keys,
            event_time,
            features,
        });
    }
    check.errors.sort_by_key(|error| error.position);
    Err(check.errors)
}

/// The planner tells of two columns of one name only what they are called: the second of them stands here.
pub(crate) fn place_duplicate(error: SqlError, statement: &Statement) -> SqlError {
    let (ErrorKind::DuplicateColumn, Statement::Query(query)) = (error.kind, statement) else {
        return error;
    };
    let name = error.message.split('`').nth(1).unwrap_or_default().to_owned();
    let items = leftmost(query)
        .map(|select| select.projection.iter())
        .into_iter()
        .flatten();
    let place = items
        .filter(
            |item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.eq_ignore_ascii_case(&name)),
        )
        .nth(1)
        .and_then(|item| position(item.span()));
    error.at(place)
}

struct Check<'a> {
    plan: &'a LogicalPlan,
    places: Places,
    errors: Vec<SqlError>,
}

impl Check<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.plan.schema().fields().iter().map(|field| field.name().as_str())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names().position(|given| given == name)
    }

    fn required(&mut self, wanted: &Wanted, what: &str) -> Option<OutputColumn> {
        let Some(index) = self.find(&wanted.name) else {
            let error = SqlError::new(
                ErrorKind::MissingColumn,
                format!(
                    "the query gives no column `{}`, which is a {what} of the group",
                    wanted.name
                ),
            )
            .at(self.places.select)
            .nearest_of(&wanted.name, self.names());
            self.errors.push(error);
            return None;
        };
        self.convert(index, wanted)
    }

    fn convert(&mut self, index: usize, wanted: &Wanted) -> Option<OutputColumn> {
        let given = self.plan.schema().field(index).data_type();
        if let Some(conversion) = conversion(given, &wanted.data_type) {
            return Some(OutputColumn {
                name: wanted.name.clone(),
                index,
                data_type: wanted.data_type.clone(),
                conversion,
            });
        }
        let shown = model_type(given).map_or_else(|| given.to_string(), |t| t.to_string());
        self.errors.push(
            SqlError::new(
                ErrorKind::WrongType,
                format!(
                    "`{}` is {}, but the query gives {shown}, which would lose values: cast it in the query",
                    wanted.name, wanted.data_type
                ),
            )
            .at(self.places.of_column(index)),
        );
        None
    }

    fn refuse_duplicates(&mut self) {
        let names: Vec<&str> = self.names().collect();
        let twice: Vec<_> = (0..names.len()).filter(|i| names[..*i].contains(&names[*i])).collect();
        let errors = twice.into_iter().map(|index| {
            SqlError::new(
                ErrorKind::DuplicateColumn,
                format!("the query gives two columns `{}`", names[index]),
            )
            .at(self.places.of_column(index))
        });
        let errors: Vec<_> = errors.collect();
        self.errors.extend(errors);
    }

    fn refuse_extra(&mut self, keys: &[Wanted], features: &[Wanted]) {
        let wanted: Vec<&str> = keys.iter().chain(features).map(|w| w.name.as_str()).collect();
        let errors: Vec<_> = self
            .names()
            .enumerate()
            .filter(|(_, name)| *name != EVENT_TIME && !wanted.contains(name))
            .map(|(index, name)| {
                SqlError::new(
                    ErrorKind::ExtraColumn,
                    format!("the query gives a column `{name}`, which is neither a key nor a feature of the group"),
                )
                .at(self.places.of_column(index))
                .nearest_of(name, wanted.iter().copied().chain([EVENT_TIME]))
            })
            .collect();
        self.errors.extend(errors);
    }
}

/// Where the columns of the answer stand in the SELECT list.
struct Places {
    select: Option<Position>,
    /// By column, up to the first item that gives an unknown number of them.
    items: Vec<Option<Position>>,
    rest: Option<Position>,
}

impl Places {
    fn of(statement: &Statement) -> Self {
        let select = match statement {
            Statement::Query(query) => leftmost(query),
            _ => None,
        };
        let Some(select) = select else {
            return Self {
                select: position(statement.span()),
                items: Vec::new(),
                rest: position(statement.span()),
            };
        };
        let start = position(select.select_token.0.span);
        let mut items = Vec::new();
        for item in &select.projection {
            let place = position(item.span()).or(start);
            if matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }) {
                items.push(place);
            } else {
                return Self {
                    select: start,
                    items,
                    rest: place,
                };
            }
        }
        Self {
            select: start,
            items,
            rest: start,
        }
    }

    fn of_column(&self, index: usize) -> Option<Position> {
        self.items.get(index).copied().unwrap_or(self.rest)
    }
}

fn leftmost(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => return leftmost(query),
            SetExpr::SetOperation { left, .. } => left,
            _ => return None,
        };
    }
}
