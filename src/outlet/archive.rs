//! Whole files out into an archive and in from one, with the originals of their photos.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{OutletError, WAITING};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::domain::role::Actor;
use crate::export::{ArchiveReader, ArchiveWriter, ExportError, Manifest};
use crate::photos::{PhotoDigest, PhotoError, PhotoStore};
use crate::registry::{ArchiveCounts, ArchiveImport, ArchivePage, ArchiveSource, Registry};

/// Lines that are handed on together.
const LINES: usize = 500;

impl From<PhotoError> for OutletError {
    fn from(error: PhotoError) -> Self {
        error.refusal().into()
    }
}

/// Writes every file of the registry, with the originals of all photos. An original that is not there is
/// named in the manifest.
pub async fn export_archive(
    registry: &Registry,
    photos: &PhotoStore,
    out: File,
    progress: impl Fn(&str, u64) + Send + 'static,
) -> Result<Manifest, OutletError> {
    let (sender, mut pages) = mpsc::channel::<ArchivePage>(WAITING);
    let (photos, now) = (photos.clone(), registry.now());
    let writer = tokio::task::spawn_blocking(move || {
        let mut archive = ArchiveWriter::begin(out, now.0);
        let mut named: HashSet<[u8; 32]> = HashSet::new();
        while let Some(page) = pages.blocking_recv() {
            archive.lines(page.table, page.count, &page.lines)?;
            named.extend(page.photos);
            progress(page.table, archive.manifest.lines[page.table]);
        }
        Ok::<_, OutletError>((archive, named, progress))
    });
    let read = registry.export_files(sender).await;
    let (archive, named, progress) = writer.await.map_err(|_| OutletError::Stopped)??;
    read?;
    // A photo never goes away, so that the pictures may be read after the moment of the rows.
    let finished = tokio::task::spawn_blocking(move || {
        let mut archive = archive;
        let mut digests: Vec<[u8; 32]> = named.into_iter().collect();
        digests.sort_unstable();
        for digest in digests {
            let digest = PhotoDigest(digest);
            match photos.open_original(digest)? {
                Some(original) => archive.photo(&digest.to_string(), original)?,
                None => archive.manifest.missing_photos.push(digest.to_string()),
            }
            progress("photos", archive.manifest.photos);
        }
        let manifest = archive.manifest.clone();
        let file = archive.finish()?;
        file.sync_all().map_err(ExportError::from)?;
        Ok::<_, OutletError>(manifest)
    });
    finished.await.map_err(|_| OutletError::Stopped)?
}

/// What an archive says of itself; `None` when the file is something else.
pub fn open_archive(path: &Path) -> Result<Option<Manifest>, OutletError> {
    if !path.is_file() {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| {
        Refusal::new("file.not_read").with("file", path.display()).with("reason", error)
    };
    match ArchiveReader::open(path).map_err(unreadable)? {
        Some((_, manifest)) => Ok(Some(manifest?)),
        None => Ok(None),
    }
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    pub rows: ArchiveCounts,
    pub photos: u64,
    /// Photos that the archive names and does not have.
    pub missing_photos: u64,
}

struct Lines {
    path: PathBuf,
}

impl ArchiveSource for Lines {
    fn lines(&self, table: &'static str) -> mpsc::Receiver<Result<Vec<String>, Refusal>> {
        let (sender, lines) = mpsc::channel(WAITING);
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let torn = || Refusal::new("archive.torn").with("table", table);
            let read = match ArchiveReader::open(&path) {
                Ok(Some((reader, Ok(_)))) => Ok(reader),
                Ok(Some((_, Err(refusal)))) => Err(refusal),
                Ok(None) => Err(torn().with("reason", "it is no archive any more")),
                Err(error) => Err(torn().with("reason", error)),
            };
            let mut chunk = Vec::with_capacity(LINES);
            let outcome = read.and_then(|mut reader| {
                reader.each_line(table, |line| {
                    chunk.push(line);
                    chunk.len() < LINES
                        || sender
                            .blocking_send(Ok(std::mem::replace(&mut chunk, Vec::with_capacity(LINES))))
                            .is_ok()
                })
            });
            // Nobody listening means that the import was given up.
            let _ = match outcome {
                Ok(()) if chunk.is_empty() => Ok(()),
                Ok(()) => sender.blocking_send(Ok(chunk)),
                Err(refusal) => sender.blocking_send(Err(refusal)),
            };
        });
        lines
    }
}

/// Takes an archive into a registry without files: the photos first, because a row may only name what is
/// on the disk, then every row in one transaction.
pub async fn import_archive(
    registry: &Registry,
    photos: &PhotoStore,
    path: &Path,
    actor: Actor,
    dry_run: bool,
) -> Result<TakenIn, OutletError> {
    let manifest = open_archive(path)?.ok_or_else(|| {
        Refusal::new("archive.torn").with("table", "lidmark.json").with("reason", "it is no archive")
    })?;
    let (store, from) = (photos.clone(), path.to_owned());
    let photos = tokio::task::spawn_blocking(move || take_photos(&store, &from, dry_run));
    let photos = photos.await.map_err(|_| OutletError::Stopped)??;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let missing_photos = manifest.missing_photos.len() as u64;
    let import = ArchiveImport {
        from: name,
        exported_at: Millis(manifest.exported_at),
        lines: manifest.lines,
        actor,
        dry_run,
    };
    let source = Arc::new(Lines { path: path.to_owned() });
    let rows = registry.import_files(source, import).await?;
    Ok(TakenIn { rows, photos, missing_photos })
}

/// Checks every photo, and keeps it unless this is a trial.
fn take_photos(store: &PhotoStore, path: &Path, dry_run: bool) -> Result<u64, OutletError> {
    let unreadable = |error| Refusal::new("file.not_read").with("file", path.display()).with("reason", error);
    let opened: std::io::Result<_> = ArchiveReader::open(path);
    let Some((mut reader, _)) = opened.map_err(unreadable)? else { return Ok(0) };
    let most = store.limits().bytes as u64;
    let mut count = 0;
    reader.each_photo(most, |name, bytes| {
        count += 1;
        if PhotoDigest::of(&bytes).to_string() != name {
            let refusal = Refusal::new("archive.photo_altered").with("read", name);
            return Err(OutletError::from(refusal));
        }
        if !dry_run {
            store.intake(&bytes)?;
        }
        Ok(())
    })??;
    Ok(count)
}
