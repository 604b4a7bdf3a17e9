//! The collection `covers`, answered from the map in memory.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::crs::{CRS84, System, Systems};
use super::feature_page::{Feature, Found, Writing};
use super::features;
use super::question::{self, Cursor};
use super::{Asking, Collection, Incoming, unknown_feature};
use crate::cql2::Kind;
use crate::domain::Refusal;
use crate::domain::calendar::day_span;
use crate::domain::cover::CoverFile;
use crate::domain::ids::CoverId;
use crate::http::auth;
use crate::http::{AppState, Problem};
use crate::layers::{CoverField, CoverKey, CoverReader, CoverSearch, CoverView, Within, cover_schema};
use crate::spatial::{Snapshot, SnapshotRow, UNKNOWN_DAY};

type Question = question::Question<CoverKey>;

impl Feature for CoverView<'_, '_> {
    fn id(&self) -> String {
        self.code()
    }

    fn place(&self) -> Option<(f64, f64)> {
        Some(CoverView::place(self))
    }
}

/// The properties that somebody sees, by number and name.
fn fields(is_staff: bool) -> Vec<(usize, &'static str)> {
    let visible = CoverField::visible_to(is_staff).iter().filter(|field| field.kind() != Kind::Point);
    visible.map(|field| (*field as usize, field.as_str())).collect()
}

fn search<'r, 'm>(
    map: &'m Snapshot,
    reader: &'r CoverReader<'m>,
    question: &Question,
    utc_offset_minutes: i32,
) -> Result<Found<CoverView<'r, 'm>>, Refusal> {
    let holds = |lon: f64, lat: f64| question.within.as_ref().is_none_or(|within| within.contains(lon, lat));
    let within = question.within.as_ref().map(|within| Within { around: within.around, holds: &holds });
    let filter = question.filter.as_ref().map(|filter| (filter.prepare(reader), filter.bounds()));
    let times = question.times;
    let fits = move |row: &SnapshotRow| {
        let day = Some(row.attributes.surveyed_on).filter(|day| *day != UNKNOWN_DAY);
        times.is_none_or(|times| times.meet(day.map(|day| day_span(day, utc_offset_minutes))))
    };
    let search = CoverSearch::new(map, reader, within, filter)?.only(times.is_some().then_some(&fits));
    let (limit, offset) = (question.limit, question.offset);
    // One more than asked for tells whether there is a page behind this one.
    let mut counted = None;
    let mut rows: Vec<SnapshotRow> = match &question.cursor {
        None if question.order.is_empty() && offset == 0 => {
            let (rows, matched) = search.first_page(limit + 1);
            counted = Some(matched);
            rows
        }
        None if question.order.is_empty() => search.page(None, offset, limit + 1),
        Some(Cursor::Place(after)) => search.page(Some(*after), offset, limit + 1),
        None => search.sorted_page(&question.order, None, offset, limit + 1),
        Some(Cursor::Sorted(after)) => search.sorted_page(&question.order, Some(after), offset, limit + 1),
    };
    let matched = counted.unwrap_or_else(|| search.count());
    let next = (rows.len() > limit).then(|| {
        rows.truncate(limit);
        let last = rows[limit - 1];
        if question.order.is_empty() {
            Cursor::Place(CoverKey::of(&last))
        } else {
            Cursor::Sorted(search.behind(&question.order, last))
        }
    });
    let features = rows.into_iter().map(|row| reader.view(row)).collect();
    Ok(Found { features, matched, next: next.map(|next| next.write()) })
}

pub(super) async fn items(state: &AppState, incoming: Incoming) -> Result<Response, Problem> {
    let caller = auth::find_reader(state, &incoming.headers).await?;
    let is_staff = caller.is_some();
    let utc_offset = state.config.utc_offset_minutes;
    let schema = cover_schema(is_staff, utc_offset);
    let asking = Asking::of_caller(state, incoming, caller, &question::parameters(&schema))?;
    let systems = Systems::of(state);
    let mut question = Question::read(&asking.params, &systems, &schema, utc_offset)?;
    // Without a log-in no cover says when it was surveyed: all of them fit.
    question.times = question.times.filter(|_| is_staff);
    let state = state.clone();
    // A filter may pass over the whole city.
    let written = tokio::task::spawn_blocking(move || {
        let map = state.snapshot.load();
        let reader = CoverReader::new(&map, &state.config.quality, is_staff);
        let found = search(&map, &reader, &question, utc_offset).map_err(Problem::bad_request)?;
        let fields = fields(is_staff);
        let writing = Writing { collection: Collection::Covers, fields: &fields, system: &question.system };
        Ok::<_, Problem>(writing.page(&state, &asking, &found))
    });
    written.await.map_err(|_| Problem::broken())?
}

