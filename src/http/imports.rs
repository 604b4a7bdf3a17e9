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
use crate::import::{Format, Told, TypedTold, WantedCrs, built_in_profiles, city_systems, find_built_in};
use crate::intake::{self, Body as FileBody, IntakeFile, Note, Reading};
use crate::registry::{CensusFile, ImportMode, ImportOptions, MATCH_RADIUS_M};

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
    };
    let told = Told::parse(typed).map_err(Problem::bad_request)?;
    let wanted = query.profile.as_deref().unwrap_or("lidmark-csv");
    let profile = find_built_in(wanted).ok_or_else(|| {
        let known: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.id).collect();
        let refusal = Refusal::new("profile.unknown").at("profile").with("read", shortened(wanted));
        Problem::bad_request(refusal.with("fits", known.join(", ")))
    })?;
    let profile = Arc::new(profile.with_book(city_systems(&state.data)?));
    let wanted = WantedCrs::parse(query.crs.as_deref(), &profile).map_err(Problem::bad_request)?;
    let dry_run = yes_or_no("dry_run", query.dry_run.as_deref())?;
    let mode = if dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let options = ImportOptions {
        source: query.source.unwrap_or_else(|| profile.id.clone()),
        scheme: query.scheme.clone().unwrap_or_else(|| state.config.scheme.clone()),
        mode,
        match_radius_m: MATCH_RADIUS_M,
        full: yes_or_no("full", query.full.as_deref())?,
        file: CensusFile::default(),
        actor: caller.actor(),
    };
    let _slot = state.shared.heavy_slots.acquire().await;
    let incoming = receive(&state, request.into_body()).await?;
    let format = Format::of_file(&incoming.path, &name).map_err(Problem::bad_request)?;
    let file = IntakeFile { name, format, body: FileBody::Path(incoming.path.clone()) };
    let reading =
        Reading { profile, schemes: Arc::new(state.registry.schemes()), scheme: query.scheme, told };
    let looked = intake::look_at(&reading, &file, &wanted).await?;
    let reading = Reading { profile: looked.profile.clone(), ..reading };
    let fingerprint = intake::fingerprint(std::slice::from_ref(&incoming.path), &reading, &options).await;
    let fingerprint = fingerprint.map_err(|error| super::problem::from_io(&error))?;
    let profile = reading.profile.id.clone();
    let file_name = format!("upload.{ending}");
    let census = CensusFile { name: file_name, profile, fingerprint: Some(fingerprint) };
    let mut run = state.registry.begin_import(ImportOptions { file: census, ..options }).await?;
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
    findings.coordinates = looked.coordinates().cloned();
    if let Some(coordinates) = &mut findings.coordinates {
        coordinates.say(|code, facts| catalogue.fill(&format!("evidence.{code}"), facts));
    }
    let summary = run.finish().await?;
    let answer = json!({
        "import": number, "summary": summary, "problems": problems, "understood": findings,
    });
    Ok(Json(answer).into_response())
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
