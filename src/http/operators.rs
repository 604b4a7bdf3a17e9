//! For those who run the server: is it alive, is it ready, how much of what.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::{Asked, Nothing};
use super::{AppState, Problem};

/// Requests by class of status, time spent, scans of tokens that were never made.
#[derive(Default)]
pub(super) struct Counters {
    by_class: [AtomicU64; 6],
    micros: AtomicU64,
    unknown_tokens: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).min(5);
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(duration.as_micros() as u64, Ordering::Relaxed);
    }

    pub(super) fn count_unknown_token(&self) {
        self.unknown_tokens.fetch_add(1, Ordering::Relaxed);
    }
}

fn text(body: impl Into<axum::body::Body>, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body.into()).into_response()
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// The process answers.
pub(super) async fn healthz(_: Asked<Nothing>) -> Response {
    text("ok\n", PLAIN)
}

/// The database answers.
pub(super) async fn readyz(State(state): State<AppState>, _: Asked<Nothing>) -> Result<Response, Problem> {
    match state.registry.last_change().await {
        Ok(_) => Ok(text("ready\n", PLAIN)),
        Err(error) => {
            tracing::error!(error = ?error, "not ready");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "http.not_ready"))
        }
    }
}

pub(super) async fn metrics(State(state): State<AppState>, _: Asked<Nothing>) -> Result<Response, Problem> {
    let mut out = String::new();
    let counts = state.registry.counts().await?;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# TYPE lidmark_covers gauge\nlidmark_covers {}", counts.covers);
    for (name, rows) in [("lidmark_plates", counts.plates), ("lidmark_cases", counts.cases)] {
        let _ = writeln!(out, "# TYPE {name} gauge");
        for (state, count) in rows {
            let _ = writeln!(out, "{name}{{state=\"{state}\"}} {count}");
        }
    }
    let _ = writeln!(out, "# TYPE lidmark_receiver_events gauge");
    for file in state.registry.list_receivers().await? {
        for (what, count) in [("behind", file.behind), ("waiting", file.waiting), ("dead", file.dead)] {
            let id = file.receiver.id;
            let _ = writeln!(out, "lidmark_receiver_events{{receiver=\"{id}\",state=\"{what}\"}} {count}");
        }
    }
    let counters = &state.shared.counters;
    let _ = writeln!(out, "# TYPE lidmark_requests_total counter");
    for (class, count) in counters.by_class.iter().enumerate().skip(1) {
        let _ =
            writeln!(out, "lidmark_requests_total{{class=\"{class}xx\"}} {}", count.load(Ordering::Relaxed));
    }
    let seconds = counters.micros.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(
        out,
        "# TYPE lidmark_request_seconds_total counter\nlidmark_request_seconds_total {seconds}"
    );
    let unknown = counters.unknown_tokens.load(Ordering::Relaxed);
    let _ =
        writeln!(out, "# TYPE lidmark_unknown_tokens_total counter\nlidmark_unknown_tokens_total {unknown}");
    let _ = writeln!(
        out,
        "# TYPE lidmark_snapshot_version gauge\nlidmark_snapshot_version {}",
        state.snapshot.version()
    );
    Ok(text(out, "text/plain; version=0.0.4; charset=utf-8"))
}

/// The contract.
pub(super) async fn openapi(_: Asked<Nothing>) -> Response {
    text(include_str!("../../openapi.yaml"), "application/yaml")
}

/// Plates and tracking addresses are for people who stand before them, not for search engines.
pub(super) async fn robots(_: Asked<Nothing>) -> Response {
    text("User-agent: *\nAllow: /$\nDisallow: /\n", PLAIN)
}
