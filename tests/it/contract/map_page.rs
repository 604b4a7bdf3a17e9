//! The engineers' map: its shell, its library, places in several systems, and what lies beside the covers.

use lidmark::domain::role::Role;

use super::house::{As, House};

const NOBODY: As = As::Nobody;
const ENGINEER: As = As::Staff(Role::Engineer);
const CREW: As = As::Staff(Role::Crew);

const TILE: &[u8] = b"a picture of the world";

/// A ground with one tile: the header of PMTiles 3, a plain directory of one entry, the tile.
fn ground() -> Vec<u8> {
    let directory = [1, 0, 1, TILE.len() as u8, 1];
    let (root, length) = (127_u64, directory.len() as u64);
    let mut file = b"PMTiles\x03".to_vec();
    for number in [root, length, 0, 0, 0, 0, root + length, TILE.len() as u64, 1, 1, 1] {
        file.extend(number.to_le_bytes());
    }
    // Clustered, nothing packed, PNG, zoom 0 to 0.
    file.extend([1, 1, 1, 2, 0, 0]);
    file.resize(127, 0);
    file.extend(directory);
    file.extend(TILE);
    file
}

/// The page as files, and the answers that only the map asks for.
pub async fn map_page(house: &House) {
    std::fs::write(house.state.data.join("ground.pmtiles"), ground()).unwrap();
    let page = house.get(ENGINEER, "/map").expect(200).await;
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && !policy.contains("://"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let text = page.text();
    let lib = text.split("href=\"/map/lib/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    for (name, encoding) in
        [("maplibre-gl.mjs", "br"), ("maplibre-gl-worker.mjs", "gzip"), ("maplibre-gl.css", "")]
    {
        let path = format!("/map/lib/{lib}/{name}");
        let file = house.ask(NOBODY, "GET", &path).header("accept-encoding", encoding).expect(200).await;
        let told = if encoding.is_empty() { "identity" } else { encoding };
        assert_eq!(file.header("content-encoding"), Some(told), "{name}");
        assert!(file.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(file.header("content-security-policy"), Some(&*policy), "a worker is held to its own");
    }
    house.get(NOBODY, &format!("/map/lib/{lib}/maplibre-gl-worker.mjs?v=6.17.0")).expect(200).await;
    house.get(NOBODY, "/map/lib/0123456789abcdef/maplibre-gl.mjs").expect(404).await;
    for path in ["/map/main.js", "/map/map.css", "/map/words.json?lang=en"] {
        let file = house.get(NOBODY, path).expect(200).await;
        let etag = file.header("etag").unwrap();
        house.ask(NOBODY, "GET", path).header("if-none-match", etag).expect(304).await;
    }
    house.get(NOBODY, "/map/nothing.js").expect(404).await;
    house.get(NOBODY, "/map/words.json?lang=fr").expect(400).await;
    house.get(ENGINEER, "/map?x=1").expect(400).await;
    house.get(ENGINEER, "/map?class=storm,sewage&map=15/37.46/118.59&on=cases").expect(200).await;
    let tile = house.get(ENGINEER, "/tiles/base/0/0/0").expect(200).await;
    assert_eq!(tile.body, TILE);
    let etag = tile.header("etag").unwrap();
    house.ask(ENGINEER, "GET", "/tiles/base/0/0/0").header("if-none-match", etag).expect(304).await;
    house.get(ENGINEER, "/tiles/base/3/6/3").expect(204).await;
    house.get(ENGINEER, "/tiles/base/3/9/3").expect(400).await;

    let place = house.get(ENGINEER, "/api/v1/map/place?lon=118.59&lat=37.46").expect(200).await.json();
    // Golden values of the public formulas (src/crs/obfuscation.rs).
    assert!((place["gcj02"]["lon"].as_f64().unwrap() - 118.595_555).abs() < 1e-6, "{place}");
    assert!((place["bd09"]["lat"].as_f64().unwrap() - 37.466_492).abs() < 1e-6, "{place}");
    assert!(place["grid"]["name"].as_str().unwrap().contains("3-degree Gauss-Kruger"), "{place}");
    let amap = place["links"][0]["address"].as_str().unwrap();
    assert!(amap.contains("position=118.595555,37.460589"), "{amap}");
    let abroad = house.get(ENGINEER, "/api/v1/map/place?lon=-72.5&lat=44.2").expect(200).await.json();
    assert!(abroad.get("grid").is_none() && abroad["gcj02"] == abroad["wgs84"], "{abroad}");
    for wrong in ["lon=NaN&lat=1", "lon=181&lat=1", "lon=1&lat=inf", "lon=&lat=1", "lon=1"] {
        house.get(ENGINEER, &format!("/api/v1/map/place?{wrong}")).expect(400).await;
    }
}

/// Cases, tasks and sensors as points, once there are any.
pub async fn map_overlays(house: &House) {
    for (path, property) in [("cases", "number"), ("tasks", "kind"), ("sensors", "serial")] {
        let answer = house.get(ENGINEER, &format!("/api/v1/map/{path}")).expect(200).await.json();
        let first = &answer["features"][0];
        assert!(first["properties"][property].is_string(), "{path}: {answer}");
        assert!((first["geometry"]["coordinates"][0].as_f64().unwrap() - 118.6).abs() < 0.2, "{first}");
        house.get(ENGINEER, &format!("/api/v1/map/{path}?x=1")).expect(400).await;
    }
    let near = "near=118.59,37.46,10";
    let file = house.get(ENGINEER, &format!("/api/v1/map/export?format=csv&{near}")).expect(200).await;
    let listed = house.get(ENGINEER, &format!("/api/v1/map/covers?{near}")).expect(200).await.json();
    let lines = listed["matched"].as_u64().unwrap() as usize + 1;
    assert_eq!(file.text().lines().count(), lines, "a heading and these covers: {}", file.text());
    let all = house.get(ENGINEER, "/api/v1/map/export?format=geojson&crs=EPSG:4549").expect(200).await.json();
    assert!(all["features"].as_array().unwrap().len() > 3, "{all}");
    for wrong in ["format=csv&class=round", "class=storm", "format=csv&x=1", "format=csv&near=1"] {
        house.get(ENGINEER, &format!("/api/v1/map/export?{wrong}")).expect(400).await;
    }
    house.get(CREW, "/api/v1/map/export?format=csv").expect(403).await;
    house.get(CREW, "/api/v1/map/tasks").expect(403).await;
    house.get(ENGINEER, "/api/v1/map/tasks?cursor=x").expect(400).await;
    house.get(ENGINEER, "/api/v1/map/cases?cursor=0").expect(200).await;
}
