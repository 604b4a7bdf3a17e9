//! A real MQTT broker on a free loopback port, with its session on disk.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::free_port;

const PROGRAM: &str = "/usr/sbin/mosquitto";

/// A running mosquitto. Dropping it kills it.
pub struct Broker {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Broker {
    /// `None`, with a message, where mosquitto is missing; a failure where `CI` is set.
    pub fn start() -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            super::skip_or_fail("mosquitto");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("lidmark-broker-").tempdir().expect("it can be written");
        let port = free_port();
        let kept = folder.path().display();
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {kept}/\n\
             autosave_interval 1\nmax_queued_messages 100000\nmax_inflight_messages 20000\n"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), settings).expect("it can be written");
        // A broker that is started by root becomes another user, who must be able to write here.
        let _ = Command::new("chmod").arg("777").arg(folder.path()).status();
        let child = spawn(&folder);
        let mut broker = Self { port, folder, child };
        broker.wait();
        Some(broker)
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends it as an operator does, so that it writes its sessions, and starts it again.
    pub fn restart(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        self.child = spawn(&self.folder);
        self.wait();
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(folder: &TempDir) -> Child {
    Command::new(PROGRAM)
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto starts")
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
