//! What leaves: carries out what the registry committed and decides nothing. Every event becomes
//! one JSON file in the city's `outbox` folder, at least once and in order, for the mail, message
//! or platform gateway that the city runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::domain::ids::Millis;
use crate::registry::{OutboxEvent, Registry, RegistryError};

/// How long an idle outbox sleeps.
const IDLE: Duration = Duration::from_secs(1);

/// Delivers events until the task is dropped. Trouble is logged and tried again.
pub async fn run(registry: Registry, folder: PathBuf) {
    loop {
        match deliver_waiting(&registry, &folder).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "the outbox waits"),
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Why an event could not leave.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("the registry does not answer: {0}")]
    Registry(#[from] RegistryError),
    #[error("the outbox folder cannot be written: {0}")]
    Folder(#[from] std::io::Error),
}

/// Delivers what waits now; answers how many events left.
pub async fn deliver_waiting(registry: &Registry, folder: &Path) -> Result<usize, OutboxError> {
    let events = registry.list_waiting_events(100).await?;
    for event in &events {
        write_event(folder, event)?;
        registry.mark_delivered(event.sequence).await?;
    }
    Ok(events.len())
}

/// On disk before it counts as delivered; a repeat overwrites itself.
fn write_event(folder: &Path, event: &OutboxEvent) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let body: serde_json::Value = serde_json::from_str(&event.body).unwrap_or_default();
    let text = json!({
        "sequence": event.sequence,
        "event": event.event,
        "at": Millis(event.created_at).to_rfc3339(),
        "data": body,
    })
    .to_string();
    let name = folder.join(format!("{:012}-{}.json", event.sequence, event.event));
    let unfinished = name.with_extension("part");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &name)?;
    std::fs::File::open(folder)?.sync_all()
}
