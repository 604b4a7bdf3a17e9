//! What leaves: every event once, in order, and again when nobody remembers that it left.

use std::path::Path;

use lidmark::domain::hazard::Hazard;
use lidmark::outbox::deliver_waiting;

mod deliveries;
pub mod hook;
mod killed;
mod mail;
pub mod upstream;

use crate::both_engines;
use crate::registry::ground::Town;

fn sequences(folder: &Path) -> Vec<i64> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut sequences = Vec::new();
    for file in files {
        assert_eq!(file.extension().unwrap(), "jsonl", "nothing unfinished stays");
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["event"].as_str().unwrap().contains('.'));
            assert_eq!(event["data"]["hazard"], "broken");
            sequences.push(event["sequence"].as_i64().unwrap());
        }
    }
    sequences
}

both_engines! {
    async fn events_leave_as_lines_in_order_and_none_is_forgotten(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox");
        for token in &tokens {
            town.report(*token, Hazard::Broken).await;
        }
        assert_eq!(deliver_waiting(&town.registry, &outbox).await.unwrap(), 3);
        assert_eq!(deliver_waiting(&town.registry, &outbox).await.unwrap(), 0);
        for token in &tokens {
            town.report(*token, Hazard::Broken).await;
        }
        assert_eq!(deliver_waiting(&town.registry, &outbox).await.unwrap(), 3);
        assert_eq!(sequences(&outbox), [1, 2, 3, 4, 5, 6]);

        // A folder that cannot be written keeps the events waiting.
        town.report(tokens[0], Hazard::Broken).await;
        let taken = folder.path().join("a file");
        std::fs::write(&taken, "").unwrap();
        assert!(deliver_waiting(&town.registry, &taken).await.is_err());
        assert_eq!(deliver_waiting(&town.registry, &outbox).await.unwrap(), 1);
        assert_eq!(sequences(&outbox), [1, 2, 3, 4, 5, 6, 7]);
    }
}
