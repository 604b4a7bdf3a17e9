//! 导入方案 as programs and the desk deal with them: saved after a look, found by version, offered no more.

use lidmark::domain::role::Role;
use lidmark::import::find_built_in;
use serde_json::{Value, json};

use super::house::{As, House};
use super::import_desk::{hand_in, settled, target};
use crate::both_engines;

const ENGINEER: As = As::Staff(Role::Engineer);
const ADMIN: As = As::Staff(Role::Admin);
const API: &str = "/api/v1/import-profiles";
const DESK: &str = "/admin/import-profiles";

/// The profile of Chinese censuses with another source.
fn text(source: &str) -> String {
    format!("source = \"{source}\"\n{}", find_built_in("census-zh").unwrap().text)
}

/// Every operation on profiles.
pub async fn profiles(house: &House) {
    let path = format!("{API}/%E4%B8%9C%E8%90%A5%20%E6%99%AE%E6%9F%A5");
    let put =
        |text: &str, why: &str| house.ask(ENGINEER, "PUT", &path).json(json!({"text": text, "why": why}));
    let first = put(&text("a"), "新表头").expect(201).await.json();
    assert_eq!((&first["name"], &first["version"]), (&json!("东营 普查"), &json!(1)));
    assert_eq!(put(&text("a"), "再来").expect(200).await.json(), first);
    let second = put(&text("b"), "").expect(201).await.json();
    assert_eq!((&second["version"], &second["why"]), (&json!(2), &json!("")));
    assert_eq!(house.get(ADMIN, &path).expect(200).await.json(), second);
    assert_eq!(house.get(ADMIN, &format!("{path}@1")).expect(200).await.json(), first);
    let versions = house.get(ENGINEER, &format!("{path}/versions")).expect(200).await.json();
    let lines: Vec<(i64, &str)> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["version"].as_i64().unwrap(), one["why"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, [(2, ""), (1, "新表头")]);
    assert!(first["by"].as_str().unwrap().starts_with("user:"));
    let listed = async || {
        let all = house.get(ENGINEER, API).expect(200).await.json();
        let all = all["profiles"].as_array().unwrap().clone();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(listed().await.contains(&"东营 普查".to_owned()));
    assert!(listed().await.contains(&"census-zh".to_owned()));

    house.ask(ENGINEER, "DELETE", &path).expect(204).await;
    house.ask(ENGINEER, "DELETE", &path).expect(404).await;
    house.get(ENGINEER, &path).expect(404).await;
    let kept = house.get(ENGINEER, &format!("{path}@1")).expect(200).await.json();
    assert_eq!((&kept["text"], &kept["removed"]), (&first["text"], &json!(true)));
    assert!(!listed().await.contains(&"东营 普查".to_owned()));
    desk(house).await;
}

/// The pages: the mapping of a file is saved after a look, and the next file is read by it.
async fn desk(house: &House) {
    let first = "编号,区划代码,井盖类别,经度,纬度\nK1,370502,污水井盖,118.62001,37.47\n";
    let page = target(&hand_in(house, &[("source", "供水")], "供水.csv", first.into()).await);
    let preview = settled(house, &page).await;
    assert!(preview.contains("Save this mapping as a profile"), "{preview}");
    let path = format!("{page}/profile");
    let wrong = house.post(ENGINEER, &path).form(&[("name", "a/b")]).expect(422).await.text();
    assert!(wrong.contains("a/b") && !wrong.contains("refusal."), "{wrong}");
    let asked = [("name", "供水 普查"), ("why", "水司的表")];
    let look =
        house.post(ENGINEER, &path).header("accept-language", "en").form(&asked).expect(200).await.text();
    assert!(look.contains("Save as 供水 普查@1") && look.contains("Nothing is saved yet"), "{look}");
    let one = "/admin/import-profiles/%E4%BE%9B%E6%B0%B4%20%E6%99%AE%E6%9F%A5";
    house.get(ENGINEER, one).expect(404).await;
    let save = async |text: &str, seen: &str, status: u16| {
        let fields = [("name", "供水 普查"), ("why", "水司的表"), ("text", text), ("seen", seen)];
        let sent = house.post(ENGINEER, DESK).header("accept-language", "en");
        sent.multipart(&fields, &[]).expect(status).await
    };
    let shown = text_of(&look);
    assert!(shown.contains("source = \"供水\"") && shown.contains("id = \"供水 普查\""), "{shown}");
    // As a browser sends a text field.
    assert_eq!(target(&save(&shown.replace('\n', "\r\n"), "0", 303).await), one);
    assert_eq!(house.get(ENGINEER, &format!("{one}/profile.toml")).expect(200).await.text(), shown);
    let again = house.post(ENGINEER, &path).header("accept-language", "en").form(&asked).expect(200).await;
    assert!(again.text().contains("Version 1 says the same already"), "{}", again.text());

    let next = "编号,区划代码,井盖类别,经度,纬度\nK2,370502,雨水井盖,118.62101,37.47\n";
    let page = target(&hand_in(house, &[("profile", "供水 普查")], "二.csv", next.into()).await);
    let preview = settled(house, &page).await;
    assert!(preview.contains("供水 普查@1"), "{preview}");
    let path = format!("{page}/mapping");
    for (name, said) in [
        ("column.3.use", "lon"),
        ("column.99.use", "road"),
        ("column.0.use", "nonsense"),
        ("column.0.unit", "ft"),
        ("column.0.value.0", "unknown"),
    ] {
        let wrong = house.post(ENGINEER, &path).form(&[(name, said)]).expect(422).await.text();
        assert!(!wrong.contains("mapping."), "{wrong}");
    }
    house.post(ENGINEER, &path).form(&[("use", "road")]).expect(400).await;
    house.post(ENGINEER, &path).form(&[("column.0.use", "address")]).expect(303).await;
    let preview = settled(house, &page).await;
    assert!(preview.contains("供水 普查@1 · changed here"), "{preview}");
    assert!(preview.contains("<option value=\"address\" selected>"), "{preview}");

    // Who saw an older version than the newest is shown once more what differs.
    let changed = shown.replace("source = \"供水\"", "source = \"排水\"");
    let look = save(&changed, "0", 200).await.text();
    assert!(
        look.contains("−</span> source = &#34;供水&#34;") || look.contains("−</span> source = &quot;供水"),
        "{look}"
    );
    assert!(look.contains("Save as 供水 普查@2"), "{look}");
    save(&changed, "1", 303).await;
    let versions = house.get(ENGINEER, one).header("accept-language", "en").expect(200).await.text();
    for told in ["供水 普查@2", "供水 普查@1", "水司的表"] {
        assert!(versions.contains(told), "{told} is not in {versions}");
    }
    assert_eq!(house.get(ENGINEER, &format!("{one}@1/profile.toml")).expect(200).await.text(), shown);
    let list = house.get(ENGINEER, DESK).expect(200).await.text();
    assert!(list.contains("供水 普查") && list.contains("census-zh"), "{list}");
    let none = save("no toml [", "2", 422).await.text();
    assert!(none.contains("no toml [") && none.contains("cannot be read"), "{none}");
    house.get(ENGINEER, "/admin/import-profiles/none/profile.toml").expect(404).await;
    house.post(ENGINEER, &format!("{one}/remove")).form(&[]).expect(303).await;
    house.post(ENGINEER, &format!("{one}/remove")).form(&[]).expect(404).await;
    let gone = house.get(ENGINEER, one).header("accept-language", "en").expect(200).await.text();
    assert!(gone.contains("no longer offered") && !gone.contains("/remove"), "{gone}");
}

/// What stands in the text field of a page.
fn text_of(html: &str) -> String {
    let field = html.split_once("<textarea").unwrap().1.split_once(">\n").unwrap().1;
    let text = field.split_once("</textarea>").unwrap().0;
    let marks = [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ];
    let text = marks.iter().fold(text.to_owned(), |text, (mark, sign)| text.replace(mark, sign));
    text.replace("&#38;", "&").replace("&amp;", "&")
}

both_engines! {
    async fn a_profile_that_cannot_be_is_refused_and_says_why(ground: Ground) {
        let house = House::on(ground).await;
        let put = async |name: &str, body: Value, status: u16| {
            let path = format!("{API}/{name}");
            house.ask(ENGINEER, "PUT", &path).json(body).expect(status).await.code()
        };
        let good = text("a");
        assert_eq!(put("p", json!({"text": "not toml ["}), 422).await, "profile.unreadable");
        assert_eq!(put("p", json!({"text": "id = \"x\""}), 422).await, "profile.unreadable");
        assert_eq!(put("p", json!({"text": format!("{good}\n# \u{0}")}), 422).await, "profile.unreadable");
        assert_eq!(put("p", json!({"text": format!("{good}\n#{}", "x".repeat(200_000))}), 422).await, "text.too_long");
        assert_eq!(put("p", json!({"text": good, "why": "x".repeat(501)}), 422).await, "text.too_long");
        assert_eq!(put("census-zh", json!({"text": good}), 422).await, "profile.built_in");
        assert_eq!(put("p@1", json!({"text": good}), 422).await, "profile.name");
        assert_eq!(put("%00", json!({"text": good}), 422).await, "profile.name");
        assert_eq!(put("p", json!({"text": good, "colour": "red"}), 422).await, "http.json_data");
        assert_eq!(put("p", json!({"text": good, "why": "a\u{0}b"}), 201).await, "");
        for (name, status) in [("none", 404), ("p@2", 404), ("p@0", 422), ("p@x", 422), ("%00@1", 422)] {
            house.get(ENGINEER, &format!("{API}/{name}")).expect(status).await;
        }
        house.get(As::Staff(Role::Crew), API).expect(403).await;
        house.ask(As::Staff(Role::Supervisor), "PUT", &format!("{API}/p")).json(json!({"text": good})).expect(403).await;
        let auto = house.get(ENGINEER, &format!("{API}/census-zh")).expect(200).await.json();
        assert_eq!((&auto["built_in"], auto["text"].as_str().is_some()), (&json!(true), true));
        house.assert_faultless();
    }
}
