//! 热点: where hazards are reported more often than chance explains.

use std::collections::{HashMap, HashSet};

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::api_questions::Parameters;
use super::ask::Asked;
use super::auth::Caller;
use super::question::{FORMS, Form, Question, ask_map, collection, degrees, feature, millimeters, private};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CoverId, Millis};
use crate::questions::{
    Cluster, Counted, HotSpots, LEVEL, Population, REPLICATES, ScanSettings, scan_hot_spots,
};
use crate::registry::HazardCount;
use crate::spatial::TileId;

const DAY_MS: i64 = 86_400_000;
/// Where no day is named.
const USUAL_DAYS: i64 = 365;
const USUAL_RADIUS_M: f64 = 1000.0;
/// The same question has the same answer.
const SEED: u64 = 20_261_129;

/// What was reported at one cover.
#[derive(Debug, Clone, Copy, Default)]
struct Reported {
    cases: i64,
    /// Whether the same hazard was reported there twice in the period, or a case was opened again.
    again: bool,
}

pub(super) async fn find_hot_spots(
    State(state): State<AppState>,
    caller: Caller,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["from", "until", "hazard", "count", "radius_m"])?;
    let hazard = question.word::<Hazard>("hazard")?;
    let counted = question.word::<Counted>("count")?.unwrap_or(Counted::Cases);
    let most_m = question.number("radius_m", USUAL_RADIUS_M, 100.0..=5000.0)?;
    let form = question.form(FORMS)?;
    let until = question.day(&state, "until", 1)?.unwrap_or(Millis(state.registry.now().0 + 1));
    let from = question.day(&state, "from", 0)?.unwrap_or(Millis(until.0 - USUAL_DAYS * DAY_MS));
    if from >= until {
        return Err(Problem::bad_request(Refusal::new("question.period").at("until")));
    }
    let counts = state.registry.count_hazards((from, until), hazard, &caller.actor()).await?;
    let said = ask_map(&state, &question.filters, move |_, _, search| {
        let (reported, placeless) = by_cover(&counts);
        let mut at_covers = Vec::new();
        let population = search.rows().map(|row| {
            let here = reported.get(&row.cover).copied().unwrap_or_default();
            let is_case = match counted {
                Counted::Cases => here.cases > 0,
                Counted::Recurring => here.again,
            };
            if here.cases > 0 {
                at_covers.push(((row.lon, row.lat), here));
            }
            Population { lon: row.lon, lat: row.lat, is_case }
        });
        let settings = ScanSettings { most_m, replicates: REPLICATES, seed: SEED };
        let found = scan_hot_spots(population, settings);
        let told = found.clusters.iter().map(|cluster| (outline(cluster), tell(&found, cluster, &at_covers)));
        if form == Form::GeoJson {
            let shape =
                |(outline, told)| feature(json!({"type": "MultiPolygon", "coordinates": outline}), told);
            return Ok(collection(told.map(shape).collect()));
        }
        let whole = |(outline, mut told): (Value, Value)| {
            told["outline"] = outline;
            told
        };
        let clusters: Vec<Value> = told.map(whole).collect();
        let sum = |of: fn(&Reported) -> i64| at_covers.iter().map(|(_, here)| of(here)).sum::<i64>();
        Ok(json!({
            "method": "kulldorff_poisson_scan",
            "source": "Kulldorff M. A spatial scan statistic. Communications in Statistics - Theory and Methods 26(6), 1997",
            "from": super::json::time(from), "until": super::json::time(until), "count": counted, "level": LEVEL,
            "replicates": found.replicates, "radius_m": most_m, "cells": found.cells, "zoom": found.zoom, "zones": found.zones,
            "covers": found.covers, "counted": found.cases, "covers_with_cases": at_covers.len(), "cases": sum(|here| here.cases),
            "recurring_covers": sum(|here| i64::from(here.again)), "cases_without_cover": placeless, "best_p": found.best_p,
            "clusters": clusters,
        }))
    });
    Ok(private(form, said.await?.to_string()))
}

/// What was reported at each cover, and how many cases lie at none.
fn by_cover(counts: &[HazardCount]) -> (HashMap<CoverId, Reported>, i64) {
    let (mut covers, mut placeless) = (HashMap::<CoverId, Reported>::new(), 0);
    for count in counts {
        let Some(cover) = count.cover else {
            placeless += count.cases;
            continue;
        };
        let here = covers.entry(cover).or_default();
        here.cases += count.cases;
        here.again |= count.cases > 1 || count.again > 0;
    }
    (covers, placeless)
}

fn tell(found: &HotSpots, cluster: &Cluster, at_covers: &[((f64, f64), Reported)]) -> Value {
    let tiles: HashSet<TileId> = cluster.tiles.iter().copied().collect();
    let inside =
        |((lon, lat), _): &&((f64, f64), Reported)| tiles.contains(&TileId::at(*lon, *lat, found.zoom));
    let (mut with_cases, mut cases, mut recurring) = (0, 0, 0);
    for (_, here) in at_covers.iter().filter(inside) {
        with_cases += 1;
        cases += here.cases;
        recurring += u32::from(here.again);
    }
    let round = |number: f64| (number * 1000.0).round() / 1000.0;
    let [lon, lat] = degrees((cluster.lon, cluster.lat));
    json!({"lon": lon, "lat": lat, "radius_m": millimeters(cluster.radius_m), "bounds": bounds(cluster),
        "covers": cluster.covers, "counted": cluster.cases, "expected": round(cluster.expected),
        "relative_risk": cluster.relative_risk.map(round), "log_likelihood": round(cluster.log_likelihood),
        "p": cluster.p, "covers_with_cases": with_cases, "cases": cases, "recurring_covers": recurring})
}

fn bounds(cluster: &Cluster) -> [f64; 4] {
    let everything = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    cluster.tiles.iter().map(|tile| tile.bounds().edges()).fold(
        everything,
        |all, [west, south, east, north]| {
            [all[0].min(west), all[1].min(south), all[2].max(east), all[3].max(north)]
        },
    )
}

/// Its cells, as the coordinates of a MultiPolygon.
fn outline(cluster: &Cluster) -> Value {
    let square = |tile: &TileId| {
        let [west, south, east, north] = tile.bounds().edges();
        [[[west, south], [east, south], [east, north], [west, north], [west, south]]]
    };
    json!(cluster.tiles.iter().map(square).collect::<Vec<_>>())
}
