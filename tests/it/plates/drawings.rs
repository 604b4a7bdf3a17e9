//! What engravers and label printers get over HTTP is what the command line writes, byte by byte, and decodes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::outputs::{picture_of, svg_says};
use crate::both_engines;
use crate::registry::ground::Town;
use crate::support::decode::symbols_of_image;
use crate::support::server::{Server, run_command};
use crate::support::{have, skip_or_fail};

/// The files of a ZIP by their names.
fn unpacked(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut file = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

both_engines! {
    async fn drawings_over_http_are_those_of_the_command_line_and_decode(ground: Ground) {
        let home = ground.home();
        std::fs::create_dir_all(home.folder()).unwrap();
        std::fs::write(home.folder().join("lidmark.toml"), "plate_host = \"lid.example.cn\"\n").unwrap();
        let town = Town::found(&ground).await;
        town.staff("ying", Role::Engineer).await;
        let secret = town.registry.add_api_token("ying", "drawings").await.unwrap();
        town.registry.close().await;
        let server = Server::start(home.clone()).await;
        let client = reqwest::Client::new();
        let order = async |order: Value| -> String {
            let made = client.post(server.url("/api/v1/plate-batches")).bearer_auth(&secret).json(&order);
            let made: Value = made.send().await.unwrap().json().await.unwrap();
            made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
        };
        let get = async |path: &str| {
            let answer = client.get(server.url(path)).bearer_auth(&secret).send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        };
        let batch = order(json!({"count": 7, "face": "round-80", "finish": "inverted"})).await;
        let at = format!("/api/v1/plate-batches/{batch}");
        let (_, ledger) = get(&format!("{at}/ledger.csv")).await;
        let ledger = String::from_utf8(ledger.to_vec()).unwrap();
        let payloads: Vec<&str> = ledger.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();

        let folder = tempfile::tempdir().unwrap();
        let (svgs, some) = (folder.path().join("svgs"), folder.path().join("some"));
        let engrave = |target: &Path, more: &[&str]| {
            let arguments = [&["plates", "svg", &batch, "-o", target.to_str().unwrap()], more].concat();
            assert_eq!(run_command(&home, &arguments).code, Some(0));
        };
        engrave(&svgs, &[]);
        engrave(&some, &["--ordinals", "2,5-6"]);
        let (status, zip) = get(&format!("{at}/plates.svg.zip")).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&zip));
        assert!(unpacked(&zip) == files_in(&svgs) && files_in(&svgs).len() == 7);
        assert!(get(&format!("{at}/plates.svg.zip")).await.1 == zip, "the same ZIP every time");
        let (_, chosen) = get(&format!("{at}/plates.svg.zip?only=2,5-6")).await;
        assert!(unpacked(&chosen) == files_in(&some) && files_in(&some).len() == 3);

        let mut labels = Vec::new();
        for head in ["203", "300", "600"] {
            let target = folder.path().join(format!("{head}.zpl"));
            let arguments = ["plates", "zpl", &batch, "--head", head, "-o", target.to_str().unwrap()];
            assert_eq!(run_command(&home, &arguments).code, Some(0));
            let (status, zpl) = get(&format!("{at}/plates.zpl?head={head}")).await;
            assert!(status == 200 && zpl == std::fs::read(&target).unwrap(), "{head}: {status}");
            labels.push(String::from_utf8(zpl.to_vec()).unwrap());
        }
        assert!(files_in(&home.folder().join("outgoing")).is_empty(), "nothing stays behind");

        let many = order(json!({"count": 1001, "split": 1000})).await;
        let many = format!("/api/v1/plate-batches/{many}");
        while serde_json::from_slice::<Value>(&get(&many).await.1).unwrap()["state"] != "released" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let (status, refused) = get(&format!("{many}/plates.zpl?head=600")).await;
        let refused: Value = serde_json::from_slice(&refused).unwrap();
        assert_eq!((status, &refused["code"]), (422, &json!("batch.drawn_many")), "{refused}");
        let (status, second) = get(&format!("{many}/plates.zpl?head=203&file=2")).await;
        assert_eq!((status, second.iter().filter(|byte| **byte == b'\n').count()), (200, 1));

        if !have("mutool") || !have("zbarimg") {
            return skip_or_fail("mutool and zbarimg (packages mupdf-tools, zbar-tools)");
        }
        for ((name, svg), payload) in unpacked(&zip).into_iter().zip(&payloads) {
            let path = folder.path().join(name);
            std::fs::write(&path, svg).unwrap();
            assert_eq!(svg_says(&path), [*payload]);
        }
        for zpl in &labels {
            for (label, payload) in zpl.lines().zip(&payloads) {
                let picture = folder.path().join("label.pbm");
                std::fs::write(&picture, picture_of(label)).unwrap();
                assert_eq!(symbols_of_image(&picture), [*payload]);
            }
        }
    }
}
