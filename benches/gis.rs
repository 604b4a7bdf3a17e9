//! What map programs ask of a million covers: pages of 1,000 features of a box against the same rows read by raw SQL and
//! written as JSON, tiles of every zoom, and counts by a filter.
//! `cargo bench --bench gis [-- --covers N] [--seconds N]`; `benches/peers.sh` runs it beside other servers over PostGIS.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lidmark::spatial::{BBox, TileId};
use serde_json::Value;
use sqlx::Row;
use support::{
    Connection, Running, free_port, get, lidmark, load, option, print, said, synthetic_city, verdict,
    wait_until_ready,
};

/// Zoom, tiles/s of Martin over PostGIS as issue 7 gives them for this kind of machine, and how many times that is wanted.
const MARTIN: [(u32, f64, f64); 3] = [(10, 2.4, 300.0), (14, 154.0, 10.0), (16, 1518.0, 5.0)];
/// Other servers of features, what their addresses need for GeoJSON, their pages of 1,000/s by the same issue, and how many
/// times that is wanted of one of them.
const PEERS: [(&str, &str, f64, f64); 2] =
    [("bbox-server", "", 50.0, 20.0), ("pygeoapi", "f=json&", 32.0, 100.0)];
const PLACES: usize = 48;
const CLIENTS: usize = 8;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let covers = option("--covers", 1_000_000);
    let time = Duration::from_secs(option("--seconds", 4));
    let folder = support::workshop();
    let data = synthetic_city(&folder, covers);
    let place = data.display().to_string();
    // A name is given once; the city outlives the run.
    let name = format!("bench {}", uuid::Uuid::new_v4());
    let token =
        said(&mut lidmark(&["token", "add", "--name", &name, "--login", "engineer", "--data", &place]));
    let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
    let server = lidmark(&["serve", "--listen", &address.to_string(), "--data", &place])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("cargo built it");
    let pid = server.id();
    let _server = Running(server);
    wait_until_ready(address, "/readyz").await;
    // The first sweep for covers that may be one runs beside the first minutes of a server.
    tokio::time::sleep(Duration::from_secs(option("--settle", 20))).await;
    let centers = centers(address).await;
    let boxes = boxes(address, &centers).await;
    let memory = |when: &str| {
        if let Some(megabytes) = resident_mb(pid) {
            let most = if covers > 1_000_000 { 1000.0 } else { 250.0 };
            verdict(
                &format!("memory of the server {when}"),
                megabytes,
                "MB",
                megabytes <= most,
                &format!("<= {most:.0}"),
            );
        }
    };
    memory("when the map is loaded");
    pages(address, &data, &boxes, time).await;
    tiles(address, &centers, time).await;
    filtered(address, &token, &centers, time).await;
    searched(address, &token).await;
    deep_pages(address, &token).await;
    memory("at the end of all this");
}

/// Where a peer listens, in `LIDMARK_BENCH_` and its name.
fn peer(name: &str) -> Option<SocketAddr> {
    let name = format!("LIDMARK_BENCH_{}", name.to_uppercase().replace('-', "_"));
    let told = std::env::var_os(name).and_then(|told| told.into_string().ok());
    told.map(|address| address.parse().expect("an address with a port"))
}

/// What a peer answers in a second, where there is one. The slow ones get ten seconds at least.
async fn of_peer(name: &str, paths: Vec<String>, time: Duration) -> Option<f64> {
    let address = peer(name)?;
    let time = time.max(Duration::from_secs(10));
    let requests: Vec<Vec<u8>> = paths.iter().map(|path| get(path, &[])).collect();
    let there = load(address, CLIENTS, time, None, 200, move |who, turn| {
        requests[(who * 7 + turn) % requests.len()].clone()
    })
    .await;
    assert_eq!(there.failed, 0, "{name}: answers other than 200");
    print(&format!(
        "{name}: {:.1}/s, p50 {:.1} ms, p99 {:.1} ms",
        there.per_second, there.p50_ms, there.p99_ms
    ));
    Some(there.per_second)
}

