//! The crew's page as files: whole, without data, answered with 304 while they are the same.

use super::house::{As, House};

const NOBODY: As = As::Nobody;

/// Every file that the page's worker keeps on a phone.
pub async fn crew_shell(house: &House) {
    let worker = house.get(NOBODY, "/crew/sw.js").expect(200).await;
    assert_eq!(worker.header("service-worker-allowed"), Some("/crew"));
    let text = worker.text();
    let list = text.lines().find_map(|line| line.strip_prefix("const FILES = ")).unwrap();
    let files: Vec<String> = serde_json::from_str(list.trim_end_matches(';')).unwrap();
    assert!(files.len() > 30 && files[0] == "/crew", "{files:?}");
    for path in files.iter().map(String::as_str).chain(["/crew/sw.js", "/crew/manifest.webmanifest"]) {
        let file = house.get(NOBODY, path).expect(200).await;
        assert_eq!(file.header("cache-control"), Some("no-cache"), "{path}");
        let etag = file.header("etag").unwrap();
        let same = house.ask(NOBODY, "GET", path).header("if-none-match", etag).expect(304).await;
        let policy = "content-security-policy";
        assert_eq!(same.header(policy), file.header(policy), "{path}: a browser keeps what a 304 says");
    }
    let page = house.get(NOBODY, "/crew").expect(200).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self' 'wasm-unsafe-eval';") && !policy.contains("unsafe-inline"),
        "{policy}"
    );
    let words = house.get(NOBODY, "/crew/words.json?lang=zh-CN").expect(200).await.json();
    assert_eq!(words["words"]["crew.tab_scan"], "扫码");
    assert_eq!(house.get(NOBODY, "/crew/words.json?lang=fr").expect(400).await.code(), "");
    house.get(NOBODY, "/crew/nothing.js").expect(404).await;
    house.get(NOBODY, "/crew?x=1").expect(400).await;
}
