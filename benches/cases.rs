//! Case list, ledger, dashboard and Open311 over a million closed and ten thousand open cases, at 16 clients; then,
//! without the way over HTTP, dispatch and the sweep over what is due.
//! `cargo bench --bench cases [-- --covers N] [--closed N] [--open N] [--seconds N] [--clients N]`.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Actor;
use lidmark::registry::{Clock, Database, NewFinding, Registry, RegistryOptions, Spot};
use support::{
    Running, free_port, get, lidmark, load, option, peak_memory_mb, print, said, synthetic_city, verdict,
};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let (closed, open) = (option("--closed", 1_000_000), option("--open", 10_000));
    let covers = option("--covers", 100_000).max(open);
    let clients = option("--clients", 16) as usize;
    let time = Duration::from_secs(option("--seconds", 10));
    let folder = support::workshop();
    let data = city_with_cases(&folder, covers, (closed, open)).await;
    add_reports(&data).await;
    let text = data.display().to_string();
    let name = format!("bench-{}", std::process::id());
    let token = said(&mut lidmark(&["token", "add", "--login", "admin", "--name", &name, "--data", &text]));
    let token = token.split_whitespace().last().expect("it says the token").to_owned();

    let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
    let log = std::fs::File::create(folder.join("cases.log")).expect("target can be written");
    let server = Running(
        lidmark(&["serve", "--listen", &address.to_string(), "--data", &text])
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("cargo built it"),
    );
    support::wait_until_ready(address, "/readyz").await;
    let bearer = format!("Bearer {token}");
    let ask = move |path: &str| {
        get(path, &[("authorization", &bearer), ("accept-encoding", "gzip"), ("accept-language", "zh-CN")])
    };
    // The first question waits until all cases are read.
    let mut connection = support::Connection::open(address).await.expect("it is ready");
    let begun = Instant::now();
    for page in ["/desk", "/desk/ledger", "/desk/statistics"] {
        let status = connection.ask(&ask(page)).await.expect("it answers");
        assert_eq!(status, 200, "{page}");
    }
    print(&format!(
        "{closed} closed and {open} open cases on {covers} covers; first answers after {:.1} s, peak memory {:.0} MB",
        begun.elapsed().as_secs_f64(),
        peak_memory_mb(server.0.id()).unwrap_or(0.0)
    ));
    // Each client asks something else each time: nobody is to be served from what was just counted.
    let sources = ["citizen_scan", "patrol", "hotline", "grid_worker", "sensor", "campaign"];
    let month = |turn: usize| format!("{}-{:02}", 2022 + turn / 12 % 4, turn % 12 + 1);
    type Ask = Box<dyn Fn(usize, usize) -> String + Send + Sync>;
    let pages: [(&str, Ask); 5] = [
        ("case list", Box::new(move |_, turn| format!("/desk?source={}", sources[turn % sources.len()]))),
        ("case list, most urgent first", Box::new(|_, _| "/desk?order=urgent".to_owned())),
        (
            "ledger",
            Box::new(move |who, turn| {
                let (month, source) = (month(who * 7 + turn), sources[turn % sources.len()]);
                format!("/desk/ledger?from={month}-01&until={month}-28&source={source}")
            }),
        ),
        ("ledger, nothing chosen", Box::new(|_, _| "/desk/ledger".to_owned())),
        (
            "dashboard",
            Box::new(move |who, turn| {
                let (month, source) = (month(who * 5 + turn), sources[(who + turn / 48) % sources.len()]);
                format!("/desk/statistics?period={month}&source={source}&baseline=20{:02}-01", 10 + turn % 15)
            }),
        ),
    ];
    for (name, path) in pages {
        let ask = ask.clone();
        let done = load(address, clients, time, None, 200, move |who, turn| ask(&path(who, turn))).await;
        assert_eq!(done.failed, 0, "{name}: answers other than 200");
        print(&format!(
            "  {name}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            done.per_second, done.p50_ms, done.p99_ms
        ));
        verdict(
            &format!("{name}: p95 at {clients} clients"),
            done.p95_ms,
            "ms",
            done.p95_ms < 100.0,
            "< 100",
        );
    }
    open311(address, clients, time).await;
    drop(server);
    on_the_clock(&data).await;
}

/// 2026-11-25 09:00 in China, a Wednesday.
const MORNING_MS: i64 = 1_795_568_400_000;
const MINUTE_MS: i64 = 60_000;
const REPORTS: usize = 500;

