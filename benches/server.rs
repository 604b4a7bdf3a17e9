//! Scan page, tracking page and one feature against a bare handler that returns the same bytes, and reports against the disk's
//! group-committed fsync. `cargo bench --bench server [-- --covers N] [--seconds N] [--rounds N]`.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{
    Connection, Running, free_port, get, lidmark, load, median, option, print, synthetic_city, verdict,
};

const CONNECTIONS: usize = 64;
const CLIENTS: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(at) = arguments.iter().position(|argument| argument == "--bare") {
        runtime.block_on(serve_bare(&arguments[at + 1], Path::new(&arguments[at + 2])));
        return;
    }
    if arguments.iter().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    runtime.block_on(measure());
}

/// The limit: axum with one handler that returns these bytes, in a process of its own as the program is.
async fn serve_bare(address: &str, folder: &Path) {
    let body = std::fs::read(folder.join("page")).expect("the page was recorded");
    let headers = recorded_headers(folder);
    let router = axum::Router::new().fallback(move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move { (headers, body) }
    });
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is free");
    axum::serve(listener, router).await.expect("it serves until it is killed");
}

/// The headers of the recorded answer, less those that the server writes itself.
fn recorded_headers(folder: &Path) -> axum::http::HeaderMap {
    let head = std::fs::read_to_string(folder.join("head")).expect("the head was recorded");
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| {
            !matches!(name.to_lowercase().as_str(), "content-length" | "date" | "transfer-encoding")
        })
        .filter_map(|(name, value)| {
            Some((name.parse::<axum::http::HeaderName>().ok()?, value.trim().parse().ok()?))
        })
        .collect()
}

async fn measure() {
    let covers = option("--covers", 1_000_000);
    let time = Duration::from_secs(option("--seconds", 4));
    let rounds = option("--rounds", 5);
    let folder = support::workshop();
    let City { data, token, reported, code } = city(&folder, covers);
    let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
    let log = std::fs::File::create(folder.join("serve.log")).expect("target can be written");
    let _server = Running(
        lidmark(&["serve", "--listen", &address.to_string(), "--data", &data])
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("cargo built it"),
    );
    support::wait_until_ready(address, "/readyz").await;

    print(&format!("{covers} covers stored"));
    public_page(address, &folder, ("scan page", &format!("/c/{token}"), 0.5), time, rounds).await;
    let reported = format!("/c/{reported}");
    public_page(address, &folder, ("scan page with a hazard", &reported, 0.5), time, rounds).await;
    let feature = format!("/ogc/collections/covers/items/{code}");
    public_page(address, &folder, ("one feature", &feature, 0.4), time, rounds).await;
    let mut connection = Connection::open(address).await.expect("it is ready");
    let status = connection.ask(&report(&token)).await.expect("it answers");
    assert_eq!(status, 201, "a report");
    let said: serde_json::Value = serde_json::from_slice(connection.body()).expect("JSON");
    let link = said["link"].as_str().expect("a link").to_owned();
    public_page(address, &folder, ("tracking page", &link, 0.4), time, rounds).await;
    reports(address, &folder, &token, time, rounds).await;
}

/// A page against a process that answers its bytes and does nothing else.
async fn public_page(
    address: SocketAddr,
    folder: &Path,
    (name, page, bar): (&str, &str, f64),
    time: Duration,
    rounds: u64,
) {
    let headers = [("accept-encoding", "gzip, br"), ("accept-language", "zh-CN,zh")];
    let mut connection = Connection::open(address).await.expect("it is ready");
    let status = connection.ask(&get(page, &headers)).await.expect("it answers");
    assert_eq!(status, 200, "the {name}");
    std::fs::write(folder.join("page"), connection.body()).expect("target can be written");
    std::fs::write(folder.join("head"), connection.head()).expect("target can be written");
    print(&format!("{name}: {} bytes on the wire", connection.body().len()));
    let bare: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
    let _bare = Running(
        Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--bare", &bare.to_string()])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("this program can start itself"),
    );
    support::wait_until_ready(bare, "/").await;
    let request = get(page, &headers);
    let (mut ours, mut limits, mut ratios, mut worst) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let bytes = request.clone();
        let limit = load(bare, CONNECTIONS, time, None, 200, move |_, _| bytes.clone()).await;
        let bytes = request.clone();
        let here = load(address, CONNECTIONS, time, None, 200, move |_, _| bytes.clone()).await;
        assert_eq!(here.failed, 0, "answers other than 200");
        if round > 0 {
            // The first round warms up.
            print(&format!(
                "  round {round}: {:.0}/s (p50 {:.2} ms, p99 {:.2} ms) against {:.0}/s bare (p99 {:.2} ms)",
                here.per_second, here.p50_ms, here.p99_ms, limit.per_second, limit.p99_ms
            ));
            ratios.push(here.per_second / limit.per_second);
            ours.push(here.per_second);
            limits.push(limit.per_second);
            worst.push(here.p99_ms);
        }
    }
    let half = median(ours.clone()) / 2.0;
    let bytes = request.clone();
    let paced = load(address, CONNECTIONS, time, Some(half), 200, move |_, _| bytes.clone()).await;
    print(&format!("{name}, requests/s: {:.0}; bare handler: {:.0}", median(ours), median(limits)));
    let ratio = median(ratios);
    let share = format!("{name}: share of the bare handler's requests/s");
    verdict(&share, ratio, "", ratio >= bar, &format!(">= {bar}"));
    let p99 = median(worst);
    verdict(&format!("{name}: p99 at 64 connections, as fast as they can"), p99, "ms", p99 < 5.0, "< 5");
    verdict(
        &format!("{name}: p99 at 64 connections, half that rate"),
        paced.p99_ms,
        "ms",
        paced.p99_ms < 5.0,
        "< 5",
    );
}

