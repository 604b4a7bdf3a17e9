//! Orders in several files, killed and gone on with: every plate once, every symbol decodable.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lidmark::domain::role::Role;
use serde_json::Value;

use crate::both_engines;
use crate::registry::ground::Town;
use crate::support::decode::symbols_of_pdf;
use crate::support::server::{Home, PROGRAM, Server, run_command};

const PLATES: usize = 240;
const PER_FILE: usize = 24;

fn settle(home: &Home) {
    std::fs::create_dir_all(home.folder()).unwrap();
    std::fs::write(home.folder().join("lidmark.toml"), "plate_host = \"lid.example.cn\"\n").unwrap();
    assert_eq!(run_command(home, &["migrate"]).code, Some(0));
}

fn order(home: &Home, pdf: &Path) -> Child {
    Command::new(PROGRAM)
        .args([
            "plates",
            "make",
            "--count",
            &PLATES.to_string(),
            "--split",
            &PER_FILE.to_string(),
            "--sheet",
            "single",
            "-o",
        ])
        .arg(pdf)
        .args(home.options())
        .env_remove("LIDMARK_DATABASE")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn files_in(folder: &Path) -> usize {
    let pdf =
        |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pdf");
    std::fs::read_dir(folder).unwrap().flatten().filter(pdf).count()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} takes longer than two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Each file holds the symbols of its part of the ledger and nothing else.
fn assert_all_decode(ledger: &str, file: impl Fn(usize) -> std::path::PathBuf) {
    let rows: Vec<Vec<&str>> = ledger.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), PLATES);
    let tokens: BTreeSet<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(tokens.len(), PLATES, "every token once");
    for (at, part) in rows.chunks(PER_FILE).enumerate() {
        let Some(read) = symbols_of_pdf(&file(at + 1), 200) else { return };
        let read: BTreeSet<String> = read.into_iter().flatten().collect();
        let wanted: BTreeSet<String> = part.iter().map(|row| row[2].to_owned()).collect();
        assert_eq!(read, wanted, "file {}", at + 1);
    }
}

both_engines! {
    async fn an_order_killed_twice_ends_with_every_plate_once(ground: Ground) {
        let home = ground.home();
        settle(&home);
        let folder = home.folder().join("sheets");
        std::fs::create_dir(&folder).unwrap();
        let pdf = folder.join("plates.pdf");
        for files in [2, 6] {
            let mut child = order(&home, &pdf);
            wait_for("a file", || files_in(&folder) >= files);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(ground.sql("SELECT state FROM plate_batches"), "under_way");
            let check = run_command(&home, &["check", "--json"]);
            assert_eq!(check.code, Some(0), "{check:?}");
        }
        // A file whose plates were taken in is printed again where it is missing.
        std::fs::remove_file(folder.join("plates-001.pdf")).unwrap();
        let ledger = folder.join("ledger.csv");
        let (count, split) = (PLATES.to_string(), PER_FILE.to_string());
        let said = run_command(&home, &[
            "plates", "make", "--count", &count, "--split", &split, "--sheet", "single", "-o", pdf.to_str().unwrap(), "--ledger",
            ledger.to_str().unwrap(), "--json",
        ]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.json()["files"].as_array().unwrap().len(), PLATES / PER_FILE, "{said:?}");
        assert_eq!(ground.sql("SELECT COUNT(*) FROM plate_batches WHERE state = 'released'"), "1");
        let file = |number: usize| folder.join(format!("plates-{number:03}.pdf"));
        assert_all_decode(&std::fs::read_to_string(&ledger).unwrap(), file);
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), PLATES / PER_FILE + 1, "no half file stays: {left:?}");
        let check = run_command(&home, &["check", "--json"]);
        assert_eq!(check.code, Some(0), "{check:?}");
    }

    async fn a_server_killed_in_the_middle_of_an_order_goes_on_by_itself(ground: Ground) {
        let home = ground.home();
        settle(&home);
        let town = Town::found(&ground).await;
        town.staff("ying", Role::Engineer).await;
        let secret = town.registry.add_api_token("ying", "orders").await.unwrap();
        town.registry.close().await;
        let mut server = Server::start(home.clone()).await;
        let client = reqwest::Client::new();
        let order = serde_json::json!({"count": PLATES, "split": PER_FILE, "sheet": "single"});
        let begun = client.post(server.url("/api/v1/plate-batches")).bearer_auth(&secret).json(&order);
        let begun: Value = begun.send().await.unwrap().json().await.unwrap();
        let at = format!("/api/v1/plate-batches/{}", begun["id"].as_str().unwrap());
        let folder = home.folder().join("batches");
        wait_for("a file", || folder.exists() && files_in(&folder) >= 2);
        server.restart().await;
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let batch = client.get(server.url(&at)).bearer_auth(&secret).send().await.unwrap();
            let batch: Value = batch.json().await.unwrap();
            if batch["state"] == "released" {
                break;
            }
            assert!(Instant::now() < deadline, "{batch}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        wait_for("the last file", || files_in(&folder) == PLATES / PER_FILE);
        let ledger = client.get(server.url(&format!("{at}/ledger.csv"))).bearer_auth(&secret);
        let ledger = ledger.send().await.unwrap().text().await.unwrap();
        let id = begun["id"].as_str().unwrap().to_owned();
        assert_all_decode(&ledger, |number| folder.join(format!("{id}-{number:03}.pdf")));
    }
}
