//! 制作铭牌: the form on which plates are ordered.

use std::collections::BTreeMap;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::Form;
use super::plate_wishes::{self as wishes, Wishes};
use super::problem::page_with_problem;
use super::views::{self, BatchForm};
use super::{AppState, Problem, plate_work as work};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::IdempotencyKey;
use crate::import::read_codes;
use crate::press::{self, MOST_PLATES, PlateOrder, Wanted};
use crate::registry::AreaName;

/// Bytes of a list of codes or of an outline, and of the whole form.
const LARGEST_TEXT: usize = 4 << 20;
const LARGEST: usize = 10 << 20;

type Texts = BTreeMap<String, String>;

/// The fields in which much may be pasted or uploaded.
const LONG: [&str; 4] = ["codes", "codes_file", "outline", "outline_file"];
const KNOWN: [&str; 18] = [
    "csrf",
    "key",
    "by",
    "count",
    "district",
    "class",
    "road",
    "area",
    "area_class",
    "face",
    "sheet",
    "level",
    "finish",
    "printer",
    "split",
    "unprinted",
    "note",
    "outline_class",
];

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(form_page(&state, &reader, &caller, &Texts::new(), None).await?))
}

async fn form_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    texts: &Texts,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let lists = Lists::read(state).await?;
    let mut areas: Vec<(AreaKind, AreaName)> = Vec::new();
    for kind in [AreaKind::District, AreaKind::Management] {
        let names = state.registry.list_areas(kind).await?;
        areas.extend(
            names.into_iter().map(|area| {
                (kind, AreaName { code: area.code, name_zh: area.name_zh, name_en: area.name_en })
            }),
        );
    }
    let view = BatchForm {
        names: lists.names(),
        areas: &areas,
        faces: &press::list_faces(&state.data)?,
        sheets: &press::list_sheets(&state.data)?,
        printers: &press::list_printers(&state.data)?,
        texts,
        key: IdempotencyKey::fresh(),
        most: MOST_PLATES,
        wrong,
    };
    Ok(views::batch_form(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(LARGEST).apply(&mut request);
    let form = Form::with_texts(request, &state, &LONG, LARGEST_TEXT).await?;
    let known: Vec<&str> = KNOWN.iter().chain(&LONG).copied().collect();
    form.only(&known)?;
    caller.check_csrf(form.field("csrf"))?;
    let placed = match order(&state, &caller, &form).await {
        Ok(order) => work::place(&state, &order).await,
        Err(problem) => Err(problem),
    };
    match placed {
        Ok(batch) => Ok(Redirect::to(&format!("/admin/plates/{}", batch.id)).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let typed = form.beginning("").filter(|(name, _)| !name.ends_with("_file"));
            let texts: Texts = typed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let html = form_page(&state, &reader, &caller, &texts, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn number(form: &Form, name: &'static str) -> Result<Option<usize>, Refusal> {
    let Some(text) = form.field(name) else { return Ok(None) };
    let refusal = || Refusal::new("form.whole_number").at(name).with("field", name);
    text.parse().map(Some).map_err(|_| refusal().with("read", super::forms::shortened(text)))
}

async fn order(state: &AppState, caller: &Caller, form: &Form) -> Result<PlateOrder, Problem> {
    let wanted = wanted(state, form).await?;
    let key = form.key()?;
    let wishes = Wishes {
        face: form.field("face"),
        sheet: form.field("sheet"),
        level: form.field("level"),
        finish: form.field("finish"),
        printer: form.field("printer"),
        split: number(form, "split")?,
        unprinted: form.field("unprinted").is_some(),
        note: form.field("note").unwrap_or_default(),
        key: Some(key),
    };
    Ok(wishes.order(wanted, caller.actor())?)
}

async fn wanted(state: &AppState, form: &Form) -> Result<Wanted, Problem> {
    let class = |name: &str| form.field(name).map(str::parse).transpose();
    let mut filter = wishes::unplated();
    match form.needed("by")? {
        "blank" => {
            let missing = || Refusal::new("form.missing").at("count").with("field", "count");
            Ok(wishes::blank(number(form, "count")?.ok_or_else(missing)?)?)
        }
        "filter" => {
            filter.district = form.field("district").map(str::to_owned);
            filter.class = class("class")?;
            filter.road = form.field("road").map(str::to_owned);
            Ok(Wanted::Matching(Box::new(filter)))
        }
        "codes" => {
            let text = form.field("codes_file").or_else(|| form.field("codes"));
            let text = text.ok_or_else(|| Refusal::new("batch.empty").at("codes"))?;
            wishes::listed(state, &read_codes(text.as_bytes(), MOST_PLATES)?).await
        }
        "area" => {
            filter.class = class("area_class")?;
            let area = form.needed("area")?;
            let (kind, code) = area.split_once(':').unwrap_or(("district", area));
            wishes::in_area(state, kind.parse()?, code, filter).await
        }
        "outline" => {
            filter.class = class("outline_class")?;
            let text = form.field("outline_file").or_else(|| form.field("outline"));
            let text = text.ok_or_else(|| {
                Refusal::new("batch.outline").at("outline").with("reason", "Polygon, MultiPolygon")
            })?;
            Ok(wishes::in_outline(text, filter)?)
        }
        _ => Err(Refusal::new("batch.one_of")
            .at("by")
            .with("fits", "blank, filter, codes, area, outline")
            .into()),
    }
}
