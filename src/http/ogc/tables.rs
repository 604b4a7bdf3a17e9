//! The collections `cases`, `manholes` and `plates`, read from the tables row by row.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::response::Response;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::crs::Systems;
use super::feature_page::{Feature, Found, Writing};
use super::question::{self, Cursor, Question, written_fields};
use super::{Asking, Collection, Incoming, unknown_feature};
use crate::cql2::{Kind, Need, NoDictionary, Prepared, Row, Schema, Value};
use crate::domain::position::{quadkey, quadkey_center};
use crate::domain::role::Actor;
use crate::domain::table_layer::TableLayer;
use crate::http::auth::{self, Caller};
use crate::http::{AppState, Problem};
use crate::layers::{FirstRows, SortedAfter, moment_field, table_schema};
use crate::registry::{FeatureCell, FeatureKey, FeatureQuery, FeatureRow, FeatureSearch, FeatureTest};
use crate::spatial::{BBox, KeyRange};

/// Counts remembered at most; beyond it all are forgotten.
const MOST_COUNTS: usize = 1000;

/// Conditions that the database is told; the filter itself has the last word, and a database bears no thousands of them.
const MOST_TESTS: usize = 100;

/// How many rows a question, known by its digest, meant when the newest change had this number, so that the pages of one question count once.
#[derive(Default)]
pub(in crate::http) struct FeatureCounts(Mutex<HashMap<Digest, (i64, usize)>>);

impl FeatureCounts {
    fn known(&self, question: &Digest, change: i64) -> Option<usize> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(question).filter(|(at, _)| *at == change).map(|(_, count)| *count)
    }

    fn keep(&self, question: Digest, change: i64, count: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_COUNTS {
            counts.clear();
        }
        counts.insert(question, (change, count));
    }
}

type Digest = [u8; 32];

/// What is read of a layer for somebody.
struct Reading {
    layer: TableLayer,
    schema: Schema,
    is_staff: bool,
}

/// A row as somebody sees it; its cells are the properties of the schema, without the place.
struct TableView<'r> {
    reading: &'r Reading,
    row: FeatureRow,
}

impl Row for TableView<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        let Some(cell) = field.checked_sub(1).and_then(|at| self.row.cells.get(at)) else {
            return self.place().map_or(Value::Null, |(lon, lat)| Value::Point(lon, lat));
        };
        match cell {
            FeatureCell::Null => Value::Null,
            FeatureCell::Text(text) => Value::Text(Cow::Borrowed(text)),
            FeatureCell::Number(number) => Value::Number(*number),
            FeatureCell::Boolean(yes) => Value::Boolean(*yes),
            FeatureCell::Moment(at) => Value::Timestamp(*at),
            FeatureCell::Texts(texts) => Value::TextList(Cow::Borrowed(texts)),
        }
    }
}

impl Feature for TableView<'_> {
    fn id(&self) -> String {
        match self.reading.layer {
            TableLayer::Cases => match self.row.cells.first() {
                Some(FeatureCell::Text(number)) => number.clone(),
                _ => self.row.key.id.to_string(),
            },
            TableLayer::Manholes => self.row.key.id.to_string(),
            TableLayer::Plates => format!("{}.{}", self.row.key.id, self.row.key.number),
        }
    }

    /// The public sees the middle of a square of 15 cm, as of covers.
    fn place(&self) -> Option<(f64, f64)> {
        let (lon, lat) = self.row.place?;
        Some(if self.reading.is_staff { (lon, lat) } else { quadkey_center(quadkey(lon, lat)) })
    }
}

impl Reading {
    fn new(state: &AppState, layer: TableLayer, is_staff: bool) -> Self {
        let schema = table_schema(layer, is_staff, state.config.utc_offset_minutes);
        Self { layer, schema, is_staff }
    }

    fn query(&self) -> FeatureQuery {
        let fields = crate::layers::table_fields(self.layer, self.is_staff);
        FeatureQuery {
            layer: self.layer,
            columns: fields.filter(|field| field.kind != Kind::Point).map(|field| field.name).collect(),
            tests: Vec::new(),
            boxes: Vec::new(),
            keys: (KeyRange::WORLD.first, KeyRange::WORLD.last),
            business_of: None,
            is_public: !self.is_staff,
        }
    }

    /// The box in which rows lie that are shown in another one: the public sees them a little beside their place.
    fn looked_through(&self, shown: BBox) -> BBox {
        if self.is_staff { shown } else { shown.widened(SQUARE) }
    }
}

/// Which rows a question means: what the database can tell, and what is told by looking at them.
struct Meant<'q> {
    question: &'q Question<FeatureKey>,
    filter: Option<Prepared>,
    search: FeatureSearch,
    /// The property that says when.
    moment: usize,
}