pub(super) async fn item(state: &AppState, asking: &Asking, code: &str) -> Result<Response, Problem> {
    let system = asking.params.system("crs", &Systems::of(state))?;
    if asking.is_staff() {
        // Who may change it sees what is stored now, and which version that is.
        return match find_in_use(state, code).await {
            Ok((file, row)) => Ok(one(state, asking, row, &system, Some(file.version))),
            Err(problem) => former(state, asking, code).await?.ok_or(problem),
        };
    }
    let found = state.snapshot.load().find_code(code);
    match found {
        Some(row) => Ok(one(state, asking, row, &system, None)),
        None => former(state, asking, code).await?.ok_or_else(|| unknown_feature(code)),
    }
}

/// A former code leads to the one of today.
async fn former(state: &AppState, asking: &Asking, code: &str) -> Result<Option<Response>, Problem> {
    let file = state.registry.find_cover_by_code(code).await?;
    let file = file.filter(|file| file.retired.is_none() && file.code.digits != code);
    Ok(file.map(|file| asking.moved(Collection::Covers, &file.code.digits)))
}

/// A cover in use by its code of today, as it is stored. The row may be newer than the file, never older.
pub(super) async fn find_in_use(state: &AppState, code: &str) -> Result<(CoverFile, SnapshotRow), Problem> {
    let file = state.registry.find_cover_by_code(code).await?;
    let file = file.filter(|file| file.retired.is_none() && file.code.digits == code);
    let file = file.ok_or_else(|| unknown_feature(code))?;
    let row = newest_row(state, file.cover).await?.ok_or_else(|| unknown_feature(code))?;
    Ok((file, row))
}

/// A cover in use as the map will show it.
pub(super) async fn newest_row(state: &AppState, cover: CoverId) -> Result<Option<SnapshotRow>, Problem> {
    let points = state.registry.list_points_by_id(&[cover]).await?;
    let lexicon = Arc::clone(state.snapshot.load().lexicon());
    Ok(points.first().map(|point| state.registry.map_row(point, &lexicon, &state.config.quality)))
}

/// A cover as an answer; `version` is the tag under which staff change it.
pub(super) fn one(
    state: &AppState,
    asking: &Asking,
    row: SnapshotRow,
    system: &System,
    version: Option<i64>,
) -> Response {
    let map = state.snapshot.load();
    let reader = CoverReader::new(&map, &state.config.quality, asking.is_staff());
    let fields = fields(asking.is_staff());
    let writing = Writing { collection: Collection::Covers, fields: &fields, system };
    writing.one(state, asking, &reader.view(row), version)
}

/// A cover as staff see it, in JSON.
pub(super) fn as_json(state: &AppState, row: SnapshotRow, system: &System) -> Value {
    let map = state.snapshot.load();
    let reader = CoverReader::new(&map, &state.config.quality, true);
    let fields = fields(true);
    let writing = Writing { collection: Collection::Covers, fields: &fields, system };
    serde_json::from_str(&writing.text(&reader.view(row))).unwrap_or_default()
}

/// Where the covers lie and when they were surveyed, as far as somebody may know.
pub(super) fn extent(state: &AppState, is_staff: bool) -> Option<Value> {
    let map = state.snapshot.load();
    let edges = state.shared.extent.of(&map)?;
    let mut extent = json!({"spatial": {"bbox": [edges.place], "crs": CRS84}});
    if let Some((first, last)) = edges.days.filter(|_| is_staff) {
        let day = |day: i32, time: &str| format!("{}{time}", features::date(day));
        extent["temporal"] = json!({"interval": [[day(first, "T00:00:00Z"), day(last, "T23:59:59Z")]]});
    }
    Some(extent)
}
