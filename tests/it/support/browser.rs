//! A real Chromium, driven over WebDriver, with the screen of a small phone. Each browser has its own
//! empty profile; nothing is shared between two of them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{checkout, have, skip_or_fail};

/// A phone held upright: what issue 2 asks every citizen's page to fit.
pub const PHONE: (u32, u32) = (360, 740);
/// A desk's screen.
pub const DESK: (u32, u32) = (1280, 800);

/// How the key of an element is called on the wire (WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const PATIENCE: Duration = Duration::from_secs(15);

/// What kind of person comes.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub screen: (u32, u32),
    /// `false` = scripts are switched off in the browser's settings.
    pub scripts: bool,
    /// `Accept-Language`, e.g. `zh-CN,zh`.
    pub language: &'static str,
    pub dark: bool,
    /// Further options of Chromium, e.g. what its camera shows.
    pub flags: Vec<String>,
}

impl Default for Visitor {
    fn default() -> Self {
        Self { screen: PHONE, scripts: true, language: "zh-CN,zh", dark: false, flags: Vec::new() }
    }
}

impl Visitor {
    pub fn without_scripts(mut self) -> Self {
        self.scripts = false;
        self
    }

    pub fn english(mut self) -> Self {
        self.language = "en-US,en";
        self
    }

    pub fn at_a_desk(mut self) -> Self {
        self.screen = DESK;
        self
    }
}

/// An open browser with one window. Dropping it ends it.
pub struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    profile: Arc<TempDir>,
}

impl Browser {
    /// `None`, with a message, where Chromium is missing; a failure where `CI` is set.
    pub async fn open(visitor: Visitor) -> Option<Self> {
        let profile = tempfile::Builder::new().prefix("lidmark-chromium-").tempdir().expect("a folder");
        Self::open_on(visitor, Arc::new(profile)).await
    }

    /// Ends it as an empty battery would: every process of it is killed at once. What it kept on its disk is there
    /// for [`Browser::open_on`].
    pub fn kill(self) -> Arc<TempDir> {
        self.profile.clone()
    }

    /// Ends it as a person closes it.
    pub async fn close(self) -> Arc<TempDir> {
        let _ = self.http.delete(&self.session).send().await;
        self.profile.clone()
    }

