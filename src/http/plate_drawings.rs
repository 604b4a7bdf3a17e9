//! Plates of a batch for engravers and label printers: drawn into a file without a name first, so that memory
//! does not grow with the batch and a refusal still has its status.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::api_batches::SheetQuery;
use super::ask::{Asked, Named};
use super::problem::from_io;
use super::{AppState, Problem, plate_work as work};
use crate::domain::Refusal;
use crate::plates::PrintHead;
use crate::press::{self, Sheets};
use crate::registry::Batch;

/// What plates are drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawing {
    /// A ZIP with an SVG each.
    Svg,
    Zpl(PrintHead),
}

impl Drawing {
    /// Most plates of one download: about a minute of work on one core.
    pub(super) const fn most(self) -> i64 {
        match self {
            Drawing::Zpl(PrintHead::Dpi600) => 1000,
            Drawing::Svg | Drawing::Zpl(_) => 5000,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Drawing::Svg => "application/zip",
            Drawing::Zpl(_) => "application/zpl",
        }
    }

    fn ending(self) -> String {
        match self {
            Drawing::Svg => "svg.zip".to_owned(),
            Drawing::Zpl(head) => format!("{head}dpi.zpl"),
        }
    }
}

pub(super) async fn svgs(
    State(state): State<AppState>,
    Named(id): Named,
    Asked(query): Asked<SheetQuery>,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    send(&state, &batch, Drawing::Svg, (query.file.as_deref(), query.only.as_deref())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelQuery {
    file: Option<String>,
    only: Option<String>,
    head: Option<String>,
}

pub(super) async fn labels(
    State(state): State<AppState>,
    Named(id): Named,
    Asked(query): Asked<LabelQuery>,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let head = query.head.as_deref().map_or(Ok(PrintHead::default()), str::parse);
    let head = head.map_err(|refusal| Problem::bad_request(refusal.at("head")))?;
    send(&state, &batch, Drawing::Zpl(head), (query.file.as_deref(), query.only.as_deref())).await
}

/// Draws plates of a batch and sends them. `named` = file and numbers as an address says them, all plates
/// without either.
pub(super) async fn send(
    state: &AppState,
    batch: &Batch,
    drawing: Drawing,
    named: (Option<&str>, Option<&str>),
) -> Result<Response, Problem> {
    let sheets = match work::named_plates(state, batch, named).await? {
        (None, None) => Sheets::All,
        (file, only) => work::asked_sheets(batch, file, only.as_ref())?,
    };
    let (count, most) = (sheets.count(batch), drawing.most());
    if count > most {
        return Err(Refusal::new("batch.drawn_many")
            .at("only")
            .with("count", count)
            .with("most", most)
            .into());
    }
    let _slot = state.shared.heavy_slots.acquire().await;
    let folder = state.data.join("outgoing");
    std::fs::create_dir_all(&folder).map_err(|error| from_io(&error))?;
    let file = tempfile::tempfile_in(&folder).map_err(|error| from_io(&error))?;
    let out = file.try_clone().map_err(|error| from_io(&error))?;
    let which = (batch.id, &sheets);
    match drawing {
        Drawing::Svg => press::engrave_zip(&state.registry, &state.config, &state.data, which, out).await?,
        Drawing::Zpl(head) => {
            press::write_labels(&state.registry, &state.config, &state.data, which, (head, out)).await?;
        }
    }
    let length = file.metadata().map_err(|error| from_io(&error))?.len();
    let part = match &sheets {
        Sheets::All => String::new(),
        Sheets::File(file) => format!("-{file:03}"),
        Sheets::Only(_) => "-some".to_owned(),
    };
    let name = format!("plates-{}{part}.{}", batch.id, drawing.ending());
    let headers = [
        (header::CONTENT_TYPE, drawing.media_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(super::exports::parts(file))).into_response())
}
