//! Census files from programs: the body goes to a file first, then through the same intake as the
//! command line's.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Reader, has_media_type};
use super::auth::Caller;
use super::forms::shortened;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::import::{AUTO, Format, Told, TypedTold, WantedCrs};
use crate::intake::{self, FileAt, Note, Reading, Wish};
use crate::registry::{ImportMode, ImportOptions, MATCH_RADIUS_M, RegistryError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    source: Option<String>,
    profile: Option<String>,
    scheme: Option<String>,
    dry_run: Option<String>,
    full: Option<String>,
    encoding: Option<String>,
    delimiter: Option<String>,
    quoting: Option<String>,
    layer: Option<String>,
    crs: Option<String>,
    dates: Option<String>,
}

/// Media types of survey files, with the ending that tells what the content leaves open.
const MEDIA_TYPES: [(&str, &str); 12] = [
    ("text/csv", "csv"),
    ("text/tab-separated-values", "tsv"),
    ("application/geo+json", "geojson"),
    ("application/geo+json-seq", "geojsons"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/geopackage+sqlite3", "gpkg"),
    ("application/vnd.google-earth.kml+xml", "kml"),
    ("application/vnd.google-earth.kmz", "kmz"),
    ("application/zip", "zip"),
    ("application/octet-stream", "bin"),
];

/// Largest file by this door; larger ones come by the command line.
const LARGEST: usize = 256 << 20;
/// Bad rows that are named in the answer.
const NAMED: usize = 1000;

pub(super) async fn create_import(
    State(state): State<AppState>,
    caller: Caller,
    reader: Reader,
    Asked(query): Asked<ImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let ending = MEDIA_TYPES.iter().find(|(media_type, _)| has_media_type(request.headers(), media_type));
    let Some((_, ending)) = ending else {
        let fits: Vec<&str> = MEDIA_TYPES.iter().map(|(media_type, _)| *media_type).collect();
        let refusal = Refusal::new("http.media_type").with("fits", fits.join(", "));
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    };
    let name = format!("upload.{ending}");
    let typed = TypedTold {
        encoding: query.encoding.as_deref(),
        delimiter: query.delimiter.as_deref(),
        quoting: query.quoting.as_deref(),
        layer: query.layer.as_deref(),
        dates: query.dates.as_deref(),
    };
    let told = Told::parse(typed).map_err(Problem::bad_request)?;
    let dry_run = yes_or_no("dry_run", query.dry_run.as_deref())?;
    let wish = Wish {
        source: query.source,
        scheme: query.scheme,
        crs: query.crs,
        told,
        city_scheme: state.config.scheme.clone(),
        match_radius_m: MATCH_RADIUS_M,
        full: yes_or_no("full", query.full.as_deref())?,
    };
    let city = Arc::new(
        intake::city_of(
            Some(&state.registry),
            &state.data,
            &state.config.scheme,
            state.config.utc_offset_minutes,
        )
        .await?,
    );
    let wanted = query.profile.as_deref().unwrap_or(AUTO);
    // Refused before the body is taken.
    let profile = intake::find_profile(Some(&state.registry), &city, wanted).await.map_err(of_the_query)?;
    WantedCrs::parse(wish.crs.as_deref(), &profile).map_err(Problem::bad_request)?;
    let _slot = state.shared.heavy_slots.acquire().await;
    let incoming = receive(&state, request.into_body()).await?;
    let format = Format::of_file(&incoming.path, &name).map_err(Problem::bad_request)?;
    let files = [FileAt { path: incoming.path.clone(), name, format }];
    let by_name = (wanted, state.registry.schemes());
    let actor = caller.actor();
    let prepared =
        intake::prepare_by_name(Some(&state.registry), &city, by_name, &wish, &files, &actor).await?;
    let Some(look) = prepared.looks.first() else {
        return Err(Refusal::new("import.reader_stopped").into());
    };
    if look.profile.id == AUTO && wish.source.is_none() {
        // Every file has the same name here, and keys of two files must not meet.
        return Err(Refusal::new("import.source_needed").at("source").into());
    }
    let file = files[0].open();
    let census = prepared.census_file(&files).await.map_err(|error| super::problem::from_io(&error))?;
    let reading = Reading { profile: look.profile.clone(), ..prepared.reading.clone() };
    let mode = if dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let options = ImportOptions { mode, file: census, ..prepared.options.clone() };
    let mut run = state.registry.begin_import(options).await?;
    let number = run.number();
    let mut problems: Vec<Value> = Vec::new();
    let catalogue = reader.catalogue();
    let note = |note| {
        if let Note::Problem(problem) = note
            && problems.len() < NAMED
        {
            let mut shown = json!({
                "line": problem.line,
                "read": problem.read,
                "code": problem.refusal.code,
                "detail": catalogue.refusal(&problem.refusal),
            });
            if let Some(column) = problem.column {
                shown["column"] = json!(column);
            }
            problems.push(shown);
        }
    };
    let mut findings = intake::take_file(&mut run, &reading, file, note, |_| {}).await?;
    findings.coordinates = look.coordinates().cloned();
    if let Some(coordinates) = &mut findings.coordinates {
        coordinates.say(|code, facts| catalogue.fill(&format!("evidence.{code}"), facts));
    }
    let summary = run.finish().await?;
    let say = |code: &str, facts: &[(&str, &str)]| catalogue.mapping_note(code, facts);
    let mut columns = look.columns.clone();
    columns.iter_mut().for_each(|column| column.say(say));
    let answer = json!({
        "import": number, "summary": summary, "problems": problems, "understood": findings,
        "profile": {"name": look.profile.id, "version": look.profile.version}, "columns": columns,
    });
    Ok(Json(answer).into_response())
}

/// A profile that nobody knows is a bad query, not a missing page.
fn of_the_query(error: RegistryError) -> Problem {
    match error {
        RegistryError::Refused(refusal) => Problem::bad_request(refusal),
        error => error.into(),
    }
}

fn yes_or_no(field: &'static str, said: Option<&str>) -> Result<bool, Problem> {
    match said {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let refusal = Refusal::new("form.true_or_false").at(field).with("read", shortened(other));
            Err(Problem::bad_request(refusal))
        }
    }
}

/// An uploaded file; gone with the value.
struct Incoming {
    path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "an uploaded file stays behind");
        }
    }
}

/// Writes the body to a file, so that a slow sender holds neither memory nor the writer.
async fn receive(state: &AppState, body: Body) -> Result<Incoming, Problem> {
    let folder = state.data.join("incoming");
    std::fs::create_dir_all(&folder).map_err(|error| super::problem::from_io(&error))?;
    let path = folder.join(crate::domain::ids::IdempotencyKey::fresh().to_string());
    let mut file = std::fs::File::create(&path).map_err(|error| super::problem::from_io(&error))?;
    let incoming = Incoming { path };
    let mut stream = body.into_data_stream();
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request(Refusal::new("http.body_cut_off")))?;
        length += chunk.len();
        if length > LARGEST {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"));
        }
        file.write_all(&chunk).map_err(|error| super::problem::from_io(&error))?;
    }
    Ok(incoming)
}
