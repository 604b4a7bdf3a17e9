//! Photos on disk, named by their content:
//!
//! ```text
//! original/ab/cdef…            as it came, private
//! public/ab/cdef….jpg          the public rendition
//! public/ab/cdef….jpg.sha256   its checksum, as sha256sum(1) writes it
//! covered/ab/cdef….jpg         a rendition with parts covered up, named by photo and parts; made again where it is lost
//! ```
//!
//! A file gets its name only when it is whole and on the disk; the original comes last, so a photo
//! whose original is there has all three.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

use super::container::{MediaType, inspect};
use super::rendition::{PUBLIC_SIDE, cover_up, render_public, upright_size};
use super::{PhotoDigest, PhotoError, PhotoLimits};
use crate::domain::citizen::BlurBox;

/// The photo folder of one Lidmark. Cheap to clone; makes its folders when the first photo comes.
#[derive(Debug, Clone)]
pub struct PhotoStore {
    root: PathBuf,
    limits: PhotoLimits,
}

/// A photo that is on the disk, rendition and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPhoto {
    pub digest: PhotoDigest,
    /// Type of the original; the public rendition is always JPEG.
    pub media_type: MediaType,
    /// Length of the original.
    pub bytes: u64,
    /// Size of the original in pixels as a person sees it, orientation applied.
    pub width: u32,
    pub height: u32,
    /// What it looks like; `None` where that says too little, or the same bytes were here already.
    pub look: Option<i64>,
}

impl StoredPhoto {
    /// Size of the public rendition in pixels.
    pub fn public_size(&self) -> (u32, u32) {
        let longest = self.width.max(self.height);
        if longest <= PUBLIC_SIDE {
            return (self.width, self.height);
        }
        let scaled =
            |length: u32| (u64::from(length) * u64::from(PUBLIC_SIDE) / u64::from(longest)).max(1) as u32;
        (scaled(self.width), scaled(self.height))
    }
}

/// State of a photo's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    Whole,
    /// The original, the rendition or its checksum is not there.
    Missing,
    /// The bytes are not those that were stored.
    Altered,
}

impl PhotoStore {
    /// `root` is the photo folder itself, such as `lidmark-data/photos`.
    pub fn new(root: impl Into<PathBuf>, limits: PhotoLimits) -> Self {
        Self { root: root.into(), limits }
    }

    pub fn limits(&self) -> &PhotoLimits {
        &self.limits
    }

    /// Checks, renders and keeps a photo. When it returns, all files are on the disk, and the row that
    /// names them may be written. The same bytes again give the same answer and change nothing.
    pub fn intake(&self, bytes: &[u8]) -> Result<StoredPhoto, PhotoError> {
        let header = inspect(bytes, &self.limits)?;
        let (width, height) = upright_size(bytes, &header, &self.limits)?;
        let digest = PhotoDigest::of(bytes);
        let mut look = None;
        if self.verify(digest)? != Verified::Whole {
            let public;
            (public, look) = render_public(bytes, &header, &self.limits)?;
            let public_path = self.public_path(digest);
            let checksum = format!("{}  {}\n", PhotoDigest::of(&public), file_name(&public_path));
            self.write(&self.checksum_path(digest), checksum.as_bytes())?;
            self.write(&public_path, &public)?;
            self.write(&self.original_path(digest), bytes)?;
        }
        // Also when all was there: another call may have named the files a moment ago.
        self.sync_folders(digest)?;
        let (media_type, bytes) = (header.media_type, bytes.len() as u64);
        Ok(StoredPhoto { digest, media_type, bytes, width, height, look })
    }

    /// The public rendition, a JPEG; `None` when there is no such photo.
    pub fn open_public(&self, digest: PhotoDigest) -> Result<Option<File>, PhotoError> {
        open_if_there(&self.public_path(digest))
    }

    /// The public rendition with parts covered up; `None` when there is no such photo.
    pub fn open_covered(&self, digest: PhotoDigest, boxes: &[BlurBox]) -> Result<Option<File>, PhotoError> {
        if boxes.is_empty() {
            return self.open_public(digest);
        }
        let path = self.covered_path(digest, boxes);
        if let Some(file) = open_if_there(&path)? {
            return Ok(Some(file));
        }
        let Some(public) = read_if_there(&self.public_path(digest))? else { return Ok(None) };
        self.write(&path, &cover_up(&public, boxes)?)?;
        open_if_there(&path)
    }

    /// By what a rendition with parts covered up is known.
    pub fn covered_name(digest: PhotoDigest, boxes: &[BlurBox]) -> PhotoDigest {
        let parts = |one: &BlurBox| [one.left, one.top, one.width, one.height].map(f64::to_be_bytes).concat();
        let mut named = digest.0.to_vec();
        named.extend(boxes.iter().flat_map(parts));
        PhotoDigest::of(&named)
    }

    fn covered_path(&self, digest: PhotoDigest, boxes: &[BlurBox]) -> PathBuf {
        let name = Self::covered_name(digest, boxes);
        self.folder_of("covered", name).join(format!("{}.jpg", &name.to_string()[2..]))
    }

