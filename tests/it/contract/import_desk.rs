//! 普查导入 as an engineer does it: an ugly file is handed in, looked at, written, corrected, taken back.

use lidmark::domain::role::Role;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::house::{Answer, As, House};
use crate::both_engines;
use crate::support::contract::{Recorded, contract};

const ENGINEER: As = As::Staff(Role::Engineer);
const DESK: &str = "/admin/imports";

/// A census table as it comes: a title above the header, GBK, a row twice, four that cannot be.
const CENSUS: &str = "东营区井盖普查表,,,,,,\n\
普查编号,区划代码,井盖类别,经度,纬度,道路,备注\n\
A1,370502,污水井盖,118.61001,37.46,济南路,正常\n\
A2,370502,雨水井盖,118.61101,37.46,济南路,井盖松动\n\
A3,370502,沼泽,118.61201,37.46,济南路,类别写错\n\
A1,370502,污水井盖,118.61001,37.46,济南路,重复的一行\n\
A5,370502,电力井盖,118.61401,,济南路,缺纬度\n\
A6,370999,电力井盖,118.61501,37.46,济南路,区划写错\n\
A7,370502,燃气井盖,118.61601,37.46,济南路,正常\n\
A8,370502,沼泽,118.61701,37.46,济南路,类别写错\n";

fn gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

/// Sends the form of the desk as a browser does; the answer is held to the contract.
pub async fn hand_in(house: &House, fields: &[(&str, &str)], name: &str, bytes: Vec<u8>) -> Answer {
    let mut form = Form::new();
    for (field, value) in fields {
        form = form.text((*field).to_owned(), (*value).to_owned());
    }
    form = form.part("file", Part::bytes(bytes).file_name(name.to_owned()));
    let sent = house.client.post(format!("{}{DESK}", house.base)).bearer_auth(house.bearer(Role::Engineer));
    let response = sent.header("accept-language", "en").multipart(form).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap().to_vec();
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    let recorded = Recorded { method: "POST", path: DESK, status, content_type, body: &body };
    if let Err(wrong) = contract().check(&recorded) {
        house.fault(wrong);
    }
    house.saw("POST", DESK, status);
    Answer { status, headers, body }
}

