//! OGC API – Features as its clients use it: from the landing page by links, page by page, in every system; and
//! what a stranger must not see.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::domain::role::Role;
use lidmark::registry::CoverFilter;
use serde_json::Value;

use super::house::{As, House};

const NOBODY: As = As::Nobody;
const ENGINEER: As = As::Staff(Role::Engineer);
const ITEMS: &str = "/ogc/collections/covers/items";

pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

pub async fn get(house: &House, who: As, path: &str) -> Value {
    house.ask(who, "GET", path).expect(200).await.json()
}

fn link<'v>(said: &'v Value, rel: &str, media_type: &str) -> Option<&'v str> {
    let links = said["links"].as_array().unwrap();
    links.iter().find(|link| link["rel"] == rel && link["type"] == media_type)?["href"].as_str()
}

/// The path of a link of ours.
fn local(house: &House, href: &str) -> String {
    href.strip_prefix(&house.base).unwrap_or_else(|| panic!("{href} leads elsewhere")).to_owned()
}

/// Ids of all features, by following `next`.
pub async fn walk(house: &House, who: As, items: &str, query: &str) -> (u64, Vec<String>) {
    let mut path = format!("{items}?{query}");
    let (mut ids, mut matched) = (Vec::new(), None);
    loop {
        let page = get(house, who, &path).await;
        let features = page["features"].as_array().unwrap();
        assert_eq!(page["numberReturned"].as_u64(), Some(features.len() as u64));
        let count = page["numberMatched"].as_u64().unwrap();
        assert_eq!(*matched.get_or_insert(count), count, "every page counts alike");
        ids.extend(features.iter().map(|feature| feature["id"].as_str().unwrap().to_owned()));
        match link(&page, "next", "application/geo+json") {
            Some(next) => path = local(house, next),
            None => return (count, ids),
        }
    }
}

pub async fn ogc(house: &House) {
    house.reload_map().await;
    clients_find_their_way(house).await;
    pages_hold_each_feature_once(house).await;
    places_are_told_in_every_system(house).await;
    filters_say_what_the_rows_say(house).await;
    strangers_see_the_publish_list_alone(house).await;
    wrong_questions_are_refused(house).await;
}

async fn clients_find_their_way(house: &House) {
    let landing = get(house, NOBODY, "/ogc").await;
    for (rel, media_type) in [
        ("service-desc", "application/vnd.oai.openapi+json;version=3.0"),
        ("service-doc", "text/html"),
        ("conformance", "application/json"),
        ("data", "application/json"),
    ] {
        let href = link(&landing, rel, media_type).unwrap_or_else(|| panic!("no {rel}"));
        let answer = house.ask(NOBODY, "GET", &local(house, href)).expect(200).await;
        assert!(answer.header("content-type").unwrap().starts_with(media_type), "{rel}");
    }
    assert_eq!(
        get(house, NOBODY, "/ogc/").await["links"].as_array().unwrap().len(),
        landing["links"].as_array().unwrap().len()
    );
    let definition = get(house, NOBODY, "/ogc/api").await;
    let parameters = &definition["components"]["parameters"];
    assert_eq!(parameters["bbox"]["schema"]["minItems"], 4);
    assert_eq!(parameters["limit"]["schema"]["minimum"], 1);
    let classes = get(house, NOBODY, "/ogc/conformance").await;
    assert!(classes["conformsTo"].as_array().unwrap().len() > 15);
    assert_eq!(get(house, NOBODY, "/ogc/functions").await["functions"][0]["name"], "S_DWITHIN");
    let list = get(house, NOBODY, "/ogc/collections").await;
    for listed in list["collections"].as_array().unwrap() {
        let id = listed["id"].as_str().unwrap();
        let one = get(house, NOBODY, &format!("/ogc/collections/{id}")).await;
        assert_eq!(&one, listed, "alone it is as in the list");
        assert_eq!(listed["crs"][0], "http://www.opengis.net/def/crs/OGC/1.3/CRS84");
        assert!(link(listed, "items", "application/geo+json").is_some());
        let schema = get(house, NOBODY, &format!("/ogc/collections/{id}/queryables")).await;
        assert_eq!(schema["additionalProperties"], false);
        // Every resource is a page as well.
        for tail in ["", "/queryables", "/items"] {
            let path = format!("/ogc/collections/{id}{tail}?f=html");
            let page = house.ask(NOBODY, "GET", &path).expect(200).await;
            assert!(page.text().contains("<h1>"), "{path}");
        }
    }
    // A map program in a browser, from wherever it came.
    for path in ["/ogc", "/ogc/collections/covers/items?limit=1", "/tiles/covers.json"] {
        let answer =
            house.ask(NOBODY, "GET", path).header("origin", "https://maputnik.example").expect(200).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(answer.header("access-control-allow-credentials").is_none());
        let asks = house.client.request(reqwest::Method::OPTIONS, format!("{}{path}", house.base));
        let asks =
            asks.header("origin", "https://maputnik.example").header("access-control-request-method", "GET");
        let answer = asks.header("access-control-request-headers", "authorization").send().await.unwrap();
        assert_eq!(answer.status(), 204, "{path}");
        let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("authorization") && allowed.contains("if-match"), "{allowed}");
    }
    let own =
        house.ask(NOBODY, "GET", "/healthz").header("origin", "https://maputnik.example").expect(200).await;
    assert_eq!(own.header("access-control-allow-origin"), None);
    for path in ["/ogc", "/ogc/api", "/ogc/conformance", "/ogc/collections"] {
        house.ask(NOBODY, "GET", &format!("{path}?f=html")).expect(200).await;
        let browser = house.ask(NOBODY, "GET", path).header("accept", "text/html").expect(200).await;
        assert!(browser.text().contains("<h1>"), "{path}");
    }
}