    /// The original with all its metadata: for staff only. `None` when there is no such photo.
    pub fn open_original(&self, digest: PhotoDigest) -> Result<Option<File>, PhotoError> {
        open_if_there(&self.original_path(digest))
    }

    /// Reads a photo's files and compares them with their digests.
    pub fn verify(&self, digest: PhotoDigest) -> Result<Verified, PhotoError> {
        let files = (
            read_if_there(&self.original_path(digest))?,
            read_if_there(&self.public_path(digest))?,
            read_if_there(&self.checksum_path(digest))?,
        );
        let (Some(original), Some(public), Some(checksum)) = files else {
            return Ok(Verified::Missing);
        };
        let checksum_fits = checksum.starts_with(format!("{}  ", PhotoDigest::of(&public)).as_bytes());
        Ok(if PhotoDigest::of(&original) == digest && checksum_fits {
            Verified::Whole
        } else {
            Verified::Altered
        })
    }

    /// The digests of all originals in rising order, also of those that no row names.
    pub fn digests(&self) -> Result<impl Iterator<Item = Result<PhotoDigest, PhotoError>>, PhotoError> {
        let folders = self.folders("original")?;
        Ok(folders.into_iter().flat_map(|folder| {
            let prefix = file_name(&folder);
            match list(&folder) {
                Ok(files) => files
                    .iter()
                    .filter_map(|file| format!("{prefix}{}", file_name(file)).parse().ok().map(Ok))
                    .collect(),
                Err(problem) => vec![Err(problem)],
            }
        }))
    }

    /// Removes what an interrupted intake left behind, and tells how many files. For a server that
    /// starts: nobody else may be taking photos in at this time.
    pub fn remove_leftovers(&self) -> Result<usize, PhotoError> {
        let mut removed = 0;
        for folder in [self.folders("original")?, self.folders("public")?, self.folders("covered")?].concat()
        {
            for file in list(&folder)? {
                let name = file_name(&file);
                if name.starts_with('.') && name.ends_with(TEMPORARY) {
                    fs::remove_file(&file).map_err(|error| PhotoError::from_io(&file, error))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn folder_of(&self, kind: &str, digest: PhotoDigest) -> PathBuf {
        self.root.join(kind).join(&digest.to_string()[..2])
    }

    fn original_path(&self, digest: PhotoDigest) -> PathBuf {
        self.folder_of("original", digest).join(&digest.to_string()[2..])
    }

    fn public_path(&self, digest: PhotoDigest) -> PathBuf {
        self.folder_of("public", digest).join(format!("{}.jpg", &digest.to_string()[2..]))
    }

    fn checksum_path(&self, digest: PhotoDigest) -> PathBuf {
        self.folder_of("public", digest).join(format!("{}.jpg.sha256", &digest.to_string()[2..]))
    }

    /// Writes beside the place, syncs and renames, so that the name never stands for half a file. The
    /// folder still has to be synced.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), PhotoError> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|error| PhotoError::from_io(folder, error))?;
        let temporary = folder.join(format!(".{}{TEMPORARY}", Uuid::new_v4().simple()));
        let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
        written.map_err(|error| {
            // The reason of the failure is worth more than that of a failed clean-up.
            let _ = fs::remove_file(&temporary);
            PhotoError::from_io(path, error)
        })
    }

    /// Makes the names of a photo's files last, and those of the folders they are in.
    fn sync_folders(&self, digest: PhotoDigest) -> Result<(), PhotoError> {
        for kind in ["public", "original"] {
            sync_folder(&self.folder_of(kind, digest))?;
            sync_folder(&self.root.join(kind))?;
        }
        sync_folder(&self.root)?;
        match self.root.parent() {
            Some(above) if !above.as_os_str().is_empty() => sync_folder(above),
            _ => Ok(()),
        }
    }

    /// The folders `00` to `ff` that are there; what else somebody put beside them is not ours.
    fn folders(&self, kind: &str) -> Result<Vec<PathBuf>, PhotoError> {
        let is_ours = |path: &PathBuf| {
            let name = file_name(path);
            name.len() == 2 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        };
        Ok(list(&self.root.join(kind))?.into_iter().filter(is_ours).collect())
    }
}

const TEMPORARY: &str = ".tmp";

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> Result<(), PhotoError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| PhotoError::from_io(folder, error))
}

fn found<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, PhotoError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PhotoError::from_io(path, error)),
    }
}

fn open_if_there(path: &Path) -> Result<Option<File>, PhotoError> {
    found(path, File::open(path))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, PhotoError> {
    found(path, fs::read(path))
}

/// What is in a folder, by name; nothing where the folder is not there.
fn list(folder: &Path) -> Result<Vec<PathBuf>, PhotoError> {
    let Some(entries) = found(folder, fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<PathBuf>>>()
        .map_err(|error| PhotoError::from_io(folder, error))?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
