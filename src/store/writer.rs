//! How writes reach the disk. SQLite: one writer commits concurrent requests in groups with
//! `synchronous=FULL`. PostgreSQL: one transaction each, repeated on a serialization failure.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{Executor, Sqlite};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{StoreError, Tx};

/// What a unit of work returns while it borrows the connection.
pub type JobFuture<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// An error that a write may end with.
pub trait WriteError: From<StoreError> + Send + 'static {
    /// Whether the same write may go through when tried again.
    fn is_transient(&self) -> bool;
}

impl WriteError for StoreError {
    fn is_transient(&self) -> bool {
        StoreError::is_transient(self)
    }
}

/// Most requests that share one commit.
const GROUP: usize = 512;
const POSTGRES_TRIES: usize = 8;

/// Whether the database looks up the rows that a job's rows refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parents {
    LookedUp,
    /// The job writes them itself, or they are of a kind that is never removed.
    Known,
}

trait Job: Send {
    fn parents(&self) -> Parents;
    /// Does the work and keeps its outcome; `false` when it failed.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> Pin<Box<dyn Future<Output = bool> + Send + 't>>;
    /// Answers the caller: the kept outcome after a commit, else why there was none.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Work<T, E, F> {
    work: F,
    parents: Parents,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Work<T, E, F>
where
    T: Send,
    E: WriteError,
    F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send,
{
    fn parents(&self) -> Parents {
        self.parents
    }

    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> Pin<Box<dyn Future<Output = bool> + Send + 't>> {
        Box::pin(async move {
            // A panicking member must not take the writer with it.
            let outcome = AssertUnwindSafe((self.work)(tx)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(E::from(StoreError::Stopped)));
            let done = outcome.is_ok();
            self.outcome = Some(outcome);
            done
        })
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let answer = match (self.outcome, commit) {
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(error)) => Err(E::from(error)),
            (Some(done), Ok(())) => done,
            (None, Ok(())) => Err(E::from(StoreError::Stopped)),
        };
        // The caller may have gone away; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// The one writer of a SQLite database.
pub(super) struct GroupWriter {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// The writer's connections; only one of the first two is ever in a transaction. SQLite prepares every
/// statement anew when its foreign keys are switched, so they are not.
pub(super) struct Connections<C> {
    pub(super) guarded: C,
    /// Foreign keys are off.
    pub(super) trusting: C,
    /// Folds the write-ahead log back into the database beside the second one.
    pub(super) folding: C,
}

/// What sets the second connection apart. Its commits are whole whenever the program is killed, and on
/// disk with the next commit of the first one, which a run makes at its end: syncing every chunk of a
/// census took a fifth of its time. It folds the log back itself only where the third one, which does it
/// meanwhile, never came to an end of it.
const TRUSTING: &str = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 24000; PRAGMA cache_size = -32000";
/// The third connection keeps no pages.
const FOLDING: &str = "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2000";
/// So many commits of bulk work until the log is folded back, if it is not being folded.
const COMMITS_TO_FOLD: u32 = 8;

impl GroupWriter {
    pub(super) async fn start(connections: Connections<PoolConnection<Sqlite>>) -> Result<Self, StoreError> {
        let Connections { guarded, trusting, folding } = connections;
        let mut connections = Connections {
            guarded: Tx::Sqlite(guarded),
            trusting: Tx::Sqlite(trusting),
            folding: Tx::Sqlite(folding),
        };
        execute(&mut connections.trusting, TRUSTING).await?;
        execute(&mut connections.folding, FOLDING).await?;
        let (jobs, waiting) = mpsc::channel(GROUP * 4);
        let task = tokio::spawn(write_groups(connections, waiting));
        Ok(Self { jobs: Mutex::new(Some(jobs)), task: Mutex::new(Some(task)) })
    }

