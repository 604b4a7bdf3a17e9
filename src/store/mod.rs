//! SQL and nothing else. Each statement is written once and stamped for SQLite and PostgreSQL by
//! `on_db!`; only `sheet.rs` parts ways. Decisions are the registry's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Postgres, Sqlite};
use writer::Parents;

pub mod abuse;
pub mod archive;
pub mod areas;
pub mod bulk;
pub mod bulk_edits;
pub mod campaigns;
pub mod case_asks;
pub mod case_list;
pub mod cases;
pub mod citizen_messages;
pub mod citizens;
pub mod claims;
pub mod cover_list;
pub mod covers;
pub mod crew;
pub mod crew_watch;
pub mod deliveries;
pub mod due_dates;
pub mod edits;
mod error;
pub mod exports;
pub mod features;
pub mod feed;
pub mod field_photos;
pub mod history;
pub mod import_profiles;
pub mod imports;
pub mod integrity;
pub mod ledger;
pub mod meetings;
pub mod notices;
pub mod open311;
pub mod packages;
pub mod past;
pub mod people;
pub mod photos;
mod piece;
pub mod plate_batches;
pub mod plate_steps;
pub mod plates;
pub mod questions;
pub mod receivers;
pub mod reports;
pub mod rewards;
pub mod rules;
mod script;
mod search;
pub mod sensors;
mod sheet;
pub mod spot_checks;
pub mod structure;
pub mod tasks;
pub mod told_apart;
pub mod user_areas;
mod writer;

pub use error::StoreError;
pub use sheet::Statement;
pub use writer::{JobFuture, WriteError};

/// Where the registry lives.
#[derive(Debug, Clone)]
pub enum Database {
    /// The embedded default: `lidmark.db` inside this data folder.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(String),
}

/// A connection on which statements run; which engine it is matters to `on_db!` alone.
pub enum Tx {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    Sqlite,
    Postgres,
}

/// Runs one body on whichever engine the connection belongs to. `$c` is the executor.
macro_rules! on_db {
    ($tx:expr, |$c:ident| $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(connection) => {
                let $c = &mut **connection;
                $body
            }
            $crate::store::Tx::Postgres(connection) => {
                let $c = &mut **connection;
                $body
            }
        }
    };
}
pub(crate) use on_db;

impl Tx {
    pub fn engine(&self) -> EngineKind {
        match self {
            Tx::Sqlite(_) => EngineKind::Sqlite,
            Tx::Postgres(_) => EngineKind::Postgres,
        }
    }

    /// Sets a mark to which [`Self::back_to_mark`] takes back what is written after it. Marks nest; the last one counts.
    pub async fn set_mark(&mut self) -> Result<(), StoreError> {
        self.say("SAVEPOINT mark").await
    }

    /// Takes back what was written since the last mark, and forgets the mark. On PostgreSQL this also mends a
    /// transaction in which a statement failed.
    pub async fn back_to_mark(&mut self) -> Result<(), StoreError> {
        self.say("ROLLBACK TO SAVEPOINT mark").await?;
        self.forget_mark().await
    }

    /// Keeps what was written since the last mark.
    pub async fn forget_mark(&mut self) -> Result<(), StoreError> {
        self.say("RELEASE SAVEPOINT mark").await
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), StoreError> {
        use sqlx::Executor;
        on_db!(self, |c| c.execute(sql).await.map(drop).map_err(StoreError::from))
    }

    /// Ends what `Store::read_frozen` began.
    pub async fn finish_frozen(mut self) -> Result<(), StoreError> {
        use sqlx::Executor;
        on_db!(&mut self, |c| c.execute("ROLLBACK").await.map(drop).map_err(StoreError::from))
    }
}

/// The database with its single writer (SQLite) or its pool (PostgreSQL). Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Sqlite { readers: SqlitePool, write_pool: SqlitePool, writer: Arc<writer::GroupWriter> },
    Postgres { pool: PgPool },
}

/// How much of an SQLite database stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageCache {
    /// Up to 64 MB for whoever writes, 8 MB for each who reads.
    #[default]
    Usual,
    /// 2 MB each, for work that writes much and reads little twice.
    Lean,
}

impl PageCache {
    /// Of who writes and of who reads, as SQLite wants it: negative, in kilobytes.
    fn sizes(self) -> (&'static str, &'static str) {
        match self {
            PageCache::Usual => ("-64000", "-8000"),
            PageCache::Lean => ("-2000", "-2000"),
        }
    }
}

/// A page of a new database. A row of history takes half a kilobyte: on pages of SQLite's usual 4 kB
/// every few rows one is split, and an import takes a tenth longer.
const PAGE_BYTES: u32 = 8192;
/// Pages of the write-ahead log after which it is folded back: 32 MB, so that a million-row import
/// does not stop every 4 MB.
const WAL_PAGES: &str = "4000";

