//! What crews take along into the field: who they are, streets, covers, plates.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::api_crew_photos::{PIECE, clear_old};
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::cover_query::limit;
use super::forms::shortened;
use super::{AppState, Problem, json_crew as shapes};
use crate::domain::Refusal;
use crate::domain::cover::{CoverClass, Placement};
use crate::domain::crew::CREW_PHOTO_LIMIT;
use crate::domain::hazard::Hazard;
use crate::domain::token::Token;
use crate::registry::{PackageOrder, Street};

pub(super) async fn show_me(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    clear_old(&state).await?;
    let (user, rules) = (&caller.user, &state.config.crew);
    let classes: Vec<Value> =
        CoverClass::ALL.iter().map(|class| shapes::word("class", "class", class.as_str())).collect();
    let hazards: Vec<Value> =
        Hazard::ALL.iter().map(|hazard| shapes::word("hazard", "hazard", hazard.as_str())).collect();
    let mut me = json!({
        "user": user.login,
        "name": user.name,
        "role": user.role,
        "server_time": state.registry.now(),
        "photo_limit_bytes": state.photos.limits().bytes,
        "accuracy_gate_m": rules.accuracy_gate_m,
        "host": state.config.plate_host,
        "rules": {
            "far_m": rules.far_m,
            "nearby_m": rules.nearby_m,
            "photo_piece_bytes": PIECE,
            "photos_per_action": CREW_PHOTO_LIMIT,
        },
        "classes": classes,
        "hazards": hazards,
        "placements": Placement::ALL,
    });
    let own: Vec<Value> = state
        .registry
        .list_user_areas(user.id)
        .await?
        .into_iter()
        .map(|area| {
            let (name_zh, name_en) = area.names.unwrap_or_else(|| (area.code.clone(), area.code.clone()));
            let mut told =
                json!({"kind": area.kind, "code": area.code, "name_zh": name_zh, "name_en": name_en});
            if let Some(bounds) = area.bounds {
                told["bounds"] = json!(bounds);
            }
            told
        })
        .collect();
    me["areas"] = json!(own);
    if let Some(bounds) = bounds(&state) {
        me["bounds"] = json!(bounds);
    }
    if let Some(session) = &caller.session {
        // The app is a static page, so it cannot carry the token in a form.
        me["csrf"] = json!(session.csrf);
    }
    Ok(([(header::CACHE_CONTROL, "private, no-store")], Json(me)).into_response())
}

/// The box around every cover in use: west, south, east, north.
fn bounds(state: &AppState) -> Option<[f64; 4]> {
    let snapshot = state.snapshot.load();
    snapshot.rows().fold(None, |around, row| {
        let [west, south, east, north] = around.unwrap_or([row.lon, row.lat, row.lon, row.lat]);
        Some([west.min(row.lon), south.min(row.lat), east.max(row.lon), north.max(row.lat)])
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreetQuery {
    district: Option<String>,
}

/// The streets of the city as they were a moment ago. To count them is one pass over all covers, so in a big
/// city it is done for a twentieth of the time at most; in a small one the counts are fresh.
#[derive(Default)]
pub(super) struct StreetBoard(Mutex<Option<CountedStreets>>);

struct CountedStreets {
    streets: Arc<Vec<Street>>,
    at: Instant,
    took: Duration,
}

/// For how many times as long as it took a count is good.
const GOOD_FOR: u32 = 20;

impl StreetBoard {
    async fn list(&self, state: &AppState) -> Result<Arc<Vec<Street>>, Problem> {
        let mut board = self.0.lock().await;
        if let Some(known) = board.as_ref().filter(|known| known.at.elapsed() < known.took * GOOD_FOR) {
            return Ok(known.streets.clone());
        }
        let begun = Instant::now();
        let streets = Arc::new(state.registry.list_streets().await?);
        *board = Some(CountedStreets { streets: streets.clone(), at: Instant::now(), took: begun.elapsed() });
        Ok(streets)
    }
}

pub(super) async fn list_packages(
    State(state): State<AppState>,
    reader: Reader,
    Asked(query): Asked<StreetQuery>,
) -> Result<Response, Problem> {
    let streets = state.shared.streets.list(&state).await?;
    let wanted = |street: &&Street| query.district.as_ref().is_none_or(|code| street.district == *code);
    let packages: Vec<Value> =
        streets.iter().filter(wanted).map(|street| shapes::street(&reader, street)).collect();
    Ok(Json(json!({"packages": packages})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackageQuery {
    district: Option<String>,
    road: Option<String>,
    no_road: Option<String>,
    drawn: Option<String>,
    tasks: Option<String>,
    bbox: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

impl PackageQuery {
    fn order(self, caller: &Caller) -> Result<PackageOrder, Refusal> {
        let yes = |name: &'static str, text: Option<&str>| match text {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Refusal::new("form.true_or_false").at(name).with("read", shortened(other))),
        };
        Ok(PackageOrder {
            no_road: yes("no_road", self.no_road.as_deref())?,
            drawn: yes("drawn", self.drawn.as_deref())?,
            tasks_of: yes("tasks", self.tasks.as_deref())?.then_some(caller.user.id),
            district: self.district,
            road: self.road,
            within: self.bbox.as_deref().map(str::parse).transpose()?,
            after: self
                .after
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|refusal: Refusal| refusal.at("after"))?,
            limit: limit(self.limit.as_deref(), 1000, 1000)?,
        })
    }
}

pub(super) async fn list_covers(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<PackageQuery>,
) -> Result<Response, Problem> {
    let order = query.order(&caller).map_err(Problem::bad_request)?;
    let (made_at, page_size) = (state.registry.now(), order.limit);
    let covers = state.registry.list_package(order).await?;
    let next = covers.last().filter(|_| covers.len() as i64 == page_size).map(|cover| cover.file.cover);
    let covers: Vec<Value> = covers.iter().map(|cover| shapes::cover(&state, cover)).collect();
    let mut answer = json!({"covers": covers, "made_at": made_at});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockQuery {
    after: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list_stock(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<StockQuery>,
) -> Result<Response, Problem> {
    let after = query.after.as_deref().map(str::parse::<Token>).transpose();
    let after = after.map_err(|refusal| Problem::bad_request(refusal.at("after")))?;
    let most = limit(query.limit.as_deref(), 1000, 1000).map_err(Problem::bad_request)?;
    let stock = state.registry.list_crew_stock(&caller.actor(), after, most).await?;
    let next = stock.last().filter(|_| stock.len() as i64 == most).map(|(plate, _)| plate.token);
    let plates: Vec<Value> =
        stock.iter().map(|(plate, file)| shapes::held(&state, plate, file.as_ref())).collect();
    let mut answer = json!({"plates": plates});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn find_plate(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(token): Named,
) -> Result<Response, Problem> {
    let token: Token = token.parse()?;
    let found = state.registry.find_crew_plate(token, &caller.actor()).await?;
    let found = found.ok_or_else(|| Problem::not_found("plate.unknown"))?;
    Ok(Json(shapes::plate(&state, &found)).into_response())
}