/// What a figure of a peer stands on.
fn origin(measured: Option<f64>) -> &'static str {
    if measured.is_some() { "in this run" } else { "as given" }
}

async fn ask(address: SocketAddr, path: &str) -> Value {
    let mut connection = Connection::open(address).await.expect("it is ready");
    let status = connection.ask(&get(path, &[])).await.expect("it answers");
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(connection.body()).expect("JSON")
}

/// Places of covers all over the city.
async fn centers(address: SocketAddr) -> Vec<(f64, f64)> {
    let all = ask(address, "/ogc/collections/covers/items?limit=1").await["numberMatched"]
        .as_u64()
        .expect("a count");
    let mut centers = Vec::new();
    for at in 0..PLACES as u64 {
        let offset = at * all / PLACES as u64;
        let page = ask(address, &format!("/ogc/collections/covers/items?limit=1&offset={offset}")).await;
        let place = &page["features"][0]["geometry"]["coordinates"];
        centers.push((place[0].as_f64().expect("degrees"), place[1].as_f64().expect("degrees")));
    }
    centers
}

/// Around each center a box of about a thousand covers.
async fn boxes(address: SocketAddr, centers: &[(f64, f64)]) -> Vec<[f64; 4]> {
    let mut boxes = Vec::new();
    for (lon, lat) in centers {
        let mut half = 0.005;
        for _ in 0..6 {
            let query = format!("{},{},{},{}", lon - half, lat - half, lon + half, lat + half);
            let page = ask(address, &format!("/ogc/collections/covers/items?limit=1&bbox={query}")).await;
            let count = page["numberMatched"].as_f64().expect("a count").max(1.0);
            half *= (1000.0 / count).sqrt().clamp(0.3, 3.0);
        }
        boxes.push([lon - half, lat - half, lon + half, lat + half]);
    }
    boxes
}

async fn pages(address: SocketAddr, data: &Path, boxes: &[[f64; 4]], time: Duration) {
    let requests: Vec<Vec<u8>> = boxes
        .iter()
        .map(|[west, south, east, north]| {
            get(&format!("/ogc/collections/covers/items?limit=1000&bbox={west},{south},{east},{north}"), &[])
        })
        .collect();
    let here = load(address, CLIENTS, time, None, 200, move |who, turn| {
        requests[(who * 7 + turn) % requests.len()].clone()
    })
    .await;
    assert_eq!(here.failed, 0, "answers other than 200");
    let raw = raw_pages(data, boxes, time).await;
    print(&format!(
        "items?bbox of 1,000 features: {:.0}/s (p50 {:.2} ms, p99 {:.2} ms); raw SQL and JSON: {raw:.0}/s",
        here.per_second, here.p50_ms, here.p99_ms
    ));
    let ratio = here.per_second / raw;
    verdict("items?bbox: share of raw SQL and JSON of the same rows", ratio, "", ratio >= 0.5, ">= 0.5");
    for (name, form, given, bar) in PEERS {
        let paths = boxes.iter().map(|[west, south, east, north]| {
            format!("/collections/covers/items?{form}limit=1000&bbox={west},{south},{east},{north}")
        });
        let measured = of_peer(name, paths.collect(), time).await;
        let times = here.per_second / measured.unwrap_or(given);
        let what = format!("items?bbox: times {name} {}", origin(measured));
        verdict(&what, times, "", times >= bar, &format!(">= {bar}"));
    }
}

