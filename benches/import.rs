//! A million rows of CSV into an empty city, with all indexes and the history on disk, against the
//! same rows through `.import` of the `sqlite3` program into the same tables and indexes.
//! `cargo bench --bench import [-- --covers N] [--rounds N]`. With `LIDMARK_BENCH_PGHOST=HOST_OR_SOCKET_FOLDER`, where
//! the user `postgres` may make databases, the same rows go into PostgreSQL as well, against its `COPY`.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use support::{lidmark, median, option, print, said, timed, verdict};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let covers = option("--covers", 1_000_000);
    let rounds = option("--rounds", 3);
    let folder = support::workshop();
    let census = write_census(&folder, covers);
    let (mut speeds, mut peaks, mut raws) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ratios, mut agains) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let home = tempfile::tempdir_in(&folder).expect("target can be written");
        let data = home.path().join("data").display().to_string();
        let (seconds, peak, summary) = timed(&mut import(&census, &data));
        let summary = summary.lines().last().unwrap_or_default().to_owned();
        assert!(summary.contains(&format!("\"created\":{covers}")), "not every row was created: {summary}");
        let size = std::fs::metadata(Path::new(&data).join("lidmark.db")).map_or(0, |file| file.len());
        let raw_seconds = raw_seconds(home.path(), &Path::new(&data).join("lidmark.db"));
        let (again, _, summary) = timed(&mut import(&census, &data));
        let summary = summary.lines().last().unwrap_or_default().to_owned();
        assert!(
            summary.contains(&format!("\"unchanged\":{covers}")),
            "the second run changed rows: {summary}"
        );
        let (speed, raw) = (covers as f64 / seconds, covers as f64 / raw_seconds);
        print(&format!(
            "  round {round}: {covers} rows in {seconds:.1} s, {speed:.0}/s, peak {peak:.0} MB, {:.0} MB on disk; \
             .import {raw_seconds:.1} s, {raw:.0}/s; the same file again {again:.1} s",
            size as f64 / 1e6
        ));
        speeds.push(speed);
        peaks.push(peak);
        ratios.push(speed / raw);
        raws.push(raw);
        agains.push(again);
    }
    let (speed, peak) = (median(speeds), peaks.into_iter().fold(0.0, f64::max));
    verdict("import: rows/s with indexes and history", speed, "rows/s", speed >= 50_000.0, ">= 50000");
    let ratio = median(ratios);
    verdict("import: share of sqlite3 .import of the same rows", ratio, "", ratio >= 0.5, ">= 0.5");
    verdict("import: peak memory", peak, "MB", peak <= 300.0, "<= 300");
    print(&format!(
        "sqlite3 .import: {:.0} rows/s; the same file again: {:.1} s",
        median(raws),
        median(agains)
    ));
    if let Some(host) = std::env::var_os("LIDMARK_BENCH_PGHOST") {
        into_postgres(&host.to_string_lossy(), &census, covers, rounds);
    }
}

fn into_postgres(host: &str, census: &Path, covers: u64, rounds: u64) {
    const TABLES: [&str; 6] = ["districts", "parties", "manholes", "covers", "history", "changes"];
    let psql = |database: &str, script: &str| {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", host]);
        said(command.args(["-d", database, "-c", script]))
    };
    let fresh = |name: &str, template: &str| {
        psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
    };
    let (ours, theirs) = ("lidmark_bench", "lidmark_bench_copy");
    let url = format!("postgres://postgres@localhost/{ours}?host={}", host.replace('/', "%2F"));
    let (mut speeds, mut ratios) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let home = tempfile::tempdir_in(support::workshop()).expect("target can be written");
        fresh(ours, "template0");
        let data = home.path().join("data").display().to_string();
        let (seconds, peak, summary) = timed(import(census, &data).args(["--database", &url]));
        assert!(summary.contains(&format!("\"created\":{covers}")), "not every row was created: {summary}");
        // The server itself reads and writes the files, so they lie where it may.
        let rows = |table: &str| format!("/tmp/lidmark-bench-{table}.copy");
        for table in TABLES {
            psql(ours, &format!("COPY {table} TO '{}'", rows(table)));
        }
        fresh(theirs, ours);
        psql(theirs, &format!("TRUNCATE {} CASCADE", TABLES.join(", ")));
        psql(theirs, "CHECKPOINT");
        let start = Instant::now();
        for table in TABLES {
            psql(theirs, &format!("COPY {table} FROM '{}'", rows(table)));
        }
        let copy_seconds = start.elapsed().as_secs_f64();
        let counted = psql(theirs, "SELECT count(*) FROM covers");
        assert_eq!(counted.trim(), covers.to_string(), "not every row was copied");
        print(&format!(
            "  round {round}, PostgreSQL: {covers} rows in {seconds:.1} s, {:.0}/s, peak {peak:.0} MB; \
             COPY {copy_seconds:.1} s",
            covers as f64 / seconds
        ));
        speeds.push(covers as f64 / seconds);
        ratios.push(copy_seconds / seconds);
        for database in [ours, theirs] {
            psql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
        }
        for table in TABLES {
            psql("postgres", &format!("COPY (SELECT 1 WHERE false) TO '{}'", rows(table)));
        }
    }
    let ratio = median(ratios);
    print(&format!("PostgreSQL: {:.0} rows/s", median(speeds)));
    verdict("import: share of COPY of the same rows into PostgreSQL", ratio, "", ratio >= 0.5, ">= 0.5");
}

