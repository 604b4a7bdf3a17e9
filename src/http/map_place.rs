//! A place in the systems that engineers and drivers need it in, and as links into the maps of others.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Asked;
use super::edit_fields::crs_book;
use super::forms::shortened;
use super::{AppState, Problem};
use crate::config::MapSettings;
use crate::crs::{Crs, CrsBook, gcj02_to_bd09, wgs84_to_gcj02};
use crate::domain::Refusal;

/// The grids of 3 degrees without a number before the easting, from 75° E on.
const ZONES: std::ops::RangeInclusive<u32> = 4534..=4554;
const FIRST_MERIDIAN: f64 = 75.0;
/// Degrees, for files; in the order in which people choose.
const DEGREES: [&str; 3] = ["EPSG:4490", "EPSG:4326", "EPSG:3857"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    lon: String,
    lat: String,
}

/// The grid of a place: the city's own where it names one and the place lies in it, else its zone of 3 degrees; `None`
/// outside China's zones.
fn grid(book: &CrsBook, map: &MapSettings, lon: f64, lat: f64) -> Option<(Crs, f64, f64)> {
    let own = (!map.crs.is_empty()).then(|| book.named(&map.crs).ok()).flatten();
    let number = ((lon - FIRST_MERIDIAN) / 3.0).round();
    let zone =
        (0.0..=20.0).contains(&number).then(|| book.find(ZONES.start() + number as u32).ok()).flatten();
    own.into_iter().chain(zone).find_map(|crs| {
        let is_inside = crate::crs::covers(crs.area(), lon, lat);
        let (east, north) = is_inside.then(|| crs.to_grid(lon, lat)).flatten()?;
        Some((crs, east, north))
    })
}

/// The systems in which files may be wanted, as code and name: degrees, the city's own grid, the zones around its covers.
pub(super) fn systems(book: &CrsBook, map: &MapSettings, middle: Option<[f64; 2]>) -> Vec<Value> {
    let own = Some(map.crs.as_str()).filter(|crs| !crs.is_empty()).map(str::to_owned);
    let zones = ZONES.map(|code| format!("EPSG:{code}"));
    let near = |name: &String| {
        let crs = book.named(name).ok();
        crs.is_some_and(|crs| middle.is_none_or(|[lon, lat]| crate::crs::covers(crs.area(), lon, lat)))
    };
    let names = DEGREES.map(str::to_owned).into_iter().chain(own).chain(zones.filter(near));
    names
        .filter_map(|name| Some(json!({"code": name, "name": book.named(&name).ok()?.to_string()})))
        .collect()
}

fn degrees(text: &str, field: &'static str, most: f64) -> Result<f64, Refusal> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.abs() <= most);
    number.ok_or_else(|| Refusal::new("position.unreadable").at(field).with("read", shortened(text)))
}

pub(super) async fn find_place(
    State(state): State<AppState>,
    Asked(asking): Asked<Asking>,
) -> Result<Response, Problem> {
    let lon = degrees(&asking.lon, "lon", 180.0).map_err(Problem::bad_request)?;
    let lat = degrees(&asking.lat, "lat", 90.0).map_err(Problem::bad_request)?;
    let place = |(lon, lat): (f64, f64)| json!({"lon": lon, "lat": lat});
    let gcj02 = wgs84_to_gcj02(lon, lat);
    let bd09 = gcj02_to_bd09(gcj02.0, gcj02.1);
    let mut answer = json!({
        "wgs84": place((lon, lat)), "gcj02": place(gcj02), "bd09": place(bd09), "links": links(gcj02, bd09),
    });
    if let Some((crs, east, north)) = grid(&crs_book(&state).await?, &state.config.map, lon, lat) {
        answer["grid"] = json!({"name": crs.to_string(), "east": east, "north": north});
    }
    Ok(Json(answer).into_response())
}

/// A pin at the place, as each of these maps documents it, in its own coordinates.
fn links((lon, lat): (f64, f64), (bd_lon, bd_lat): (f64, f64)) -> Value {
    json!([
        {"map": "amap", "address": format!("https://uri.amap.com/marker?position={lon:.6},{lat:.6}&coordinate=gaode&src=lidmark")},
        {"map": "tencent", "address": format!(
            "https://apis.map.qq.com/uri/v1/marker?marker=coord:{lat:.6},{lon:.6};title:Lidmark&coord_type=2&referer=lidmark"
        )},
        {"map": "baidu", "address": format!(
            "https://api.map.baidu.com/marker?location={bd_lat:.6},{bd_lon:.6}&title=Lidmark&content=Lidmark&coord_type=bd09ll&output=html&src=lidmark"
        )},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_the_citys_grid_and_elsewhere_in_its_zone() {
        let book = CrsBook::built_in();
        let told = |map: &MapSettings, lon, lat| {
            grid(&book, map, lon, lat).map(|(crs, east, north)| (crs.code().unwrap(), east, north))
        };
        let (code, east, north) = told(&MapSettings::default(), 118.59, 37.46).unwrap();
        // On the meridian of 117° E the easting would be 500 km; a degree here is about 88.5 km.
        assert!(code == 4549 || code == 4548, "{code}");
        let back = book.find(code).unwrap().to_degrees(east, north).unwrap();
        assert!((back.0 - 118.59).abs() < 1e-9 && (back.1 - 37.46).abs() < 1e-9, "{back:?}");
        let own = MapSettings { crs: "CM:118.5".into(), ..MapSettings::default() };
        let (code, east, _) = told(&own, 118.59, 37.46).unwrap();
        assert!(code > 10_000_000 && (500_000.0..510_000.0).contains(&east), "{code} {east}");
        assert_eq!(told(&own, 104.06, 30.66).unwrap().0, 4544, "far from the city's grid: CM 105E");
        assert!(told(&own, -72.5, 44.2).is_none(), "Vermont has no zone");
    }

    #[test]
    fn the_systems_of_files_are_those_of_the_place() {
        let names = |middle| -> Vec<String> {
            let all = systems(&CrsBook::built_in(), &MapSettings::default(), middle);
            all.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            names(Some([118.59, 37.46])),
            ["EPSG:4490", "EPSG:4326", "EPSG:3857", "EPSG:4548", "EPSG:4549"]
        );
        assert_eq!(names(None).len(), 24);
    }
}
