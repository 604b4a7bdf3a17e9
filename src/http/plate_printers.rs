//! 打印机校准: the calibration page, and what is measured on it.

use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, PrintersView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::plate_batch::PrinterRecord;
use crate::plates::{Measured, PlateError, Rulers, Sheet, render_calibration};
use crate::press;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfSheet {
    #[serde(default)]
    sheet: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(printers_page(&state, &reader, &caller, &[], None)?))
}

fn printers_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    typed: &[(String, String)],
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let sheets: Vec<(Sheet, Rulers)> = press::list_sheets(&state.data)?
        .into_iter()
        .filter_map(|sheet| Rulers::of(&sheet).ok().map(|rulers| (sheet, rulers)))
        .collect();
    let printers = press::list_printers(&state.data)?;
    let view = PrintersView { sheets: &sheets, printers: &printers, typed, wrong };
    Ok(views::printers(&reader.page(state, caller.session.as_ref()), &view))
}

/// The calibration page of a sheet.
pub(super) async fn calibration(
    State(state): State<AppState>,
    reader: Reader,
    _: Caller,
    Asked(query): Asked<OfSheet>,
) -> Result<Response, Problem> {
    let sheet = press::find_sheet(&state.data, &query.sheet)?;
    let rulers = Rulers::of(&sheet)?;
    let page = reader.page(&state, None);
    let words = views::calibration_words(&page, &rulers);
    let title = format!("{} {}", page.catalogue.text("printers.page"), sheet.id);
    let drawn = tokio::task::spawn_blocking(move || {
        let mut pdf = Vec::new();
        render_calibration(rulers, &words, &title, crate::domain::ids::Millis(0), &mut pdf).map(|_| pdf)
    });
    let pdf = match drawn.await {
        Ok(Ok(pdf)) => pdf,
        Ok(Err(PlateError::Refused(refusal))) => return Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a calibration page was not drawn");
            return Err(Problem::broken());
        }
        Err(_) => return Err(Problem::broken()),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"calibration-{}.pdf\"", sheet.id)),
    ];
    Ok((headers, pdf).into_response())
}

/// Keeps what was measured.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "name", "sheet", "left", "top", "across", "down"])?;
    caller.check_csrf(form.field("csrf"))?;
    match keep(&state, &form) {
        Ok(()) => Ok(Redirect::to("/admin/plates/printers").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let typed: Vec<(String, String)> =
                form.beginning("").map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let html = printers_page(&state, &reader, &caller, &typed, Some(&problem.refusal))?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn keep(state: &AppState, form: &Form) -> Result<(), Problem> {
    let rulers = Rulers::of(&press::find_sheet(&state.data, form.needed("sheet")?)?)?;
    let number = |name: &'static str| {
        let text = form.field(name).unwrap_or_default().trim().replace(['，', ','], ".");
        text.parse::<f64>().map_err(|_| Refusal::new("calibration.number").at(name))
    };
    let printer = rulers.printer(Measured {
        left: number("left")?,
        top: number("top")?,
        across: number("across")?,
        down: number("down")?,
    })?;
    let record = PrinterRecord {
        name: form.needed("name")?.trim().to_owned(),
        offset_x: printer.offset_x,
        offset_y: printer.offset_y,
        scale: printer.scale,
    };
    Ok(press::keep_printer(&state.data, &record)?)
}