/// What reports of missing covers take until they are with their party, and a sweep every five minutes from nine to
/// five, over open cases that were dispatched in the hundred hours before.
async fn on_the_clock(data: &Path) {
    let mut database = open_database(data).await;
    let spread = format!(
        "UPDATE cases SET clock = '{{}}', due_at = NULL, remind_at = NULL, updated_at = {MORNING_MS} - id_at * \
         36000 FROM (SELECT id AS of, ROW_NUMBER() OVER (ORDER BY number) % 10000 AS id_at FROM cases WHERE hazard = \
         'no_net' AND state = 'handling') WHERE id = of"
    );
    for statement in [spread.as_str(), "DELETE FROM settings WHERE key = 'cases_reckoned_by'"] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut database).await.expect("it runs");
    }
    let covers: Vec<String> = sqlx::query_scalar(
        "SELECT c.code FROM covers c WHERE c.retired_at IS NULL AND NOT EXISTS (SELECT 1 FROM cases k WHERE \
         k.cover_id = c.id AND k.hazard = 'missing') ORDER BY c.id LIMIT $1",
    )
    .bind(REPORTS as i64)
    .fetch_all(&mut database)
    .await
    .expect("it reads");
    sqlx::Connection::close(database).await.expect("it closes");

    let now = Arc::new(AtomicI64::new(MORNING_MS));
    let options = RegistryOptions { clock: Clock::Fixed(now.clone()), ..RegistryOptions::default() };
    let database = Database::Sqlite(data.to_path_buf());
    let registry = Registry::open(&database, options).await.expect("the registry opens");
    let begun = Instant::now();
    let swept = registry.sweep_cases().await.expect("it sweeps");
    print(&format!("  {} cases reckoned anew in {:.1} s", swept.reckoned, begun.elapsed().as_secs_f64()));

    let mut dispatches = Vec::new();
    for code in covers {
        let finding = NewFinding {
            key: IdempotencyKey(uuid::Uuid::new_v4()),
            spot: Spot::Cover(code),
            hazard: Hazard::Missing,
            source: None,
            description: "井盖不见了".to_owned(),
            contact: None,
            external_number: None,
            phone_position: None,
            photos: Vec::new(),
            actor: Actor::Citizen,
            language: "zh-CN",
            origin: None,
        };
        let begun = Instant::now();
        let reported = registry.file_finding(finding).await.expect("it is filed");
        dispatches.push(begun.elapsed().as_secs_f64() * 1000.0);
        assert!(reported.emergency, "a missing cover waits for nobody");
    }
    let at = percentile(&mut dispatches, 95);
    verdict("a report filed and dispatched: p95", at, "ms", at <= 5.0, "≤ 5");

    let (mut sweeps, mut reminded) = (Vec::new(), 0);
    for _ in 0..96 {
        now.fetch_add(5 * MINUTE_MS, Ordering::SeqCst);
        let begun = Instant::now();
        reminded += registry.sweep_cases().await.expect("it sweeps").reminded;
        sweeps.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    print(&format!("  {reminded} reminders in {} sweeps, one every five minutes", sweeps.len()));
    let at = percentile(&mut sweeps, 100);
    verdict("the sweep of five minutes: longest", at, "ms", at <= 200.0, "≤ 200");
    registry.close().await;
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent).div_ceil(100) - 1]
}

async fn open_database(data: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("lidmark.db"));
    <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options)
        .await
        .expect("the city's database opens")
}

/// GeoReport: 1,000 requests an answer, while nothing changes and with another question each time.
async fn open311(address: SocketAddr, clients: usize, time: Duration) {
    const HEADERS: [(&str, &str); 2] = [("accept-encoding", "gzip"), ("accept-language", "zh-CN")];
    let path = |month: usize, page: usize| {
        format!(
            "/open311/v2/requests.json?start_date={}-{:02}-01T00:00:00Z&end_date={}-{:02}-28T00:00:00Z&page={page}",
            2022 + month / 12 % 4,
            month % 12 + 1,
            2022 + month / 12 % 4,
            month % 12 + 1
        )
    };
    let mut connection = support::Connection::open(address).await.expect("it is ready");
    // Plain, to see that it is what it claims to be.
    let status = connection.ask(&get(&path(40, 1), &[])).await.expect("it answers");
    let records = String::from_utf8_lossy(connection.body()).matches("service_request_id").count();
    assert_eq!((status, records), (200, 1000), "a page of Open311 has 1,000 requests");
    let same = load(address, clients, time, None, 200, move |_, _| get(&path(40, 1), &HEADERS)).await;
    let other = load(address, clients, time, None, 200, move |who, turn| {
        get(&path(who * 7 + turn, 1 + turn % 9), &HEADERS)
    })
    .await;
    for (name, done) in [("unchanged", &same), ("each another", &other)] {
        assert_eq!(done.failed, 0, "Open311, {name}: answers other than 200");
        print(&format!(
            "  Open311, 1,000 requests, {name}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            done.per_second, done.p50_ms, done.p99_ms
        ));
    }
    verdict("Open311: answers of 1,000 requests", same.per_second, "/s", same.per_second >= 200.0, ">= 200");
}

/// A report for each case that has none: Open311 shows reports.
async fn add_reports(data: &Path) {
    let made = data.join("made-reports");
    if made.exists() {
        return;
    }
    let mut database = open_database(data).await;
    sqlx::query(
        "INSERT INTO reports (id, tracking, case_id, hazard, description, language, source, created_at)
         SELECT k.id, 'R' || k.number, k.id, k.hazard, '井盖有问题', 'zh-CN', k.source, k.created_at FROM cases k
         WHERE NOT EXISTS (SELECT 1 FROM reports r WHERE r.case_id = k.id)",
    )
    .execute(&mut database)
    .await
    .expect("it runs");
    sqlx::Connection::close(database).await.expect("it closes");
    std::fs::write(made, "").expect("target can be written");
}

