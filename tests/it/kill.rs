//! Nothing lost: the server is killed with SIGKILL at random moments, a hundred times on each engine,
//! under concurrent reports (with and without photos), imports and plate batches. Afterwards every
//! acknowledged write is there once, no batch is half, no row is an orphan and `lidmark check` is clean.
//!
//! A write whose answer never came is sent again under its key, as a phone would: it must then be there
//! once, whether or not it had been committed before the kill. `LIDMARK_KILLS=1000` tries harder.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::both_engines;
use crate::registry::ground::Town;
use crate::support::server::{Server, run_command};

const REPORTERS: usize = 4;
const ROWS_PER_FILE: u64 = 25;
const PLATES_PER_BATCH: u64 = 12;

both_engines! {
    async fn a_hundred_kills_lose_nothing(ground: Ground) {
        let rounds = std::env::var_os("LIDMARK_KILLS")
            .and_then(|count| count.to_str()?.parse().ok())
            .unwrap_or(100u32);
        let town = Town::found(&ground).await;
        let tokens = town.plated(12).await;
        town.staff("ying", Role::Engineer).await;
        let secret = town.registry.add_api_token("ying", "kill").await.unwrap();
        town.registry.close().await;
        let covers_before: u64 = ground.sql("SELECT count(*) FROM covers").parse().unwrap();

        be_patient(&ground.home());
        let mut server = Server::start(ground.home()).await;
        let world = Arc::new(World::new(server.base(), secret, tokens));
        let mut random = SmallRng::seed_from_u64(20261123);
        for round in 1..=rounds {
            let crowd = world.send_everybody();
            // Most lives are too short for a batch of plates; some must see one answered.
            let life = if round % 10 == 0 { 600..1500 } else { 5..350 };
            tokio::time::sleep(Duration::from_millis(random.random_range(life))).await;
            server.kill();
            for person in crowd {
                person.await.expect("nobody panics");
            }
            server.restart().await;
            world.look_for_what_was_acknowledged_last(round).await;
            assert_eq!(ground.sql(HALF_BATCHES), "0", "a half batch after kill {round}");
            if round % 20 == 0 {
                assert_clean(&ground.home(), round);
            }
        }
        world.look_for_everything().await;
        let (reports, rows, batches) = world.totals().await;
        assert_eq!(ground.sql("SELECT count(*) FROM reports").parse(), Ok(reports), "each report once");
        assert_eq!(ground.sql("SELECT count(*) FROM covers").parse(), Ok(covers_before + rows), "each cover once");
        assert_clean(&ground.home(), rounds);
        // A run in which nobody got an answer would prove nothing.
        let story = format!("{rounds} kills: {reports} reports, {rows} rows, {batches} batches, all there once");
        assert!(reports > u64::from(rounds) && rows > u64::from(rounds) && batches > 0, "{story}");
        crate::support::say(&story);
    }
}

const HALF_BATCHES: &str = "SELECT count(*) FROM plate_batches b \
     WHERE b.state = 'released' AND b.plate_count <> (SELECT count(*) FROM plates p WHERE p.batch_id = b.id)";

fn assert_clean(home: &crate::support::server::Home, round: u32) {
    let said = run_command(home, &["check", "--json"]);
    assert_eq!(said.code, Some(0), "lidmark check after kill {round}: {said:?}");
}

/// One address sends everything here, so the limits per network would only be in the way.
pub fn be_patient(home: &crate::support::server::Home) {
    std::fs::create_dir_all(home.folder()).expect("the data folder can be made");
    let settings =
        "plate_host = \"lid.example.cn\"\nreports_per_minute = 100000000\ntries_per_minute = 100000000\n";
    std::fs::write(home.folder().join("lidmark.toml"), settings).expect("the data folder can be written");
}

/// A report as it was or will be sent.
#[derive(Clone)]
struct Sent {
    key: Uuid,
    token: Token,
    hazard: &'static str,
    photo: bool,
}

/// What the server said yes to, and what it never answered.
#[derive(Default)]
struct Book {
    /// Tracking links.
    reports: Vec<String>,
    unanswered_reports: Vec<Sent>,
    /// First number of a file of rows.
    imports: Vec<u64>,
    unanswered_imports: Vec<u64>,
    /// Batch ids.
    batches: Vec<String>,
    /// Up to where the last look went: reports, imports, batches.
    seen: (usize, usize, usize),
    links: BTreeSet<String>,
}

