//! The collection `districts`: outlines of the city's districts. They are few, and read from the tables.

use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::crs::{System, Systems};
use super::features::{Links, with_system};
use super::{Asking, Collection, Incoming, pages, unknown_feature};
use crate::domain::area::{Area, AreaKind};
use crate::http::{AppState, Problem};
use crate::spatial::BBox;

/// Its properties; the code is the id as well.
pub(super) const PROPERTIES: &[&str] = &["code", "name_zh", "name_en"];

pub(super) const PARAMETERS: &[&str] =
    &["f", "limit", "offset", "bbox", "bbox-crs", "datetime", "crs", "code", "name_zh", "name_en"];

fn feature(area: &Area, system: &System) -> Value {
    let place = |[lon, lat]: &[f64; 2]| system.write((*lon, *lat));
    let ring = |ring: &Vec<[f64; 2]>| ring.iter().map(place).collect::<Option<Vec<_>>>();
    let part = |part: &Vec<Vec<[f64; 2]>>| part.iter().map(ring).collect::<Option<Vec<_>>>();
    let parts = area.shape.parts().iter().map(part).collect::<Option<Vec<_>>>();
    let geometry = parts.map(|parts| json!({"type": "MultiPolygon", "coordinates": parts}));
    json!({"type": "Feature", "id": area.code, "geometry": geometry,
        "properties": {"code": area.code, "name_zh": area.name_zh, "name_en": area.name_en}})
}

/// Whether its bounds meet a box.
fn meets(area: &Area, around: &BBox) -> bool {
    let [west, south, east, north] = area.shape.bounds();
    let across = if around.crosses_antimeridian() {
        east >= around.west() || west <= around.east()
    } else {
        west <= around.east() && east >= around.west()
    };
    across && south <= around.north() && north >= around.south()
}

pub(super) async fn items(state: &AppState, incoming: Incoming) -> Result<Response, Problem> {
    const PATH: &str = "/ogc/collections/districts/items";
    let asking = Asking::of(state, incoming, PARAMETERS).await?;
    let params = &asking.params;
    let systems = Systems::of(state);
    let system = params.system("crs", &systems)?;
    let (limit, offset) = (params.limit()?, params.offset()?);
    let within = params.bbox(&systems)?;
    super::question::check_datetime(params)?;
    let areas = state.registry.list_areas(AreaKind::District).await?;
    let is = |name: &str, value: &str| params.get(name).is_none_or(|wanted| wanted == value);
    let fits = |area: &&Area| {
        within.as_ref().is_none_or(|within| meets(area, &within.around))
            && is("code", &area.code)
            && is("name_zh", &area.name_zh)
            && is("name_en", &area.name_en)
    };
    let matched: Vec<&Area> = areas.iter().filter(fits).collect();
    let page: Vec<&Area> = matched.iter().skip(offset).take(limit).copied().collect();
    let mut links = asking.links(PATH).own("application/geo+json");
    let end = offset.saturating_add(limit);
    if end < matched.len() {
        let query = params.with("offset", Some(&end.to_string()));
        links.push(json!({"rel": "next", "type": "application/geo+json",
            "href": format!("{}{PATH}?{query}", asking.base)}));
    }
    let mut said = json!({"type": "FeatureCollection", "timeStamp": state.registry.now().to_rfc3339(),
        "numberMatched": matched.len(), "numberReturned": page.len(), "links": links});
    let response = match asking.media {
        super::Media::Json => {
            said["features"] = page.iter().map(|area| feature(area, &system)).collect();
            asking.dressed("application/geo+json", said.to_string().into_response())
        }
        super::Media::Html => {
            let rows: Vec<Vec<String>> = page
                .iter()
                .map(|area| vec![area.code.clone(), area.name_zh.clone(), area.name_en.clone()])
                .collect();
            let around = asking.reader.page(state, asking.session());
            let html =
                pages::features(&around, Collection::Districts, &said, PROPERTIES, &rows, &corners(&page));
            asking.dressed("text/html; charset=utf-8", Html(html).into_response())
        }
    };
    Ok(with_system(response, &system))
}

/// Points of outlines, for the small map of a page.
fn corners(areas: &[&Area]) -> Vec<[f64; 2]> {
    areas.iter().flat_map(|area| area.shape.parts().iter().flatten().flatten()).copied().collect()
}

pub(super) async fn item(state: &AppState, asking: &Asking, code: &str) -> Result<Response, Problem> {
    let system = asking.params.system("crs", &Systems::of(state))?;
    let areas = state.registry.list_areas(AreaKind::District).await?;
    let area = areas.iter().find(|area| area.code == code).ok_or_else(|| unknown_feature(code))?;
    let response = match asking.media {
        super::Media::Json => {
            let path = format!("/ogc/collections/districts/items/{code}");
            let mut said = feature(area, &system);
            let mut links = Links::new(&asking.base, &path, &asking.params).own("application/geo+json");
            links.push(asking.link_to(Collection::Districts));
            said["links"] = links.into();
            asking.dressed("application/geo+json", said.to_string().into_response())
        }
        super::Media::Html => {
            let facts = [("code", &area.code), ("name_zh", &area.name_zh), ("name_en", &area.name_en)];
            let facts = facts.map(|(name, value)| (name, value.clone()));
            let around = asking.reader.page(state, asking.session());
            let html = pages::feature(&around, Collection::Districts, code, &facts, &corners(&[area]));
            asking.dressed("text/html; charset=utf-8", Html(html).into_response())
        }
    };
    Ok(with_system(response, &system))
}
