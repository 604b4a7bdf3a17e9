//! Which covers a filter of the map means, asked of every cover once: the counts, the list and the tiles of one look share
//! what was found, until the map changes.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::AppState;
use crate::cql2::Filter;
use crate::layers::{CoverReader, key_ranges};
use crate::spatial::{Chosen, Selection, Snapshot, SnapshotRow};

/// Filters remembered at most: some tens of people who look at the map. At a million covers each takes 125 kB.
const MOST: usize = 64;

/// What was found for some filters.
#[derive(Default)]
pub(super) struct Choices(Mutex<Vec<Choice>>);

struct Choice {
    map: Weak<Snapshot>,
    question: String,
    /// Whoever asks first looks; others with the same question wait.
    found: Arc<OnceLock<Selection>>,
}

impl Choices {
    fn of(&self, map: &Arc<Snapshot>, question: String) -> Arc<OnceLock<Selection>> {
        let mut choices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        choices.retain(|choice| choice.map.strong_count() > 0);
        let is_same =
            |choice: &Choice| choice.map.as_ptr() == Arc::as_ptr(map) && choice.question == question;
        // The latest stand last.
        let choice = match choices.iter().position(is_same) {
            Some(at) => choices.remove(at),
            None => Choice { map: Arc::downgrade(map), question, found: Arc::default() },
        };
        if choices.len() >= MOST {
            choices.remove(0);
        }
        let found = Arc::clone(&choice.found);
        choices.push(choice);
        found
    }
}

/// A map with the covers of it that are meant.
pub(super) struct MapChoice {
    map: Arc<Snapshot>,
    /// `None` = all of them.
    found: Option<Arc<OnceLock<Selection>>>,
}

impl MapChoice {
    /// The covers of a map that a filter means, for somebody. May pass over the whole city: for a thread that may wait.
    pub(super) fn new(state: &AppState, map: Arc<Snapshot>, filter: Option<&Filter>, is_staff: bool) -> Self {
        let found = filter.map(|filter| {
            let found = state.shared.choices.of(&map, format!("{is_staff} {}", filter.to_json()));
            found.get_or_init(|| {
                let reader = CoverReader::new(&map, &state.config.quality, is_staff);
                let prepared = filter.prepare(&reader);
                let fits = |row: &SnapshotRow| prepared.matches(&reader.view(*row));
                Selection::of(&map, &key_ranges(filter.bounds()), fits)
            });
            found
        });
        Self { map, found }
    }

    pub(super) fn map(&self) -> &Snapshot {
        &self.map
    }

    pub(super) fn chosen(&self) -> Chosen<'_> {
        Chosen::new(&self.map, self.found.as_ref().and_then(|found| found.get()))
    }
}
