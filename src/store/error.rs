//! What the database can answer instead of rows.

/// A failed statement. Expected outcomes ("no such cover") are values, not errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique or foreign key said no; holds the constraint's name or the engine's words.
    #[error("constraint {0}")]
    Conflict(String),
    /// A stored row that the domain cannot read.
    #[error("inconsistent row: {table}.{column} of {row}")]
    Inconsistent { table: &'static str, column: &'static str, row: String },
    /// The disk has no room left.
    #[error("no room left on the data disk")]
    Full,
    /// The data folder or database cannot be written.
    #[error("the data folder or database is read-only")]
    ReadOnly,
    /// What is opened is no database, or its pages are damaged; holds the engine's words.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A database server that cannot be reached or does not let us in; holds the reason.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The tables were made by a later version of the program; holds its migration.
    #[error("migration {0} is not known to this version")]
    Newer(i64),
    #[error("database")]
    Driver(#[source] sqlx::Error),
    #[error("migration")]
    Migration(#[source] Box<sqlx::migrate::MigrateError>),
    #[error("the writer has stopped")]
    Stopped,
}

impl StoreError {
    pub(super) fn from_io(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full,
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                StoreError::ReadOnly
            }
            _ => StoreError::Driver(sqlx::Error::Io(error)),
        }
    }

    /// The first connection to a server did not come about. Says nothing of the address, which may
    /// hold a password.
    pub(super) fn unreachable(error: sqlx::Error) -> Self {
        StoreError::Unreachable(match error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::PoolTimedOut => "it did not answer for 30 s".to_owned(),
            other => other.to_string(),
        })
    }

    pub(super) fn from_migration(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => StoreError::from(error),
            sqlx::migrate::MigrateError::VersionMissing(version) => StoreError::Newer(version),
            other => StoreError::Migration(Box::new(other)),
        }
    }

    /// A stored value that the domain cannot read.
    pub(crate) fn inconsistent(table: &'static str, column: &'static str, row: impl ToString) -> Self {
        StoreError::Inconsistent { table, column, row: row.to_string() }
    }

    /// Whether the same transaction may go through when tried again (PostgreSQL: serialization
    /// failure 40001, deadlock 40P01).
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, StoreError::Driver(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("40001" | "40P01")))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            if database.is_unique_violation()
                || database.is_foreign_key_violation()
                || database.is_check_violation()
            {
                return StoreError::Conflict(
                    database.constraint().map_or_else(|| database.message().to_owned(), str::to_owned),
                );
            }
            // SQLite primary codes: 13 FULL, 8 READONLY, 14 CANTOPEN, 11 CORRUPT, 26 NOTADB;
            // SQLITE_IOERR_WRITE = 778.
            // PostgreSQL: 53100 disk_full, 25006 read_only_sql_transaction.
            match database.code().as_deref() {
                Some("13" | "53100" | "778") => return StoreError::Full,
                Some("25006" | "14") => return StoreError::ReadOnly,
                Some("11" | "26") => return StoreError::Damaged(database.message().to_owned()),
                Some(code) if code.parse::<i32>().is_ok_and(|code| code & 0xFF == 8) => {
                    return StoreError::ReadOnly;
                }
                _ => {}
            }
        }
        StoreError::Driver(error)
    }
}