fn import(census: &Path, data: &str) -> Command {
    let mut command = lidmark(&["import"]);
    command.arg(census).args(["--profile", "census-zh", "--yes", "--json", "--data", data]);
    command
}

/// A deterministic census: streets on a grid in Dongying, every class of the 16-digit scheme.
fn write_census(folder: &Path, covers: u64) -> PathBuf {
    let file = folder.join(format!("census-{covers}.csv"));
    if file.exists() {
        return file;
    }
    let half = folder.join("census.part");
    let mut out = BufWriter::new(std::fs::File::create(&half).expect("target can be written"));
    writeln!(out, "部件标识码,区划代码,井盖类别,状态,经度,纬度,道路,权属单位").expect("there is room");
    let districts = ["370502", "370503", "370505", "370522", "370523"];
    let owners = ["东营市自来水公司", "东营市城市管理局", "国网东营供电公司", "中国电信东营分公司"];
    for n in 0..covers {
        let class = n % 12 + 1;
        let district = districts[(n / 12 % 5) as usize];
        let sequence = n / 60 + 1;
        // 3 m apart along a street, streets 30 m apart: about the density of a centre.
        let (along, street) = (n % 4000, n / 4000);
        let lon = 118.30 + along as f64 * 3.4e-5;
        let lat = 37.30 + street as f64 * 2.7e-4;
        let owner = owners[(class % 4) as usize];
        writeln!(
            out,
            "{district}01{class:02}{sequence:06},{district},{class:02},完好,{lon:.7},{lat:.7},第{}街,{owner}",
            street + 1
        )
        .expect("there is room");
    }
    out.into_inner().expect("there is room").sync_all().expect("the disk syncs");
    std::fs::rename(half, &file).expect("same folder");
    file
}

/// The limit: seconds in which `sqlite3` imports the rows of this registry from CSV files into the
/// same tables and indexes with the same settings. A CSV file holds text only, so an id is 16
/// digits in the same order instead of 16 bytes, and the tables take any type.
fn raw_seconds(folder: &Path, registry: &Path) -> f64 {
    let numbered = "printf('%016d', row_number() OVER ())";
    let party = |column: &str| format!("substr(hex({column}), 17)");
    let dumps = [
        ("districts", "SELECT * FROM districts".to_owned()),
        ("parties", format!("SELECT {}, name, hotline FROM parties", party("id"))),
        (
            "manholes",
            format!(
                "SELECT {numbered}, district, road, address, placement, lon, lat, quadkey, raw_x, raw_y, raw_epsg,
                 position_method, accuracy_m, surveyed_at, device, history_length, substr(hex(history_hash), 33),
                 created_at FROM manholes ORDER BY id"
            ),
        ),
        (
            "covers",
            format!(
                "SELECT {numbered}, {numbered}, scheme, code, class, state, material, shape, load_class, {}, {}, {},
                 source, source_key, extra, version FROM covers ORDER BY id",
                party("owner_id"),
                party("maintainer_id"),
                party("supervisor_id")
            ),
        ),
        (
            "history",
            format!(
                "SELECT {numbered}, sequence, at, actor, kind, case_id, body, substr(hex(hash), 33)
                 FROM history ORDER BY manhole_id"
            ),
        ),
        ("changes", format!("SELECT sequence, at, kind, {numbered} FROM changes ORDER BY sequence")),
    ];
    let mut dump = String::from(".mode csv\n");
    let mut load = String::from(
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\nPRAGMA wal_autocheckpoint = 8000;\n\
         PRAGMA cache_size = -96000;\n.mode csv\n",
    );
    for (table, select) in &dumps {
        let select = select.replace('\n', " ");
        dump.push_str(&format!(".once {table}.csv\n{select};\n"));
        load.push_str(&format!(".import {table}.csv {table}\n"));
    }
    sqlite3(folder, registry, &dump);
    let schema = "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name IN
        ('districts', 'parties', 'manholes', 'covers', 'history', 'changes') ORDER BY type DESC, rowid;";
    let schema = sqlite3(folder, registry, schema)
        .replace("STRICT, WITHOUT ROWID", "WITHOUT ROWID")
        .replace(" STRICT", "")
        // What is NULL here comes as an empty text from a CSV file.
        .replace("source_key IS NOT NULL", "source_key <> ''")
        .replace("case_id IS NOT NULL", "case_id <> ''");
    let raw = folder.join("raw.db");
    sqlite3(folder, &raw, &schema);
    let start = Instant::now();
    sqlite3(folder, &raw, &load);
    let seconds = start.elapsed().as_secs_f64();
    let (ours, theirs) = ("SELECT COUNT(*) FROM history;", "SELECT COUNT(*) FROM covers;");
    assert_eq!(sqlite3(folder, registry, ours), sqlite3(folder, &raw, theirs), "not every row was imported");
    seconds
}

/// Runs a script of the `sqlite3` program; answers what it printed.
fn sqlite3(folder: &Path, database: &Path, script: &str) -> String {
    let file = folder.join("script.sql");
    std::fs::write(&file, script).expect("target can be written");
    said(
        Command::new("sqlite3")
            .arg("-bail")
            .arg(database)
            .current_dir(folder)
            .stdin(std::fs::File::open(&file).expect("just written")),
    )
}
