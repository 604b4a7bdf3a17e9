//! A small disk that fills up or turns read-only: a tmpfs in a mount namespace of its own, so that it
//! needs no privileges, nobody else sees it, and it is gone with its holder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::skip_or_fail;

/// A disk of a few megabytes, mounted at [`SmallDisk::folder`] for those who look from inside.
pub struct SmallDisk {
    place: TempDir,
    holder: Child,
}

impl SmallDisk {
    /// `None`, with a message, where the kernel gives no namespaces.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let place = tempfile::Builder::new().prefix("lidmark-disk-").tempdir().expect("a folder");
        let at = place.path().join("disk");
        std::fs::create_dir(&at).expect("a folder");
        let hold =
            format!("mount -t tmpfs -o size={megabytes}m tmpfs \"$1\" && touch \"$2\" && exec sleep 3600");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &hold, "sh"])
            .arg(&at)
            .arg(place.path().join("mounted"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare comes with Debian");
        let deadline = Instant::now() + Duration::from_secs(5);
        while !place.path().join("mounted").exists() {
            if holder.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > deadline {
                let _ = holder.kill();
                let _ = holder.wait();
                skip_or_fail("a mount namespace (unshare --user --mount)");
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { place, holder })
    }

    /// Where the disk is, seen from inside.
    pub fn folder(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    /// The words that run a program inside, before its own name.
    pub fn inside(&self) -> Vec<String> {
        ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &self.holder.id().to_string()]
            .map(str::to_owned)
            .to_vec()
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        // dd ends with an error when the disk is full: that is the wish.
        self.sh("dd if=/dev/zero of=\"$1/ballast\" bs=4096 2>/dev/null; true");
    }

    /// Gives the room back.
    pub fn relieve(&self) {
        self.sh("rm -f \"$1/ballast\"");
    }

    /// Nothing may have a file open for writing while the disk turns.
    pub fn turn_read_only(&self) {
        self.sh("mount -o remount,ro,bind \"$1\"");
    }

    pub fn turn_writable(&self) {
        self.sh("mount -o remount,rw,bind \"$1\"");
    }

    fn sh(&self, script: &str) {
        let words = self.inside();
        let status = Command::new(&words[0])
            .args(&words[1..])
            .args(["sh", "-c", script, "sh"])
            .arg(self.folder())
            .current_dir(Path::new("/"))
            .status()
            .expect("nsenter comes with Debian");
        assert!(status.success(), "{script:?} ended with {status}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
