//! The map of a day that is over, and what changed between two days.

use lidmark::domain::role::Role;
use lidmark::spatial::TileId;
use serde_json::{Value, json};

use super::house::{As, House};
use crate::both_engines;

const ENGINEER: As = As::Staff(Role::Engineer);
const DAY_MS: i64 = 86_400_000;

async fn pass_day(house: &House) {
    house.town.clock.fetch_add(DAY_MS, std::sync::atomic::Ordering::Relaxed);
}

async fn read(house: &House, path: &str) -> Value {
    house.get(ENGINEER, path).expect(200).await.json()
}

async fn change(house: &House, code: &str, what: &str, body: Value) {
    let path = format!("/api/v1/covers/{code}{what}");
    let seen = house.get(ENGINEER, &path.replace(what, "")).expect(200).await;
    let tag = seen.header("etag").unwrap();
    let method = if what.is_empty() { "PATCH" } else { "POST" };
    house.ask(ENGINEER, method, &path).keyed().header("if-match", tag).json(body).expect(200).await;
}

fn cover<'a>(page: &'a Value, code: &str) -> &'a Value {
    page["covers"].as_array().unwrap().iter().find(|cover| cover["code"] == code).unwrap_or(&Value::Null)
}

both_engines! {
    async fn a_day_that_is_over_is_shown_as_it_was(ground: Ground) {
        let house = House::on(ground).await;
        let [broken, moved, gone] = [house.code(0).await, house.code(1).await, house.code(2).await];
        let place = read(&house, &format!("/api/v1/covers/{moved}")).await["position"]["lon"].as_f64().unwrap();
        pass_day(&house).await;
        change(&house, &broken, "", json!({"set": {"state": "broken", "material": "composite"}})).await;
        let away = json!({"x": 118.6, "y": 37.47, "accuracy_m": 0.02, "method": "rtk"});
        change(&house, &moved, "", json!({"set": {"position": away}, "reason": "surveyed anew"})).await;
        let away = json!({"retire_reason": "removed", "reason": "the shaft is gone", "plates": "withdrawn"});
        change(&house, &gone, "/retire", away).await;
        let census = "source_key,district,class,state,lon,lat,road\nn1,370502,gas,intact,118.61,37.46,东四路\n";
        let address = "/api/v1/imports?source=street&profile=lidmark-csv&scheme=component-16";
        house.post(ENGINEER, address).body("text/csv", census).expect(200).await;
        pass_day(&house).await;
        house.reload_map().await;

        let monday = read(&house, "/api/v1/map/covers?at=2026-03-02").await;
        assert_eq!(monday["matched"], 6, "{monday}");
        assert_eq!(cover(&monday, &broken)["state"], "intact");
        assert_eq!(cover(&monday, &gone)["has_plate"], true);
        assert!((cover(&monday, &moved)["lon"].as_f64().unwrap() - place).abs() < 1e-9, "{monday}");
        let tuesday = read(&house, "/api/v1/map/covers?at=2026-03-03").await;
        assert_eq!((&tuesday["matched"], &cover(&tuesday, &broken)["state"]), (&json!(6), &json!("broken")));
        assert_eq!(cover(&tuesday, &gone), &Value::Null);
        assert_eq!(tuesday, read(&house, "/api/v1/map/covers").await, "since then nothing changed");
        assert_eq!(tuesday, read(&house, "/api/v1/map/covers?at=2026-03-04").await, "today is now");
        assert_eq!(monday, read(&house, "/api/v1/map/covers?at=2026-03-02T23:00:00%2B08:00").await);
        for (at, matched) in [("2026-03-01", 0), ("2026-03-02T08:00:00Z", 6)] {
            let sums = read(&house, &format!("/api/v1/map/summary?at={at}")).await;
            assert_eq!(sums["matched"], matched, "{at}");
        }
        let sums = read(&house, "/api/v1/map/summary?at=2026-03-02&state=broken").await;
        assert_eq!(sums["matched"], 0, "{sums}");

        let tile = TileId::at(118.59, 37.46, 14);
        let path = format!("/tiles/staff/covers/14/{}/{}", tile.x(), tile.y());
        let then = house.get(ENGINEER, &format!("{path}?at=2026-03-02")).expect(200).await;
        assert_eq!(then.header("cache-control"), Some("private, max-age=3600"));
        let now = house.get(ENGINEER, &path).expect(200).await;
        assert_eq!(now.header("cache-control"), Some("private, no-cache"));
        assert_ne!(then.body, now.body);
        let known = then.header("etag").unwrap();
        let again = house.get(ENGINEER, &format!("{path}?at=2026-03-02"));
        again.header("if-none-match", known).expect(304).await;
        let public = format!("/tiles/covers/14/{}/{}?at=2026-03-02", tile.x(), tile.y());
        assert_eq!(house.get(As::Nobody, &public).expect(400).await.code(), "http.query");
        house.get(As::Nobody, "/tiles/covers.json?at=2026-03-02").expect(400).await;

        let file = house.get(ENGINEER, "/api/v1/map/export?format=csv&at=2026-03-02").expect(200).await.text();
        assert_eq!(file.lines().count(), 7, "{file}");
        assert!(file.contains(&gone) && !file.contains("broken") && !file.contains("东四路"), "{file}");
        let file = house.get(ENGINEER, "/api/v1/map/export?format=csv&at=2026-03-02&state=broken").expect(200).await;
        assert_eq!(file.text().lines().count(), 1);

        let days = "/api/v1/map/diff?from=2026-03-02&to=2026-03-03";
        let diff = read(&house, days).await;
        assert_eq!(diff["counts"], json!({"added": 1, "removed": 1, "moved": 1, "changed": 1}), "{diff}");
        let of = |kind: &str| diff["changes"].as_array().unwrap().iter().find(|one| one["kind"] == kind).unwrap();
        assert_eq!((&of("removed")["code"], &of("added")["class"]), (&json!(gone), &json!("gas")));
        let changed = of("changed");
        assert_eq!(changed["code"], *broken);
        assert_eq!(changed["fields"]["state"], json!({"before": "intact", "after": "broken"}));
        assert_eq!(changed["fields"]["material"], json!({"before": null, "after": "composite"}));
        let far = of("moved")["distance_m"].as_f64().unwrap();
        assert!((1300.0..1500.0).contains(&far), "{far}");
        assert_eq!(diff["changes"], read(&house, "/api/v1/map/diff?from=2026-03-02").await["changes"]);
        let layer = read(&house, &format!("{days}&f=geojson")).await;
        let lines = layer["features"].as_array().unwrap().iter().filter(|one| one["geometry"]["type"] == "LineString");
        assert_eq!(lines.count(), 1, "{layer}");
        let narrowed = read(&house, &format!("{days}&state=broken&f=geojson")).await;
        assert_eq!(narrowed["features"][0]["properties"]["state_before"], "intact", "{narrowed}");
        let first = read(&house, &format!("{days}&limit=3")).await;
        let next = first["next"].as_str().unwrap();
        let rest = read(&house, &format!("{days}&limit=3&cursor={next}")).await;
        assert_eq!((rest["changes"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
        assert_eq!(rest["counts"], diff["counts"]);
        let empty = read(&house, "/api/v1/map/diff?from=2026-03-03&to=2026-03-04").await;
        assert_eq!(empty["changes"], json!([]), "{empty}");

        for (wrong, code) in [
            ("covers?at=2026-03-05", "map.to_come"), ("covers?at=yesterday", "form.day"), ("covers?at=2026-03-02T99:00:00Z", "map.moment"),
            ("summary?at=9999-99-99", "form.day"), ("diff?to=2026-03-02", "form.missing"), ("diff?from=2026-03-03&to=2026-03-02", "map.diff_order"),
            ("diff?from=2026-03-02&f=xml", "map.diff_format"), ("diff?from=2026-03-02&at=2026-03-02", "http.query"),
            ("diff?from=2026-03-02&cursor=x", "ogc.cursor"), ("diff?from=2026-03-02&x=1", "http.query"),
        ] {
            assert_eq!(house.get(ENGINEER, &format!("/api/v1/map/{wrong}")).expect(400).await.code(), code, "{wrong}");
        }
        house.assert_faultless();
    }
}

/// What the long story asks: the registry of its first moment, and what became of it.
pub async fn map_past(house: &House) {
    house.reload_map().await;
    let diff = read(house, "/api/v1/map/diff?from=2026-03-01").await;
    let now = read(house, "/api/v1/map/summary").await;
    assert_eq!(diff["counts"]["added"], now["matched"], "{diff}");
    house.get(ENGINEER, "/map?at=2026-03-01&since=2026-02-01").expect(200).await;
}
