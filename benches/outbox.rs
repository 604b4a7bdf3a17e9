//! How fast events leave: 20,000 of 2,000 cases to a receiver on this machine that verifies nothing and keeps them all.
//! `cargo bench --bench outbox [-- --events N] [--cases N] [--wait-us N]`; the last is how long the receiver thinks.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::receiver::{OutboxRules, ReceiverKind};
use lidmark::domain::role::Actor;
use lidmark::outbox::Courier;
use lidmark::registry::{Database, NewReceiver, ReceiverDraft, Registry, RegistryOptions};
use sqlx::Connection;
use support::{option, print, verdict};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

type Heard = Arc<Mutex<Vec<i64>>>;

/// Takes everything and remembers the numbers in the order in which they came.
async fn receiver(wait: Duration, heard: Heard) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
    let take = move |headers: HeaderMap| {
        let heard = heard.clone();
        async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let id = headers["webhook-id"].to_str().expect("it is ASCII");
            let sequence = id.rsplit('_').next().and_then(|text| text.parse().ok()).expect("a number");
            heard.lock().expect("nobody panics").push(sequence);
            StatusCode::NO_CONTENT
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    url
}

async fn measure() {
    let (events, cases) = (option("--events", 20_000) as i64, option("--cases", 2_000) as i64);
    let wait = Duration::from_micros(option("--wait-us", 0));
    let folder = tempfile::tempdir_in(support::workshop()).expect("target can be written");
    let outbox = OutboxRules { private_receivers: true, ..OutboxRules::default() };
    let options = RegistryOptions { outbox, ..RegistryOptions::default() };
    let database = Database::Sqlite(folder.path().to_owned());
    let registry = Registry::open(&database, options).await.expect("it opens");
    let heard = Heard::default();
    let url = receiver(wait, heard.clone()).await;
    let draft = ReceiverDraft { name: "bench".into(), url, events: "case.*".into(), ..Default::default() };
    let (key, kind) = (IdempotencyKey::fresh(), ReceiverKind::Webhook);
    registry.add_receiver(NewReceiver { key, kind, draft, actor: Actor::System }).await.expect("it fits");
    fill(&folder.path().join("lidmark.db"), events, cases).await;

    let courier = Courier::new(registry.clone(), true).expect("a client");
    let begun = Instant::now();
    let mut delivered = 0;
    while delivered < events {
        delivered += courier.turn().await.expect("it delivers") as i64;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let heard = heard.lock().expect("nobody panics");
    assert_eq!(heard.len() as i64, events, "every event once");
    let mut last: HashMap<i64, i64> = HashMap::new();
    for sequence in heard.iter() {
        let before = last.insert(sequence % cases, *sequence).unwrap_or(0);
        assert!(before < *sequence, "event {sequence} came behind {before} of its case");
    }
    let rate = events as f64 / seconds;
    print(&format!("{events} events of {cases} cases in {seconds:.2} s, each case in order"));
    verdict("webhooks to a receiver on this machine", rate, "/s", rate >= 1_000.0, ">= 1,000");
}

/// Events as cases make them, in turn.
async fn fill(file: &std::path::Path, events: i64, cases: i64) {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("it is there");
    let body = "'{\"case\":\"2026-' || printf('%06d', value % $2) || '\",\"emergency\":false,\"hazard\":\"broken\",\
        \"party\":null,\"state\":\"filed\",\"due_at\":\"2026-03-02T08:00:00Z\"}'";
    let insert = format!(
        "WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < $1)
         INSERT INTO outbox (sequence, event, body, created_at) SELECT value, 'case.filed', {body}, 1772409600000 FROM numbers"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(events)
        .bind(cases)
        .execute(&mut connection)
        .await
        .expect("it fits");
    let count = "INSERT INTO counters (name, last) VALUES ('outbox', $1)";
    sqlx::query(count).bind(events).execute(&mut connection).await.expect("it fits");
    connection.close().await.expect("it closes");
}
