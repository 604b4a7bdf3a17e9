//! Many rows in one statement. Binding costs as much as inserting, so a column that stays empty is left
//! out and what all rows say alike is bound once.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{EngineKind, StoreError, Tx};

/// Rows a statement: below SQLite's 32 766 variables and PostgreSQL's 65 535 at 18 columns.
const ROWS: usize = 1_000;
/// A statement of up to so many rows is kept prepared, too: what people do one by one comes again.
pub(super) const FEW: usize = 64;

/// A value on its way into a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Id(Uuid),
    Int(i64),
    Real(f64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
}

macro_rules! cell_from {
    ($($from:ty => |$value:ident| $cell:expr;)+) => { $(
        impl<'a> From<$from> for Cell<'a> {
            fn from($value: $from) -> Self {
                $cell
            }
        }

        impl<'a> From<Option<$from>> for Cell<'a> {
            fn from(value: Option<$from>) -> Self {
                value.map_or(Cell::Null, Cell::from)
            }
        }
    )+ };
}

cell_from! {
    Uuid => |id| Cell::Id(id);
    i64 => |number| Cell::Int(number);
    f64 => |number| Cell::Real(number);
    bool => |yes| Cell::Bool(yes);
    &'a str => |text| Cell::Text(Cow::Borrowed(text));
    String => |text| Cell::Text(Cow::Owned(text));
    Cow<'a, str> => |text| Cell::Text(text);
    &'a [u8] => |bytes| Cell::Bytes(bytes);
}

/// A row of cells from anything that can be one.
macro_rules! cells {
    ($($value:expr),+ $(,)?) => { [$($crate::store::sheet::Cell::from($value)),+] };
}
pub(super) use cells;

impl Verb {
    fn begin(self, sql: &mut String, columns: &[&str]) {
        let columns = columns.join(", ");
        match self {
            Verb::Insert(table) => write!(sql, "INSERT INTO {table} ({columns}) VALUES "),
            Verb::Change(_) => write!(sql, "WITH given ({columns}) AS (SELECT * FROM (VALUES "),
        }
        .expect("a String takes everything");
    }

    fn end(self, sql: &mut String, rows: usize) {
        if let Verb::Change(statement) = self {
            // The limit cuts off nothing: it tells SQLite how few rows these are. Otherwise it takes a
            // thousand for so many that it walks the whole table and looks each of its rows up in `given`.
            write!(sql, ") AS listed LIMIT {rows}) {statement}").expect("a String takes everything");
        }
    }
}

/// What the rows of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    Empty,
    Same,
    Each,
}

