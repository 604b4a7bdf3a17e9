//! What leaves: carries out what the registry committed and decides nothing. Events become lines of
//! JSON in files of the city's `outbox` folder, at least once and in order, for the mail, message or
//! platform gateway that the city runs; and webhooks to those who are registered as receivers (`courier.rs`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::domain::ids::{Millis, ReceiverId};
use crate::registry::{OutboxEvent, Registry, RegistryError};

mod courier;
mod mail;
mod post;
mod scribe;
mod sign;
mod upstream;

pub use courier::Courier;

/// How long an idle outbox sleeps.
const IDLE: Duration = Duration::from_secs(1);
/// Most events of a file.
const PAGE: usize = 1000;
/// As whom the folder remembers what it has had.
const RECEIVER: &str = "folder";

/// Delivers events until the task is dropped. Trouble is logged and tried again.
pub async fn run(registry: Registry, folder: PathBuf) {
    loop {
        match deliver_waiting(&registry, &folder).await {
            Ok(PAGE) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the outbox waits"),
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Why events could not leave.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("the registry does not answer: {0}")]
    Registry(#[from] RegistryError),
    #[error("the outbox folder cannot be written: {0}")]
    Folder(#[from] std::io::Error),
}

/// How often it is looked whether events can be cleared away.
const CLEARING: Duration = Duration::from_secs(3600);

/// Clears away what everybody has heard, until the task is dropped.
pub async fn clear(registry: Registry) {
    loop {
        match registry.clear_events().await {
            Ok(0) => {}
            Ok(cleared) => {
                tracing::info!(events.cleared = cleared, "events that everybody has heard are cleared away")
            }
            Err(error) => tracing::warn!(%error, "events are kept longer"),
        }
        match registry.forget_unconfirmed().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(
                addresses.forgotten = forgotten,
                "addresses that nobody confirmed are forgotten"
            ),
            Err(error) => tracing::warn!(%error, "addresses that nobody confirmed are kept longer"),
        }
        tokio::time::sleep(CLEARING).await;
    }
}

/// By which a receiver knows an event again when it is sent once more.
fn webhook_id(receiver: ReceiverId, sequence: i64) -> String {
    format!("msg_{}_{sequence}", receiver.0.simple())
}

/// Delivers what waits now, one file at most; answers how many events left.
pub async fn deliver_waiting(registry: &Registry, folder: &Path) -> Result<usize, OutboxError> {
    let events = registry.list_waiting_events(RECEIVER, PAGE as i64).await?;
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(0) };
    let (name, last, count) = (format!("{:012}.jsonl", first.sequence), last.sequence, events.len());
    let file = folder.join(name);
    tokio::task::spawn_blocking(move || write_events(&file, &events))
        .await
        .map_err(std::io::Error::other)??;
    registry.mark_delivered(RECEIVER, last).await?;
    Ok(count)
}

/// On disk before they count as delivered; a repeat overwrites itself, because the file is named by
/// its first event.
fn write_events(file: &Path, events: &[OutboxEvent]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut lines = String::new();
    for event in events {
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap_or_default();
        let line = json!({
            "sequence": event.sequence,
            "event": event.event,
            "at": Millis(event.created_at).to_rfc3339(),
            "data": body,
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let unfinished = file.with_extension("part");
    let mut part = std::fs::File::create(&unfinished)?;
    part.write_all(lines.as_bytes())?;
    part.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    std::fs::File::open(folder)?.sync_all()
}