struct World {
    base: String,
    secret: String,
    tokens: Vec<Token>,
    photo: Vec<u8>,
    next_file: AtomicU64,
    book: Mutex<Book>,
}

impl World {
    fn new(base: String, secret: String, tokens: Vec<Token>) -> Self {
        let photo = small_photo();
        Self { base, secret, tokens, photo, next_file: AtomicU64::new(0), book: Mutex::default() }
    }

    fn send_everybody(self: &Arc<Self>) -> Vec<tokio::task::JoinHandle<()>> {
        let mut crowd = Vec::new();
        for who in 0..REPORTERS {
            let world = Arc::clone(self);
            crowd.push(tokio::spawn(async move { world.report_until_killed(who).await }));
        }
        let world = Arc::clone(self);
        crowd.push(tokio::spawn(async move { world.import_until_killed().await }));
        let world = Arc::clone(self);
        crowd.push(tokio::spawn(async move { world.make_plates_until_killed().await }));
        crowd
    }

    async fn report_until_killed(&self, who: usize) {
        const HAZARDS: [&str; 6] = ["broken", "rocking", "missing", "level", "gas", "odour"];
        let client = reqwest::Client::new();
        for turn in 0.. {
            let sent = Sent {
                key: Uuid::now_v7(),
                token: self.tokens[(who + turn * 5) % self.tokens.len()],
                hazard: HAZARDS[(who * 7 + turn) % HAZARDS.len()],
                photo: who == 0,
            };
            match self.send_report(&client, &sent).await {
                Some(link) => self.book.lock().await.reports.push(link),
                None => return self.book.lock().await.unanswered_reports.push(sent),
            }
        }
    }

    /// The tracking link, or `None` when the server was gone before it answered.
    async fn send_report(&self, client: &reqwest::Client, sent: &Sent) -> Option<String> {
        let request = client.post(format!("{}/api/v1/reports", self.base));
        let request = request.header("Idempotency-Key", sent.key.to_string());
        let request = if sent.photo {
            let photo = reqwest::multipart::Part::bytes(self.photo.clone()).file_name("photo.jpg");
            let photo = photo.mime_str("image/jpeg").expect("a media type");
            let form = reqwest::multipart::Form::new()
                .text("token", sent.token.to_string())
                .text("hazard", sent.hazard)
                .text("description", "the cover is loose")
                .part("photos", photo);
            request.multipart(form)
        } else {
            let token = sent.token.to_string();
            request.json(&json!({"token": token, "hazard": sent.hazard, "description": "the cover is loose"}))
        };
        let answer = json_of(request, &[200, 201]).await?;
        let link = answer["link"].as_str().and_then(|link| link.strip_prefix("/r/"));
        Some(link.unwrap_or_else(|| panic!("no link in {answer}")).to_owned())
    }

    async fn import_until_killed(&self) {
        let client = reqwest::Client::new();
        loop {
            let first = self.next_file.fetch_add(ROWS_PER_FILE, Ordering::Relaxed);
            match self.send_file(&client, first).await {
                Some(summary) => {
                    assert_eq!(summary["created"], ROWS_PER_FILE, "{summary}");
                    self.book.lock().await.imports.push(first);
                }
                None => return self.book.lock().await.unanswered_imports.push(first),
            }
        }
    }

    async fn send_file(&self, client: &reqwest::Client, first: u64) -> Option<Value> {
        let request = client
            .post(format!("{}/api/v1/imports?source=kill&profile=lidmark-csv&scheme=component-16", self.base))
            .bearer_auth(&self.secret)
            .header("Content-Type", "text/csv")
            .body(file_of_rows(first));
        Some(json_of(request, &[200]).await?["summary"].take())
    }

    async fn make_plates_until_killed(&self) {
        let client = reqwest::Client::new();
        loop {
            let request = client
                .post(format!("{}/api/v1/plate-batches", self.base))
                .bearer_auth(&self.secret)
                .json(&json!({"count": PLATES_PER_BATCH}));
            match json_of(request, &[200, 201]).await {
                Some(batch) => {
                    let id = batch["id"].as_str().unwrap_or_else(|| panic!("no id in {batch}")).to_owned();
                    self.book.lock().await.batches.push(id);
                }
                None => return,
            }
        }
    }

