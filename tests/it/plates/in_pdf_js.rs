//! The sheets in pdf.js, the viewer of Firefox and of many desks' web pages, run by a real Chromium.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use base64::Engine;
use lidmark::domain::plate::Finish;
use serde_json::Value;

use super::outputs::run;
use super::{ledger, plates, render, sorted};
use crate::support::browser::{Browser, Visitor};
use crate::support::decode::symbols_of_image;
use crate::support::{have, skip_or_fail};

const PDF_JS: &str = "/usr/share/javascript/pdf/build";

/// Both halves in one thread: what a worker complains of would not be heard.
const PAGE: &str = r#"<!doctype html><link rel="icon" href="data:,"><script src="/pdf.js"></script><script src="/pdf.worker.js"></script>"#;

/// Every page as a picture of 200 dots an inch, and every word to the console.
const DRAW: &str = r#"
    const done = arguments[arguments.length - 1], said = [];
    for (const name of ["log", "warn", "error"]) console[name] = (...words) => said.push(words.join(" "));
    const draw = async () => {
        const pdf = await pdfjsLib.getDocument({ url: "FILE" }).promise, pages = [];
        for (let number = 1; number <= pdf.numPages; number++) {
            const page = await pdf.getPage(number), viewport = page.getViewport({ scale: 200 / 72 });
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [viewport.width, viewport.height].map(Math.ceil);
            await page.render({ canvasContext: canvas.getContext("2d"), viewport }).promise;
            pages.push(canvas.toDataURL("image/png").split(",")[1]);
        }
        return pages;
    };
    draw().catch(error => (said.push(`${error}`), [])).then(pages => done({ said, pages }));
"#;

async fn draw(browser: &Browser, base: &str, file: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    browser.goto(base).await;
    let drawn = browser.script_async(&DRAW.replace("FILE", file)).await;
    let list = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut said = list(&drawn["said"]);
    said.retain(|words| words != "Warning: Setting up fake worker.");
    let decode = |page: &String| base64::engine::general_purpose::STANDARD.decode(page).unwrap();
    (said, list(&drawn["pages"]).iter().map(decode).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_pdf_js_opens_the_sheets_without_a_warning_and_shows_every_symbol() {
    if !Path::new(PDF_JS).exists() || !have("zbarimg") {
        return skip_or_fail("pdf.js and zbarimg (packages libjs-pdf, zbar-tools)");
    }
    let Some(desk) = Browser::open(Visitor::default().at_a_desk()).await else { return };
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for script in ["/pdf.js", "/pdf.worker.js"] {
        files.insert(script.to_owned(), std::fs::read(format!("{PDF_JS}{script}")).unwrap());
    }
    let plates = plates(9);
    let runs = [
        run("rect-90x60", "a4", Finish::Color),
        run("strip-150x40", "a4", Finish::Mono),
        run("round-100", "single-cut", Finish::Inverted),
    ];
    let mut ledgers = Vec::new();
    for run in &runs {
        let (bytes, summary) = render(run, &plates);
        // The reader must notice what is broken, or its silence says nothing.
        let table = bytes.windows(9).rposition(|window| window == b"startxref").unwrap();
        files.insert(format!("/torn-{}.pdf", run.face.id), bytes[..table].to_vec());
        files.insert(format!("/{}.pdf", run.face.id), bytes);
        ledgers.push(ledger(&plates, &summary.plates));
    }
    let files = Arc::new(files);
    let serve = move |uri: Uri| async move {
        let script = [(header::CONTENT_TYPE, "text/javascript")];
        match (uri.path(), files.get(uri.path())) {
            ("/", _) => Html(PAGE).into_response(),
            (path, Some(bytes)) if path.ends_with(".js") => (script, bytes.clone()).into_response(),
            (_, Some(bytes)) => bytes.clone().into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(serve)).await });
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("page.png");
    for (run, ledger) in runs.iter().zip(ledgers) {
        let (said, pages) = draw(&desk, &base, &format!("/{}.pdf", run.face.id)).await;
        assert_eq!(said, [""; 0], "{}", run.face.id);
        let read = pages.iter().map(|page| {
            std::fs::write(&picture, page).unwrap();
            sorted(symbols_of_image(&picture))
        });
        assert_eq!(read.collect::<Vec<_>>(), ledger, "{}", run.face.id);
        let (said, _) = draw(&desk, &base, &format!("/torn-{}.pdf", run.face.id)).await;
        assert!(said.iter().any(|words| words.starts_with("Warning")), "{said:?}");
    }
}
