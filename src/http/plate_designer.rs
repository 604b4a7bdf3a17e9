//! 牌面设计: a face of the city's own, made from one that is there, with a picture of it, what it measures in
//! the hand, and its file.

use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::page;
use super::forms::Form;
use super::plate_draft::{Draft, Texts, beside, field, first, known};
use super::problem::page_with_problem;
use super::views::{self, DesignerView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::plates::{Palette, PlateError, PlateRun, PlateSpec, render_svgs};
use crate::press;

/// Draws one plate of a draft; every check of a batch is made.
async fn draw(draft: &Draft, spec: PlateSpec) -> Result<Vec<u8>, Problem> {
    let run = PlateRun {
        face: draft.face.clone(),
        sheet: draft.sheet.clone(),
        palette: draft.palette.clone(),
        finish: draft.finish,
        title: String::new(),
        dated: crate::domain::ids::Millis(0),
    };
    let drawn = tokio::task::spawn_blocking(move || {
        let mut svg = Vec::new();
        render_svgs(&run, &[spec], |_, one| {
            svg.extend_from_slice(one);
            Ok(())
        })
        .map(|_| svg)
    });
    match drawn.await {
        Ok(Ok(svg)) => Ok(svg),
        Ok(Err(PlateError::Refused(refusal))) => Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a plate was not drawn");
            Err(Problem::broken())
        }
        Err(_) => Err(Problem::broken()),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    Ok(page(designer_page(&state, &reader, &caller, &texts, None).await?))
}

async fn designer_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    texts: &Texts,
    refused: Option<Refusal>,
) -> Result<String, Problem> {
    let draft = Draft::read(state, texts);
    let mut wrong: Vec<Refusal> = refused.into_iter().collect();
    let mut look = None;
    match &draft {
        Err(faults) => {
            wrong.extend(faults.iter().filter(|fault| !wrong.contains(fault)).cloned().collect::<Vec<_>>())
        }
        Ok(draft) => {
            let spec = draft.spec(state, texts);
            match draft.look(&spec) {
                Ok(looked) => look = Some(looked),
                Err(refusal) if wrong.is_empty() => wrong.push(refusal),
                Err(_) => {}
            }
            // What the batch would refuse is said here, in place of a broken picture.
            if wrong.is_empty()
                && let Err(problem) = draw(draft, spec).await
            {
                wrong.push(problem.refusal);
            }
        }
    }
    let wrong: Vec<Refusal> = wrong.into_iter().map(|refusal| beside(refusal, draft.as_ref().ok())).collect();
    let base = press::find_face(&state.data, field(texts, "face").unwrap_or("rect-90x60"));
    let base = base.or_else(|_| press::find_face(&state.data, "rect-90x60"))?;
    let view = DesignerView {
        base: &base,
        draft: draft.as_ref().ok().map(|draft| &draft.face),
        sheet: draft.as_ref().ok().map(|draft| &draft.sheet),
        look: look.as_ref().map(|look| (&look.checks, &look.layout)),
        faces: &press::list_faces(&state.data)?,
        sheets: &press::list_sheets(&state.data)?,
        palette: &draft.as_ref().map_or_else(|_| Palette::built_in(), |draft| draft.palette.clone()),
        texts,
        picture: wrong.is_empty().then(|| query_of(texts)),
        wrong: &wrong,
    };
    Ok(views::designer(&reader.page(state, caller.session.as_ref()), &view))
}

/// The form as an address says it.
fn query_of(texts: &Texts) -> String {
    let pairs = texts.iter().map(|(name, value)| format!("{name}={}", percent_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A plate as the draft makes it.
pub(super) async fn preview(
    State(state): State<AppState>,
    _: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    let draft = Draft::read(&state, &texts).map_err(first)?;
    let spec = draft.spec(&state, &texts);
    let svg = draw(&draft, spec).await?;
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, svg).into_response())
}

/// The draft as a file.
pub(super) async fn download(
    State(state): State<AppState>,
    _: Caller,
    Asked(texts): Asked<Texts>,
) -> Result<Response, Problem> {
    known(&texts)?;
    let face = Draft::read(&state, &texts).map_err(first)?.face;
    let headers = [
        (header::CONTENT_TYPE, "application/toml".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.toml\"", face.id)),
    ];
    Ok((headers, face.to_toml()).into_response())
}

/// Keeps the draft among the city's own faces, and its colors where that is asked.
pub(super) async fn keep(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    caller.check_csrf(form.field("csrf"))?;
    let typed = form.beginning("").filter(|(name, _)| *name != "csrf");
    let texts: Texts = typed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    known(&texts)?;
    match kept(&state, &texts).await {
        Ok(id) => Ok(Redirect::to(&format!("/admin/plates/designer?face={id}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = designer_page(&state, &reader, &caller, &texts, Some(problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn kept(state: &AppState, texts: &Texts) -> Result<String, Problem> {
    let draft = Draft::read(state, texts).map_err(first)?;
    let spec = draft.spec(state, texts);
    draft.look(&spec)?;
    draw(&draft, spec).await?;
    press::keep_face(&state.data, &draft.face)?;
    if field(texts, "colors").is_some()
        && let Some((ground, ink)) = field(texts, "ground").zip(field(texts, "ink"))
    {
        press::keep_colors(&state.data, draft.class, [ground, ink])?;
    }
    Ok(draft.face.id)
}
