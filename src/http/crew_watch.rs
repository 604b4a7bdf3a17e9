//! 外业督查: how far the crews have come, by street, crew and day; spot checks drawn at random.

use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::Form;
use super::problem::{from_io, page_with_problem};
use super::views::{self, CheckListView, CheckView, CrewWatchView, Period};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::{IdempotencyKey, Millis, SpotCheckId};
use crate::outlet::{Format, Table, start_of_day, write_table};
use crate::registry::NewSpotCheck;

/// Days that are shown unless somebody asks for others.
const DAYS: i64 = 30;
/// Draws on one page.
const CHECKS: i64 = 30;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WatchQuery {
    district: String,
    from: String,
    until: String,
}

/// The days that are meant, as texts and as instants; the last one counts whole.
fn period(state: &AppState, from: &str, until: &str) -> Result<Period, Refusal> {
    let offset = state.config.utc_offset_minutes;
    let now = state.registry.now();
    let day = |text: &str, back: i64| match text.trim() {
        "" => views::day(&state.config, Millis(now.0 - back * 86_400_000)),
        text => text.to_owned(),
    };
    let (first, last) = (day(from, DAYS - 1), day(until, 0));
    let begin = start_of_day("from", &first, offset, 0)?;
    let end = start_of_day("until", &last, offset, 1)?;
    if begin.0 >= end.0 {
        return Err(Refusal::new("spot_check.period").at("until"));
    }
    Ok(Period { first, last, begin, end })
}

struct Watched {
    lists: Lists,
    district: String,
    period: Period,
}

impl Watched {
    async fn read(state: &AppState, query: &WatchQuery) -> Result<Self, Problem> {
        let lists = Lists::read(state).await?;
        let period = period(state, &query.from, &query.until).map_err(Problem::bad_request)?;
        let district = match query.district.trim() {
            "" => {
                let busiest = state.registry.find_busiest_district(period.span()).await?;
                let first = || lists.districts.first().map(|district| district.code.clone());
                busiest.or_else(first).unwrap_or_default()
            }
            code => code.to_owned(),
        };
        if district.contains('\0') {
            return Err(Problem::bad_request(Refusal::new("text.control_character").at("district")));
        }
        Ok(Self { lists, district, period })
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<WatchQuery>,
) -> Result<Response, Problem> {
    let watched = Watched::read(&state, &query).await?;
    let registry = &state.registry;
    let span = watched.period.span();
    let streets = registry.list_street_progress(&watched.district).await?;
    let points = registry.list_progress_points(&watched.district).await?;
    let days = registry.list_fitting_days(span, state.config.crew.far_m).await?;
    let deeds = registry.list_deeds(span).await?;
    let mut areas = registry.list_areas(AreaKind::District).await?;
    areas.retain(|area| area.code == watched.district);
    let view = CrewWatchView {
        names: watched.lists.names(),
        district: &watched.district,
        period: &watched.period,
        streets: &streets,
        points: &points,
        areas: &areas,
        days: &days,
        deeds: &deeds,
    };
    Ok(page(views::crew_watch(&reader.page(&state, caller.session.as_ref()), &view)))
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExportQuery {
    table: String,
    format: String,
    district: String,
    from: String,
    until: String,
    check: String,
}

/// A table as a file.
pub(super) async fn export(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let format: Format = query.format.parse().map_err(Problem::bad_request)?;
    let around =
        WatchQuery { district: query.district.clone(), from: query.from.clone(), until: query.until.clone() };
    let watched = Watched::read(&state, &around).await?;
    let registry = &state.registry;
    let look = reader.page(&state, caller.session.as_ref());
    let table = match query.table.as_str() {
        "streets" => views::street_table(&look, &registry.list_street_progress(&watched.district).await?),
        "days" => {
            let days = registry.list_fitting_days(watched.period.span(), state.config.crew.far_m).await?;
            views::day_table(&look, watched.lists.names(), &days)
        }
        "crews" => {
            let days = registry.list_fitting_days(watched.period.span(), state.config.crew.far_m).await?;
            let deeds = registry.list_deeds(watched.period.span()).await?;
            views::crew_table(&look, watched.lists.names(), (&days, &deeds))
        }
        "check" => {
            let (_, plates) = find_check(&state, &query.check).await?;
            views::check_table(&look, watched.lists.names(), &plates)
        }
        other => {
            let read = super::forms::shortened(other);
            let refusal = Refusal::new("crew_watch.table").at("table").with("read", read);
            return Err(Problem::bad_request(refusal.with("fits", "streets, crews, days, check")));
        }
    };
    send(&state, table, format).await
}

async fn send(state: &AppState, table: Table, format: Format) -> Result<Response, Problem> {
    let folder = state.data.join("outgoing");
    std::fs::create_dir_all(&folder).map_err(|error| from_io(&error))?;
    let file = tempfile::tempfile_in(&folder).map_err(|error| from_io(&error))?;
    let out = file.try_clone().map_err(|error| from_io(&error))?;
    let name = table.name;
    write_table(&table, format, out, &folder)?;
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{}\"", format.extension())),
    ];
    Ok((headers, axum::body::Body::from_stream(super::exports::parts(file))).into_response())
}

