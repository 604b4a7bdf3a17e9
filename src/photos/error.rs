//! Why a photo is not taken: because of the photo, or because of the disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::Refusal;

#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The photo does not fit; its sender can do something about it.
    #[error("{0}")]
    Refused(Refusal),
    /// No room, or a quota is used up.
    #[error("no room left for {}: free some or move the data folder", path.display())]
    Full { path: PathBuf, source: io::Error },
    /// The photo folder cannot be written.
    #[error("{} cannot be written: give the user that runs lidmark the right to", path.display())]
    ReadOnly { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl PhotoError {
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, source }
            }
            _ => Self::Io { path, source },
        }
    }

    /// What the sender is told; paths stay in the log.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Full { .. } => Refusal::new("storage.full"),
            Self::ReadOnly { .. } => Refusal::new("storage.read_only"),
            Self::Io { .. } => Refusal::new("storage.failed"),
        }
    }
}

impl From<Refusal> for PhotoError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_locked_folder_are_told_apart() {
        // ENOSPC, EDQUOT, EROFS, EACCES, EIO
        let codes = [28, 122, 30, 13, 5].map(|number| {
            PhotoError::from_io(Path::new("photos"), io::Error::from_raw_os_error(number)).refusal().code
        });
        assert_eq!(
            codes,
            ["storage.full", "storage.full", "storage.read_only", "storage.read_only", "storage.failed"]
        );
    }
}
