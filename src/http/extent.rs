//! Where the covers lie and when they were surveyed, as far as the edges.

use std::sync::{Mutex, PoisonError};

use crate::spatial::{Snapshot, UNKNOWN_DAY};

/// Reckoned once for each state of the map.
#[derive(Default)]
pub(super) struct Extent(Mutex<Option<(i64, Edges)>>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Edges {
    /// West, south, east, north in degrees, rounded outwards so that no place that is told lies beyond.
    pub place: [f64; 4],
    /// Of the first and the last survey, since 1970.
    pub days: Option<(i32, i32)>,
}

impl Extent {
    /// West, south, east, north of all covers in degrees; `None` = there are none.
    pub(super) fn bounds(&self, map: &Snapshot) -> Option<[f64; 4]> {
        self.of(map).map(|edges| edges.place)
    }

    /// Where the covers lay when it was last reckoned, which may be some changes ago.
    pub(super) fn lately(&self, map: &Snapshot) -> Option<[f64; 4]> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|(_, edges)| edges.place);
        known.or_else(|| self.bounds(map))
    }

    /// `None` = there are no covers.
    pub(super) fn of(&self, map: &Snapshot) -> Option<Edges> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, edges)) = *kept
            && version == map.version()
        {
            return Some(edges);
        }
        let mut place = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        let mut days: Option<(i32, i32)> = None;
        for row in map.rows() {
            let [west, south, east, north] = place;
            place = [west.min(row.lon), south.min(row.lat), east.max(row.lon), north.max(row.lat)];
            let day = row.attributes.surveyed_on;
            if day != UNKNOWN_DAY {
                days = Some(days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
            }
        }
        if map.is_empty() {
            return None;
        }
        let [west, south, east, north] = place.map(|degrees| degrees * 1e5);
        let place = [west.floor() - 1.0, south.floor() - 1.0, east.ceil() + 1.0, north.ceil() + 1.0];
        let [west, south, east, north] = place.map(|scaled| scaled / 1e5);
        let edges =
            Edges { place: [west.max(-180.0), south.max(-90.0), east.min(180.0), north.min(90.0)], days };
        *kept = Some((map.version(), edges));
        Some(edges)
    }
}
