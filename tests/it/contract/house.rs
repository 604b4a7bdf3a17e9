//! A server on a small town, whose every answer is held to the contract as it arrives.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lidmark::config::{Config, Mail, MapBase, MapSettings};
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use lidmark::http::{AppState, serve};
use lidmark::photos::{PhotoLimits, PhotoStore};
use lidmark::spatial::LiveSnapshot;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::registry::ground::Town;
use crate::support::contract::{Recorded, contract};
use crate::support::engines::Ground;

pub const KEY: &str = "Idempotency-Key";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    Nobody,
    Staff(Role),
}

pub struct House {
    pub town: Town,
    pub state: AppState,
    /// Of the covers along the street, in their order.
    pub plates: Vec<Token>,
    pub base: String,
    pub client: reqwest::Client,
    bearers: Vec<(Role, String)>,
    /// (method, path template, status) of every answer so far.
    seen: Mutex<BTreeSet<(String, String, u16)>>,
    /// What was wrong with answers so far; told together at the end.
    faults: Mutex<Vec<String>>,
    pub ground: Ground,
}

/// An answer that fits the contract.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The stable code of a problem, on a page empty.
    pub fn code(&self) -> String {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| body["code"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// A request on its way.
pub struct Ask<'h> {
    house: &'h House,
    method: &'static str,
    path: String,
    request: reqwest::RequestBuilder,
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Under a fresh idempotency key.
    pub fn keyed(self) -> Self {
        let key = lidmark::domain::ids::IdempotencyKey::fresh().to_string();
        self.header(KEY, &key)
    }

    pub fn json(mut self, body: Value) -> Self {
        self.request = self.request.json(&body);
        self
    }

    pub fn body(mut self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.header("content-type", media_type).body(body);
        self
    }

    /// A URL-encoded form.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.request =
            self.request.header("content-type", "application/x-www-form-urlencoded").body(body.join("&"));
        self
    }

    pub fn multipart(mut self, fields: &[(&str, &str)], photos: &[Vec<u8>]) -> Self {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        for photo in photos {
            let part = Part::bytes(photo.clone()).file_name("photo.jpg").mime_str("image/jpeg").unwrap();
            form = form.part("photos", part);
        }
        self.request = self.request.multipart(form);
        self
    }

    /// Sends it; an answer that the contract does not document is a fault.
    pub async fn send(self) -> Answer {
        let response = self.request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().await.unwrap().to_vec();
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        let recorded = Recorded { method: self.method, path: &self.path, status, content_type, body: &body };
        if let Err(wrong) = contract().check(&recorded) {
            let shown: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            self.house.fault(format!("{wrong}\n    {shown}"));
        }
        let template = contract().template(&self.path).unwrap_or_default().to_owned();
        self.house.seen.lock().unwrap().insert((self.method.to_owned(), template, status));
        Answer { status, headers, body }
    }

    /// Sends it and expects this status.
    pub async fn expect(self, status: u16) -> Answer {
        let story = format!("{} {}", self.method, self.path);
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{story}: {}", answer.text().chars().take(600).collect::<String>());
        answer
    }
}

impl House {
    pub async fn open() -> Self {
        Self::on(Ground::sqlite().unwrap()).await
    }

    pub async fn on(ground: Ground) -> Self {
        Self::open_with(ground, |_| {}).await
    }

    /// A town of six covers with plates, staff of every role with an API token each.
    pub async fn open_with(ground: Ground, settle: impl FnOnce(&mut Config)) -> Self {
        let town = Town::found(&ground).await;
        let plates = town.plated(6).await;
        let mut bearers = Vec::new();
        for role in Role::ALL {
            town.staff(role.as_str(), *role).await;
            bearers.push((*role, town.registry.add_api_token(role.as_str(), role.as_str()).await.unwrap()));
        }
        let data = ground.home().folder().to_owned();
        let photos = PhotoStore::new(data.join("photos"), PhotoLimits::default());
        let mut config = Config {
            plate_host: "lid.example.cn".into(),
            secure_cookies: false,
            tries_per_minute: 100_000,
            reports_per_minute: 100_000,
            rewards: town.registry.reward_rules().clone(),
            mail: Mail { by_gateway: true, ..Mail::default() },
            map: MapSettings {
                base: MapBase::Pmtiles,
                file: "ground.pmtiles".into(),
                ..MapSettings::default()
            },
            ..Config::default()
        };
        settle(&mut config);
        let snapshot = Arc::new(LiveSnapshot::new(
            town.registry.load_map(&config.quality, Arc::default()).await.unwrap(),
        ));
        let state = AppState::new(town.registry.clone(), snapshot, photos, config, data);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = state.clone();
        tokio::spawn(async move { serve(serving, listener, std::future::pending()).await });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            // A body that is refused before its end closes its connection; the next request must not
            // be on it.
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            town,
            state,
            plates,
            base,
            client,
            bearers,
            seen: Mutex::default(),
            faults: Mutex::default(),
            ground,
        }
    }

    pub fn ask(&self, who: As, method: &'static str, path: &str) -> Ask<'_> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let As::Staff(role) = who {
            request = request.bearer_auth(self.bearer(role));
        }
        Ask { house: self, method, path: path.to_owned(), request }
    }

    pub fn get(&self, who: As, path: &str) -> Ask<'_> {
        self.ask(who, "GET", path)
    }

    pub fn post(&self, who: As, path: &str) -> Ask<'_> {
        self.ask(who, "POST", path)
    }

    pub fn bearer(&self, role: Role) -> &str {
        &self.bearers.iter().find(|(known, _)| *known == role).unwrap().1
    }

    /// The code of the cover at this place in the street.
    pub async fn code(&self, at: usize) -> String {
        let scanned = self.town.registry.find_plate(self.plates[at]).await.unwrap().unwrap();
        scanned.cover.unwrap().code.digits
    }

    pub async fn last_change(&self) -> i64 {
        self.town.registry.last_change().await.unwrap()
    }

    pub fn fault(&self, fault: String) {
        self.faults.lock().unwrap().push(fault);
    }

    /// Fails the test when anything was wrong.
    pub fn assert_faultless(&self) {
        let mut faults = self.faults.lock().unwrap().clone();
        faults.dedup();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    /// An answer that was not asked for through the house.
    pub fn saw(&self, method: &str, template: &str, status: u16) {
        self.seen.lock().unwrap().insert((method.to_owned(), template.to_owned(), status));
    }

    /// The map as the tables are now; a server follows by itself.
    pub async fn reload_map(&self) {
        self.state.read_map_anew().await.unwrap();
    }

    pub fn seen(&self) -> BTreeSet<(String, String, u16)> {
        self.seen.lock().unwrap().clone()
    }
}

/// A small photo, different for every `shade`.
pub fn jpeg(shade: u8) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(48, 32, |x, y| image::Rgb([shade, (x * 5) as u8, (y * 7) as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}