/// The same rows by SQL of their ranges, written as text; as many at once as there are clients.
async fn raw_pages(data: &Path, boxes: &[[f64; 4]], time: Duration) -> f64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("lidmark.db")).read_only(true);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
    let pool = pool.expect("the city's database opens");
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|who| {
            let (pool, boxes, done) = (pool.clone(), boxes.to_vec(), done.clone());
            tokio::spawn(async move {
                let mut turn = who * 7;
                while start.elapsed() < time {
                    let text = raw_page(&pool, boxes[turn % boxes.len()]).await;
                    assert!(text.len() > 10_000, "a page of {} bytes", text.len());
                    turn += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("nobody panics");
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

async fn raw_page(pool: &sqlx::SqlitePool, [west, south, east, north]: [f64; 4]) -> String {
    let ranges = BBox::new(west, south, east, north).expect("a box").key_ranges();
    let keys: Vec<String> =
        ranges.iter().map(|range| format!("h.quadkey BETWEEN {} AND {}", range.first, range.last)).collect();
    let sql = format!(
        "SELECT c.code, c.class, c.state, h.district, h.road, o.name, h.lon, h.lat FROM manholes h
         JOIN covers c ON c.manhole_id = h.id AND c.retired_at IS NULL LEFT JOIN parties o ON o.id = c.owner_id
         WHERE ({}) AND h.lon BETWEEN {west} AND {east} AND h.lat BETWEEN {south} AND {north} LIMIT 1000",
        keys.join(" OR ")
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.expect("it reads");
    let mut text = String::from("{\"type\":\"FeatureCollection\",\"features\":[");
    for row in rows {
        let word = |at: usize| serde_json::to_string(&row.get::<Option<String>, _>(at)).expect("text");
        write!(
            text,
            "{{\"type\":\"Feature\",\"id\":{},\"geometry\":{{\"type\":\"Point\",\"coordinates\":[{},{}]}},\"properties\":\
             {{\"code\":{},\"class\":{},\"state\":{},\"district\":{},\"road\":{},\"owner\":{}}}}},",
            word(0), row.get::<f64, _>(6), row.get::<f64, _>(7), word(0), word(1), word(2), word(3), word(4), word(5)
        )
        .expect("a String takes all text");
    }
    text
}

async fn tiles(address: SocketAddr, centers: &[(f64, f64)], time: Duration) {
    for zoom in [0, 4, 8, 10, 12, 13, 14, 15, 16] {
        let requests: Vec<Vec<u8>> = centers
            .iter()
            .map(|(lon, lat)| {
                let tile = TileId::at(*lon, *lat, zoom);
                get(&format!("/tiles/covers/{zoom}/{}/{}", tile.x(), tile.y()), &[])
            })
            .collect();
        let here = load(address, CLIENTS, time.div_f64(2.0), None, 200, move |who, turn| {
            requests[(who * 7 + turn) % requests.len()].clone()
        })
        .await;
        assert_eq!(here.failed, 0, "answers other than 200");
        print(&format!("tiles of zoom {zoom}: {:.0}/s, p50 {:.2} ms", here.per_second, here.p50_ms));
        verdict(&format!("tiles of zoom {zoom}: p99"), here.p99_ms, "ms", here.p99_ms <= 20.0, "<= 20");
        if let Some((_, given, bar)) = MARTIN.iter().find(|(of, ..)| *of == zoom) {
            let paths = centers.iter().map(|(lon, lat)| {
                let tile = TileId::at(*lon, *lat, zoom);
                format!("/covers/{zoom}/{}/{}", tile.x(), tile.y())
            });
            let measured = of_peer("martin", paths.collect(), time).await;
            let times = here.per_second / measured.unwrap_or(*given);
            let what = format!("tiles of zoom {zoom}: times Martin {}", origin(measured));
            verdict(&what, times, "", times >= *bar, &format!(">= {bar}"));
        }
    }
}

/// What a change of the filter costs the map: its counts, the first rows, and the tiles in view, one after the other. The first
/// look asks every cover, later ones share what it found.
async fn filtered(address: SocketAddr, token: &str, centers: &[(f64, f64)], time: Duration) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut slowest_first: f64 = 0.0;
    for filter in [
        "load_class=D400&class=sewage",
        "filter=road%20LIKE%20%27%25%E8%B7%AF%27%20AND%20NOT%20has_plate",
        "completeness_to=60&open_case=false",
        "filter=installed%20%3C%202010%20AND%20S_INTERSECTS(geometry,BBOX(118,37,119,38))",
        "material=cast_iron&has_plate=true",
        "text=%E8%B7%AF",
    ] {
        let (lon, lat) = centers[centers.len() / 2];
        let tile = TileId::at(lon, lat, 11);
        let mut paths =
            vec![format!("/api/v1/map/summary?{filter}"), format!("/api/v1/map/covers?{filter}&limit=200")];
        paths.extend((0..6).map(|at| {
            format!("/tiles/staff/covers/11/{}/{}?{filter}", tile.x() + at % 3 - 1, tile.y() + at / 3)
        }));
        let mut connection = Connection::open(address).await.expect("it is ready");
        let (mut waits, mut summaries) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while start.elapsed() < time {
            let begun = Instant::now();
            for (at, path) in paths.iter().enumerate() {
                let asked = Instant::now();
                let status = connection.ask(&get(path, &headers)).await.expect("it answers");
                assert!(matches!(status, 200 | 204), "{path}: {status}");
                if at == 0 {
                    summaries.push(asked.elapsed().as_secs_f64() * 1000.0);
                }
            }
            waits.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        slowest_first = slowest_first.max(waits[0]);
        print(&format!(
            "{filter}: counts {:.0} ms at first, then {:.0} ms; counts, 200 rows and six tiles {:.0} ms at first",
            summaries[0],
            support::median(summaries.clone()),
            waits[0],
        ));
        let whole = support::median(waits);
        let what = "a filter again: counts, rows and tiles, one after the other";
        verdict(what, whole, "ms", whole <= 200.0, "<= 200");
    }
    let what = "a filter never asked before, the slowest of six";
    verdict(what, slowest_first, "ms", slowest_first <= 200.0, "<= 200");
}

/// What the search box costs by code, by the beginning of one, by a part of a road, with a slip and by initials.
async fn searched(address: SocketAddr, token: &str) {
    let page = ask(address, "/ogc/collections/covers/items?limit=1&offset=5000").await;
    let said = |name: &str| page["features"][0]["properties"][name].as_str().unwrap_or_default().to_owned();
    let (code, road) = (said("code"), said("road"));
    let mut slipped: Vec<char> = road.chars().collect();
    let last = slipped.len().saturating_sub(1);
    slipped.swap(0, last);
    let slipped: String = slipped.into_iter().collect();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut worst: f64 = 0.0;
    for typed in [code.as_str(), &code[..9], &road, &slipped, "hhl", "zzzz"] {
        let encoded: String = typed.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = get(&format!("/api/v1/search?q={encoded}"), &headers);
        let mut connection = Connection::open(address).await.expect("it is ready");
        let mut waits = Vec::new();
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(connection.ask(&request).await.expect("it answers"), 200, "{typed}");
            waits.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        let median = support::median(waits);
        print(&format!("search for {typed}: {median:.1} ms"));
        worst = worst.max(median);
    }
    verdict("search, the slowest of six", worst, "ms", worst <= 50.0, "<= 50");
}

/// Pages of 1,000 by the cursor: what the first one costs, and those that come deep behind it.
async fn deep_pages(address: SocketAddr, token: &str) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    for collection in ["covers", "manholes"] {
        let mut path = format!("/ogc/collections/{collection}/items?limit=1000");
        let mut connection = Connection::open(address).await.expect("it is ready");
        let mut waits = Vec::new();
        for _ in 0..200 {
            let asked = Instant::now();
            assert_eq!(connection.ask(&get(&path, &headers)).await.expect("it answers"), 200, "{path}");
            waits.push(asked.elapsed().as_secs_f64() * 1000.0);
            let page: Value = serde_json::from_slice(connection.body()).expect("JSON");
            let links = page["links"].as_array().expect("links");
            let Some(next) = links.iter().find(|link| link["rel"] == "next") else { break };
            let href = next["href"].as_str().expect("an address");
            path = href[href.find("/ogc").expect("ours")..].to_owned();
        }
        let (first, last) =
            (support::median(waits[..10].to_vec()), support::median(waits[waits.len() - 10..].to_vec()));
        print(&format!(
            "{collection}: pages 1 to 10 {first:.1} ms each, pages {} to {} {last:.1} ms",
            waits.len() - 9,
            waits.len()
        ));
    }
}

/// What a process holds in memory now.
fn resident_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
