//! The tally behind ledger and statistics: loaded once, then brought up by the change feed before each answer, so that a
//! page shows what was done a moment ago. What was just counted is kept until something changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::{AppState, Problem};
use crate::domain::ids::{CaseId, CoverId, Millis};
use crate::registry::{ChangeKind, LedgerLine, RegistryError};
use crate::stats::{CaseRow, Question, Report, Tally};

/// Cases that are read at a time.
const PAGE: i64 = 10_000;
const CHANGES: i64 = 5000;
/// Changes behind which reading everything again is cheaper than following one by one.
const FAR_BEHIND: i64 = 50_000;
/// Answers that are kept.
const KEPT: usize = 128;
/// How often the tally is brought up when nobody asks.
const PAUSE: Duration = Duration::from_secs(2);
const MINUTE_MS: i64 = 60_000;

#[derive(Default)]
pub(super) struct CaseTally {
    tally: RwLock<Tally>,
    /// Who brings it up; whether it was ever loaded.
    following: tokio::sync::Mutex<bool>,
    answers: Mutex<Answers>,
}

/// What was counted of one version.
#[derive(Default)]
struct Answers {
    version: i64,
    known: HashMap<Question, Arc<Report>>,
}

impl AppState {
    /// Keeps the tally warm until the task is dropped. Trouble is logged and tried again.
    pub async fn follow_cases(&self) {
        loop {
            if let Err(error) = self.bring_up_tally().await {
                tracing::warn!(%error, "the statistics wait for the change feed");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The minute in which figures are said to hold.
    pub(super) fn as_of(&self) -> Millis {
        Millis(self.registry.now().0.div_euclid(MINUTE_MS) * MINUTE_MS)
    }

    /// Asks the tally as it is after the last committed change, on a thread of its own.
    pub(super) async fn ask_tally<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Tally) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.bring_up_tally().await?;
        let state = self.clone();
        tokio::task::spawn_blocking(move || state.with_tally(ask)).await.map_err(|_| Problem::broken())
    }

    /// The answer to a question, counted once.
    pub(super) async fn count_cases(&self, question: Question) -> Result<Arc<Report>, Problem> {
        self.bring_up_tally().await?;
        let version = self.with_tally(|tally| tally.version);
        {
            let mut answers = self.shared.tally.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.version != version || answers.known.len() >= KEPT {
                *answers = Answers { version, known: HashMap::new() };
            }
            if let Some(known) = answers.known.get(&question) {
                return Ok(known.clone());
            }
        }
        let state = self.clone();
        let counting = tokio::task::spawn_blocking(move || {
            let (version, report) =
                state.with_tally(|tally| (tally.version, Arc::new(tally.report(&question))));
            let mut answers = state.shared.tally.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.version == version {
                answers.known.insert(question, report.clone());
            }
            report
        });
        counting.await.map_err(|_| Problem::broken())
    }

    fn with_tally<T>(&self, ask: impl FnOnce(&Tally) -> T) -> T {
        ask(&self.shared.tally.tally.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn bring_up_tally(&self) -> Result<(), RegistryError> {
        let mut loaded = self.shared.tally.following.lock().await;
        let newest = self.registry.last_change().await?;
        let mut known = self.with_tally(|tally| tally.version);
        if !*loaded || newest - known > FAR_BEHIND {
            self.load_tally(newest).await?;
            *loaded = true;
            return Ok(());
        }
        while known < newest {
            let changes = self.registry.changes_since(known, CHANGES).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let of_kind = |kind| {
                let ids = changes.iter().filter(move |change| change.kind == kind).map(|change| change.id);
                ids.collect::<HashSet<_>>()
            };
            let cases: Vec<CaseId> = of_kind(ChangeKind::Case).into_iter().map(CaseId).collect();
            // A cover takes its class, its place and its district along.
            let covers: Vec<CoverId> = of_kind(ChangeKind::Cover).into_iter().map(CoverId).collect();
            let lines = self.registry.list_ledger_changed(&cases, &covers).await?;
            known = last.sequence;
            let mut tally = self.shared.tally.tally.write().unwrap_or_else(PoisonError::into_inner);
            tally.apply(&rows(lines));
            tally.version = known;
        }
        Ok(())
    }

    /// Reads all cases. The number of the last change was read before: what is committed in between comes again
    /// through the feed.
    async fn load_tally(&self, version: i64) -> Result<(), RegistryError> {
        let mut fresh = Tally::default();
        let mut after = String::new();
        loop {
            let lines = self.registry.list_ledger(&after, PAGE).await?;
            let Some(last) = lines.last() else { break };
            after.clone_from(&last.number);
            fresh.apply(&rows(lines));
        }
        fresh.version = version;
        *self.shared.tally.tally.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn rows(lines: Vec<LedgerLine>) -> Vec<CaseRow> {
    let row = |line: LedgerLine| CaseRow {
        number: line.number,
        district: line.district,
        party: line.party,
        class: line.class,
        hazard: line.hazard,
        source: line.source,
        state: line.state,
        created_at: line.created_at,
        closed_at: line.closed_at,
        due_at: line.due_at,
        counts: line.counts,
        late_ms: line.late_ms,
        exempt: line.exempt,
        recurs: line.recurs,
        lon: line.lon,
        lat: line.lat,
    };
    lines.into_iter().map(row).collect()
}
