//! The board behind the quality pages: the map as it is after the last committed change, judged by the rules of the city.
//! The sweep for covers that may be one is kept until the map has changed, and in a large city never takes more than a
//! twentieth of the time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{AppState, Problem};
use crate::domain::calendar::year_of;
use crate::domain::cover::CoverFile;
use crate::domain::ids::CoverId;
use crate::domain::quality::{Facts, Rules};
use crate::quality::{Board, Scores, Sweep, close_pairs};

/// A sweep that took so long may be repeated after twenty times that; with so few covers at once.
const SHARE: u32 = 20;
const CHEAP: usize = 50_000;

#[derive(Default)]
pub(super) struct QualityBoard {
    scores: OnceLock<Scores>,
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

    /// The first sweep of a large city is not left to whoever opens the page first.
    pub async fn first_sweep(&self) {
        if let Err(problem) = self.sweep().await {
            tracing::warn!(problem = problem.refusal.code, "the quality pages wait for the registry");
        }
    }

    /// Asks the board as it is after the last committed change.
    pub(super) async fn ask_board<T>(&self, ask: impl FnOnce(&Board) -> T) -> Result<T, Problem> {
        self.bring_up_map().await?;
        let scores = self.shared.quality.scores.get_or_init(|| Scores::of(self.rules()));
        let map = self.snapshot.load();
        Ok(ask(&Board::new(&map, self.rules(), scores, self.this_year())))
    }

    /// These covers with what the rules say of them, in the order asked for; one that is no longer in use is left
    /// out.
    pub(super) async fn judge(&self, covers: &[CoverId]) -> Result<Vec<Judged>, Problem> {
        let files = self.registry.list_covers_by_id(covers).await?;
        let points = self.registry.list_points_by_id(covers).await?;
        let mut judged: Vec<Judged> = files
            .into_iter()
            .filter_map(|file| {
                let point = points.iter().find(|point| point.cover == file.cover)?;
                let facts = self.rules().facts(&file, point.sketch.attached);
                Some(Judged { file, facts })
            })
            .collect();
        judged.sort_by_key(|one| covers.iter().position(|cover| *cover == one.file.cover));
        Ok(judged)
    }

    /// Covers that may be one, but for those of which somebody said that they are two.
    pub(super) async fn sweep(&self) -> Result<Arc<Sweep>, Problem> {
        self.bring_up_map().await?;
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
        let (at, map_version, count) = (Instant::now(), snapshot.version(), apart.len());
        let tolerance_m = self.rules().duplicates.tolerance_m;
        let swept = tokio::task::spawn_blocking(move || {
            close_pairs(&snapshot, tolerance_m, |one, other| {
                apart.contains(&(one.min(other), one.max(other)))
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
