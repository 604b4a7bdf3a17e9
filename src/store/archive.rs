//! Whole tables on their way out and in, row by row as `domain::archive` describes them.

use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::archive::{Kind, Table, Value};

/// Rows of a statement: below SQLite's 32,766 variables and PostgreSQL's 65,535 at 20 columns.
const ROWS: usize = 500;

/// The first of the tables that has a row.
pub async fn find_filled(tx: &mut Tx, tables: &[Table]) -> Result<Option<&'static str>, StoreError> {
    for table in tables {
        let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1) AS one", table.name);
        let count: i64 = on_db!(tx, |c| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *c).await?);
        if count > 0 {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// Rows in the order of the table's key after `after`, which holds the key's columns.
pub async fn list_rows(
    tx: &mut Tx,
    table: &'static Table,
    after: &[Value],
    limit: i64,
) -> Result<Vec<Vec<Value>>, StoreError> {
    on_db!(tx, |c| {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let mut query = sqlx::QueryBuilder::new(format!("SELECT {} FROM {}", columns.join(", "), table.name));
        let key = table.key.join(", ");
        if !after.is_empty() {
            query.push(format!(" WHERE ({key}) > ("));
            let mut list = query.separated(", ");
            for value in after {
                match value {
                    Value::Id(id) => list.push_bind(*id),
                    Value::Whole(number) => list.push_bind(*number),
                    Value::Text(text) => list.push_bind(text.clone()),
                    _ => return Err(StoreError::inconsistent(table.name, "key", "another kind of value")),
                };
            }
            query.push(")");
        }
        query.push(format!(" ORDER BY {key} LIMIT ")).push_bind(limit);
        let rows = query.build().fetch_all(&mut *c).await?;
        let mut read = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut values = Vec::with_capacity(table.columns.len());
            for (at, column) in table.columns.iter().enumerate() {
                let value = match column.kind {
                    Kind::Id => row.try_get::<Option<Uuid>, _>(at)?.map(Value::Id),
                    Kind::Whole | Kind::Token => row.try_get::<Option<i64>, _>(at)?.map(Value::Whole),
                    Kind::Real => row.try_get::<Option<f64>, _>(at)?.map(Value::Real),
                    Kind::Yes => row.try_get::<Option<bool>, _>(at)?.map(Value::Yes),
                    Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Value::Bytes),
                    Kind::Text | Kind::Json | Kind::Word(_) => {
                        row.try_get::<Option<String>, _>(at)?.map(Value::Text)
                    }
                };
                values.push(value.unwrap_or(Value::Null));
            }
            read.push(values);
        }
        Ok(read)
    })
}

/// Adds rows; a column that names another row of the same table stays empty until [`set_references`].
/// `fixed` are columns that no archive has, with what they say in every row.
pub async fn add_rows(
    tx: &mut Tx,
    table: &'static Table,
    fixed: &[(&'static str, Value)],
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    let later: Vec<usize> = table.refers.iter().filter_map(|name| table.position(name)).collect();
    let mut columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    columns.extend(fixed.iter().map(|(name, _)| *name));
    let insert = format!("INSERT INTO {} ({}) ", table.name, columns.join(", "));
    for chunk in rows.chunks(ROWS) {
        on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(insert.as_str());
            query.push_values(chunk, |mut row, values| {
                let fixed = fixed.iter().map(|(_, value)| (Kind::Text, value));
                let own = table.columns.iter().zip(values).enumerate().map(|(at, (column, value))| {
                    (column.kind, if later.contains(&at) { &Value::Null } else { value })
                });
                for (kind, value) in own.chain(fixed) {
                    match value {
                        Value::Id(id) => row.push_bind(*id),
                        Value::Whole(number) => row.push_bind(*number),
                        Value::Real(number) => row.push_bind(*number),
                        Value::Yes(yes) => row.push_bind(*yes),
                        Value::Text(text) => row.push_bind(text.as_str()),
                        Value::Bytes(bytes) => row.push_bind(bytes.as_slice()),
                        // An empty cell, too, says which kind it is of.
                        Value::Null => match kind {
                            Kind::Id => row.push_bind(None::<Uuid>),
                            Kind::Whole | Kind::Token => row.push_bind(None::<i64>),
                            Kind::Real => row.push_bind(None::<f64>),
                            Kind::Yes => row.push_bind(None::<bool>),
                            Kind::Bytes => row.push_bind(None::<Vec<u8>>),
                            Kind::Text | Kind::Json | Kind::Word(_) => row.push_bind(None::<String>),
                        },
                    };
                }
            });
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(())
}

/// Fills the columns that name other rows of the same table.
pub async fn set_references(
    tx: &mut Tx,
    table: &'static Table,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    let Some(key) = table.position(table.key[0]) else { return Ok(()) };
    for refers in table.refers {
        let Some(from) = table.position(refers) else { continue };
        let sql = format!("UPDATE {} SET {refers} = $2 WHERE {} = $1", table.name, table.key[0]);
        for row in rows {
            on_db!(tx, |c| {
                let query = sqlx::query(AssertSqlSafe(sql.clone()));
                let query = match (&row[key], &row[from]) {
                    (Value::Id(id), Value::Id(other)) => query.bind(*id).bind(*other),
                    (Value::Whole(number), Value::Whole(other)) => query.bind(*number).bind(*other),
                    _ => continue,
                };
                query.execute(&mut *c).await?;
            });
        }
    }
    Ok(())
}