    /// Sends again what was never answered, then looks for everything acknowledged since the last look.
    async fn look_for_what_was_acknowledged_last(&self, round: u32) {
        let client = reqwest::Client::new();
        let mut book = self.book.lock().await;
        for sent in std::mem::take(&mut book.unanswered_reports) {
            let first = self.send_report(&client, &sent).await.expect("the server is up");
            let again = self.send_report(&client, &sent).await.expect("the server is up");
            assert_eq!(first, again, "the same key, the same answer");
            book.reports.push(first);
        }
        for first in std::mem::take(&mut book.unanswered_imports) {
            let summary = self.send_file(&client, first).await.expect("the server is up");
            let known = ["created", "unchanged"].map(|what| summary[what].as_u64().unwrap_or(0));
            assert_eq!(known[0] + known[1], ROWS_PER_FILE, "after kill {round}: {summary}");
            book.imports.push(first);
        }
        let (reports, imports, batches) = book.seen;
        self.look_for(&client, &book.reports[reports..], &book.imports[imports..], &book.batches[batches..])
            .await;
        book.seen = (book.reports.len(), book.imports.len(), book.batches.len());
        let fresh: Vec<String> = book.reports[reports..].to_vec();
        for link in fresh {
            assert!(book.links.insert(link), "two reports share a tracking link");
        }
    }

    async fn look_for_everything(&self) {
        let book = self.book.lock().await;
        self.look_for(&reqwest::Client::new(), &book.reports, &book.imports, &book.batches).await;
    }

    async fn look_for(
        &self,
        client: &reqwest::Client,
        reports: &[String],
        imports: &[u64],
        batches: &[String],
    ) {
        for links in reports.chunks(16) {
            let look = |link| json_of(client.get(format!("{}/api/v1/reports/{link}", self.base)), &[200]);
            for seen in futures_util::future::join_all(links.iter().map(look)).await {
                seen.expect("the server is up");
            }
        }
        for first in imports {
            for row in [*first, first + ROWS_PER_FILE - 1] {
                let request = client.get(format!("{}/api/v1/covers/{}", self.base, code_of(row)));
                json_of(request.bearer_auth(&self.secret), &[200]).await.expect("the server is up");
            }
        }
        for id in batches {
            let address = format!("{}/api/v1/plate-batches/{id}/ledger.csv", self.base);
            let answer =
                client.get(address).bearer_auth(&self.secret).send().await.expect("the server is up");
            let ledger = answer.text().await.expect("a ledger is text");
            assert_eq!(ledger.lines().count() as u64, PLATES_PER_BATCH + 1, "ledger of {id}:\n{ledger}");
        }
    }

    /// How many reports and rows there must be, and batches at least.
    async fn totals(&self) -> (u64, u64, u64) {
        let book = self.book.lock().await;
        (book.reports.len() as u64, book.imports.len() as u64 * ROWS_PER_FILE, book.batches.len() as u64)
    }
}

/// The JSON of an answer; `None` when the connection broke. Any other status ends the test.
async fn json_of(request: reqwest::RequestBuilder, fits: &[u16]) -> Option<Value> {
    let answer = request.send().await.ok()?;
    let (status, url) = (answer.status().as_u16(), answer.url().clone());
    let text = answer.text().await.ok()?;
    assert!(fits.contains(&status), "{url} answered {status}: {text}");
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error} in {text}")))
}

fn code_of(row: u64) -> String {
    format!("3705020103{:06}", row + 1)
}

/// Storm covers on a grid of their own, 30 m apart, each with its code.
fn file_of_rows(first: u64) -> String {
    let mut file = String::from("code,district,class,state,lon,lat,road\n");
    for row in first..first + ROWS_PER_FILE {
        let lon = 118.40 + (row % 500) as f64 * 0.0004;
        let lat = 37.40 + (row / 500) as f64 * 0.0004;
        file.push_str(&format!("{},370502,storm,intact,{lon:.6},{lat:.6},黄河路\n", code_of(row)));
    }
    file
}

/// A JPEG that a phone might send, small.
fn small_photo() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, 90]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a picture in memory");
    bytes.into_inner()
}