    pub(super) async fn run<T, E, F>(&self, parents: Parents, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send + 'static,
    {
        let stopped = || E::from(StoreError::Stopped);
        let jobs = self.jobs.lock().ok().and_then(|jobs| jobs.clone()).ok_or_else(stopped)?;
        let (reply, answer) = oneshot::channel();
        jobs.send(Box::new(Work { work, parents, outcome: None, reply })).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Lets what is queued finish, then closes the connection.
    pub(super) async fn stop(&self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            jobs.take();
        }
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

async fn write_groups(connections: Connections<Tx>, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let Connections { mut guarded, mut trusting, folding } = connections;
    let folding = Arc::new(tokio::sync::Mutex::new(folding));
    let mut unfolded = 0;
    let mut arrived = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut arrived, GROUP).await > 0 {
        let (bulk, small): (Vec<Box<dyn Job>>, _) =
            arrived.drain(..).partition(|job| job.parents() == Parents::Known);
        unfolded += u32::from(!bulk.is_empty());
        write_group(&mut guarded, small).await;
        write_group(&mut trusting, bulk).await;
        if unfolded >= COMMITS_TO_FOLD
            && let Ok(idle) = folding.clone().try_lock_owned()
        {
            tokio::spawn(fold_back(idle));
            unfolded = 0;
        }
    }
    // The database is closed next.
    drop(folding.lock().await);
}

/// Folds back what the write-ahead log holds so far, beside the writer.
async fn fold_back(mut tx: OwnedMutexGuard<Tx>) {
    if let Err(error) = execute(&mut tx, "PRAGMA wal_checkpoint(PASSIVE)").await {
        tracing::warn!(error = ?error, "the write-ahead log stays as it is for now");
    }
}

/// Writes a group and answers its members.
async fn write_group(tx: &mut Tx, mut group: Vec<Box<dyn Job>>) {
    if group.is_empty() {
        return;
    }
    let commit = match write_together(tx, &mut group).await {
        Ok(Together::Committed) => Ok(()),
        Ok(Together::MemberFailed) if group.len() > 1 => write_one_by_one(tx, &mut group).await,
        Ok(Together::MemberFailed) => Err(StoreError::Stopped),
        Err(error) => {
            // Whatever stopped the group, the connection must not keep a transaction open.
            let _ = execute(tx, "ROLLBACK").await;
            Err(error)
        }
    };
    let Err(error) = commit else {
        return group.into_iter().for_each(|job| job.answer(Ok(())));
    };
    let again = || match &error {
        StoreError::Full => StoreError::Full,
        StoreError::ReadOnly => StoreError::ReadOnly,
        _ => StoreError::Stopped,
    };
    if !matches!(error, StoreError::Stopped) {
        tracing::error!(error = ?error, jobs = group.len(), "a group of writes was rolled back");
    }
    group.into_iter().for_each(|job| job.answer(Err(again())));
}

enum Together {
    Committed,
    MemberFailed,
}

/// The fast way: no savepoints (they cost 2.5 times, libraries.md §4.3).
async fn write_together(tx: &mut Tx, group: &mut [Box<dyn Job>]) -> Result<Together, StoreError> {
    execute(tx, "BEGIN IMMEDIATE").await?;
    for job in group.iter_mut() {
        if !job.run(tx).await {
            execute(tx, "ROLLBACK").await.ok();
            return Ok(Together::MemberFailed);
        }
    }
    execute(tx, "COMMIT").await?;
    Ok(Together::Committed)
}

/// After a member failed: the same group with a savepoint each, so that only that one is undone.
async fn write_one_by_one(tx: &mut Tx, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    execute(tx, "BEGIN IMMEDIATE").await?;
    for job in group.iter_mut() {
        execute(tx, "SAVEPOINT member").await?;
        if !job.run(tx).await {
            execute(tx, "ROLLBACK TO member").await?;
        }
        execute(tx, "RELEASE member").await?;
    }
    execute(tx, "COMMIT").await
}

async fn execute(tx: &mut Tx, sql: &'static str) -> Result<(), StoreError> {
    super::on_db!(tx, |c| c.execute(sql).await.map(|_| ()).map_err(StoreError::from))
}

/// One transaction on PostgreSQL. Runs as a task of its own, so that a caller who goes away cannot
/// leave it half done; on any other path than commit the connection is closed rather than reused.
pub(super) async fn run_postgres<T, E, F>(pool: PgPool, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: WriteError,
    F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, T, E> + Send + Sync + 'static,
{
    let task = tokio::spawn(async move {
        let mut last = None;
        for attempt in 0..POSTGRES_TRIES {
            let mut tx = Tx::Postgres(pool.acquire().await.map_err(StoreError::from)?);
            execute(&mut tx, "BEGIN").await?;
            let outcome = AssertUnwindSafe(work(&mut tx)).catch_unwind().await;
            match outcome {
                Ok(Ok(done)) => match execute(&mut tx, "COMMIT").await {
                    Ok(()) => return Ok(done),
                    Err(error) => {
                        close(tx);
                        if !error.is_transient() {
                            return Err(E::from(error));
                        }
                        last = Some(E::from(error));
                    }
                },
                Ok(Err(refused)) => {
                    execute(&mut tx, "ROLLBACK").await?;
                    if !refused.is_transient() {
                        return Err(refused);
                    }
                    last = Some(refused);
                }
                Err(_) => {
                    close(tx);
                    return Err(E::from(StoreError::Stopped));
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(5 << attempt)).await;
        }
        Err(last.unwrap_or_else(|| E::from(StoreError::Stopped)))
    });
    task.await.unwrap_or_else(|_| Err(E::from(StoreError::Stopped)))
}

fn close(tx: Tx) {
    if let Tx::Postgres(connection) = tx {
        drop(connection.detach());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, PageCache, Store};

    /// Adds a session of nobody.
    async fn add_orphan(store: &Store, parents: Parents) -> Result<(), StoreError> {
        const ORPHAN: &str = "INSERT INTO sessions (secret_hash, user_id, created_at, expires_at)
                              VALUES (randomblob(32), randomblob(16), 0, 0)";
        match parents {
            Parents::LookedUp => store.write(|tx| Box::pin(execute(tx, ORPHAN))).await,
            Parents::Known => store.write_with_parents(|tx| Box::pin(execute(tx, ORPHAN))).await,
        }
    }

    #[tokio::test]
    async fn only_bulk_work_goes_without_a_look_at_parents() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().to_owned()), PageCache::Lean).await.unwrap();
        for _ in 0..2 {
            let refused = add_orphan(&store, Parents::LookedUp).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
            add_orphan(&store, Parents::Known).await.unwrap();
        }
        store.close().await;
    }
}