async fn pages_hold_each_feature_once(house: &House) {
    let all: BTreeSet<String> = walk(house, NOBODY, ITEMS, "limit=10000").await.1.into_iter().collect();
    assert_eq!(all.len(), house.state.snapshot.load().len());
    for query in ["limit=2", "limit=2&sortby=-code", "limit=2&sortby=road,-class", "limit=3&offset=0"] {
        let (count, ids) = walk(house, NOBODY, ITEMS, query).await;
        assert_eq!(count as usize, ids.len(), "{query}");
        assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), all, "{query}");
    }
    let (_, falling) = walk(house, NOBODY, ITEMS, "limit=4&sortby=-code").await;
    assert!(falling.windows(2).all(|pair| pair[0] > pair[1]), "{falling:?}");
    let skipped = get(house, NOBODY, &format!("{ITEMS}?limit=1&offset=2&sortby=code")).await;
    assert_eq!(skipped["features"][0]["id"], *all.iter().nth(2).unwrap());
    // Whoever asks for too many gets as many as there are on a page.
    get(house, NOBODY, &format!("{ITEMS}?limit=99999999")).await;
}

async fn places_are_told_in_every_system(house: &House) {
    let list = get(house, NOBODY, "/ogc/collections/covers").await;
    let code = &walk(house, NOBODY, ITEMS, "limit=1").await.1[0];
    let path = format!("{ITEMS}/{code}");
    let plain = get(house, ENGINEER, &path).await;
    let [lon, lat] = [0, 1].map(|at| plain["geometry"]["coordinates"][at].as_f64().unwrap());
    let systems: Vec<&str> =
        list["crs"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap()).collect();
    assert!(systems.iter().any(|uri| uri.ends_with("/4549")), "the zone of the city is among {systems:?}");
    for uri in systems {
        let answer = house.ask(ENGINEER, "GET", &format!("{path}?crs={}", encoded(uri))).expect(200).await;
        assert_eq!(answer.header("content-crs"), Some(format!("<{uri}>").as_str()));
        let said = answer.json();
        let [first, second] = [0, 1].map(|at| said["geometry"]["coordinates"][at].as_f64().unwrap());
        if uri.ends_with("/4326") || uri.ends_with("/4490") {
            assert_eq!((first, second), (lat, lon), "latitude first");
        }
        // A box around that place in that system holds it, and one beside it does not.
        let step = if first.abs() < 181.0 { 1e-5 } else { 1.0 };
        for (shift, wanted) in [(0.0, true), (5.0 * step, false)] {
            let [a, b, c, d] = [first + shift - step, second - step, first + shift + step, second + step];
            let query = format!("{ITEMS}?bbox={a},{b},{c},{d}&bbox-crs={}", encoded(uri));
            let found = get(house, ENGINEER, &query).await;
            let ids =
                found["features"].as_array().unwrap().iter().map(|feature| feature["id"].as_str().unwrap());
            assert_eq!(ids.into_iter().any(|id| id == code), wanted, "{query}");
        }
    }
    // Boxes that a test of conformance asks for.
    for bbox in
        ["-1.5,50,1.5,53", "177,65,-177,70", "-180,85,180,90", "-180,-90,180,-85", "-10,-10,0,10,10,9"]
    {
        get(house, NOBODY, &format!("{ITEMS}?bbox={bbox}")).await;
    }
    let world = get(house, NOBODY, &format!("{ITEMS}?bbox=-180,-90,180,90")).await;
    assert_eq!(world["numberMatched"], get(house, NOBODY, ITEMS).await["numberMatched"]);
}