/// Rows for one statement.
pub(super) struct Sheet<'a, const N: usize> {
    verb: Verb,
    columns: [&'static str; N],
    rows: Vec<[Cell<'a>; N]>,
}

/// What is done with the rows.
#[derive(Debug, Clone, Copy)]
enum Verb {
    /// They are added to this table.
    Insert(&'static str),
    /// They stand in a table named `given` for this statement to change others by. No column of
    /// theirs is empty.
    Change(&'static str),
}

impl<'a, const N: usize> Sheet<'a, N> {
    pub(super) fn new(
        table: &'static str,
        columns: [&'static str; N],
        rows: impl Iterator<Item = [Cell<'a>; N]>,
    ) -> Self {
        Self { verb: Verb::Insert(table), columns, rows: rows.collect() }
    }

    /// Rows by which `statement` changes others: it reads them from `given`.
    pub(super) fn changing(
        statement: &'static str,
        columns: [&'static str; N],
        rows: impl Iterator<Item = [Cell<'a>; N]>,
    ) -> Self {
        Self { verb: Verb::Change(statement), columns, rows: rows.collect() }
    }

    /// The statement in SQLite's words with every value bound in its place, for few rows: its text
    /// depends on their number alone.
    pub(super) fn append_to(self, sql: &mut String, bound: &mut SqliteArguments) {
        let count = self.rows.len();
        bound.reserve(count * N, 0);
        self.verb.begin(sql, &self.columns);
        for (at, row) in self.rows.into_iter().enumerate() {
            sql.push_str(if at == 0 { "(" } else { ",(" });
            for (column, cell) in row.into_iter().enumerate() {
                sql.push_str(if column == 0 { "?" } else { ",?" });
                add_to(bound, cell, &Cell::Null);
            }
            sql.push(')');
        }
        self.verb.end(sql, count);
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    /// The statements that insert the rows in their order. All but the last have the same text, and
    /// so have those of the next sheet with the same columns filled: the driver prepares them once.
    pub(super) fn into_statements(self, engine: EngineKind) -> Vec<Statement> {
        let shape = Shape { verb: self.verb, columns: self.columns, fills: self.fills(), engine };
        let kinds: [Cell<'a>; N] = std::array::from_fn(|at| {
            let filled = self.rows.iter().map(|row| &row[at]).find(|cell| **cell != Cell::Null);
            filled.cloned().unwrap_or(Cell::Null)
        });
        let mut statements = Vec::with_capacity(self.rows.len().div_ceil(ROWS));
        let mut rows = self.rows.into_iter();
        let mut text = String::new();
        while rows.len() > 0 {
            let count = rows.len().min(ROWS);
            if statements.is_empty() || count < ROWS {
                text = shape.text(count);
            }
            statements.push(shape.bind(rows.by_ref().take(count), count, text.clone(), &kinds));
        }
        statements
    }

    fn fills(&self) -> [Fill; N] {
        std::array::from_fn(|at| match self.rows.first().map(|row| &row[at]) {
            Some(first) if self.rows.iter().any(|row| row[at] != *first) => Fill::Each,
            Some(Cell::Null) | None => Fill::Empty,
            Some(_) => Fill::Same,
        })
    }
}

/// What the statements of a sheet have in common.
struct Shape<const N: usize> {
    verb: Verb,
    columns: [&'static str; N],
    fills: [Fill; N],
    engine: EngineKind,
}

impl<const N: usize> Shape<N> {
    fn count(&self, wanted: Fill) -> usize {
        self.fills.iter().filter(|fill| **fill == wanted).count()
    }

    fn bind<'a>(
        &self,
        rows: impl Iterator<Item = [Cell<'a>; N]>,
        count: usize,
        sql: String,
        kinds: &[Cell<'a>; N],
    ) -> Statement {
        let mut bound = match self.engine {
            EngineKind::Sqlite => Bound::Sqlite(SqliteArguments::default()),
            EngineKind::Postgres => Bound::Postgres(PgArguments::default()),
        };
        bound.reserve(self.count(Fill::Each) * count + self.count(Fill::Same));
        for row in rows {
            for ((cell, fill), kind) in row.into_iter().zip(&self.fills).zip(kinds) {
                if *fill == Fill::Each {
                    bound.add(cell, kind);
                }
            }
        }
        for (kind, fill) in kinds.iter().zip(&self.fills) {
            if *fill == Fill::Same {
                bound.add(kind.clone(), kind);
            }
        }
        Statement { sql, repeated: count == ROWS || count <= FEW, bound }
    }

    fn text(&self, count: usize) -> String {
        let filled = self.columns.iter().zip(&self.fills).filter(|(_, fill)| **fill != Fill::Empty);
        let named: Vec<&str> = filled.map(|(name, _)| *name).collect();
        let mut sql = String::new();
        self.verb.begin(&mut sql, &named);
        for at in 0..count {
            sql.push_str(if at == 0 { "" } else { "," });
            self.push_row(&mut sql, at, count);
        }
        self.verb.end(&mut sql, count);
        sql
    }

    /// The values that stand for all rows come last.
    fn push_row(&self, sql: &mut String, row: usize, count: usize) {
        let each = self.count(Fill::Each);
        let (mut own, mut shared) = (row * each, count * each);
        let mut mark = '(';
        for fill in &self.fills {
            let number = match fill {
                Fill::Empty => continue,
                Fill::Each => &mut own,
                Fill::Same => &mut shared,
            };
            *number += 1;
            sql.push(mark);
            mark = ',';
            // SQLite finds a number again by a walk through all of them: numbers for a few only.
            match (self.engine, fill) {
                (EngineKind::Sqlite, Fill::Each) => sql.push('?'),
                _ => write!(sql, "${number}").expect("a String takes everything"),
            }
        }
        sql.push(')');
    }
}

/// A statement with its values, bound for one engine.
pub struct Statement {
    sql: String,
    repeated: bool,
    bound: Bound,
}

enum Bound {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Bound {
    fn reserve(&mut self, count: usize) {
        match self {
            Bound::Sqlite(arguments) => arguments.reserve(count, 0),
            Bound::Postgres(arguments) => arguments.reserve(count, count * 16),
        }
    }

    /// `kind` tells the type of a cell that is empty.
    fn add(&mut self, cell: Cell<'_>, kind: &Cell<'_>) {
        match self {
            Bound::Sqlite(arguments) => add_to(arguments, cell, kind),
            Bound::Postgres(arguments) => add_to(arguments, cell, kind),
        }
    }
}

macro_rules! argument_types {
    ($($type:ty),+) => {
        pub(super) fn add_to<'q, A, D>(arguments: &mut A, cell: Cell<'_>, kind: &Cell<'_>)
        where
            A: Arguments<Database = D>,
            D: sqlx::Database,
            $( $type: sqlx::Encode<'q, D> + sqlx::Type<D>, )+
        {
            let added = match (cell, kind) {
                (Cell::Id(id), _) => arguments.add(Some(id)),
                (Cell::Int(number), _) => arguments.add(Some(number)),
                (Cell::Real(number), _) => arguments.add(Some(number)),
                (Cell::Bool(yes), _) => arguments.add(Some(yes)),
                (Cell::Text(Cow::Owned(text)), _) => arguments.add(Some(text)),
                (Cell::Text(Cow::Borrowed(text)), _) => arguments.add(Some(Arc::<str>::from(text))),
                (Cell::Bytes(bytes), _) => arguments.add(Some(bytes.to_vec())),
                (Cell::Null, Cell::Id(_)) => arguments.add(None::<Uuid>),
                (Cell::Null, Cell::Int(_)) => arguments.add(None::<i64>),
                (Cell::Null, Cell::Real(_)) => arguments.add(None::<f64>),
                (Cell::Null, Cell::Bool(_)) => arguments.add(None::<bool>),
                (Cell::Null, Cell::Bytes(_)) => arguments.add(None::<Vec<u8>>),
                (Cell::Null, Cell::Text(_) | Cell::Null) => arguments.add(None::<String>),
            };
            added.expect("plain values can always be encoded");
        }
    };
}
argument_types!(
    Option<Uuid>,
    Option<i64>,
    Option<f64>,
    Option<bool>,
    Option<String>,
    Option<Arc<str>>,
    Option<Vec<u8>>
);

impl Statement {
    /// Answers how many rows it wrote.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(self.sql);
        match (tx, self.bound) {
            (Tx::Sqlite(connection), Bound::Sqlite(bound)) => {
                let query = sqlx::query_with::<sqlx::Sqlite, _>(sql, bound).persistent(self.repeated);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            (Tx::Postgres(connection), Bound::Postgres(bound)) => {
                let query = sqlx::query_with::<sqlx::Postgres, _>(sql, bound).persistent(self.repeated);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            _ => unreachable!("{OTHER_ENGINE}"),
        }
    }

    /// Answers the rows that it returns.
    pub async fn fetch<R>(self, tx: &mut Tx) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let sql = AssertSqlSafe(self.sql);
        match (tx, self.bound) {
            (Tx::Sqlite(connection), Bound::Sqlite(bound)) => {
                let query = sqlx::query_as_with::<sqlx::Sqlite, R, _>(sql, bound).persistent(self.repeated);
                Ok(query.fetch_all(&mut **connection).await?)
            }
            (Tx::Postgres(connection), Bound::Postgres(bound)) => {
                let query = sqlx::query_as_with::<sqlx::Postgres, R, _>(sql, bound).persistent(self.repeated);
                Ok(query.fetch_all(&mut **connection).await?)
            }
            _ => unreachable!("{OTHER_ENGINE}"),
        }
    }
}

const OTHER_ENGINE: &str = "a statement is bound for the engine of its store";