impl<'q> Meant<'q> {
    fn new(reading: &Reading, question: &'q Question<FeatureKey>) -> Self {
        let mut query = reading.query();
        let filter = question.filter.as_ref();
        let needs = filter.map(|filter| filter.needs()).unwrap_or_default();
        query.tests = needs
            .into_iter()
            .filter_map(|(field, need)| {
                let name = *query.columns.get(field.checked_sub(1)?)?;
                Some((name, test_of(need)))
            })
            .take(MOST_TESTS)
            .collect();
        let asked = question.within.as_ref().map(|within| reading.looked_through(within.around));
        let bounds = filter.and_then(|filter| filter.bounds()).and_then(on_globe);
        let around: Vec<BBox> = [asked, bounds].into_iter().flatten().collect();
        query.boxes = around.iter().map(BBox::edges).collect();
        let ranges = around.first().map_or(vec![KeyRange::WORLD], BBox::key_ranges);
        let after = match &question.cursor {
            Some(Cursor::Place(key)) => Some(*key),
            _ => None,
        };
        let moment = reading.schema.find(moment_field(reading.layer)).unwrap_or_default();
        Self {
            question,
            filter: filter.map(|filter| filter.prepare(&NoDictionary)),
            search: FeatureSearch { query, ranges, after },
            moment,
        }
    }

    fn holds(&self, view: &TableView<'_>) -> bool {
        let at = || match view.value(self.moment) {
            Value::Timestamp(at) => Some((at, at)),
            _ => None,
        };
        self.question.times.is_none_or(|times| times.meet(at()))
            && self
                .question
                .within
                .as_ref()
                .is_none_or(|within| view.place().is_none_or(|(lon, lat)| within.contains(lon, lat)))
            && self.filter.as_ref().is_none_or(|filter| filter.matches(view))
    }

    /// Whether the database alone can count.
    fn is_everything(&self) -> bool {
        self.filter.is_none() && self.question.within.is_none() && self.question.times.is_none()
    }
}

fn test_of(need: Need) -> FeatureTest {
    match need {
        Need::OneOf(texts) => FeatureTest::OneOf(texts),
        Need::Between(low, high) => FeatureTest::Between(low, high),
        Need::Is(yes) => FeatureTest::Is(yes),
    }
}

/// Degrees by which the public's squares may lie beside a place.
const SQUARE: f64 = 1e-5;

/// A box of a filter, wide enough for the public's squares; `None` where it reaches beyond the globe or holds nothing,
/// which the filter itself finds out.
fn on_globe([west, south, east, north]: [f64; 4]) -> Option<BBox> {
    if west > east || west.is_nan() {
        return None;
    }
    BBox::new(
        (west - SQUARE).max(-180.0),
        (south - SQUARE).max(-90.0),
        (east + SQUARE).min(180.0),
        (north + SQUARE).min(90.0),
    )
    .ok()
}

fn actor(caller: Option<&Caller>) -> Actor {
    caller.map_or(Actor::Citizen, Caller::actor)
}

/// Goes through the rows until `take` has enough.
async fn read(
    state: &AppState,
    actor: &Actor,
    search: FeatureSearch,
    mut take: impl FnMut(FeatureRow) -> std::ops::ControlFlow<()>,
) -> Result<(), Problem> {
    let (sender, mut pages) = mpsc::channel::<Vec<FeatureRow>>(1);
    let taking = async move {
        while let Some(page) = pages.recv().await {
            if page.into_iter().try_for_each(&mut take).is_break() {
                return;
            }
        }
    };
    let (sent, ()) = tokio::join!(state.registry.send_features(search, actor, sender), taking);
    Ok(sent?)
}

pub(super) async fn items(
    state: &AppState,
    incoming: Incoming,
    layer: TableLayer,
) -> Result<Response, Problem> {
    let caller = auth::find_reader(state, &incoming.headers).await?;
    let reading = Reading::new(state, layer, caller.is_some());
    let asking = Asking::of_caller(state, incoming, caller, &question::parameters(&reading.schema))?;
    asking.check_sees(Collection::Table(layer))?;
    let utc_offset = state.config.utc_offset_minutes;
    let question = Question::read(&asking.params, &Systems::of(state), &reading.schema, utc_offset)?;
    let meant = Meant::new(&reading, &question);
    let actor = actor(asking.caller.as_ref());
    let found = if question.order.is_empty() {
        let (views, next) = next_rows(state, &actor, &reading, &meant).await?;
        Found { features: views, next, matched: count(state, &asking, &actor, &reading, &meant).await? }
    } else {
        sorted_rows(state, &actor, &reading, &meant).await?
    };
    let fields = written_fields(&reading.schema);
    let writing = Writing { collection: Collection::Table(layer), fields: &fields, system: &question.system };
    Ok(writing.page(state, &asking, &found))
}

