//! The ground the stories stand on, tried out on its own: the two engines, the browser, the
//! decoders, the contract.

use crate::both_engines;
use crate::support::browser::{Browser, Visitor};
use crate::support::contract::{Contract, Recorded};
use crate::support::disk::SmallDisk;
use crate::support::postgres::Scratch;

#[test]
fn two_scratch_databases_know_nothing_of_each_other() {
    let (Some(one), Some(other)) = (Scratch::create(), Scratch::create()) else { return };
    one.sql("CREATE TABLE thing (id int)");
    let there = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'thing'";
    assert_eq!(one.sql(there), "1");
    assert_eq!(other.sql(there), "0");
}

both_engines! {
    async fn each_engine_gives_an_empty_home(ground: Ground) {
        assert!(ground.home().options().len() >= 2);
        assert!(!ground.home().folder().exists());
    }
}

#[test]
fn a_small_disk_fills_up_and_turns_read_only() {
    let Some(disk) = SmallDisk::mount(2) else { return };
    let try_to_write = || {
        let words = disk.inside();
        std::process::Command::new(&words[0])
            .args(&words[1..])
            .args(["sh", "-c", "head -c 8192 /dev/zero > \"$1/thing\"", "sh"])
            .arg(disk.folder())
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(try_to_write());
    disk.fill();
    assert_eq!(std::fs::read_dir(disk.folder()).unwrap().count(), 0, "it is seen from outside");
    disk.relieve();
    assert!(try_to_write());
    disk.turn_read_only();
    assert!(!try_to_write());
    disk.turn_writable();
    assert!(try_to_write());
}

/// A page on loopback that answers every request with this body.
async fn page_with(body: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(move || async move { axum::response::Html(body) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

const PAGE: &str = "<!doctype html><html lang=en><title>page</title>
    <meta name=viewport content=width=device-width><main><h1>Hello</h1>
    <noscript><p id=off>no scripts here</noscript><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' id=picture>
    <p id=said></p><script>document.getElementById('said').textContent = navigator.language</script></main>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_with_scripts_sees_a_phone_screen_and_axe_finds_what_is_wrong() {
    let Some(browser) = Browser::open(Visitor::default()).await else { return };
    browser.goto(&page_with(PAGE).await).await;
    assert_eq!(browser.title().await, "page");
    assert_eq!(browser.text("#said").await, "zh-CN");
    assert_eq!(browser.script("return [innerWidth, innerHeight]").await, serde_json::json!([360, 740]));
    let found = browser.axe_serious().await;
    assert!(found.iter().any(|line| line.starts_with("image-alt")), "{found:?}");
    let requests = browser.requests().await;
    assert!(requests.iter().any(|(_, status, bytes)| *status == 200 && *bytes > 0), "{requests:?}");
    assert_eq!(browser.overflow_px().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_without_scripts_runs_none() {
    let Some(browser) = Browser::open(Visitor::default().without_scripts().english()).await else { return };
    browser.goto(&page_with(PAGE).await).await;
    assert_eq!(browser.text("#said").await, "");
    // The driver counts a noscript as never visible, so its parsed children tell.
    assert_eq!(browser.count("#off").await, 1);
    let folder = tempfile::tempdir().unwrap();
    browser.screenshot(&folder.path().join("page.png")).await;
    let png = std::fs::read(folder.path().join("page.png")).unwrap();
    assert_eq!(&png[1..4], b"PNG");
}

const CONTRACT: &str = "
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /things/{id}:
    get:
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
        '404': {$ref: '#/components/responses/Missing'}
  /things/all:
    get: {responses: {'204': {description: none}}}
components:
  responses:
    Missing: {description: gone, content: {application/problem+json: {schema: {type: object}}}}
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [name]
      properties:
        name: {type: string, nullable: true}
        kind: {nullable: true, allOf: [{$ref: '#/components/schemas/Kind'}]}
    Kind: {type: string, enum: [a, b]}
";

#[test]
fn the_contract_tells_a_documented_answer_from_another() {
    let contract = Contract::read(CONTRACT);
    let answer = |path, status, content_type, body: &'static str| {
        contract.check(&Recorded { method: "GET", path, status, content_type, body: body.as_bytes() })
    };
    let json = Some("application/json; charset=utf-8");
    answer("/things/7?x=1", 200, json, r#"{"name": null, "kind": null}"#).unwrap();
    answer("/things/7", 200, json, r#"{"name": "n", "kind": "b"}"#).unwrap();
    answer("/things/all", 204, None, "").unwrap();
    answer("/things/7", 404, Some("application/problem+json"), "{}").unwrap();
    assert!(answer("/things/7", 200, json, r#"{"name": 3}"#).is_err());
    assert!(answer("/things/7", 200, json, r#"{"name": "n", "kind": "c"}"#).is_err());
    assert!(answer("/things/7", 200, json, r#"{"name": "n", "more": 1}"#).is_err());
    assert!(answer("/things/7", 500, json, "{}").is_err());
    assert!(answer("/things/7", 200, Some("text/html"), "{}").is_err());
    assert!(answer("/other", 200, json, "{}").is_err());
    assert_eq!(contract.operations().len(), 2);
}
