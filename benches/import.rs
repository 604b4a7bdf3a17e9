//! A million rows of CSV into an empty city, with all indexes and the history on disk, against the
//! same number of rows through one prepared insert of raw SQLite.
//! `cargo bench --bench import [-- --covers N] [--rounds N]`.

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use support::{lidmark, median, option, print, timed, verdict};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let covers = option("--covers", 1_000_000);
    let rounds = option("--rounds", 3);
    let folder = support::workshop();
    let census = write_census(&folder, covers);
    let (mut speeds, mut peaks, mut raws) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let home = tempfile::tempdir_in(&folder).expect("target can be written");
        let data = home.path().join("data").display().to_string();
        let (seconds, peak, summary) = timed(lidmark(&["import"]).arg(&census).args([
            "--profile",
            "census-zh",
            "--yes",
            "--json",
            "--data",
            &data,
        ]));
        let summary = summary.lines().last().unwrap_or_default().to_owned();
        assert!(summary.contains(&format!("\"created\":{covers}")), "not every row was created: {summary}");
        let size = std::fs::metadata(Path::new(&data).join("lidmark.db")).map_or(0, |file| file.len());
        let raw = raw_rows_per_second(home.path(), covers);
        print(&format!(
            "  round {round}: {covers} rows in {seconds:.1} s, {:.0}/s, peak {peak:.0} MB, {:.0} MB on disk; raw {raw:.0}/s",
            covers as f64 / seconds,
            size as f64 / 1e6
        ));
        speeds.push(covers as f64 / seconds);
        peaks.push(peak);
        raws.push(raw);
    }
    let (speed, peak) = (median(speeds), peaks.into_iter().fold(0.0, f64::max));
    verdict("import: rows/s with indexes and history", speed, "rows/s", speed >= 50_000.0, ">= 50000");
    verdict("import: peak memory", peak, "MB", peak <= 300.0, "<= 300");
    let raw = median(raws);
    print(&format!("raw SQLite, one table, one index, same rows: {raw:.0} rows/s; ratio {:.2}", speed / raw));
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

/// The limit: one table with one index, one prepared insert, one transaction.
fn raw_rows_per_second(folder: &Path, rows: u64) -> f64 {
    use sqlx::Connection;
    let file = folder.join("raw.db");
    let work = async move {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.expect("SQLite opens");
        sqlx::query("CREATE TABLE raw (id BLOB PRIMARY KEY, code TEXT, lon REAL, lat REAL, quadkey INTEGER) WITHOUT ROWID")
            .execute(&mut database)
            .await
            .expect("a table");
        sqlx::query("CREATE INDEX raw_quadkey ON raw (quadkey)")
            .execute(&mut database)
            .await
            .expect("an index");
        let start = Instant::now();
        let mut transaction = database.begin().await.expect("begin");
        for n in 0..rows {
            sqlx::query("INSERT INTO raw VALUES ($1, $2, $3, $4, $5)")
                .bind(uuid::Uuid::now_v7().as_bytes().to_vec())
                .bind(format!("{n:016}"))
                .bind(118.3 + n as f64 * 1e-7)
                .bind(37.3)
                .bind(n as i64)
                .execute(&mut *transaction)
                .await
                .expect("insert");
        }
        transaction.commit().await.expect("commit");
        rows as f64 / start.elapsed().as_secs_f64()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
