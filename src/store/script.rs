//! Statements that are handed over together. SQLite's driver passes every statement to a thread and
//! back, which takes longer than a small statement itself; several in one text pass once.
//! PostgreSQL takes them one after the other.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteArguments;

use super::sheet::{FEW, Sheet, Statement};
use super::{EngineKind, StoreError, Tx};

/// Writes that belong together; they run in their order.
pub(super) struct Script {
    engine: EngineKind,
    parts: Vec<Part>,
    rows: u64,
}

enum Part {
    /// Statements of SQLite in one text.
    Together(String, SqliteArguments),
    Alone(Statement),
}

impl Script {
    pub(super) fn new(engine: EngineKind) -> Self {
        Self { engine, parts: Vec::new(), rows: 0 }
    }

    pub(super) fn add<const N: usize>(&mut self, sheet: Sheet<'_, N>) {
        if sheet.count() == 0 {
            return;
        }
        self.rows += sheet.count() as u64;
        if self.engine == EngineKind::Postgres || sheet.count() > FEW {
            self.parts.extend(sheet.into_statements(self.engine).into_iter().map(Part::Alone));
            return;
        }
        if !matches!(self.parts.last(), Some(Part::Together(..))) {
            self.parts.push(Part::Together(String::new(), SqliteArguments::default()));
        }
        if let Some(Part::Together(sql, bound)) = self.parts.last_mut() {
            sheet.append_to(sql, bound);
            sql.push(';');
        }
    }

    /// `false` when a row that should have been changed was not there.
    pub(super) async fn execute(self, tx: &mut Tx) -> Result<bool, StoreError> {
        let mut written = 0;
        for part in self.parts {
            written += match (&mut *tx, part) {
                (Tx::Sqlite(connection), Part::Together(sql, bound)) => {
                    let query = sqlx::query_with::<sqlx::Sqlite, _>(AssertSqlSafe(sql), bound);
                    query.execute(&mut **connection).await?.rows_affected()
                }
                (tx, Part::Alone(statement)) => statement.execute(tx).await?,
                (Tx::Postgres(_), Part::Together(..)) => {
                    unreachable!("a script is written for the engine of its store")
                }
            };
        }
        Ok(written == self.rows)
    }
}