async fn reports(address: SocketAddr, folder: &Path, token: &str, time: Duration, rounds: u64) {
    let (mut ours, mut limits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let limit = group_committed_sqlite(folder, time).await;
        let token = token.to_owned();
        let here = load(address, CLIENTS, time, None, 201, move |_, _| report(&token)).await;
        assert_eq!(here.failed, 0, "reports that were not answered with 201");
        if round > 0 {
            print(&format!(
                "  round {round}: {:.0} reports/s (p50 {:.2} ms, p99 {:.2} ms) against {limit:.0}/s raw",
                here.per_second, here.p50_ms, here.p99_ms
            ));
            ratios.push(here.per_second / limit);
            ours.push(here.per_second);
            limits.push(limit);
        }
    }
    print(&format!(
        "reports/s: {:.0}; raw group-committed SQLite: {:.0}/s; bare write + fdatasync, one at a time: {:.0}/s",
        median(ours),
        median(limits),
        bare_fsyncs(folder, time)
    ));
    let ratio = median(ratios);
    verdict("report: share of the raw group-committed rows/s", ratio, "", ratio >= 0.5, ">= 0.5");
}

/// A report without photo, each under a key of its own.
fn report(token: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"token":"{token}","hazard":"rocking","description":"The cover rattles when a bus passes, since Monday"}}"#
    );
    format!(
        "POST /api/v1/reports HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         idempotency-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
        uuid::Uuid::now_v7(),
        body.len()
    )
    .into_bytes()
}

/// The limit for reports: as many clients as the load has, one SQLite connection that commits whatever is
/// waiting in one transaction with `synchronous=FULL`, one row of the size of a report each.
async fn group_committed_sqlite(folder: &Path, time: Duration) -> f64 {
    use sqlx::Connection;
    let scratch = tempfile::tempdir_in(folder).expect("target can be written");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(scratch.path().join("raw.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
    let mut database = sqlx::SqliteConnection::connect_with(&options).await.expect("SQLite opens");
    sqlx::query("CREATE TABLE raw (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
        .execute(&mut database)
        .await
        .expect("a table");
    let (send, mut waiting) = tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>(64);
    let writer = tokio::spawn(async move {
        let body = "x".repeat(400);
        let mut group = Vec::new();
        while waiting.recv_many(&mut group, 64).await > 0 {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.expect("begin");
            for _ in &group {
                sqlx::query("INSERT INTO raw (body) VALUES ($1)")
                    .bind(&body)
                    .execute(&mut database)
                    .await
                    .expect("insert");
            }
            sqlx::query("COMMIT").execute(&mut database).await.expect("commit");
            for client in group.drain(..) {
                let _ = client.send(());
            }
        }
    });
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let send = send.clone();
            tokio::spawn(async move {
                let mut done = 0u64;
                while start.elapsed() < time {
                    let (answer, answered) = tokio::sync::oneshot::channel();
                    if send.send(answer).await.is_err() || answered.await.is_err() {
                        break;
                    }
                    done += 1;
                }
                done
            })
        })
        .collect();
    drop(send);
    let mut done = 0;
    for client in clients {
        done += client.await.expect("no client panics");
    }
    let per_second = done as f64 / start.elapsed().as_secs_f64();
    writer.await.expect("the writer ends when its clients do");
    per_second
}

/// 4 kB appended and synced, one after the other.
fn bare_fsyncs(folder: &Path, time: Duration) -> f64 {
    let (send, receive) = mpsc::channel();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        let mut file = tempfile::tempfile_in(folder).expect("target can be written");
        let (start, mut done) = (Instant::now(), 0u64);
        while start.elapsed() < time {
            file.write_all(&[7; 4096]).expect("there is room");
            file.sync_data().expect("the disk syncs");
            done += 1;
        }
        let _ = send.send(done as f64 / start.elapsed().as_secs_f64());
    });
    receive.recv().unwrap_or(0.0)
}

struct City {
    /// Its folder.
    data: String,
    /// Of a plate whose cover has no open case, and of one whose cover has one.
    token: String,
    reported: String,
    /// Of the cover of the first plate.
    code: String,
}

fn city(folder: &Path, covers: u64) -> City {
    let data = synthetic_city(folder, covers);
    let (token, code) = installed_plate(&data, "NOT EXISTS");
    let (reported, _) = installed_plate(&data, "EXISTS");
    City { data: data.display().to_string(), token, reported, code }
}

/// Any installed plate and the code of its cover, read from the database as a bench may.
fn installed_plate(data: &Path, with_case: &str) -> (String, String) {
    let sql = format!(
        "SELECT p.token, c.code FROM plates p JOIN covers c ON c.id = p.cover_id WHERE p.state = 'installed'
         AND {with_case} (SELECT 1 FROM cases k WHERE k.cover_id = c.id AND k.state IN ('filed', 'dispatched',
         'handling')) LIMIT 1"
    );
    use sqlx::{Connection, Row};
    let file = data.join("lidmark.db");
    let read = async move {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut database =
            sqlx::SqliteConnection::connect_with(&options).await.expect("the city's database opens");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        let row = query.fetch_one(&mut database).await.expect("the demo installs plates and files cases");
        (row.get::<i64, _>(0), row.get::<String, _>(1))
    };
    let stored = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(read)
    });
    let (token, code) = stored.join().expect("it reads");
    (lidmark::domain::token::Token::from_i64(token).expect("a stored token is one").to_string(), code)
}