/// A city of its own with that many cases, made once.
async fn city_with_cases(folder: &Path, covers: u64, (closed, open): (u64, u64)) -> PathBuf {
    let data = folder.join(format!("cases-{covers}-{closed}-{open}"));
    if data.join("made-cases").exists() {
        return data;
    }
    let city = synthetic_city(folder, covers);
    let _ = std::fs::remove_dir_all(&data);
    std::fs::rename(&city, &data).expect("target can be written");
    print(&format!("making {closed} closed and {open} open cases; this is done once"));
    let mut database = open_database(&data).await;
    for statement in statements(closed, open) {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut database).await.expect("it runs");
    }
    sqlx::Connection::close(database).await.expect("it closes");
    std::fs::write(data.join("made-cases"), "").expect("target can be written");
    data
}

/// Cases of four years, straight into the tables: closed ones after up to ten days, the open ones of late.
fn statements(closed: u64, open: u64) -> [String; 6] {
    let columns = "id, number, manhole_id, cover_id, district, hazard, state, emergency, report_count, party_id, \
        source, triage, offered_to, clock, due_at, remind_at, dispatches, refusals, reworks, reopenings, late_ms, \
        exempt, created_at, updated_at, filed_at, dispatched_at, handled_at, closed_at, version";
    let hazards = "CASE n % 5 WHEN 0 THEN 'broken' WHEN 1 THEN 'rocking' WHEN 2 THEN 'level' WHEN 3 THEN 'overflow' \
        ELSE 'odour' END";
    let sources = "CASE n % 6 WHEN 0 THEN 'citizen_scan' WHEN 1 THEN 'patrol' WHEN 2 THEN 'hotline' \
        WHEN 3 THEN 'grid_worker' WHEN 4 THEN 'sensor' ELSE 'campaign' END";
    let begin = 1_640_966_400_000u64; // 2022-01-01 in China
    let step = 4 * 365 * 86_400_000u64 / closed.max(1);
    let from = "FROM numbers CROSS JOIN places p ON p.at = n % (SELECT COUNT(*) FROM places) + 1 \
        LEFT JOIN handlers o ON o.at = n % (SELECT COUNT(*) FROM handlers) + 1";
    let numbers = |count: u64| {
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"
        )
    };
    // Of ids only the order matters; a version 7 begins with its time.
    let id = "CAST(unhex(printf('%012x7000800000000000%04x', at_ms, n % 65536)) AS BLOB)";
    let id_of = |at: &str| id.replace("at_ms", at);
    let at = format!("({begin} + n * {step})");
    let took = "(n * 7919 % 240 + 1) * 3600000";
    [
        "CREATE TEMP TABLE places AS SELECT ROW_NUMBER() OVER (ORDER BY c.id) AS at, c.id AS cover, c.manhole_id AS \
         manhole, h.district FROM covers c JOIN manholes h ON h.id = c.manhole_id WHERE c.retired_at IS NULL"
            .to_owned(),
        "CREATE UNIQUE INDEX temp.places_at ON places (at)".to_owned(),
        "CREATE TEMP TABLE handlers AS SELECT ROW_NUMBER() OVER (ORDER BY id) AS at, id FROM parties".to_owned(),
        "CREATE UNIQUE INDEX temp.handlers_at ON handlers (at)".to_owned(),
        format!(
            "{} INSERT INTO cases ({columns}) SELECT {}, printf('%d-%06d', 2022 + n * 4 / {closed}, 500000 + n), \
             p.manhole, p.cover, p.district, {hazards}, CASE n % 50 WHEN 0 THEN 'rejected' ELSE 'closed' END, 0, 1, \
             o.id, {sources}, n % 90, '', '{{}}', NULL, NULL, 1 + n % 3 / 2, n % 3 / 2, n % 7 / 6, 0, \
             CASE n % 9 WHEN 0 THEN 7200000 ELSE 0 END, n % 90 = 0, {at}, {at} + {took}, {at}, {at} + 600000, {at} + \
             {took}, CASE n % 50 WHEN 0 THEN NULL ELSE {at} + {took} END, 6 {from}",
            numbers(closed),
            id_of(&at),
        ),
        format!(
            "{} INSERT INTO cases ({columns}) SELECT {}, printf('2026-%06d', 800000 + n), p.manhole, p.cover, \
             p.district, 'no_net', 'handling', 0, 1, o.id, {sources}, n % 90, '', '{{}}', {now} + (n % 200 - 50) * \
             3600000, NULL, 1, 0, 0, 0, 0, 0, {now}, {now}, {now}, {now}, NULL, NULL, 3 {from} \
             WHERE NOT EXISTS (SELECT 1 FROM cases k WHERE k.cover_id = p.cover AND k.hazard = 'no_net')",
            numbers(open),
            id_of(&format!("({begin} + 5 * 365 * 86400000 + n)")),
            now = format_args!("({begin} + 4 * 365 * 86400000 + n * 300000)"),
        ),
    ]
}
