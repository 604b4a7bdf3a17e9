//! Maps of moments that are over: `at` of an address, and the last few maps that somebody asked for.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::desk::end_of_day;
use super::forms::shortened;
use super::map_query::said;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{CoverId, Millis};
use crate::registry::PastMap;
use crate::spatial::Snapshot;

/// When a map is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Past(Millis),
    Now,
}

impl Moment {
    /// A day on the city's clock up to its end, today up to now; or a moment as RFC 3339 writes it. What is to come is
    /// refused.
    pub(super) fn read(
        state: &AppState,
        field: &'static str,
        text: &Option<String>,
    ) -> Result<Self, Refusal> {
        let Some(text) = said(text) else { return Ok(Self::Now) };
        let (now, offset) = (state.registry.now(), state.config.utc_offset_minutes);
        let to_come = || Refusal::new("map.to_come").at(field).with("read", shortened(text));
        if text.len() <= 10 {
            let end = end_of_day(field, text, offset)?;
            return match end {
                end if end < now => Ok(Self::Past(end)),
                // It has begun.
                Millis(end) if end - DAY_MS < now.0 => Ok(Self::Now),
                _ => Err(to_come()),
            };
        }
        let wrong = || Refusal::new("map.moment").at(field).with("read", shortened(text));
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
        let at = Millis(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| wrong())?);
        if at > now { Err(to_come()) } else { Ok(Self::Past(at)) }
    }

    /// Whether nothing that will be written can change it: entries are dated when they are written.
    pub(super) fn is_settled(self, now: Millis) -> bool {
        matches!(self, Self::Past(at) if at.0 + SETTLED_MS < now.0)
    }
}

const DAY_MS: i64 = 86_400_000;
/// How long a transaction may take from reading the clock to its commit.
const SETTLED_MS: i64 = 600_000;
/// Maps that are kept; of them as many as hold twice the bytes of the map itself, and two in any case.
const MOST: usize = 8;
const AT_LEAST: usize = 2;

/// The last few maps that somebody asked for, the latest last.
#[derive(Default)]
pub(super) struct PastMaps {
    kept: Mutex<Vec<Kept>>,
    /// Reading is heavy work: one at a time, and whoever waits for the same moment finds it made.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Kept {
    map: Arc<PastMap>,
    /// It holds as long as the map of now is this one; `None` = for ever.
    version: Option<i64>,
}

impl PastMaps {
    fn find(&self, at: Millis, version: i64) -> Option<Arc<PastMap>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |one: &Kept| one.version.is_none_or(|known| known == version);
        let found = kept.iter().position(|one| one.map.at == at && holds(one))?;
        let one = kept.remove(found);
        let map = one.map.clone();
        kept.push(one);
        Some(map)
    }

    fn keep(&self, one: Kept, now: &Snapshot) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|known| known.map.at != one.map.at);
        kept.push(one);
        let bytes = |one: &Kept| one.map.map.bytes_beside(now) + one.map.touched.len() * size_of::<CoverId>();
        while kept.len() > AT_LEAST
            && (kept.len() > MOST || kept.iter().map(bytes).sum::<usize>() > 2 * now.heap_bytes())
        {
            kept.remove(0);
        }
    }
}

/// A map, and the covers that may differ from those of now.
pub(super) enum MapOf {
    Now(Arc<Snapshot>),
    Past(Arc<PastMap>),
}

impl MapOf {
    pub(super) fn map(&self) -> &Snapshot {
        match self {
            Self::Now(map) => map,
            Self::Past(past) => &past.map,
        }
    }

    pub(super) fn into_map(self) -> Arc<Snapshot> {
        match self {
            Self::Now(map) => map,
            Self::Past(past) => past.map.clone(),
        }
    }

    pub(super) fn touched(&self) -> &[CoverId] {
        match self {
            Self::Now(_) => &[],
            Self::Past(past) => &past.touched,
        }
    }
}

impl AppState {
    /// The map of a moment, made if nobody asked for it lately.
    pub(super) async fn map_of(&self, moment: Moment) -> Result<MapOf, Problem> {
        let at = match moment {
            Moment::Now => return Ok(MapOf::Now(self.snapshot.load())),
            Moment::Past(at) => at,
        };
        let maps = &self.shared.past_maps;
        if let Some(map) = maps.find(at, self.snapshot.version()) {
            return Ok(MapOf::Past(map));
        }
        // Whoever moves a slider on goes away while waiting, and what was begun is of use to others.
        let turn = maps.turn.clone().lock_owned().await;
        if let Some(map) = maps.find(at, self.snapshot.version()) {
            return Ok(MapOf::Past(map));
        }
        let state = self.clone();
        let making = tokio::spawn(async move {
            let _turn = turn;
            let now = state.snapshot.load();
            let is_settled = moment.is_settled(state.registry.now());
            let version = (!is_settled).then(|| now.version());
            let map = state.registry.map_at(at, now.clone(), &state.config.quality).await?;
            let map = Arc::new(map);
            state.shared.past_maps.keep(Kept { map: map.clone(), version }, &now);
            Ok::<_, Problem>(map)
        });
        let made = making.await.map_err(|_| Problem::broken())?;
        Ok(MapOf::Past(made?))
    }
}
