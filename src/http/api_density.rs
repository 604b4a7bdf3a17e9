//! 密度: covers a square kilometer of a district and a kilometer of road.

use std::cmp::Ordering;
use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::api_questions::Parameters;
use super::ask::{Asked, Reader};
use super::question::{FORMS, Form, Question, ask_map, collection, degrees, feature, private};
use super::{AppState, Problem};
use crate::domain::area::{Area, AreaKind};
use crate::messages::Language;
use crate::questions::{GAPS_M, RoadDensity, RoadOrder, USUAL_GAP_M, WIDTH_M, density, sum_districts};
use crate::spatial::{Reading, area_m2};

/// Shorter ones say nothing.
const LEAST_M: f64 = 200.0;

pub(super) async fn find_density(
    State(state): State<AppState>,
    reader: Reader,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["gap_m", "least_m", "order"])?;
    let gap_m = question.number("gap_m", USUAL_GAP_M, GAPS_M)?;
    let least_m = question.number("least_m", LEAST_M, 0.0..=100_000.0)?;
    let order = question.word::<RoadOrder>("order")?.unwrap_or(RoadOrder::Fewest);
    let (many, form) = (question.many(100, 1000)?, question.form(FORMS)?);
    let areas: HashMap<String, Area> = state
        .registry
        .list_areas(AreaKind::District)
        .await?
        .into_iter()
        .map(|area| (area.code.clone(), area))
        .collect();
    let is_chinese = reader.language == Language::Zh;
    let names: HashMap<String, String> = state
        .registry
        .list_districts()
        .await?
        .into_iter()
        .map(|district| (district.code, if is_chinese { district.name_zh } else { district.name_en }))
        .collect();
    let said = ask_map(&state, &question.filters, move |_, reader, search| {
        let (mut roads, covers) = density(search, gap_m);
        let districts = sum_districts(&roads, &covers);
        let words = reader.words();
        let mut told: Vec<(String, Value)> = districts
            .iter()
            .filter_map(|(number, sum)| {
                let code = words.district(*number)?;
                let area_km2 = areas.get(code).map(|area| area_m2(&area.shape) / 1e6);
                let road_km = sum.road_m / 1000.0;
                let figures = json!({"kind": "district", "district": code, "name": names.get(code), "covers": sum.covers,
                    "area_km2": area_km2.map(figure), "per_km2": area_km2.map(|area| figure(f64::from(sum.covers) / area)),
                    "roads": sum.roads, "road_km": figure(road_km), "covers_on_roads": sum.on_roads,
                    "per_road_km": (road_km > 0.0).then(|| figure(f64::from(sum.on_roads) / road_km))});
                Some((code.to_owned(), figures))
            })
            .collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        let counted = roads.len();
        roads.retain(|road| road.length_m.is_some_and(|length_m| length_m > 0.0 && length_m >= least_m));
        roads.sort_by(|one, other| compare(order, one, other));
        let matched = roads.len();
        let roads = roads.iter().take(many).map(|road| (road, tell(words, road)));
        Ok(match form {
            Form::Json => {
                let districts: Vec<Value> = told.into_iter().map(|(_, figures)| figures).collect();
                let roads: Vec<Value> = roads
                    .map(|(road, mut figures)| {
                        figures["lines"] = lines(road);
                        figures
                    })
                    .collect();
                json!({"method": "shortest_tree", "width_m": WIDTH_M, "gap_m": gap_m, "districts": districts,
                    "roads": roads, "matched": matched, "counted": counted})
            }
            _ => {
                let outlines = told.into_iter().map(|(code, figures)| {
                    let outline = areas
                        .get(&code)
                        .map(|area| json!({"type": "MultiPolygon", "coordinates": area.shape}));
                    feature(json!(outline), figures)
                });
                let lines = roads.map(|(road, figures)| {
                    feature(json!({"type": "MultiLineString", "coordinates": lines(road)}), figures)
                });
                collection(outlines.chain(lines).collect())
            }
        })
    });
    Ok(private(form, said.await?.to_string()))
}

fn compare(order: RoadOrder, one: &RoadDensity, other: &RoadDensity) -> Ordering {
    let per_km = |road: &RoadDensity| road.per_km().unwrap_or_default();
    let length = |road: &RoadDensity| road.length_m.unwrap_or_default();
    let longer = length(other).total_cmp(&length(one));
    let first = match order {
        RoadOrder::Fewest => per_km(one).total_cmp(&per_km(other)),
        RoadOrder::Most => per_km(other).total_cmp(&per_km(one)),
        RoadOrder::Longest => longer,
    };
    first.then(longer).then((one.district, one.road).cmp(&(other.district, other.road)))
}

fn tell(words: &Reading<'_>, road: &RoadDensity) -> Value {
    json!({"kind": "road", "road": words.road(road.road), "district": words.district(road.district), "covers": road.covers,
        "length_m": road.length_m.map(f64::round), "per_km": road.per_km().map(figure), "stretches": road.stretches,
        "bounds": road.bounds})
}

fn lines(road: &RoadDensity) -> Value {
    json!(road.lines.iter().map(|ends| ends.map(degrees)).collect::<Vec<_>>())
}

/// Three digits behind the point are more than any of this is good to.
fn figure(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
