//! A private PostgreSQL cluster in a temporary folder, on a Unix socket only, shared by every
//! process of a test run (nextest gives each test its own process); each test gets its own database.
//!
//! The first process that asks starts the cluster under a lock. A watcher, a small shell loop,
//! stops it when no test has used it for a while, so that a killed run leaves nothing behind;
//! `make test` stops it at once. Without fsync: these tests kill programs, not machines.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{is_root, skip_or_fail};

/// A running cluster. Holding it keeps the watcher from stopping it.
struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    _in_use: File,
}

/// A fresh, empty database; dropped with the value.
pub struct Scratch {
    name: String,
    cluster: &'static Cluster,
}

impl Scratch {
    /// `None`, with a message, where PostgreSQL is missing; a failure where `CI` is set.
    pub fn create() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let cluster = cluster()?;
        let name = format!("lidmark_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        cluster.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        Some(Self { name, cluster })
    }

    /// For `Database::Postgres` and `--database`.
    pub fn url(&self) -> String {
        let socket = self.cluster.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@localhost/{}?host={socket}", self.name)
    }

    /// Runs SQL by hand, as somebody with the database's password could, and gives what it printed.
    pub fn sql(&self, statement: &str) -> String {
        self.cluster.sql(&self.name, statement)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name)).output();
    }
}

impl Cluster {
    fn psql(&self, database: &str, statement: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database])
            .args(["-c", statement])
            .arg("-h")
            .arg(&self.folder);
        command
    }

    fn sql(&self, database: &str, statement: &str) -> String {
        let output = self.psql(database, statement).output().expect("psql comes with the server");
        assert!(
            output.status.success(),
            "psql refused {statement:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").output().is_ok_and(|output| output.status.success())
    }
}

fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER
        .get_or_init(|| {
            let Some(bin) = newest_installed() else {
                skip_or_fail("PostgreSQL (package postgresql)");
                return None;
            };
            Some(join_or_start(bin))
        })
        .as_ref()
}

/// `/usr/lib/postgresql/N/bin` with the greatest N, Debian's place.
fn newest_installed() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("psql").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn join_or_start(bin: PathBuf) -> Cluster {
    // A socket's path must stay under 108 bytes, so the folder lies in /tmp and is named after the checkout.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = env!("CARGO_TARGET_TMPDIR").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folder = std::env::temp_dir().join(format!("lidmark-pg-{name:016x}"));
    fs::create_dir_all(target).expect("cargo's folder for test files can be made");
    let lock_file = |name: &str| {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(target.join(name))
            .expect("cargo's folder for test files can be written")
    };
    let starting = lock_file("postgres.starting");
    let in_use = lock_file("postgres.in-use");
    starting.lock().expect("locks work in the target folder");
    in_use.lock_shared().expect("locks work in the target folder");
    let cluster = Cluster { folder, bin, _in_use: in_use };
    if !cluster.answers() {
        start(&cluster, target);
    }
    starting.unlock().expect("a lock that is held can be released");
    cluster
}

fn start(cluster: &Cluster, target: &Path) {
    let folder = &cluster.folder;
    let data = folder.join("data");
    if folder.exists() {
        let _ = unprivileged(&cluster.bin.join("pg_ctl"))
            .args(["stop", "-m", "immediate", "-D"])
            .arg(&data)
            .output();
        fs::remove_dir_all(folder).expect("the folder of a dead cluster can be removed");
    }
    fs::create_dir_all(folder).expect("the temporary folder can be written");
    fs::write(target.join("postgres.folder"), folder.display().to_string()).expect("target can be written");
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(owned.is_ok_and(|status| status.success()), "the package postgresql makes the user postgres");
    }
    run(unprivileged(&cluster.bin.join("initdb"))
        .args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-D",
        ])
        .arg(&data));
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c full_page_writes=off \
         -c max_connections=300 -c shared_buffers=64MB -c max_wal_size=256MB -c log_min_messages=fatal",
        folder.display()
    );
    run(unprivileged(&cluster.bin.join("pg_ctl"))
        .args(["start", "-w", "-t", "60", "-s", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(folder.join("log"))
        .args(["-o", &options]));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !cluster.answers() {
        assert!(
            Instant::now() < deadline,
            "the private PostgreSQL does not answer; see {}/log",
            folder.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    watch(folder, target);
}

/// Stops the cluster once nobody has held the in-use lock twice in a row, half a minute apart.
fn watch(folder: &Path, target: &Path) {
    const LOOP: &str = r#"
        idle=0
        while kill -0 "$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)" 2>/dev/null; do
            sleep 30
            if flock -n -x "$2/postgres.in-use" true; then idle=$((idle + 1)); else idle=0; fi
            if [ "$idle" -ge 2 ]; then
                flock -x "$2/postgres.starting" flock -n -x "$2/postgres.in-use" sh -c '
                    pid=$(head -n 1 "$1/data/postmaster.pid") && kill -INT "$pid" && sleep 2 && rm -rf "$1"
                ' sh "$1" && exit 0
                idle=0
            fi
        done"#;
    let _ = Command::new("setsid")
        .args(["sh", "-c", LOOP, "sh"])
        .arg(folder)
        .arg(target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

/// PostgreSQL refuses to run as root, so root becomes the user that Debian's package made.
fn unprivileged(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).env("LC_ALL", "C.UTF-8");
    command
}

fn run(command: &mut Command) {
    // stderr goes to a file: a pipe would be inherited by the server and never close.
    let complaint = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    command.stderr(complaint.reopen().expect("a file just made can be opened"));
    let status = command.status().expect("the programs of PostgreSQL can be started");
    assert!(
        status.success(),
        "{command:?} ended with {status}: {}",
        fs::read_to_string(complaint.path()).unwrap_or_default()
    );
}
