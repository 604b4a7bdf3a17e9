//! Programs that keep a copy of the registry while people and programs write: whatever is cut off on the way, the copy is
//! the registry in the end, and every change was heard of once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lidmark::domain::cover::CoverClass;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::ImportMode;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::both_engines;
use crate::contract::editing::street;
use crate::contract::house::House;
use crate::registry::ground::{Town, candidate};

/// For so long people write.
const BUSY: Duration = Duration::from_millis(2_500);
/// How long at most, where the machine has other work.
const PATIENCE: Duration = Duration::from_secs(45);

/// A program with a token.
#[derive(Clone)]
struct Program {
    base: String,
    secret: String,
    client: reqwest::Client,
}

impl Program {
    fn new(house: &House, role: Role) -> Self {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { base: house.base.clone(), secret: house.bearer(role).to_owned(), client }
    }

    fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.client.request(method.parse().unwrap(), url).bearer_auth(&self.secret)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn read(&self, ids: &[String]) -> Value {
        let answer = self.ask("POST", "/api/v1/covers/read").json(&json!({"ids": ids})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Sends a write; tells whether it was done. Being too late is no fault, breaking is.
    async fn write(&self, method: &str, path: &str, version: Option<&str>, body: Value) -> bool {
        let mut ask = self.ask(method, path).header("idempotency-key", IdempotencyKey::fresh().to_string());
        if let Some(version) = version {
            ask = ask.header("if-match", version);
        }
        let answer = ask.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status < 500, "{method} {path}: {status} {}", answer.text().await.unwrap());
        status < 300
    }

    /// Everything that `list` names, page by page.
    async fn list(&self, path: &str, name: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await;
            all.extend(page[name].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    async fn covers(&self) -> BTreeMap<String, Value> {
        let covers = self.list("/api/v1/covers?standing=any&limit=7", "covers").await;
        covers.into_iter().map(|cover| (cover["id"].as_str().unwrap().to_owned(), cover)).collect()
    }

    async fn cases(&self) -> BTreeMap<String, Value> {
        let cases = self.list("/api/v1/cases?limit=7", "cases").await;
        cases
            .into_iter()
            .map(|line| (line["case"]["id"].as_str().unwrap().to_owned(), line["case"].clone()))
            .collect()
    }
}

/// A copy, kept by what the feed says.
struct Mirror {
    program: Program,
    covers: BTreeMap<String, Value>,
    cases: BTreeMap<String, Value>,
    began: i64,
    heard: Vec<i64>,
}

impl Mirror {
    /// Where the feed stands first, then everything: what changes while it is read comes again.
    async fn begin(program: Program) -> Self {
        let began = program.read(&[]).await["last"].as_i64().unwrap();
        let (covers, cases) = (program.covers().await, program.cases().await);
        Self { program, covers, cases, began, heard: Vec::new() }
    }

    fn since(&self) -> i64 {
        self.heard.last().copied().unwrap_or(self.began)
    }

    async fn apply(&mut self, page: &Value) {
        let changes = page["changes"].as_array().unwrap();
        let ids = |kind: &str| -> BTreeSet<String> {
            let of = changes.iter().filter(|change| change["kind"] == kind);
            of.map(|change| change["id"].as_str().unwrap().to_owned()).collect()
        };
        let covers: Vec<String> = ids("cover").into_iter().collect();
        for chunk in covers.chunks(1000) {
            let read = self.program.read(chunk).await;
            for gone in read["missing"].as_array().unwrap() {
                self.covers.remove(gone.as_str().unwrap());
            }
            for one in read["covers"].as_array().unwrap() {
                self.covers.insert(one["asked"].as_str().unwrap().to_owned(), one["cover"].clone());
            }
        }
        for id in ids("case") {
            let file = self.program.get(&format!("/api/v1/cases/{id}?fields=case")).await;
            self.cases.insert(id, file["case"].clone());
        }
        self.heard.extend(changes.iter().map(|change| change["sequence"].as_i64().unwrap()));
    }

    async fn follow_by_asking(mut self, is_over: Arc<AtomicBool>, last: impl AsyncFn() -> i64) -> Self {
        loop {
            let over = is_over.load(Ordering::SeqCst);
            let page =
                self.program.get(&format!("/api/v1/changes?since={}&wait_s=1&limit=50", self.since())).await;
            assert_eq!(
                page["last"].as_i64().unwrap(),
                page["changes"]
                    .as_array()
                    .unwrap()
                    .last()
                    .map_or(self.since(), |change| change["sequence"].as_i64().unwrap())
            );
            self.apply(&page).await;
            if over && self.since() >= last().await {
                return self;
            }
        }
    }

    /// Follows the stream, which is cut off again and again, also in the middle of an event; answers how often, too.
    async fn follow_the_stream(
        mut self,
        is_over: Arc<AtomicBool>,
        cuts: Arc<AtomicUsize>,
        last: impl AsyncFn() -> i64,
    ) -> Self {
        let mut random = SmallRng::seed_from_u64(77);
        loop {
            let since = self.since();
            let ask = if random.random_bool(0.5) {
                self.program.ask("GET", "/api/v1/changes/stream").header("last-event-id", since.to_string())
            } else {
                self.program.ask("GET", &format!("/api/v1/changes/stream?since={since}"))
            };
            let mut stream = ask.send().await.unwrap();
            assert_eq!(stream.status(), 200);
            let mut text = String::new();
            // So many events, or so many bytes into one of them; an import's are tens of thousands long.
            let (events, bytes) = (random.random_range(1..6), random.random_range(20..80_000));
            let (mut seen, mut taken) = (0, 0);
            let calm = Duration::from_millis(700);
            while let Ok(Ok(Some(chunk))) = tokio::time::timeout(calm, stream.chunk()).await {
                taken += chunk.len();
                if taken > bytes {
                    break;
                }
                text.push_str(std::str::from_utf8(&chunk).unwrap());
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let id = event
                        .lines()
                        .find_map(|line| line.strip_prefix("id: "))
                        .map(|id| id.parse().unwrap());
                    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                    if let Some(data) = data {
                        self.apply(&serde_json::from_str(data).unwrap()).await;
                        assert_eq!(id, Some(self.since()), "the id of an event is its last change");
                        seen += 1;
                    }
                    text = rest.to_owned();
                }
                if seen >= events {
                    break;
                }
            }
            drop(stream);
            cuts.fetch_add(1, Ordering::Relaxed);
            if is_over.load(Ordering::SeqCst) && self.since() >= last().await {
                return self;
            }
        }
    }

    /// Every change once, in order, and none left out.
    fn assert_heard_all(&self, last: i64) {
        let wanted: Vec<i64> = (self.began + 1..=last).collect();
        assert_eq!(self.heard, wanted);
    }
}

/// What somebody does, again and again.
struct Writer {
    house_plates: Vec<String>,
    program: Program,
    desk: Program,
    codes: Vec<String>,
    random: SmallRng,
    done: Arc<[AtomicUsize; 6]>,
    cuts: Arc<AtomicUsize>,
}

impl Writer {
    async fn write(mut self) {
        let begun = Instant::now();
        while begun.elapsed() < BUSY || (begun.elapsed() < PATIENCE && !self.has_seen_enough()) {
            let what = self.random.random_range(0..6);
            let done = match what {
                0 => self.edit().await,
                1 => self.move_place().await,
                2 => self.retire_or_reinstate().await,
                3 => self.report().await,
                4 => self.move_case().await,
                _ => self.write_many().await,
            };
            self.done[what].fetch_add(usize::from(done), Ordering::Relaxed);
        }
    }

    /// Whether everything was done at least once, and the stream cut off a few times meanwhile.
    fn has_seen_enough(&self) -> bool {
        self.done.iter().all(|count| count.load(Ordering::Relaxed) > 0)
            && self.cuts.load(Ordering::Relaxed) > 3
    }

    async fn some_cover(&mut self) -> (String, String, Value) {
        let code = self.codes[self.random.random_range(0..self.codes.len())].clone();
        let cover = self.program.get(&format!("/api/v1/covers/{code}")).await;
        (format!("/api/v1/covers/{code}"), format!("\"{}\"", cover["version"]), cover)
    }

    fn material(&mut self) -> Value {
        let words = ["cast_iron", "ductile_iron", "composite", "steel"];
        json!(words[self.random.random_range(0..words.len())])
    }

    async fn edit(&mut self) -> bool {
        let (path, version, _) = self.some_cover().await;
        let body = json!({"set": {"material": self.material()}});
        self.program.write("PATCH", &path, Some(&version), body).await
    }

    async fn move_place(&mut self) -> bool {
        let (path, version, cover) = self.some_cover().await;
        let x = cover["position"]["lon"].as_f64().unwrap() + self.random.random_range(-9..10) as f64 * 1e-6;
        let position = json!({"x": x, "y": cover["position"]["lat"], "method": "rtk", "accuracy_m": 0.02});
        let body = json!({"set": {"position": position}, "reason": "surveyed again"});
        self.program.write("PATCH", &path, Some(&version), body).await
    }

    async fn retire_or_reinstate(&mut self) -> bool {
        let (path, version, cover) = self.some_cover().await;
        let (step, body) = match cover.get("retired") {
            None => ("retire", json!({"retire_reason": "removed", "reason": "gone"})),
            Some(_) => ("reinstate", json!({"reason": "still there"})),
        };
        self.program.write("POST", &format!("{path}/{step}"), Some(&version), body).await
    }

    async fn report(&mut self) -> bool {
        let token = &self.house_plates[self.random.random_range(0..self.house_plates.len())];
        let hazard = ["broken", "rocking", "sunken"][self.random.random_range(0..3)];
        let body = json!({"token": token, "hazard": hazard});
        self.program.write("POST", "/api/v1/reports", None, body).await
    }

    async fn move_case(&mut self) -> bool {
        let cases = self.desk.get("/api/v1/cases?state=reported&limit=3&fields=number").await;
        let Some(number) = cases["cases"][0]["case"]["number"].as_str() else { return false };
        let body = match self.random.random_bool(0.5) {
            true => json!({"move": "file"}),
            false => json!({"move": "reject", "reason": "nothing there"}),
        };
        self.desk.write("POST", &format!("/api/v1/cases/{number}/moves"), None, body).await
    }

    async fn write_many(&mut self) -> bool {
        let from = self.random.random_range(0..self.codes.len());
        let codes: Vec<&String> = self.codes.iter().cycle().skip(from).take(8).collect();
        let read = self
            .program
            .ask("POST", "/api/v1/covers/read")
            .json(&json!({"codes": codes}))
            .send()
            .await
            .unwrap();
        let read: Value = read.json().await.unwrap();
        let material = self.material();
        let changes: Vec<Value> = read["covers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!({"id": one["cover"]["id"], "if_match": one["etag"], "change": {"set": {"material": material}}}))
            .collect();
        let mode = if self.random.random_bool(0.5) { "each" } else { "all_or_nothing" };
        self.program
            .write("POST", "/api/v1/covers/write", None, json!({"mode": mode, "changes": changes}))
            .await
    }
}

/// A census of new covers comes and is taken back, again and again; answers how many covers went with it.
async fn census(town: &Town) -> u64 {
    let (begun, mut gone) = (Instant::now(), 0);
    while begun.elapsed() < BUSY || gone == 0 {
        let mut run = town.registry.begin_import(town.options(ImportMode::Write)).await.unwrap();
        run.begin_file();
        run.take((500..506).map(|at| candidate(at, CoverClass::Storm)).collect()).await.unwrap();
        let number = run.number().unwrap();
        run.finish().await.unwrap();
        gone += town.registry.roll_back_import(number, &Actor::System).await.unwrap().removed;
    }
    gone
}

both_engines! {
    async fn a_mirror_is_the_registry_whatever_is_written_and_cut_off_meanwhile(ground: Ground) {
        let house = House::on(ground).await;
        let mut codes = street(&house, 20).await;
        for at in 0..house.plates.len() {
            codes.push(house.code(at).await);
        }
        let (engineer, desk) = (Program::new(&house, Role::Engineer), Program::new(&house, Role::Supervisor));
        let (done, cuts): (Arc<[AtomicUsize; 6]>, Arc<AtomicUsize>) = Default::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|at| {
                let writer = Writer {
                    house_plates: house.plates.iter().map(ToString::to_string).collect(),
                    program: engineer.clone(),
                    desk: desk.clone(),
                    codes: codes.clone(),
                    random: SmallRng::seed_from_u64(at),
                    done: done.clone(),
                    cuts: cuts.clone(),
                };
                tokio::spawn(writer.write())
            })
            .collect();
        let writing = async {
            let gone = census(&house.town).await;
            for writer in writers {
                writer.await.unwrap();
            }
            is_over.store(true, Ordering::SeqCst);
            gone
        };
        let newest = async || house.last_change().await;
        let asking = async { Mirror::begin(desk.clone()).await.follow_by_asking(is_over.clone(), &newest).await };
        let streaming = async {
            Mirror::begin(desk.clone()).await.follow_the_stream(is_over.clone(), cuts.clone(), &newest).await
        };
        let (gone, asked, streamed) = tokio::join!(writing, asking, streaming);
        let (covers, cases, last) = (desk.covers().await, desk.cases().await, house.last_change().await);
        for mirror in [&asked, &streamed] {
            mirror.assert_heard_all(last);
            assert_eq!(mirror.covers, covers);
            assert_eq!(mirror.cases, cases);
        }
        let done: Vec<usize> = done.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let cuts = cuts.load(Ordering::Relaxed);
        crate::support::say(&format!("{done:?} deeds, {gone} covers taken back, {last} changes, {cuts} times cut off"));
        assert!(done.iter().all(|count| *count > 0) && cuts > 3, "{done:?}, {cuts} cuts");
        assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
    }
}