fn target(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// The page once the server is done with it.
async fn settled(house: &House, page: &str) -> String {
    for _ in 0..2000 {
        let answer = house.get(ENGINEER, page).header("accept-language", "en").expect(200).await;
        if answer.header("refresh").is_none() {
            return answer.text();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{page} is never done");
}

/// Counts beside words in a list of facts.
fn facts(html: &str) -> Vec<(String, u64)> {
    let pairs = html.split("<dt>").skip(1).filter_map(|part| {
        let (word, rest) = part.split_once("</dt><dd>")?;
        let number = rest.trim_start_matches("<strong>").split('<').next()?;
        Some((word.to_owned(), number.trim().parse().ok()?))
    });
    pairs.collect()
}

fn rows(html: &str) -> [u64; 6] {
    let facts = facts(html);
    ["Rows read", "New", "Updated", "Unchanged", "Duplicates", "Problems"].map(|word| {
        let found = facts.iter().find(|(known, _)| known == word);
        found.unwrap_or_else(|| panic!("no {word} in {facts:?}")).1
    })
}

/// Every operation of the desk, in the order in which it is used.
pub async fn census_desk(house: &House) {
    let covers = || async { house.town.registry.counts().await.unwrap().covers };
    let before = covers().await;
    let options = [("profile", "census-zh"), ("source", "普查2026")];
    let page = target(&hand_in(house, &options, "普查表.csv", gbk(CENSUS)).await);

    let preview = settled(house, &page).await;
    assert_eq!(rows(&preview), [8, 3, 0, 0, 1, 4], "{preview}");
    assert!(preview.contains("GB18030 by its characters"), "{preview}");
    assert!(preview.contains("header in line 2"), "{preview}");
    for told in ["井盖类别", "Class", "污水井盖", "备注", "kept as it is", "沼泽"] {
        assert!(preview.contains(told), "{told} is not in {preview}");
    }
    let twins = &preview[preview.find("<table class=\"pairs\">").unwrap()..];
    assert!(twins.contains("line 6</strong> A1") && twins.contains("line 3</strong> A1"), "{twins}");
    assert_eq!(preview.matches("h0").count(), 5, "five points are drawn");
    assert_eq!(covers().await, before, "a preview writes nothing");
    let desk = house.get(ENGINEER, DESK).header("accept-language", "en").expect(200).await.text();
    assert!(desk.contains("普查表.csv") && desk.contains("Waits for a word"), "{desk}");

    let list = house.get(ENGINEER, &format!("{page}/problems.csv")).expect(200).await.text();
    let lines: Vec<&str> = list.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[0], "file,line,column,value,code,hint");
    assert!(lines[1].starts_with("普查表.csv,5,井盖类别,沼泽,class.unknown,"), "{list}");
    assert_eq!(lines.len(), 5, "{list}");

    let bad_rows = house.get(ENGINEER, &format!("{page}/rows.csv")).expect(200).await.text();
    assert!(
        bad_rows.contains("普查编号,区划代码,井盖类别,经度,纬度,道路,备注,lidmark_problem"),
        "{bad_rows}"
    );

    target(&house.post(ENGINEER, &format!("{page}/write")).form(&[]).expect(303).await);
    let written = settled(house, &page).await;
    assert_eq!(rows(&written), [8, 3, 0, 0, 1, 4], "{written}");
    assert_eq!(covers().await, before + 3);
    let run = written.split("href=\"/admin/imports/").find_map(|part| part.split_once('"')).unwrap();
    let number: i64 = written
        .split("href=\"/admin/imports/")
        .skip(1)
        .find_map(|part| part.split('"').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no run in {run:?}"));
    let run = format!("{DESK}/{number}");
    assert_eq!(rows(&settled(house, &run).await), [8, 3, 0, 0, 1, 4]);
    let again = house.post(ENGINEER, &format!("{page}/write")).form(&[]).expect(409).await.text();
    assert!(again.contains("该文件") || again.contains("状态") || again.contains("state"), "{again}");

    // Corrected by hand and handed in by itself, it makes up for what was missing.
    let corrected = bad_rows
        .replace("沼泽", "污水井盖")
        .replace("118.61401,,", "118.61401,37.46,")
        .replace("370999", "370502");
    let page_of_rows = target(&hand_in(house, &options, "rows.csv", corrected.into_bytes()).await);
    assert_eq!(rows(&settled(house, &page_of_rows).await), [4, 4, 0, 0, 0, 0]);
    house.post(ENGINEER, &format!("{page_of_rows}/write")).form(&[]).expect(303).await;
    settled(house, &page_of_rows).await;
    assert_eq!(covers().await, before + 7);
    let found = house.get(ENGINEER, "/api/v1/covers?text=A8").expect(200).await;
    assert!(!found.text().contains("lidmark_problem"));
    house.post(ENGINEER, &format!("{page_of_rows}/discard")).form(&[]).expect(303).await;
    house.get(ENGINEER, &page_of_rows).expect(404).await;

    full_survey(house, &options).await;

    house.post(ENGINEER, &format!("{run}/roll-back")).form(&[]).expect(303).await;
    let back = settled(house, &run).await;
    assert!(back.contains("Taken back"), "{back}");
    house.post(ENGINEER, &format!("{run}/roll-back")).form(&[]).expect(409).await;
    in_pieces(house).await;
}

/// What a full survey passes over is decided about one by one.
async fn full_survey(house: &House, options: &[(&str, &str)]) {
    let only = CENSUS.lines().take(3).collect::<Vec<_>>().join("\n");
    let page = target(&hand_in(house, options, "全面.csv", gbk(&only)).await);
    settled(house, &page).await;
    let full = [options, &[("full", "1")]].concat();
    house.post(ENGINEER, &page).form(&full).expect(303).await;
    settled(house, &page).await;
    house.post(ENGINEER, &format!("{page}/write")).form(&[]).expect(303).await;
    settled(house, &page).await;
    let number = house.town.registry.list_imports(None, 1).await.unwrap()[0].number;
    let passed = house.town.registry.list_passed_over(number, None, 10).await.unwrap();
    assert!(passed.len() >= 2, "A8 and A3 are sewage in the same district");
    let run = format!("{DESK}/{number}");
    for (file, decision) in passed.iter().zip(["not_found", "keep"]) {
        let cover = file.cover.to_string();
        let form = [("cover", cover.as_str()), ("decision", decision)];
        house.post(ENGINEER, &format!("{run}/passed-over")).form(&form).expect(303).await;
        house.post(ENGINEER, &format!("{run}/passed-over")).form(&form).expect(409).await;
    }
    let left = house.town.registry.count_passed_over(number).await.unwrap();
    assert_eq!(left as usize, passed.len() - 2);
}

/// A script sends a file in pieces and goes on after the network broke.
async fn in_pieces(house: &House) {
    let census = gbk(CENSUS);
    let (size, first) = (census.len(), census[..100].to_vec());
    let new = json!({"name": "大文件.csv", "size": size, "profile": "census-zh"});
    let made = house.post(ENGINEER, "/api/v1/uploads").json(new).expect(201).await.json();
    let path = format!("/api/v1/uploads/{}", made["id"].as_str().unwrap());
    let put = |offset: usize, bytes: &[u8]| {
        let ask = house.ask(ENGINEER, "PUT", &format!("{path}?offset={offset}"));
        ask.body("application/octet-stream", bytes.to_vec())
    };
    assert_eq!(put(0, &first).expect(200).await.json()["received"], 100);
    assert_eq!(put(50, &first).expect(409).await.code(), "upload.offset");
    assert_eq!(house.get(ENGINEER, &path).expect(200).await.json()["received"], 100);
    let page = made["page"].as_str().unwrap();
    assert!(house.get(ENGINEER, page).expect(200).await.header("refresh").is_none());
    assert_eq!(
        put(100, &[census[100..].to_vec(), vec![b'x'; 9]].concat()).expect(413).await.code(),
        "upload.piece"
    );
    let found = house.get(ENGINEER, &path).expect(200).await.json();
    let here = found["received"].as_u64().unwrap() as usize;
    let whole = put(here, &census[here..]).expect(200).await.json();
    assert_eq!((whole["received"].as_u64(), whole["state"].as_str()), (Some(size as u64), Some("received")));
    assert!(settled(house, page).await.contains("GB18030"));
    assert_eq!(put(size, b"x").expect(409).await.code(), "upload.offset");
}

/// Logs an admin in as a browser does; answers the cookie.
async fn cookie_of_admin(house: &House) -> String {
    let right = [("login", "admin"), ("password", "correct horse"), ("next", "/desk")];
    let welcome = house.post(As::Nobody, "/login").form(&right).expect(303).await;
    welcome.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn no_form_of_the_desks_takes_what_another_site_makes_a_browser_send() {
    let house = House::open().await;
    let cookie = cookie_of_admin(&house).await;
    let page = target(&hand_in(&house, &[("profile", "census-zh")], "普查表.csv", gbk(CENSUS)).await);
    settled(&house, &page).await;
    let before = house.last_change().await;
    let posts = lidmark::http::doors(&house.state);
    let posts: Vec<_> =
        posts.iter().filter(|door| door.method == "POST" && door.path.starts_with("/admin/")).collect();
    assert!(posts.len() >= 11, "{posts:?}");
    for door in posts {
        let id = page.rsplit('/').next().unwrap();
        let path = door.path.replace("{id}", id).replace("{number}", "1");
        for token in [None, Some("forged"), Some("")] {
            let fields: Vec<(&str, &str)> = token.map(|token| ("csrf", token)).into_iter().collect();
            let sent = house.post(As::Nobody, &path).header("cookie", &cookie);
            let answer = match door.path {
                // These bring a file, and the photo of a form will do for one.
                "/admin/imports" | "/admin/areas" => {
                    let mut form = Form::new();
                    for (name, value) in fields {
                        form = form.text(name, value.to_owned());
                    }
                    let form = form.part("file", Part::bytes(vec![b'x'; 100]).file_name("x.csv"));
                    let url = format!("{}{path}", house.base);
                    let sent = house
                        .client
                        .post(url)
                        .header("cookie", &cookie)
                        .multipart(form)
                        .send()
                        .await
                        .unwrap();
                    sent.status().as_u16()
                }
                _ => sent.form(&fields).send().await.status,
            };
            assert_eq!(answer, 403, "{path} with {token:?}");
        }
    }
    assert_eq!(house.last_change().await, before);
    // The file is there still, and nothing else is.
    house.get(ENGINEER, &page).expect(200).await;
    let desk = std::fs::read_dir(house.state.data.join("incoming").join("desk")).unwrap();
    assert_eq!(desk.count(), 1);
    assert!(!house.state.data.join("incoming").join("areas").exists());
    house.assert_faultless();
}

#[tokio::test]
async fn files_to_which_nobody_comes_back_are_cleared_away_but_never_what_is_being_written() {
    let house = House::open().await;
    let hand = async |name: &str| {
        let page = target(&hand_in(&house, &[("profile", "census-zh")], name, gbk(CENSUS)).await);
        settled(&house, &page).await;
        page
    };
    let (waits, broken_off) = (hand("waits.csv").await, hand("broken-off.csv").await);
    // As a server leaves it that was killed while it wrote.
    let about = house.state.data.join("incoming").join("desk").join(broken_off.rsplit('/').next().unwrap());
    let text = std::fs::read_to_string(about.join("about.json")).unwrap();
    std::fs::write(about.join("about.json"), text.replace(r#""looked""#, r#""writing""#)).unwrap();
    let days = |count: i64| {
        house.town.clock.fetch_add(count * 24 * 3600 * 1000, std::sync::atomic::Ordering::SeqCst)
    };
    days(29);
    let desk = house.get(ENGINEER, DESK).header("accept-language", "en").expect(200).await.text();
    assert!(desk.contains("waits.csv") && desk.contains("cleared away after 30 days"), "{desk}");
    days(2);
    let fresh = hand("fresh.csv").await;
    let desk = house.get(ENGINEER, DESK).expect(200).await.text();
    assert!(
        !desk.contains("waits.csv") && desk.contains("broken-off.csv") && desk.contains("fresh.csv"),
        "{desk}"
    );
    house.get(ENGINEER, &waits).expect(404).await;
    house.get(ENGINEER, &fresh).expect(200).await;
    // It goes on where it stopped when somebody says so.
    let shown = house.get(ENGINEER, &broken_off).header("accept-language", "en").expect(200).await.text();
    assert!(shown.contains("Writing stopped on the way"), "{shown}");
    house.post(ENGINEER, &format!("{broken_off}/write")).form(&[]).expect(303).await;
    assert_eq!(rows(&settled(&house, &broken_off).await), [8, 3, 0, 0, 1, 4]);
    house.assert_faultless();
}

#[tokio::test]
async fn districts_that_only_the_profile_knows_are_announced_and_added_with_the_rows() {
    let house = House::open().await;
    let census = CENSUS.replace("A7,370502", "A7,河口区");
    let page = target(&hand_in(&house, &[("profile", "census-zh")], "普查表.csv", gbk(&census)).await);
    let preview = settled(&house, &page).await;
    assert_eq!(rows(&preview), [8, 3, 0, 0, 1, 4], "{preview}");
    assert!(preview.contains("370503 河口区") && !preview.contains("370523 广饶县"), "{preview}");
    let known = async || {
        let districts = house.town.registry.list_districts().await.unwrap();
        districts.into_iter().map(|district| district.code).collect::<Vec<_>>()
    };
    assert_eq!(known().await, ["370502"]);
    house.post(ENGINEER, &format!("{page}/write")).form(&[]).expect(303).await;
    assert_eq!(rows(&settled(&house, &page).await), [8, 3, 0, 0, 1, 4]);
    assert_eq!(known().await, ["370502", "370503"]);
    house.assert_faultless();
}

both_engines! {
    async fn a_census_that_cannot_be_is_refused_and_says_what_would_fit(ground: Ground) {
        let house = House::open_with(ground, |config| config.census_megabytes = 1).await;
        let before = house.last_change().await;
        let page = target(&hand_in(&house, &[], "picture.csv", vec![0x89, b'P', b'N', b'G', 0, 1, 2]).await);
        let shown = settled(&house, &page).await;
        assert!(shown.contains("Cannot be read") || shown.contains("Problems"), "{shown}");
        assert!(!shown.contains("refusal."), "{shown}");

        let unplaced = "区划代码,井盖类别,经度,纬度\n370502,污水,4148750.1,640676.2\n370502,污水,4148790.1,640676.2\n";
        let options = [("profile", "census-zh"), ("crs", "EPSG:1")];
        let page = target(&hand_in(&house, &options, "c.csv", unplaced.into()).await);
        let shown = settled(&house, &page).await;
        assert!(shown.contains("Cannot be read") && shown.contains("EPSG:1"), "{shown}");
        house.post(ENGINEER, &format!("{page}/write")).form(&[]).expect(409).await;
        house.get(ENGINEER, &format!("{page}/rows.csv")).expect(404).await;

        let large = hand_in(&house, &[], "large.csv", vec![b'x'; (1 << 20) + 1]).await;
        assert_eq!(large.status, 413);
        assert!(large.text().contains("has at most 1 MB"), "{}", large.text());
        let announced = json!({"name": "large.csv", "size": 3 << 20});
        let refused = house.post(ENGINEER, "/api/v1/uploads").json(announced).expect(413).await;
        assert_eq!(refused.code(), "upload.too_large");
        assert_eq!(hand_in(&house, &[], "empty.csv", Vec::new()).await.status, 422);
        assert_eq!(hand_in(&house, &[("colour", "red")], "c.csv", vec![b'x']).await.status, 400);

        let foreign = "019aafe2-7c00-7000-8000-000000000001";
        for id in [foreign, "..", "%2e%2e%2f%2e%2e", "x"] {
            house.get(ENGINEER, &format!("{DESK}/files/{id}")).expect(404).await;
        }
        for id in ["0", "999999", "x"] {
            house.get(ENGINEER, &format!("{DESK}/{id}")).expect(404).await;
        }
        let crew = As::Staff(Role::Crew);
        house.post(crew, &format!("{page}/write")).form(&[]).expect(403).await;
        house.get(crew, DESK).expect(403).await;
        assert_eq!(house.last_change().await, before);
        house.assert_faultless();
    }
}
