//! The collection `districts`: outlines of the city's districts. They are few, and read from the tables whole.

use axum::response::Response;
use geo::{BooleanOps, LineString, MultiPolygon, Polygon, Validation};
use serde_json::{Value as Json, json};

use super::crs::{CRS84, System, Systems};
use super::feature_page::{Feature, Found, Writing};
use super::question::{self, Cursor, Question, written_fields};
use super::{Asking, Collection, Incoming, unknown_feature};
use crate::cql2::{Field, Figure, Kind, NoDictionary, Row, Schema, Value};
use crate::domain::area::{Area, AreaKind, Ring};
use crate::http::{AppState, Problem};
use crate::layers::{FirstRows, SortedAfter};

/// Its properties; the code is the id as well.
pub(super) fn schema() -> Schema {
    let fields =
        [("geometry", Kind::Areas), ("code", Kind::Text), ("name_zh", Kind::Text), ("name_en", Kind::Text)];
    Schema::new(fields.map(|(name, kind)| Field { name: name.to_owned(), kind }).to_vec())
}

struct District<'a> {
    area: &'a Area,
    outline: Option<Figure>,
}

impl<'a> District<'a> {
    fn new(area: &'a Area) -> Self {
        let ring = |ring: &Ring| LineString::from_iter(ring.iter().map(|[lon, lat]| (*lon, *lat)));
        let part = |part: &Vec<Ring>| {
            let mut rings = part.iter().map(ring);
            rings.next().map(|outer| Polygon::new(outer, rings.collect()))
        };
        let parts = MultiPolygon::new(area.shape.parts().iter().filter_map(part).collect());
        // Parts may share a border or lie over each other, which geometries must not.
        let whole = match parts.is_valid() {
            true => parts,
            false => parts.iter().fold(MultiPolygon::empty(), |whole, part| whole.union(part)),
        };
        Self { area, outline: Figure::new(whole.into()) }
    }
}

impl Row for District<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => self.outline.as_ref().map_or(Value::Null, Value::Figure),
            1 => Value::Text((&*self.area.code).into()),
            2 => Value::Text((&*self.area.name_zh).into()),
            _ => Value::Text((&*self.area.name_en).into()),
        }
    }
}

impl Feature for District<'_> {
    fn id(&self) -> String {
        self.area.code.clone()
    }

    fn place(&self) -> Option<(f64, f64)> {
        None
    }

    fn write_geometry(&self, out: &mut String, system: &System) {
        let place = |[lon, lat]: &[f64; 2]| system.write((*lon, *lat));
        let ring = |ring: &Ring| ring.iter().map(place).collect::<Option<Vec<_>>>();
        let part = |part: &Vec<Ring>| part.iter().map(ring).collect::<Option<Vec<_>>>();
        let parts = self.area.shape.parts().iter().map(part).collect::<Option<Vec<_>>>();
        let geometry =
            parts.map_or(Json::Null, |parts| json!({"type": "MultiPolygon", "coordinates": parts}));
        out.push_str(&geometry.to_string());
    }

    fn area(&self) -> Option<&Area> {
        Some(self.area)
    }
}

/// Where the districts lie.
pub(super) async fn extent(state: &AppState) -> Result<Option<Json>, Problem> {
    let areas = state.registry.list_areas(AreaKind::District).await?;
    let bounds = areas.iter().map(|area| area.shape.bounds());
    let all = bounds.reduce(|[west, south, east, north], [w, s, e, n]| {
        [west.min(w), south.min(s), east.max(e), north.max(n)]
    });
    Ok(all.map(|bbox| json!({"spatial": {"bbox": [bbox], "crs": CRS84}})))
}

pub(super) async fn items(state: &AppState, incoming: Incoming) -> Result<Response, Problem> {
    let schema = schema();
    let asking = Asking::of(state, incoming, &question::parameters(&schema)).await?;
    let utc_offset = state.config.utc_offset_minutes;
    let question = Question::read(&asking.params, &Systems::of(state), &schema, utc_offset)?;
    let areas = state.registry.list_areas(AreaKind::District).await?;
    let state = state.clone();
    // Relations of areas take their time.
    let written = tokio::task::spawn_blocking(move || {
        let found = page_of(meant(&areas, &question), &question);
        let fields = written_fields(&schema);
        let writing =
            Writing { collection: Collection::Districts, fields: &fields, system: &question.system };
        writing.page(&state, &asking, &found)
    });
    written.await.map_err(|_| Problem::broken())
}

fn meant<'a>(areas: &'a [Area], question: &Question<String>) -> Vec<District<'a>> {
    let within = question.within.as_ref().map(|within| within.figure());
    let filter = question.filter.as_ref().map(|filter| filter.prepare(&NoDictionary));
    let is_meant = |district: &District<'_>| {
        let outline = district.outline.as_ref();
        let meets = |within: &Option<Figure>| within.as_ref().zip(outline).is_some_and(|(a, b)| a.meets(b));
        within.as_ref().is_none_or(meets) && filter.as_ref().is_none_or(|filter| filter.matches(district))
    };
    areas.iter().map(District::new).filter(is_meant).collect()
}

/// The page that is asked for of the districts that are meant, which come by their codes.
fn page_of<'a>(meant: Vec<District<'a>>, question: &Question<String>) -> Found<District<'a>> {
    let matched = meant.len();
    let after = match &question.cursor {
        Some(Cursor::Sorted(after)) => Some(after),
        _ => None,
    };
    let mut sorted = FirstRows::new(&question.order, after, usize::MAX);
    for district in meant {
        let is_told = matches!(&question.cursor, Some(Cursor::Place(last)) if district.area.code <= *last);
        if !is_told {
            sorted.add(district.id(), district);
        }
    }
    let mut features: Vec<District<'_>> =
        sorted.into_rows().skip(question.offset).take(question.limit.saturating_add(1)).collect();
    let next = (features.len() > question.limit).then(|| {
        features.truncate(question.limit);
        let last = &features[question.limit - 1];
        match question.order.is_empty() {
            true => Cursor::Place(last.id()).write(),
            false => Cursor::Sorted(SortedAfter::of(&question.order, last.id(), last)).write(),
        }
    });
    Found { features, matched, next }
}

pub(super) async fn item(state: &AppState, asking: &Asking, code: &str) -> Result<Response, Problem> {
    let system = asking.params.system("crs", &Systems::of(state))?;
    let areas = state.registry.list_areas(AreaKind::District).await?;
    let area = areas.iter().find(|area| area.code == code).ok_or_else(|| unknown_feature(code))?;
    let schema = schema();
    let fields = written_fields(&schema);
    let writing = Writing { collection: Collection::Districts, fields: &fields, system: &system };
    Ok(writing.one(state, asking, &District::new(area), None))
}
