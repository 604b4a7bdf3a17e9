//! The board behind the quality pages: loaded once, then brought up by the change feed before each answer, so
//! that a page shows what was done a moment ago. The sweep for covers that may be one is kept until the map
//! has changed, and in a large city never takes more than a twentieth of the time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::{AppState, Problem};
use crate::config::Config;
use crate::domain::calendar::year_of;
use crate::domain::cover::CoverFile;
use crate::domain::ids::CoverId;
use crate::domain::quality::{Facts, Rules};
use crate::quality::{Board, BoardRow, Sweep, close_pairs};
use crate::registry::{ChangeKind, QualityRow, RegistryError};

/// Covers that are read at a time.
const PAGE: i64 = 10_000;
const CHANGES: i64 = 5000;
/// Changes behind which reading everything again is cheaper than following one by one.
const FAR_BEHIND: i64 = 50_000;
/// A sweep that took so long may be repeated after twenty times that; with so few covers at once.
const SHARE: u32 = 20;
const CHEAP: usize = 50_000;
/// How often the board is brought up when nobody asks.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct QualityBoard {
    board: RwLock<Board>,
    /// Who brings it up; whether it was ever loaded.
    following: tokio::sync::Mutex<bool>,
    sweep: Mutex<Option<Swept>>,
    sweeping: tokio::sync::Mutex<()>,
}

/// A sweep and what it is of.
#[derive(Clone)]
struct Swept {
    sweep: Arc<Sweep>,
    map_version: i64,
    apart: usize,
    at: Instant,
    took: Duration,
}

impl QualityBoard {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            board: RwLock::new(Board::new(config.quality.clone())),
            following: tokio::sync::Mutex::default(),
            sweep: Mutex::default(),
            sweeping: tokio::sync::Mutex::default(),
        }
    }
}

/// A cover with what the rules say of it.
pub(super) struct Judged {
    pub file: CoverFile,
    pub facts: Facts,
}

impl AppState {
    pub(super) fn rules(&self) -> &Rules {
        &self.config.quality
    }

    /// The year on the city's clock.
    pub(super) fn this_year(&self) -> u16 {
        year_of(self.registry.now(), self.config.utc_offset_minutes)
    }

    /// Keeps the board warm until the task is dropped. Trouble is logged and tried again.
    pub async fn follow_quality(&self) {
        // The first sweep of a large city is not left to whoever opens the page first.
        if let Err(problem) = self.sweep().await {
            tracing::warn!(problem = problem.refusal.code, "the quality pages wait for the registry");
        }
        loop {
            if let Err(error) = self.bring_up_board().await {
                tracing::warn!(%error, "the quality pages wait for the change feed");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks the board as it is after the last committed change.
    pub(super) async fn ask_board<T>(&self, ask: impl FnOnce(&Board) -> T) -> Result<T, Problem> {
        self.bring_up_board().await?;
        Ok(self.with_board(ask))
    }

    /// Asks it as it is.
    fn with_board<T>(&self, ask: impl FnOnce(&Board) -> T) -> T {
        ask(&self.shared.quality.board.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn bring_up_board(&self) -> Result<(), RegistryError> {
        let mut loaded = self.shared.quality.following.lock().await;
        let newest = self.registry.last_change().await?;
        let mut known = self.with_board(|board| board.version);
        if !*loaded || newest - known > FAR_BEHIND {
            self.load_board(newest).await?;
            *loaded = true;
            return Ok(());
        }
        while known < newest {
            let changes = self.registry.changes_since(known, CHANGES).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let covers: HashSet<CoverId> = changes
                .iter()
                .filter(|change| change.kind == ChangeKind::Cover)
                .map(|change| CoverId(change.id))
                .collect();
            let covers: Vec<CoverId> = covers.into_iter().collect();
            let rows = self.registry.list_quality_rows_by_id(&covers).await?;
            let there: HashSet<CoverId> = rows.iter().map(|row| row.cover).collect();
            let gone: Vec<CoverId> = covers.into_iter().filter(|cover| !there.contains(cover)).collect();
            known = last.sequence;
            let mut board = self.shared.quality.board.write().unwrap_or_else(PoisonError::into_inner);
            put(&mut board, &rows, &gone);
            board.version = known;
        }
        Ok(())
    }

    /// Reads all covers. The number of the last change was read before: what is committed in between comes again
    /// through the feed.
    async fn load_board(&self, version: i64) -> Result<(), RegistryError> {
        let mut fresh = Board::new(self.rules().clone());
        let mut after = None;
        loop {
            let rows = self.registry.list_quality_rows(after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.cover);
            put(&mut fresh, &rows, &[]);
        }
        self.registry.forget_pages().await?;
        fresh.version = version;
        *self.shared.quality.board.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// These covers with what the rules say of them, in the order asked for; one that is no longer in use is left
    /// out.
    pub(super) async fn judge(&self, covers: &[CoverId]) -> Result<Vec<Judged>, Problem> {
        let files = self.registry.list_covers_by_id(covers).await?;
        let rows = self.registry.list_quality_rows_by_id(covers).await?;
        let mut judged: Vec<Judged> = files
            .into_iter()
            .filter_map(|file| {
                let row = rows.iter().find(|row| row.cover == file.cover)?;
                let facts = self.rules().facts(&file, row.sketch.attached);
                Some(Judged { file, facts })
            })
            .collect();
        judged.sort_by_key(|one| covers.iter().position(|cover| *cover == one.file.cover));
        Ok(judged)
    }

    /// Covers that may be one, but for those of which somebody said that they are two.
    pub(super) async fn sweep(&self) -> Result<Arc<Sweep>, Problem> {
        self.bring_up_board().await?;
        // One sweep at a time; who waits for it has the same one.
        let _turn = self.shared.quality.sweeping.lock().await;
        let apart: HashSet<(CoverId, CoverId)> = self.registry.list_told_apart().await?.into_iter().collect();
        let snapshot = self.snapshot.load();
        let known = self.shared.quality.sweep.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            let is_same = known.map_version == snapshot.version() && known.apart == apart.len();
            let is_costly = snapshot.len() > CHEAP;
            if is_same || (is_costly && known.at.elapsed() < known.took * SHARE) {
                return Ok(known.sweep);
            }
        }
        let (state, at, map_version, count) = (self.clone(), Instant::now(), snapshot.version(), apart.len());
        let tolerance_m = self.rules().duplicates.tolerance_m;
        let swept = tokio::task::spawn_blocking(move || {
            close_pairs(&snapshot, tolerance_m, |one, other| {
                apart.contains(&(one.min(other), one.max(other)))
                    || state.with_board(|board| board.share_a_manhole(one, other))
            })
        });
        let sweep = swept.await.map_err(|_| Problem::broken())?;
        let sweep = Arc::new(sweep);
        let took = at.elapsed();
        let swept = Swept { sweep: sweep.clone(), map_version, apart: count, at: Instant::now(), took };
        *self.shared.quality.sweep.lock().unwrap_or_else(PoisonError::into_inner) = Some(swept);
        Ok(sweep)
    }
}

fn put(board: &mut Board, rows: &[QualityRow], gone: &[CoverId]) {
    let rules = board.rules().clone();
    let judged = rows.iter().map(|row| {
        let mut sketch = row.sketch;
        sketch.installed = rules.installed_in(&row.extra);
        BoardRow {
            cover: row.cover,
            manhole: row.manhole,
            district: &row.district,
            facts: rules.facts_of(&sketch),
        }
    });
    board.apply(judged, gone);
}
