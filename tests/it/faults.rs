//! Disk full, read-only data folder: a clear sentence, no damage, and the day goes on when there is room again.

use lidmark::domain::role::Role;
use lidmark::registry::{Database, Registry, RegistryOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registry::ground::Town;
use crate::support::disk::SmallDisk;
use crate::support::engines::Ground;
use crate::support::server::{Home, Server, run_command_inside};

/// A town on a small disk. The registry of this process cannot see the disk, so the town is founded
/// outside and carried in.
async fn town_on(disk: &SmallDisk) -> (Home, String) {
    let ground = Ground::sqlite().expect("SQLite is bundled");
    let town = Town::found(&ground).await;
    let token = town.plated(3).await[0].to_string();
    town.staff("ying", Role::Admin).await;
    town.registry.close().await;
    crate::kill::be_patient(&ground.home());
    // The log goes with the last connection, a moment after the registry said that it is closed.
    let log = ground.home().folder().join("lidmark.db-wal");
    for _ in 0..500 {
        if !log.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let words = disk.inside();
    let status = std::process::Command::new(&words[0])
        .args(&words[1..])
        .args(["cp", "-r"])
        .arg(ground.home().folder())
        .arg(disk.folder().join("data"))
        .status()
        .unwrap();
    assert!(status.success(), "the town does not fit on the disk");
    (Home::Folder(disk.folder().join("data")), token)
}

async fn report(server: &Server, token: &str) -> (u16, Value) {
    let answer = reqwest::Client::new()
        .post(server.url("/api/v1/reports"))
        .header("Idempotency-Key", Uuid::now_v7().to_string())
        .json(&json!({"token": token, "hazard": "rocking", "description": "x".repeat(3000)}))
        .send()
        .await
        .expect("the server goes on");
    (answer.status().as_u16(), answer.json().await.expect("an answer is JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_clears_away_what_a_power_cut_left_of_photos() {
    let Some(ground) = Ground::sqlite() else { return };
    let folder = ground.home().folder().join("photos/original/ab");
    std::fs::create_dir_all(&folder).unwrap();
    let (half, kept) = (folder.join(".0f0f0f.tmp"), folder.join("not-ours.txt"));
    std::fs::write(&half, "half a photo").unwrap();
    std::fs::write(&kept, "somebody's note").unwrap();
    let _server = Server::start(ground.home()).await;
    assert!(!half.exists() && kept.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_clearly_and_harms_nothing() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let (home, token) = town_on(&disk).await;
    let mut server = Server::start_inside(disk.inside(), home.clone(), &[]).await;
    let (status, first) = report(&server, &token).await;
    assert_eq!(status, 201, "{first}");

    disk.fill();
    let mut acknowledged = vec![first];
    let mut refused = None;
    for _ in 0..4000 {
        // Room in the write-ahead log may be left for a while.
        match report(&server, &token).await {
            (201, answer) => acknowledged.push(answer),
            other => {
                refused = Some(other);
                break;
            }
        }
    }
    let (status, problem) = refused.expect("a full disk ends the reports");
    assert_eq!((status, problem["code"].as_str()), (507, Some("storage.full")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|sentence| sentence.len() > 10), "{problem}");
    let page = reqwest::get(server.url(&format!("/c/{token}"))).await.unwrap();
    assert_eq!(page.status(), 200, "reading goes on");

    disk.relieve();
    let (status, answer) = report(&server, &token).await;
    assert_eq!(status, 201, "{answer}");
    acknowledged.push(answer);
    server.restart().await;
    for answer in &acknowledged {
        let link = answer["link"].as_str().unwrap();
        let tracked = reqwest::get(server.url(&link.replace("/r/", "/api/v1/reports/"))).await.unwrap();
        assert_eq!(tracked.status(), 200, "an acknowledged report is lost");
    }
    server.kill();
    let said = run_command_inside(&disk.inside(), &home, &["check", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_folder_is_said_clearly_and_harms_nothing() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let (home, token) = town_on(&disk).await;
    disk.turn_read_only();
    let said = run_command_inside(&disk.inside(), &home, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let sentence = said.stderr.to_lowercase();
    assert!(sentence.contains("read-only"), "{said:?}");
    assert!(!sentence.contains("panicked"), "{said:?}");

    disk.turn_writable();
    let server = Server::start_inside(disk.inside(), home.clone(), &[]).await;
    let (status, answer) = report(&server, &token).await;
    assert_eq!(status, 201, "{answer}");
    drop(server);
    let said = run_command_inside(&disk.inside(), &home, &["check", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    std::fs::write(&file, "not a folder").unwrap();
    let opened = Registry::open(&Database::Sqlite(file.clone()), RegistryOptions::default()).await;
    assert!(opened.is_err());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "not a folder");
}
