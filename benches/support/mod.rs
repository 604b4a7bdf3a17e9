//! What the figures stand on: the release program as a child, a load of keep-alive connections, medians.
//! A plain program instead of a benchmark harness: each figure is a ratio to a limit measured in the same run.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The program, built by the same `cargo bench`.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lidmark");

/// A line of the report.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub fn print(line: &str) {
    println!("{line}");
}

/// Where the bench keeps what is expensive to make; survives between runs.
pub fn workshop() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    std::fs::create_dir_all(&folder).expect("target can be written");
    folder
}

/// The number behind `name` among the arguments, e.g. `cargo bench --bench server -- --covers 10000`.
pub fn option(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name);
    arguments.next().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A child that ends with the value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command of the release program.
pub fn lidmark(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).env_remove("LIDMARK_DATABASE");
    command
}

/// Runs a command to its end and gives what it printed; a failure ends the bench with its words.
pub fn said(command: &mut Command) -> String {
    let output = command.output().expect("it can be started");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Greatest resident memory of a process so far, in MB; `None` once it has ended.
pub fn peak_memory_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1000.0)
}

/// Runs a command to its end: seconds, peak memory in MB, what it printed.
pub fn timed(command: &mut Command) -> (f64, f64, String) {
    let start = Instant::now();
    let out = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    let err = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    let mut child = command
        .stdout(out.reopen().expect("just made"))
        .stderr(err.reopen().expect("just made"))
        .spawn()
        .expect("it can be started");
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(peak_memory_mb(child.id()).unwrap_or(0.0));
        if let Some(status) = child.try_wait().expect("it is ours") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let seconds = start.elapsed().as_secs_f64();
    let complaint = std::fs::read_to_string(err.path()).unwrap_or_default();
    assert!(status.success(), "{command:?} ended with {status}\n{complaint}");
    (seconds, peak, std::fs::read_to_string(out.path()).unwrap_or_default())
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback has free ports")
        .port()
}

/// Waits until the server answers `/readyz` (or `path`) with 200.
pub async fn wait_until_ready(address: SocketAddr, path: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let request = get(path, &[]);
    loop {
        if let Ok(mut connection) = Connection::open(address).await
            && connection.ask(&request).await.is_ok_and(|status| status == 200)
        {
            return;
        }
        assert!(Instant::now() < deadline, "{address} is not ready after two minutes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The bytes of a GET request.
pub fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// One keep-alive connection that reads answers with a `content-length`.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    body: std::ops::Range<usize>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 256 * 1024], filled: 0, body: 0..0 })
    }

    /// Sends a request, reads the whole answer, gives the status.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            if let Some(end) = find(&self.buffer[..self.filled], b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|value| value.trim().parse::<usize>().ok());
        let length = match length {
            Some(length) => length,
            None if text.contains("transfer-encoding: chunked") => {
                while !self.buffer[..self.filled].ends_with(b"0\r\n\r\n") {
                    self.read_more().await?;
                }
                self.filled - head
            }
            None => 0,
        };
        if head + length > self.buffer.len() {
            self.buffer.resize(head + length, 0);
        }
        while self.filled < head + length {
            self.read_more().await?;
        }
        self.body = head..head + length;
        Ok(status)
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    /// The head of the last answer.
    pub fn head(&self) -> &[u8] {
        &self.buffer[..self.body.start]
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What a load did.
pub struct Load {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// Answers whose status was not the expected one.
    pub failed: usize,
}

/// `connections` keep-alive connections, each asking again as soon as it has its answer, or, with
/// `pace`, so often a second in all. `request` makes the n-th request of a connection.
pub async fn load<F>(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    pace: Option<f64>,
    expected: u16,
    request: F,
) -> Load
where
    F: Fn(usize, usize) -> Vec<u8> + Send + Sync + 'static,
{
    let request = Arc::new(request);
    let start = Instant::now();
    let gap = pace.map(|per_second| Duration::from_secs_f64(connections as f64 / per_second));
    let tasks: Vec<_> = (0..connections)
        .map(|who| {
            let request = Arc::clone(&request);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await.expect("the server takes connections");
                let (mut waits, mut failed, mut turn) = (Vec::new(), 0, 0);
                // Spread the first requests, so that a paced load is no salvo.
                let mut due = start + gap.unwrap_or_default().mul_f64(who as f64 / connections as f64);
                while start.elapsed() < time {
                    if let Some(gap) = gap {
                        tokio::time::sleep_until(due.into()).await;
                        due += gap;
                    }
                    let bytes = request(who, turn);
                    turn += 1;
                    let asked = Instant::now();
                    match connection.ask(&bytes).await {
                        Ok(status) if status == expected => {}
                        Ok(_) => failed += 1,
                        Err(_) => {
                            failed += 1;
                            connection =
                                Connection::open(address).await.expect("the server takes connections");
                        }
                    }
                    waits.push(asked.elapsed().as_secs_f64() * 1000.0);
                }
                (waits, failed)
            })
        })
        .collect();
    let (mut waits, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (some, bad) = task.await.expect("no task panics");
        waits.extend(some);
        failed += bad;
    }
    let seconds = start.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    let at =
        |share: f64| waits.get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1)));
    Load {
        per_second: waits.len() as f64 / seconds,
        p50_ms: at(0.5).copied().unwrap_or(0.0),
        p95_ms: at(0.95).copied().unwrap_or(0.0),
        p99_ms: at(0.99).copied().unwrap_or(0.0),
        failed,
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A line of the report: what, the figure, what it should be.
pub fn verdict(what: &str, figure: f64, unit: &str, fits: bool, bar: &str) {
    let word = if fits { "reached" } else { "MISSED" };
    print(&format!("{what:<58} {figure:>12.3} {unit:<8} bar {bar:<10} {word}"));
}

/// A made-up city of so many covers without limits to load, made once: its data folder.
pub fn synthetic_city(folder: &Path, covers: u64) -> PathBuf {
    let data = folder.join(format!("city-{covers}"));
    if !data.join("made").exists() {
        let _ = std::fs::remove_dir_all(&data);
        print(&format!("making a city of {covers} covers; this is done once"));
        let (count, text) = (covers.to_string(), data.display().to_string());
        said(&mut lidmark(&[
            "demo",
            "--synthetic",
            "dongying",
            "--covers",
            &count,
            "--no-serve",
            "--data",
            &text,
        ]));
        lift_limits(&data.join("lidmark.toml"));
        std::fs::write(data.join("made"), "").expect("target can be written");
    }
    data
}

/// All load comes from one network here, which a city would slow down.
fn lift_limits(config: &Path) {
    let settings = std::fs::read_to_string(config).expect("the demo writes its settings");
    let lifted: String = settings
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((name @ ("reports_per_minute" | "tries_per_minute"), _)) => {
                format!("{name} = {}\n", u32::MAX)
            }
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(config, lifted).expect("target can be written");
}
