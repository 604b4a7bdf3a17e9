//! Files out over HTTP: written to the data folder first, so that a slow receiver holds neither memory nor a
//! moment of the database, and a refusal still has its status.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ask::Asked;
use super::forms::shortened;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{CoverId, Millis};
use crate::messages::Language;
use crate::outlet::{self, CaseFilters, CoverFilters, ExportError, FileOrder, Format, OutletError, What};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CoverExport {
    format: String,
    crs: Option<String>,
    words: Option<String>,
    standing: Option<String>,
    district: Option<String>,
    class: Option<String>,
    state: Option<String>,
    road: Option<String>,
    placement: Option<String>,
    material: Option<String>,
    load_class: Option<String>,
    owner: Option<String>,
    maintainer: Option<String>,
    text: Option<String>,
    bbox: Option<String>,
    without_plate: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseExport {
    format: String,
    crs: Option<String>,
    words: Option<String>,
    state: Option<String>,
    hazard: Option<String>,
    district: Option<String>,
    party: Option<String>,
    emergency: Option<String>,
    text: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

impl From<OutletError> for Problem {
    fn from(error: OutletError) -> Self {
        match error {
            OutletError::Registry(error) => error.into(),
            OutletError::Export(ExportError::Refused(refusal)) => refusal.into(),
            OutletError::Export(ExportError::Write(error)) => super::problem::from_io(&error),
            OutletError::Stopped => {
                tracing::error!("the writer of an export stopped");
                Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "http.broken")
            }
        }
    }
}

/// A filter that cannot be meant is a bad request; everything else is what it is elsewhere.
pub(super) fn asked_wrong(error: OutletError) -> Problem {
    match error {
        OutletError::Export(ExportError::Refused(refusal)) => Problem::bad_request(refusal),
        other => other.into(),
    }
}

/// An empty field of a form is no filter.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn yes_or_no(field: &'static str, text: Option<String>) -> Result<Option<bool>, Problem> {
    match filled(text).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            let refusal = Refusal::new("form.true_or_false").at(field).with("read", shortened(other));
            Err(Problem::bad_request(refusal))
        }
    }
}

pub(super) async fn export_covers(
    State(state): State<AppState>,
    Asked(query): Asked<CoverExport>,
) -> Result<Response, Problem> {
    let filters = CoverFilters {
        standing: filled(query.standing),
        district: filled(query.district),
        class: filled(query.class),
        state: filled(query.state),
        road: filled(query.road),
        placement: filled(query.placement),
        material: filled(query.material),
        load_class: filled(query.load_class),
        owner: filled(query.owner),
        maintainer: filled(query.maintainer),
        text: filled(query.text),
        bbox: filled(query.bbox),
        without_plate: yes_or_no("without_plate", query.without_plate)?.unwrap_or(false),
    };
    let what = What::Covers(filters.read(&state.registry).await.map_err(asked_wrong)?);
    let wish = Wish { format: query.format, crs: query.crs, words: query.words, only: None, at: None };
    send(&state, what, wish).await
}

pub(super) async fn export_cases(
    State(state): State<AppState>,
    Asked(query): Asked<CaseExport>,
) -> Result<Response, Problem> {
    let filters = CaseFilters {
        // As on the desk.
        state: filled(query.state).filter(|state| state != "all"),
        hazard: filled(query.hazard),
        district: filled(query.district),
        party: filled(query.party),
        emergency: yes_or_no("emergency", query.emergency)?,
        text: filled(query.text),
        from: filled(query.from),
        until: filled(query.until),
    };
    let offset = state.config.utc_offset_minutes;
    let what = What::Cases(filters.read(&state.registry, offset).await.map_err(asked_wrong)?);
    let wish = Wish { format: query.format, crs: query.crs, words: query.words, only: None, at: None };
    send(&state, what, wish).await
}

/// How a file is wanted.
pub(super) struct Wish {
    pub format: String,
    pub crs: Option<String>,
    pub words: Option<String>,
    /// Of covers, these alone.
    pub only: Option<Arc<HashSet<CoverId>>>,
    /// Covers as they were at this moment.
    pub at: Option<Millis>,
}

/// Writes a file and sends it.
pub(super) async fn send(state: &AppState, what: What, wish: Wish) -> Result<Response, Problem> {
    let Wish { format, crs, words, only, at } = wish;
    let (crs, words) = (filled(crs), filled(words));
    let format: Format = format.parse().map_err(Problem::bad_request)?;
    let words = match words.as_deref() {
        None => None,
        Some(read) => Some(Language::ALL.into_iter().find(|known| known.tag() == read).ok_or_else(|| {
            Problem::bad_request(Refusal::new("form.language").at("words").with("read", shortened(read)))
        })?),
    };
    let _slot = state.shared.export_slots.acquire().await;
    let folder = state.data.join("outgoing");
    std::fs::create_dir_all(&folder).map_err(|error| super::problem::from_io(&error))?;
    // It has no name: whatever happens to this server, nothing stays behind.
    let file = tempfile::tempfile_in(&folder).map_err(|error| super::problem::from_io(&error))?;
    let out = file.try_clone().map_err(|error| super::problem::from_io(&error))?;
    let name = what.name();
    let utc_offset_minutes = state.config.utc_offset_minutes;
    let order = FileOrder { what, format, crs, words, utc_offset_minutes, only, at };
    outlet::write_file(&state.registry, &state.data, order, (out, &folder), |_| {})
        .await
        .map_err(asked_wrong)?;
    let length = file.metadata().map_err(|error| super::problem::from_io(&error))?.len();
    let day =
        Millis(at.unwrap_or(state.registry.now()).0 + i64::from(utc_offset_minutes) * 60_000).to_rfc3339();
    let day = day.split('T').next().unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}-{day}.{}\"", format.extension()),
        ),
    ];
    Ok((headers, Body::from_stream(parts(file))).into_response())
}

/// Bytes that are read together.
const PART: usize = 1 << 18;

/// The file from its start, a part at a time.
pub(super) fn parts(file: File) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    use std::io::Seek;
    futures_util::stream::try_unfold((file, false), |(mut file, begun)| async move {
        let read = tokio::task::spawn_blocking(move || {
            if !begun {
                file.rewind()?;
            }
            let mut part = Vec::with_capacity(PART);
            file.by_ref().take(PART as u64).read_to_end(&mut part)?;
            Ok::<_, std::io::Error>((file, part))
        });
        let (file, part) = read.await.map_err(std::io::Error::other)??;
        Ok((!part.is_empty()).then(|| (Bytes::from(part), (file, true))))
    })
}
