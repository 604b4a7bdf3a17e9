//! The real program, started as an operator starts it, killed as a power cut kills it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lidmark");

/// Where the program keeps its rows.
#[derive(Debug, Clone)]
pub enum Home {
    /// `--data DIR`: SQLite and photos.
    Folder(PathBuf),
    /// `--database URL`, with `--data DIR` for the photos.
    Database { url: String, folder: PathBuf },
}

impl Home {
    /// The options that every command takes.
    pub fn options(&self) -> Vec<String> {
        match self {
            Home::Folder(folder) => vec!["--data".into(), folder.display().to_string()],
            Home::Database { url, folder } => {
                vec!["--database".into(), url.clone(), "--data".into(), folder.display().to_string()]
            }
        }
    }

    pub fn folder(&self) -> &Path {
        match self {
            Home::Folder(folder) | Home::Database { folder, .. } => folder,
        }
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The one summary line of `--json`.
    pub fn json(&self) -> serde_json::Value {
        let line = self.stdout.lines().rev().find(|line| line.starts_with('{'));
        let line = line.unwrap_or_else(|| panic!("no JSON summary in {self:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }
}

/// The program, behind the words that take it somewhere, e.g. onto a [`super::disk::SmallDisk`].
fn program(inside: &[String]) -> Command {
    match inside.split_first() {
        None => Command::new(PROGRAM),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(PROGRAM);
            command
        }
    }
}

/// Runs a command of the program to its end, e.g. `&["check", "--json"]`.
pub fn run_command(home: &Home, arguments: &[&str]) -> Said {
    run_command_inside(&[], home, arguments)
}

/// The same on a disk of its own.
pub fn run_command_inside(inside: &[String], home: &Home, arguments: &[&str]) -> Said {
    let output = program(inside)
        .args(arguments)
        .args(home.options())
        .env_remove("LIDMARK_DATABASE")
        .stdin(Stdio::null())
        .output()
        .expect("cargo built the program");
    Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running server on a free loopback port. Dropping it kills it.
pub struct Server {
    inside: Vec<String>,
    home: Home,
    extra: Vec<String>,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts `lidmark serve` and waits until it is ready.
    pub async fn start(home: Home) -> Self {
        Self::start_with(home, &[]).await
    }

    /// The same with further options.
    pub async fn start_with(home: Home, extra: &[&str]) -> Self {
        Self::start_inside(Vec::new(), home, extra).await
    }

    /// The same on a disk of its own.
    pub async fn start_inside(inside: Vec<String>, home: Home, extra: &[&str]) -> Self {
        let extra: Vec<String> = extra.iter().map(|option| (*option).to_owned()).collect();
        let port = free_port();
        let child = spawn(&inside, &home, &extra, port);
        let mut server = Self { inside, home, extra, port, child };
        server.wait_until_ready().await;
        server
    }

    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An absolute address of this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What the server wrote to its log since it was first started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_of(&self.home)).unwrap_or_default()
    }

    /// SIGKILL, as a power cut would: no handler runs, nothing is flushed.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same rows and the same port.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.inside, &self.home, &self.extra, self.port);
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&mut self) {
        let client = reqwest::Client::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(answer) = client.get(self.url("/readyz")).send().await
                && answer.status().is_success()
            {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended with {status} before it was ready:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the server is not ready after a minute:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback has free ports")
        .port()
}

fn log_of(home: &Home) -> PathBuf {
    let folder = home.folder();
    folder.with_file_name(format!("{}.log", folder.file_name().unwrap_or_default().to_string_lossy()))
}

fn spawn(inside: &[String], home: &Home, extra: &[String], port: u16) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log_of(home))
        .expect("the folder beside the data folder can be written");
    program(inside)
        .arg("serve")
        .args(home.options())
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(extra)
        .env_remove("LIDMARK_DATABASE")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("cargo built the program")
}
