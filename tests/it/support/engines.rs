//! One story, both engines.

use tempfile::TempDir;

use super::postgres::Scratch;
use super::server::Home;

/// An empty home for a registry on one engine; gone with the value.
pub struct Ground {
    folder: TempDir,
    scratch: Option<Scratch>,
}

impl Ground {
    pub fn sqlite() -> Option<Self> {
        Some(Self { folder: tempdir(), scratch: None })
    }

    /// `None`, with a message, where PostgreSQL is missing; a failure where `CI` is set.
    pub fn postgres() -> Option<Self> {
        Some(Self { scratch: Some(Scratch::create()?), folder: tempdir() })
    }

    /// The same place as options of a command.
    pub fn home(&self) -> Home {
        let folder = self.folder.path().join("data");
        match &self.scratch {
            None => Home::Folder(folder),
            Some(scratch) => Home::Database { url: scratch.url(), folder },
        }
    }

    /// The same place for a registry in this process.
    pub fn database(&self) -> lidmark::registry::Database {
        match self.home() {
            Home::Folder(folder) => lidmark::registry::Database::Sqlite(folder),
            Home::Database { url, .. } => lidmark::registry::Database::Postgres(url),
        }
    }

    /// Runs SQL behind the registry's back, as a hand at the database would.
    pub fn sql(&self, statement: &str) -> String {
        match &self.scratch {
            Some(scratch) => scratch.sql(statement),
            None => sqlite_by_hand(&self.folder.path().join("data/lidmark.db"), statement),
        }
    }
}

fn tempdir() -> TempDir {
    tempfile::Builder::new().prefix("lidmark-it-").tempdir().expect("the temporary folder can be written")
}

/// The first column of every row, one a line.
fn sqlite_by_hand(file: &std::path::Path, statement: &str) -> String {
    use sqlx::{Connection, Row};
    let (file, statement) = (file.to_owned(), statement.to_owned());
    let by_hand = async move {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(std::time::Duration::from_secs(10));
        let mut connection =
            sqlx::SqliteConnection::connect_with(&options).await.expect("the database opens");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut connection).await.expect("it runs");
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                row.try_get_unchecked::<String, _>(0)
                    .or_else(|_| row.try_get_unchecked::<i64, _>(0).map(|number| number.to_string()))
                    .unwrap_or_default()
            })
            .collect();
        connection.close().await.expect("it closes");
        lines.join("\n")
    };
    // Its own thread and runtime, so that it can be called from inside a test's runtime.
    std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(by_hand)
    })
    .join()
    .expect("the statement ran")
}

/// Stamps an async story for both engines. The story takes a [`Ground`]:
///
/// ```ignore
/// both_engines! {
///     async fn a_code_is_never_given_twice(ground: Ground) { … }
/// }
/// ```
#[macro_export]
macro_rules! both_engines {
    ($( $(#[$meta:meta])* async fn $name:ident($ground:ident: Ground) $body:block )+) => { $(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn story($ground: $crate::support::engines::Ground) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                if let Some(ground) = $crate::support::engines::Ground::sqlite() {
                    story(ground).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(ground) = $crate::support::engines::Ground::postgres() {
                    story(ground).await;
                }
            }
        }
    )+ };
}