async fn find_check(
    state: &AppState,
    id: &str,
) -> Result<(crate::registry::SpotCheck, Vec<crate::registry::CheckedPlate>), Problem> {
    let unknown = || {
        let refusal = Refusal::new("spot_check.unknown").with("read", super::forms::shortened(id));
        Problem { status: axum::http::StatusCode::NOT_FOUND, refusal }
    };
    let parsed: SpotCheckId = id.parse().map_err(|_| unknown())?;
    Ok(state.registry.find_spot_check(parsed).await?)
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Before {
    before: String,
}

pub(super) async fn list_checks(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<Before>,
) -> Result<Response, Problem> {
    Ok(page(check_list(&state, &reader, &caller, &query.before, None).await?))
}

async fn check_list(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    before: &str,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let before = match before {
        "" => None,
        text => Some(text.parse().map_err(|refusal: Refusal| Problem::bad_request(refusal.at("before")))?),
    };
    let checks = state.registry.list_spot_checks(before, CHECKS).await?;
    let lists = Lists::read(state).await?;
    let crews = state.registry.list_crews().await?;
    let view = CheckListView {
        names: lists.names(),
        checks: &checks,
        crews: &crews,
        period: &period(state, "", "").map_err(Problem::bad_request)?,
        next: checks.last().filter(|_| checks.len() as i64 == CHECKS).map(|last| last.id.to_string()),
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::spot_checks(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn draw(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "from", "until", "crew", "district", "count"])?;
    caller.check_csrf(form.field("csrf"))?;
    match draw_one(&state, &caller, &form).await {
        Ok(id) => Ok(Redirect::to(&format!("/admin/crews/checks/{id}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = check_list(&state, &reader, &caller, "", Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn draw_one(state: &AppState, caller: &Caller, form: &Form) -> Result<SpotCheckId, Problem> {
    let period =
        period(state, form.field("from").unwrap_or_default(), form.field("until").unwrap_or_default())?;
    let count = form.needed("count")?;
    let wrong = || Refusal::new("form.whole_number").at("count").with("field", "count");
    let crew = match form.field("crew") {
        Some(crew) => Some(format!("user:{}", super::plate_moves::find_crew(state, crew).await?)),
        None => None,
    };
    let new = NewSpotCheck {
        key: form.key()?,
        from: period.begin,
        until: period.end,
        crew,
        district: form.field("district").map(str::to_owned),
        count: count.parse().map_err(|_| wrong().with("read", super::forms::shortened(count)))?,
        actor: caller.actor(),
    };
    Ok(state.registry.draw_spot_check(new).await?.id)
}

pub(super) async fn show_check(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let (check, plates) = find_check(&state, &id).await?;
    let lists = Lists::read(&state).await?;
    let view = CheckView { names: lists.names(), check: &check, plates: &plates };
    Ok(page(views::spot_check(&reader.page(&state, caller.session.as_ref()), &view)))
}
