//! `lidmark check`: the tables, every photo's bytes, and the snapshot against the tables.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::{Ending, Ground, Outcome};
use crate::domain::quality::Rules;
use crate::photos::{PhotoDigest, PhotoLimits, PhotoStore, Verified};
use crate::registry::{CheckReport, Registry};
use crate::spatial::{Snapshot, TileId};

/// Zooms at which the snapshot's counts are compared with the tables'.
const ZOOMS: [u32; 3] = [6, 12, 16];
const PAGE: i64 = 5000;

pub(super) async fn check(ground: &Ground) -> Outcome<Ending> {
    let config = ground.config()?;
    let registry = ground.open(&config).await?;
    let say = ground.say;
    say.progress("tables");
    let mut report = registry.check_tables().await?;
    say.progress("photos");
    check_photos(&registry, PhotoStore::new(ground.place.photos(), PhotoLimits::default()), &mut report)
        .await?;
    say.progress("snapshot");
    let snapshot = registry.load_map(&config.quality, std::sync::Arc::default()).await?;
    check_snapshot(&registry, &snapshot, &config.quality, &mut report).await?;
    say.end_progress();
    registry.close().await;

    let CheckReport { files, entries, covers, photos, findings } = &report;
    for finding in findings {
        say.line(format!("{}\t{}\t{}", finding.what, finding.which, finding.detail));
    }
    say.words(
        format!(
            "井档案 {files} 份、{entries} 条，井盖 {covers} 个，照片 {photos} 张；发现问题 {} 处",
            findings.len()
        ),
        format!(
            "{files} files with {entries} entries, {covers} covers, {photos} photos; {} findings",
            findings.len()
        ),
    );
    let listed: Vec<_> = findings
        .iter()
        .map(|finding| json!({"what": finding.what, "which": finding.which, "detail": finding.detail}))
        .collect();
    say.summary(&json!({"files": files, "entries": entries, "covers": covers, "photos": photos,
        "clean": findings.is_empty(), "findings": listed}));
    Ok(if findings.is_empty() { Ending::Done } else { Ending::Part })
}

async fn check_photos(registry: &Registry, store: PhotoStore, report: &mut CheckReport) -> Outcome<()> {
    let mut after = Uuid::nil();
    loop {
        let page = registry.list_photos_after(after, 500).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.0;
        let store = store.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let verify =
                |digest: [u8; 32]| store.verify(PhotoDigest(digest)).map_err(|error| error.to_string());
            page.iter().map(|photo| (photo.id, photo.digest, verify(photo.digest))).collect::<Vec<_>>()
        });
        let verified = verified.await.map_err(anyhow::Error::new)?;
        for (id, digest, state) in verified {
            report.photos += 1;
            let digest = PhotoDigest(digest);
            match state {
                Ok(Verified::Whole) => {}
                Ok(Verified::Missing) => report.add("photo.missing", digest, format!("named by photo {id}")),
                Ok(Verified::Altered) => report.add("photo.altered", digest, format!("named by photo {id}")),
                Err(error) => report.add("photo.unreadable", digest, error),
            }
        }
    }
}

/// Every row of the tables is in the snapshot as it is, and the counts of tiles agree.
async fn check_snapshot(
    registry: &Registry,
    snapshot: &Snapshot,
    rules: &Rules,
    report: &mut CheckReport,
) -> Outcome<()> {
    let mut counts: HashMap<TileId, usize> = HashMap::new();
    let mut rows = 0usize;
    let mut after = None;
    loop {
        let page = registry.list_points(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.cover);
        rows += page.len();
        for point in &page {
            let row = registry.map_row(point, snapshot.lexicon(), rules);
            if snapshot.find(row.cover) != Some(row) {
                report.add("snapshot.differs", row.cover, "the map shows it otherwise than the tables");
            }
            for zoom in ZOOMS {
                *counts.entry(TileId::at(row.lon, row.lat, zoom)).or_default() += 1;
            }
        }
    }
    if rows != snapshot.len() {
        report.add("snapshot.count", rows, format!("{} on the map", snapshot.len()));
    }
    for (tile, count) in counts {
        let shown = snapshot.count_in_tile(tile);
        if shown != count {
            let name = format!("{}/{}/{}", tile.zoom(), tile.x(), tile.y());
            report.add("snapshot.tile", name, format!("{shown} on the map, {count} in the tables"));
        }
    }
    Ok(())
}
