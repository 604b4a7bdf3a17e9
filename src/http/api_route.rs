//! 沿线: covers along a way that comes as a file, in its order.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::api_questions::Parameters;
use super::ask::{Asked, has_media_type};
use super::question::{
    FORMS, Form, Question, ask_map, collection, cover, degrees, millimeters, points, private,
};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::import::read_way;
use crate::questions::{MOST_BUFFER_M, MOST_POINTS, Route};

/// Bytes of a file: 100,000 points of a receiver with their times and heights.
const LARGEST: usize = 16 << 20;
const USUAL_BUFFER_M: f64 = 20.0;
const MEDIA_TYPES: [&str; 6] = [
    "application/gpx+xml",
    "application/geo+json",
    "application/json",
    "application/xml",
    "text/xml",
    "application/octet-stream",
];

pub(super) async fn follow_route(
    State(state): State<AppState>,
    Asked(asked): Parameters,
    mut request: Request,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["buffer_m"])?;
    let buffer_m = question.number("buffer_m", USUAL_BUFFER_M, 0.0..=MOST_BUFFER_M)?;
    let (many, form) = (question.many(1000, 5000)?, question.form(FORMS)?);
    if !MEDIA_TYPES.iter().any(|fits| has_media_type(request.headers(), fits)) {
        let refusal = Refusal::new("http.media_type").with("fits", MEDIA_TYPES.join(", "));
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    }
    DefaultBodyLimit::max(LARGEST).apply(&mut request);
    let bytes = Bytes::from_request(request, &state)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
    let read = tokio::task::spawn_blocking(move || Route::new(&read_way(&bytes, MOST_POINTS)?));
    let route = read.await.map_err(|_| Problem::broken())??;
    let said = ask_map(&state, &question.filters, move |_, reader, search| {
        let passed = route.passes(search, buffer_m)?;
        let covers: Vec<Value> = passed
            .iter()
            .take(many)
            .map(|one| {
                let more = json!({"along_m": millimeters(one.along_m), "offset_m": millimeters(one.offset_m),
                    "side": one.side.as_str(), "passes": one.passes, "foot": degrees(one.foot)});
                cover(reader, &one.row, more)
            })
            .collect();
        Ok(match form {
            Form::Json => {
                json!({"length_m": millimeters(route.length_m()), "parts": route.parts(), "buffer_m": buffer_m,
                "matched": passed.len(), "covers": covers})
            }
            _ => collection(points(covers)),
        })
    });
    Ok(private(form, said.await?.to_string()))
}