async fn filters_say_what_the_rows_say(house: &House) {
    let all = get(house, ENGINEER, &format!("{ITEMS}?limit=10000")).await;
    let features = all["features"].as_array().unwrap();
    let count = |fits: &dyn Fn(&Value) -> bool| {
        features.iter().filter(|feature| fits(&feature["properties"])).count() as u64
    };
    let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
    for feature in features {
        *classes.entry(feature["properties"]["class"].as_str().unwrap()).or_default() += 1;
    }
    for (class, many) in &classes {
        let by_name = get(house, ENGINEER, &format!("{ITEMS}?class={class}")).await;
        assert_eq!(by_name["numberMatched"].as_u64(), Some(*many), "{class}");
        let text = encoded(&format!("class = '{class}' AND has_plate = TRUE"));
        let json = encoded(&serde_json::json!({"op": "and", "args": [
            {"op": "=", "args": [{"property": "class"}, class]}, {"op": "=", "args": [{"property": "has_plate"}, true]}]}).to_string());
        let plated = count(&|said| said["class"] == **class && said["has_plate"] == true);
        for query in [
            format!("filter={text}"),
            format!("filter={json}&filter-lang=cql2-json"),
            format!("class={class}&has_plate=true"),
        ] {
            let found = get(house, ENGINEER, &format!("{ITEMS}?{query}")).await;
            assert_eq!(found["numberMatched"].as_u64(), Some(plated), "{query}");
        }
    }
    for (filter, wanted) in [
        ("material IS NULL", count(&|said| said["material"].is_null())),
        (
            "NOT material = 'cast_iron'",
            count(&|said| said["material"].is_string() && said["material"] != "cast_iron"),
        ),
        (
            "completeness BETWEEN 30 AND 70",
            count(&|said| (30..=70).contains(&said["completeness"].as_i64().unwrap())),
        ),
        (
            "road LIKE '%路%' OR load_class IN ('D400','E600')",
            count(&|said| {
                said["road"].as_str().is_some_and(|road| road.contains('路'))
                    || ["D400", "E600"].iter().any(|class| said["load_class"] == *class)
            }),
        ),
    ] {
        let found = get(house, ENGINEER, &format!("{ITEMS}?filter={}", encoded(filter))).await;
        assert_eq!(found["numberMatched"].as_u64(), Some(wanted), "{filter}");
    }
    // Near a place, and nowhere.
    let place = &features[0]["geometry"]["coordinates"];
    let near = format!("S_DWITHIN(geometry, POINT({} {}), 1)", place[0], place[1]);
    let found = get(house, ENGINEER, &format!("{ITEMS}?filter={}", encoded(&near))).await;
    assert!(found["numberMatched"].as_u64().unwrap() >= 1);
    let nowhere = encoded("S_INTERSECTS(geometry, POINT(0 0))");
    assert_eq!(get(house, ENGINEER, &format!("{ITEMS}?filter={nowhere}")).await["numberMatched"], 0);
    let zone = encoded("http://www.opengis.net/def/crs/EPSG/0/4326");
    let turned = encoded(&format!("S_DWITHIN(geometry, POINT({} {}), 1)", place[1], place[0]));
    let found = get(house, ENGINEER, &format!("{ITEMS}?filter-crs={zone}&filter={turned}")).await;
    assert!(found["numberMatched"].as_u64().unwrap() >= 1, "latitude first, as EPSG:4326 has it");
    // Days of surveys; what has none fits.
    let ever = get(house, ENGINEER, &format!("{ITEMS}?datetime=../2100-01-01T00:00:00Z")).await;
    assert_eq!(ever["numberMatched"], all["numberMatched"]);
    let never = get(house, ENGINEER, &format!("{ITEMS}?datetime=1990-01-01/1990-12-31")).await;
    assert_eq!(never["numberMatched"].as_u64(), Some(count(&|said| said["surveyed_on"].is_null())));
    let district = get(house, NOBODY, "/ogc/collections/districts/items").await;
    for feature in district["features"].as_array().unwrap() {
        let id = feature["id"].as_str().unwrap();
        let one = get(house, NOBODY, &format!("/ogc/collections/districts/items/{id}")).await;
        assert_eq!(one["geometry"], feature["geometry"]);
        house.ask(NOBODY, "GET", &format!("/ogc/collections/districts/items/{id}?f=html")).expect(200).await;
    }
}