/// The rows that come next in the order of their keys, and the cursor behind them.
async fn next_rows<'r>(
    state: &AppState,
    actor: &Actor,
    reading: &'r Reading,
    meant: &Meant<'_>,
) -> Result<(Vec<TableView<'r>>, Option<String>), Problem> {
    let Question { limit, offset, .. } = *meant.question;
    let (mut views, mut to_skip) = (Vec::new(), offset);
    // One more than asked for tells whether there is a page behind this one.
    read(state, actor, meant.search.clone(), |row| {
        let view = TableView { reading, row };
        if meant.holds(&view) {
            if to_skip > 0 {
                to_skip -= 1;
            } else {
                views.push(view);
            }
        }
        if views.len() > limit {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    })
    .await?;
    let next = (views.len() > limit).then(|| {
        views.truncate(limit);
        Cursor::Place(views[limit - 1].row.key).write()
    });
    Ok((views, next))
}

/// The rows that come next in another order: one pass over all that are meant, whichever page it is.
async fn sorted_rows<'r>(
    state: &AppState,
    actor: &Actor,
    reading: &'r Reading,
    meant: &Meant<'_>,
) -> Result<Found<TableView<'r>>, Problem> {
    let question = meant.question;
    let after = match &question.cursor {
        Some(Cursor::Sorted(after)) => Some(after),
        _ => None,
    };
    let most = question.offset.saturating_add(question.limit).saturating_add(1);
    let mut first = FirstRows::new(&question.order, after, most);
    let mut matched = 0;
    read(state, actor, meant.search.clone(), |row| {
        let view = TableView { reading, row };
        if meant.holds(&view) {
            matched += 1;
            first.add(view.row.key, view);
        }
        std::ops::ControlFlow::Continue(())
    })
    .await?;
    let mut features: Vec<TableView<'_>> = first.into_rows().skip(question.offset).collect();
    let next = (features.len() > question.limit).then(|| {
        features.truncate(question.limit);
        let last = &features[question.limit - 1];
        Cursor::Sorted(SortedAfter::of(&question.order, last.row.key, last)).write()
    });
    Ok(Found { features, matched, next })
}

/// How many rows are meant, whichever page is asked for.
async fn count(
    state: &AppState,
    asking: &Asking,
    actor: &Actor,
    reading: &Reading,
    meant: &Meant<'_>,
) -> Result<usize, Problem> {
    let change = state.registry.last_change().await?;
    let others = asking.params.without(&["cursor", "offset", "limit", "f", "crs", "sortby"]);
    let question = Sha256::digest(format!("{} {} {others}", reading.layer, actor.word())).into();
    if let Some(count) = state.shared.feature_counts.known(&question, change) {
        return Ok(count);
    }
    let mut matched = 0;
    if meant.is_everything() {
        matched = state.registry.count_features(meant.search.query.clone(), actor).await?;
    } else {
        let search = FeatureSearch { after: None, ..meant.search.clone() };
        read(state, actor, search, |row| {
            matched += usize::from(meant.holds(&TableView { reading, row }));
            std::ops::ControlFlow::Continue(())
        })
        .await?;
    }
    state.shared.feature_counts.keep(question, change, matched);
    Ok(matched)
}

pub(super) async fn item(
    state: &AppState,
    asking: &Asking,
    layer: TableLayer,
    id: &str,
) -> Result<Response, Problem> {
    asking.check_sees(Collection::Table(layer))?;
    let system = asking.params.system("crs", &Systems::of(state))?;
    let reading = Reading::new(state, layer, asking.is_staff());
    let one = |text: &str| FeatureTest::OneOf(vec![text.to_owned()]);
    let mut query = reading.query();
    query.tests = match layer {
        TableLayer::Cases => vec![("number", one(id))],
        TableLayer::Manholes => vec![("id", one(id))],
        TableLayer::Plates => {
            let (batch, ordinal) = id.split_once('.').ok_or_else(|| unknown_feature(id))?;
            let ordinal = f64::from(ordinal.parse::<u32>().map_err(|_| unknown_feature(id))?);
            vec![("batch", one(batch)), ("ordinal", FeatureTest::Between(ordinal, ordinal))]
        }
    };
    let search = FeatureSearch { query, ranges: vec![KeyRange::WORLD], after: None };
    let mut found = None;
    read(state, &actor(asking.caller.as_ref()), search, |row| {
        found = Some(row);
        std::ops::ControlFlow::Break(())
    })
    .await?;
    let view = TableView { reading: &reading, row: found.ok_or_else(|| unknown_feature(id))? };
    let fields = written_fields(&reading.schema);
    let writing = Writing { collection: Collection::Table(layer), fields: &fields, system: &system };
    Ok(writing.one(state, asking, &view, None))
}