    /// The same with what an earlier browser kept.
    pub async fn open_on(visitor: Visitor, profile: Arc<TempDir>) -> Option<Self> {
        if !have("chromium") || !have("chromedriver") {
            skip_or_fail("a browser (packages chromium, chromium-driver)");
            return None;
        }
        let (driver, address) = start_driver(profile.path());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(90)).build().expect("a client");
        let mut browser = Self { driver, http, session: address, profile };
        let opened = browser.command("POST", "/session", browser.wishes(&visitor)).await;
        let id = opened["sessionId"].as_str().expect("a new session has an id");
        browser.session = format!("{}/session/{id}", browser.session);
        let (width, height) = visitor.screen;
        let phone = width < 600;
        browser
            .cdp(
                "Emulation.setDeviceMetricsOverride",
                json!({"width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone}),
            )
            .await;
        if visitor.dark {
            let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
            browser.cdp("Emulation.setEmulatedMedia", dark).await;
        }
        Some(browser)
    }

    fn wishes(&self, visitor: &Visitor) -> Value {
        let profile = self.profile.path().join("profile");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--hide-scrollbars",
        ];
        let mut arguments: Vec<String> = arguments.iter().map(|flag| (*flag).to_owned()).collect();
        // A page that draws with WebGL is left out of the picture where the software renderer is told to do without.
        if visitor.flags.iter().any(|flag| flag.starts_with("--use-angle")) {
            arguments.retain(|flag| flag != "--disable-gpu");
        }
        arguments.push(format!("--user-data-dir={}", profile.display()));
        arguments.push(format!("--window-size={},{}", visitor.screen.0.max(500), visitor.screen.1));
        arguments.push(format!("--lang={}", visitor.language.split(',').next().unwrap_or("en")));
        arguments.extend(visitor.flags.iter().cloned());
        let mut preferences = json!({"intl.accept_languages": visitor.language});
        if !visitor.scripts {
            preferences["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": arguments, "prefs": preferences},
        }}})
    }

    pub async fn goto(&self, url: &str) {
        self.command("POST", "/url", json!({"url": url})).await;
    }

    /// Opens another tab and goes on there.
    pub async fn new_tab(&self) -> String {
        let tab = text_of(&self.command("POST", "/window/new", json!({"type": "tab"})).await["handle"]);
        self.to_tab(&tab).await;
        tab
    }

    /// The tab in which things happen now.
    pub async fn tab(&self) -> String {
        text_of(&self.command("GET", "/window", Value::Null).await)
    }

    pub async fn to_tab(&self, tab: &str) {
        self.command("POST", "/window", json!({"handle": tab})).await;
    }

    pub async fn close_tab(&self) {
        self.try_command("DELETE", "/window", Value::Null).await.expect("it is open");
    }

    pub async fn url(&self) -> String {
        text_of(&self.command("GET", "/url", Value::Null).await)
    }

    pub async fn title(&self) -> String {
        text_of(&self.command("GET", "/title", Value::Null).await)
    }

    /// The page's visible text.
    pub async fn page_text(&self) -> String {
        self.text("body").await
    }

    /// Visible text of the first element that fits the CSS selector; waits for it to come.
    pub async fn text(&self, css: &str) -> String {
        text_of(&self.ask(css, "GET", "text", Value::Null).await)
    }

    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let value = self.ask(css, "GET", &format!("attribute/{name}"), Value::Null).await;
        value.as_str().map(str::to_owned)
    }

    pub async fn count(&self, css: &str) -> usize {
        let using = json!({"using": "css selector", "value": css});
        self.command("POST", "/elements", using).await.as_array().map_or(0, Vec::len)
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await;
        // To the middle of the screen, as a thumb would, away from what is pinned to its edges.
        let middle = format!("document.querySelector({})?.scrollIntoView({{block: 'center'}})", json!(css));
        self.script(&middle).await;
        self.ask(css, "POST", "click", json!({})).await;
    }

    /// Types into a field; a file's path into a file field chooses that file.
    pub async fn type_into(&self, css: &str, text: &str) {
        self.ask(css, "POST", "value", json!({"text": text})).await;
    }

    pub async fn choose_file(&self, css: &str, file: &Path) {
        self.type_into(css, &file.display().to_string()).await;
    }

    /// The page as it stands now, as HTML.
    pub async fn source(&self) -> String {
        text_of(&self.command("GET", "/source", Value::Null).await)
    }

    /// Waits until an element fits; the panic tells what the page says instead.
    pub async fn wait_for(&self, css: &str) {
        self.find(css).await;
    }

    /// Waits until the visible text contains this.
    pub async fn wait_for_text(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.page_text().await;
            if text.contains(wanted) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "no {wanted:?} at {}; the page says:\n{text}",
                self.url().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the address contains this.
    pub async fn wait_until_at(&self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.url().await.contains(part) {
            if Instant::now() > deadline {
                panic!(
                    "at {} instead of {part}; the page says:\n{}",
                    self.url().await,
                    self.page_text().await
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a function body in the page and gives what it returns. Works with scripts off too: the
    /// setting is about the page's own.
    pub async fn script(&self, body: &str) -> Value {
        self.command("POST", "/execute/sync", json!({"script": body, "args": []})).await
    }

    /// The same for a body that calls its last argument when it is done.
    pub async fn script_async(&self, body: &str) -> Value {
        self.command("POST", "/execute/async", json!({"script": body, "args": []})).await
    }

    /// A command of Chromium's own debugging protocol.
    pub async fn cdp(&self, name: &str, parameters: Value) -> Value {
        self.command("POST", "/goog/cdp/execute", json!({"cmd": name, "params": parameters})).await
    }

    /// What the page wrote to the console since the last call: errors of scripts, refused loads.
    pub async fn console(&self) -> Vec<String> {
        let lines = self.command("POST", "/se/log", json!({"type": "browser"})).await;
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .map(|line| format!("{} {}", text_of(&line["level"]), text_of(&line["message"])))
            .collect()
    }

    /// Every request since the last call as (address, status or 0, bytes on the wire).
    pub async fn requests(&self) -> Vec<(String, u64, u64)> {
        let events = self.command("POST", "/se/log", json!({"type": "performance"})).await;
        let mut requests: Vec<(String, String, u64, u64)> = Vec::new();
        for event in events.as_array().cloned().unwrap_or_default() {
            let message: Value = serde_json::from_str(&text_of(&event["message"])).unwrap_or_default();
            let (method, what) = (text_of(&message["message"]["method"]), &message["message"]["params"]);
            let id = text_of(&what["requestId"]);
            match method.as_str() {
                "Network.requestWillBeSent" => requests.push((id, text_of(&what["request"]["url"]), 0, 0)),
                "Network.responseReceived" => {
                    if let Some(request) = requests.iter_mut().rev().find(|request| request.0 == id) {
                        request.2 = what["response"]["status"].as_u64().unwrap_or(0);
                    }
                }
                "Network.loadingFinished" => {
                    if let Some(request) = requests.iter_mut().rev().find(|request| request.0 == id) {
                        request.3 = what["encodedDataLength"].as_f64().unwrap_or(0.0) as u64;
                    }
                }
                _ => {}
            }
        }
        requests.into_iter().map(|(_, url, status, bytes)| (url, status, bytes)).collect()
    }

    /// The window as a PNG.
    pub async fn screenshot(&self, file: &Path) {
        self.take(file, json!({"format": "png"})).await;
    }

    /// The whole page as a PNG, however long.
    pub async fn screenshot_whole(&self, file: &Path) {
        self.take(file, json!({"format": "png", "captureBeyondViewport": true})).await;
    }

    async fn take(&self, file: &Path, how: Value) {
        let shot = self.cdp("Page.captureScreenshot", how).await;
        let bytes = from_base64(&text_of(&shot["data"]));
        std::fs::write(file, bytes).expect("the screenshot's folder can be written");
    }

    /// What axe-core finds serious or critical on the page: rule, element, why.
    pub async fn axe_serious(&self) -> Vec<String> {
        let axe =
            std::fs::read_to_string(checkout().join("tests/assets/axe.min.js")).expect("it is vendored");
        self.script(&axe).await;
        let found = self
            .script_async(
                "const done = arguments[arguments.length - 1];
                 axe.run(document, {resultTypes: ['violations']}).then(
                     result => done(result.violations.flatMap(rule =>
                         ['serious', 'critical'].includes(rule.impact)
                             ? rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}: ${node.failureSummary}`)
                             : [])),
                     error => done([`axe: ${error}`]))",
            )
            .await;
        found.as_array().expect("axe gives a list").iter().map(text_of).collect()
    }

    /// How far the page is wider than the window, in CSS pixels; 0 = no sideways scrolling.
    pub async fn overflow_px(&self) -> i64 {
        let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.script(wider).await.as_i64().unwrap_or(0)
    }

    /// Words, codes and case numbers that run over two lines, which nobody reads at a glance.
    pub async fn broken_words(&self) -> Vec<String> {
        let found = self
            .script(
                "const lines = (node, from, to) => {
                     const range = document.createRange();
                     range.setStart(node, from); range.setEnd(node, to);
                     return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
                 };
                 const broken = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                 while (texts.nextNode()) {
                     const node = texts.currentNode, around = node.parentElement;
                     if (!around.checkVisibility() || around.closest('option, script, .sr')) continue;
                     const whole = around.matches('.code') ? /\\S.*\\S/g : /[A-Za-z]+|\\d{4}-\\d{6}/g;
                     for (const word of node.data.matchAll(whole))
                         if (lines(node, word.index, word.index + word[0].length) > 1) broken.push(word[0]);
                 }
                 return broken",
            )
            .await;
        found.as_array().expect("a list").iter().map(text_of).collect()
    }

    async fn find(&self, css: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let using = json!({"using": "css selector", "value": css});
        loop {
            if let Ok(found) = self.try_command("POST", "/element", using.clone()).await {
                return text_of(&found[ELEMENT]);
            }
            if Instant::now() > deadline {
                let source = self.source().await;
                panic!("no {css} at {}; the page is:\n{source}", self.url().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Does something with the first element that fits. One that leaves with its page in between is
    /// looked for again on the next.
    async fn ask(&self, css: &str, method: &str, what: &str, body: Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let element = self.find(css).await;
            match self.try_command(method, &format!("/element/{element}/{what}"), body.clone()).await {
                Ok(answer) => return answer,
                Err(error) if error.contains("stale element reference") && Instant::now() < deadline => {}
                Err(error) => {
                    let source = self.source().await;
                    panic!("{what} of {css} at {}: {error}; the page is:\n{source}", self.url().await);
                }
            }
        }
    }

    async fn command(&self, method: &str, path: &str, body: Value) -> Value {
        self.try_command(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    async fn try_command(&self, method: &str, path: &str, body: Value) -> Result<Value, String> {
        let address = format!("{}{path}", self.session);
        let request = match method {
            "GET" => self.http.get(address),
            "DELETE" => self.http.delete(address),
            _ => self.http.post(address).json(&body),
        };
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let failed = !answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if failed { Err(answer["value"].to_string()) } else { Ok(answer["value"].take()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver leads a process group of its own, so that its Chromium goes with it.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver on a port of its own choice and reads which. Another program may take that port
/// before it listens; then it ends without a word and is started again.
fn start_driver(home: &Path) -> (Child, String) {
    (0..5).find_map(|_| try_driver(home)).expect("chromedriver says on which port it listens")
}

fn try_driver(home: &Path) -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .process_group(0)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver can be started");
    let stdout = driver.stdout.take().expect("it was piped");
    let mut lines = BufReader::new(stdout).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').trim().parse::<u16>().ok()
    });
    let Some(port) = port else {
        let _ = driver.kill().and_then(|()| driver.wait());
        return None;
    };
    // Keep reading, or a full pipe would stop it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some((driver, format!("http://127.0.0.1:{port}")))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