async fn strangers_see_the_publish_list_alone(house: &House) {
    let answer = house.ask(NOBODY, "GET", ITEMS).expect(200).await;
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let published =
        ["geometry", "code", "class", "state", "district", "road", "owner", "has_plate", "open_case"];
    let public = answer.json();
    let staff = house.ask(ENGINEER, "GET", ITEMS).expect(200).await;
    assert_eq!(staff.header("cache-control"), Some("private, no-store"));
    let exact = staff.json();
    for (shown, known) in
        public["features"].as_array().unwrap().iter().zip(exact["features"].as_array().unwrap())
    {
        assert_eq!(shown["id"], known["id"]);
        let names: BTreeSet<&str> =
            shown["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, published.into_iter().filter(|name| *name != "geometry").collect());
        assert!(known["properties"]["completeness"].is_u64());
    }
    // Neither by name, nor by filter, nor by order, nor by the length of an answer.
    for query in ["material=cast_iron", "filter=material%20IS%20NULL", "sortby=installed", "owner_id=x"] {
        house.ask(NOBODY, "GET", &format!("{ITEMS}?{query}")).expect(400).await;
    }
    let ever = get(house, NOBODY, &format!("{ITEMS}?datetime=1990-01-01/1990-12-31")).await;
    assert_eq!(ever["numberMatched"], public["numberMatched"], "days of surveys are not told");
    let schema = get(house, NOBODY, "/ogc/collections/covers/queryables").await;
    let named: BTreeSet<&str> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(named, published.into_iter().collect());
    house.ask(NOBODY, "GET", ITEMS).header("authorization", "Bearer wrong").send().await;
}

async fn wrong_questions_are_refused(house: &House) {
    for (query, code) in [
        ("nonsense=1", "ogc.unknown_parameter"),
        ("limit=0", "ogc.whole_number"),
        ("limit=ten", "ogc.whole_number"),
        ("limit=2&limit=3", "ogc.twice"),
        ("bbox=1,2,3", "ogc.bbox"),
        ("bbox=1,2,3,north", "ogc.bbox"),
        ("bbox=1,2,3,NaN", "ogc.bbox"),
        ("bbox=1,2,3,1", "bbox.south_above_north"),
        ("crs=EPSG:2154", "ogc.crs"),
        ("bbox-crs=nowhere&bbox=1,2,3,4", "ogc.crs"),
        ("datetime=yesterday", "ogc.datetime"),
        ("datetime=2026-02-31", "ogc.datetime"),
        ("datetime=2026-03-01/2026-02-01", "ogc.datetime"),
        ("filter=class", "cql2.not_a_condition"),
        ("filter-lang=sql&filter=class%20IS%20NULL", "ogc.filter_lang"),
        ("sortby=weight", "ogc.sortby"),
        ("cursor=x", "ogc.cursor"),
        ("has_plate=perhaps", "ogc.value"),
        ("f=xml", "ogc.format"),
    ] {
        let answer = house.ask(NOBODY, "GET", &format!("{ITEMS}?{query}")).expect(400).await;
        if !code.starts_with("cql2.") {
            assert_eq!(answer.code(), code, "{query}");
        }
    }
    house.ask(NOBODY, "GET", "/ogc/collections/dUmmYColLection").expect(404).await;
    house.ask(NOBODY, "GET", &format!("{ITEMS}/9999")).expect(404).await;
    house.ask(NOBODY, "GET", "/ogc/collections/districts/items/9").expect(404).await;
    house.ask(NOBODY, "GET", "/ogc?x=1").expect(400).await;
}

/// The map of staff: tiles, counts and lists by one filter.
pub async fn staff_map(house: &House) {
    house.reload_map().await;
    let all = get(house, ENGINEER, "/api/v1/map/summary").await;
    let sum = |counts: &Value| {
        counts.as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).sum::<u64>()
    };
    for list in ["classes", "states", "load_classes", "materials", "placements", "districts", "owners"] {
        assert_eq!(Some(sum(&all[list])), all["matched"].as_u64(), "{list}");
    }
    let [west, south, east, north] = [0, 1, 2, 3].map(|at| all["bounds"][at].as_f64().unwrap());
    let center = ((west + east) / 2.0, (south + north) / 2.0);
    let class = all["classes"][0]["key"].as_str().unwrap();
    let owner = all["owners"][0]["key"].as_str().unwrap();
    for query in [
        format!("class={class}"),
        format!("class={class},unknown&state=intact,broken"),
        format!("owner={owner}"),
        "owner=unknown".to_owned(),
        "has_plate=true&open_case=false".to_owned(),
        "completeness_from=10&completeness_to=90".to_owned(),
        "surveyed_from=2020-01-01&surveyed_to=2030-01-01".to_owned(),
        format!("text={}", encoded("路")),
        "text=3705".to_owned(),
        format!("bbox={west},{south},{east},{north}&view={west},{south},{east},{north}"),
        format!("polygon={west},{south}%20{east},{south}%20{east},{north}"),
        format!("near={},{},300", center.0, center.1),
        format!("along={west},{south}%20{east},{north}&buffer_m=50"),
        format!("filter={}", encoded("class IS NOT NULL AND NOT has_plate")),
    ] {
        let counts = get(house, ENGINEER, &format!("/api/v1/map/summary?{query}")).await;
        let mut listed = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(house, ENGINEER, &format!("/api/v1/map/covers?{query}&limit=3{cursor}")).await;
            assert_eq!(page["matched"], counts["matched"], "{query}");
            listed.extend(
                page["covers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|cover| cover["id"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(Some(listed.len() as u64), counts["matched"].as_u64(), "{query}");
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "{query}");
        // The tile of the world holds as many, counted.
        let tile = house.ask(ENGINEER, "GET", &format!("/tiles/staff/covers/0/0/0?{query}")).send().await;
        assert_eq!(tile.status, if listed.is_empty() { 204 } else { 200 }, "{query}");
        assert!(tile.header("cache-control").unwrap().starts_with("private"));
    }
    let (z, scale) = (16_u32, f64::from(1_u32 << 16));
    let x = ((west + 180.0) / 360.0 * scale) as u32;
    let y = lidmark::domain::position::tile_y(south) >> 12;
    for who in [NOBODY, ENGINEER] {
        let kind = if matches!(who, As::Nobody) { "" } else { "staff/" };
        let path = format!("/tiles/{kind}covers/{z}/{x}/{y}");
        let tile = house.ask(who, "GET", &path).send().await;
        let tag = tile.header("etag").unwrap().to_owned();
        let again = house.ask(who, "GET", &path).header("if-none-match", &tag).send().await;
        assert_eq!(again.status, 304);
    }
    house.ask(NOBODY, "GET", &format!("/tiles/covers/0/0/0?class={class}")).expect(200).await;
    let described = get(house, NOBODY, &format!("/tiles/covers.json?class={class}")).await;
    assert!(described["tiles"][0].as_str().unwrap().ends_with(&format!("?class={class}")), "{described}");
    for (path, code) in [
        ("/tiles/covers/0/0/0?material=cast_iron", "cql2.unknown_property"),
        ("/tiles/covers/17/0/0", "tile.too_deep"),
        ("/tiles/covers.json?filter=(", ""),
        ("/tiles/covers/0/0/0?has_plate=perhaps", "form.true_or_false"),
    ] {
        let answer = house.ask(NOBODY, "GET", path).send().await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(code.is_empty() || answer.code() == code, "{path}: {}", answer.code());
    }
    for (query, code) in [
        ("polygon=1,2", "map.points"),
        ("near=1,2", "map.near"),
        ("near=118.5,37.4,-1", "map.meters"),
        ("along=118.5,37.4%20118.6,37.4&buffer_m=wide", "map.number"),
        ("completeness_from=much", "map.number"),
        ("class=,", "map.list"),
        ("class=sewage,round", "ogc.value"),
        ("cursor=x", "ogc.cursor"),
    ] {
        let answer = house.ask(ENGINEER, "GET", &format!("/api/v1/map/covers?{query}")).expect(400).await;
        assert_eq!(answer.code(), code, "{query}");
    }
}

/// One box for everything that has a name.
pub async fn search(house: &House) {
    let ask = |typed: &str| format!("/api/v1/search?q={}", encoded(typed));
    let found = |said: &Value| -> Vec<(String, String)> {
        let results = said["results"].as_array().unwrap().iter();
        results
            .map(|one| (one["kind"].as_str().unwrap().to_owned(), one["title"].as_str().unwrap().to_owned()))
            .collect()
    };
    let all = CoverFilter { limit: 500, ..CoverFilter::default() };
    let files = house.town.registry.list_covers(all).await.unwrap();
    let file = files.into_iter().find(|file| file.owner.is_some() && file.survey.road.is_some()).unwrap();
    let (code, road) = (file.code.digits.clone(), file.survey.road.clone().unwrap());
    let one = |kind: &str, title: &str| (kind.to_owned(), title.to_owned());
    assert_eq!(found(&get(house, ENGINEER, &ask(&code)).await)[0], one("cover", &code));
    let grouped = format!("{} {}", &code[..6], &code[6..]);
    assert_eq!(found(&get(house, ENGINEER, &ask(&grouped)).await)[0], one("cover", &code));
    let beginning = get(house, ENGINEER, &ask(&code[..8])).await;
    assert!(found(&beginning).contains(&one("cover", &code)), "{beginning}");
    let by_road = get(house, ENGINEER, &ask(&road)).await;
    assert_eq!(found(&by_road)[0], one("road", &road));
    let count = by_road["results"][0]["count"].as_u64().unwrap();
    let filter = encoded(by_road["results"][0]["filter"].as_str().unwrap());
    let meant = get(house, ENGINEER, &format!("{ITEMS}?filter={filter}")).await;
    assert_eq!(meant["numberMatched"].as_u64(), Some(count), "the filter means the covers of the road");
    let sound: String = {
        use pinyin::ToPinyin;
        road.chars().filter_map(|sign| sign.to_pinyin()?.plain().chars().next()).collect()
    };
    assert!(found(&get(house, ENGINEER, &ask(&sound)).await).contains(&one("road", &road)), "{sound}");
    let owner = file.owner.unwrap().name;
    assert!(found(&get(house, ENGINEER, &ask(&owner)).await).contains(&one("owner", &owner)));
    let token = house.plates[0].to_string();
    assert_eq!(get(house, ENGINEER, &ask(&token)).await["results"][0]["kind"], "plate");
    let number = house.ground.sql("SELECT number FROM cases ORDER BY number LIMIT 1").trim().to_owned();
    let by_number = get(house, As::Staff(Role::Supervisor), &ask(&number)).await;
    assert_eq!(found(&by_number)[0], one("case", &number));
    let tracking =
        house.ground.sql("SELECT tracking FROM reports ORDER BY tracking LIMIT 1").trim().to_owned();
    let by_tracking = get(house, As::Staff(Role::Supervisor), &ask(&tracking)).await;
    assert_eq!(found(&by_tracking)[0].0, "case", "{by_tracking}");
    assert!(found(&get(house, ENGINEER, &ask("没有这样的东西")).await).is_empty());
    for typed in ["%", "\\", "'", "\u{0}", " ", "9999999999999999999999999", "R2026-999999"] {
        get(house, ENGINEER, &ask(typed)).await;
    }
    house.ask(ENGINEER, "GET", "/api/v1/search").expect(400).await;
    house.ask(ENGINEER, "GET", &ask(&"路".repeat(101))).expect(400).await;
}