impl Store {
    /// Opens the database, creating and migrating it where needed.
    pub async fn open(database: &Database, cache: PageCache) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite(folder) => {
                std::fs::create_dir_all(folder).map_err(StoreError::from_io)?;
                let options = SqliteConnectOptions::new()
                    .filename(folder.join("lidmark.db"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .auto_vacuum(SqliteAutoVacuum::None)
                    .page_size(PAGE_BYTES)
                    .busy_timeout(Duration::from_secs(30))
                    .foreign_keys(true)
                    .pragma("temp_store", "memory")
                    .pragma("wal_autocheckpoint", WAL_PAGES);
                let (cache_of_writer, cache_of_reader) = cache.sizes();
                let writing = options.clone().pragma("cache_size", cache_of_writer);
                let write_pool = SqlitePoolOptions::new()
                    .max_connections(3)
                    .min_connections(3)
                    .connect_with(writing)
                    .await?;
                sqlx::migrate!("migrations/sqlite")
                    .run(&write_pool)
                    .await
                    .map_err(StoreError::from_migration)?;
                let readers = SqlitePoolOptions::new()
                    .max_connections(4)
                    .connect_with(options.pragma("cache_size", cache_of_reader).pragma("query_only", "on"))
                    .await?;
                let writer = writer::GroupWriter::start(writer::Connections {
                    guarded: write_pool.acquire().await?,
                    trusting: write_pool.acquire().await?,
                    folding: write_pool.acquire().await?,
                })
                .await?;
                Ok(Self { engine: Engine::Sqlite { readers, write_pool, writer: Arc::new(writer) } })
            }
            Database::Postgres(url) => {
                let pool = PgPoolOptions::new()
                    .max_connections(12)
                    .acquire_timeout(Duration::from_secs(30))
                    .connect(url)
                    .await
                    .map_err(StoreError::unreachable)?;
                sqlx::migrate!("migrations/postgres").run(&pool).await.map_err(StoreError::from_migration)?;
                Ok(Self { engine: Engine::Postgres { pool } })
            }
        }
    }

    /// A connection for reading. SQLite readers never wait for the writer.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(match &self.engine {
            Engine::Sqlite { readers, .. } => Tx::Sqlite(readers.acquire().await?),
            Engine::Postgres { pool } => Tx::Postgres(pool.acquire().await?),
        })
    }

    /// Gives back the pages that readers of SQLite keep: after a look at the whole city they are of no use to the next
    /// question, and the system keeps the file anyway.
    pub async fn forget_pages(&self) -> Result<(), StoreError> {
        use sqlx::Executor;
        if let Engine::Sqlite { readers, .. } = &self.engine {
            let mut idle = Vec::new();
            while let Some(mut reader) = readers.try_acquire() {
                reader.execute("PRAGMA shrink_memory").await.map(drop)?;
                idle.push(reader);
            }
        }
        Ok(())
    }

    /// A connection that sees one state of the database until `Tx::finish_frozen`.
    pub async fn read_frozen(&self) -> Result<Tx, StoreError> {
        use sqlx::Executor;
        let mut tx = self.read().await?;
        match &mut tx {
            Tx::Sqlite(connection) => connection.execute("BEGIN").await.map(drop)?,
            Tx::Postgres(connection) => {
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map(drop)?;
            }
        }
        Ok(tx)
    }

    pub fn engine(&self) -> EngineKind {
        match &self.engine {
            Engine::Sqlite { .. } => EngineKind::Sqlite,
            Engine::Postgres { .. } => EngineKind::Postgres,
        }
    }

    /// Runs `work` in a transaction and answers after its commit is on disk. `work` may run more
    /// than once (a group repeated, a serialization failure), so it must not have effects of its own.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send + Sync + 'static,
    {
        self.write_as(Parents::LookedUp, work).await
    }

    /// Like [`Store::write`], for bulk work whose rows refer only to rows that it writes itself, or that
    /// exist and are never removed (districts, parties): SQLite does not look them up again, which
    /// is a fifth of the work of a census. On SQLite it is on disk with the next [`Store::write`].
    pub async fn write_with_parents<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send + Sync + 'static,
    {
        self.write_as(Parents::Known, work).await
    }

    async fn write_as<T, E, F>(&self, parents: Parents, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send + Sync + 'static,
    {
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.run(parents, work).await,
            Engine::Postgres { pool } => writer::run_postgres(pool.clone(), work).await,
        }
    }

    /// Closes every connection; a later call on this store fails.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { readers, write_pool, writer } => {
                readers.close().await;
                writer.stop().await;
                // The last connection folds the write-ahead log back and removes it.
                write_pool.close().await;
            }
            Engine::Postgres { pool } => pool.close().await,
        }
    }
}
