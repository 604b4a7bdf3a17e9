//! The network between a phone and the server, which can be cut as a tunnel cuts it and slowed as a bad mast does, and
//! behind which a newer server can stand.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port of its own that leads to a server. Dropping it ends it.
pub struct Wire {
    port: u16,
    whole: watch::Sender<bool>,
    ways: Arc<Ways>,
    task: JoinHandle<()>,
}

/// What becomes of bytes on their way.
#[derive(Default)]
struct Ways {
    /// Bytes a second towards the server; 0 = as fast as it goes.
    pace: AtomicU32,
    /// Actions that were sent.
    actions: AtomicUsize,
    /// What the server says, and what arrives of it; of one length.
    rewritten: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Something was rewritten, perhaps not any more: what the phone has is not what the server has.
    told_otherwise: AtomicBool,
}

impl Wire {
    /// `server` is an address such as `http://127.0.0.1:4711`.
    pub async fn to(server: &str) -> Self {
        let target = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let (whole, seen) = watch::channel(true);
        let ways = Arc::new(Ways::default());
        let along = ways.clone();
        let task = tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                let (mut seen, along, target) = (seen.clone(), along.clone(), target.clone());
                tokio::spawn(async move {
                    if !*seen.borrow() {
                        return;
                    }
                    tokio::select! {
                        _ = seen.wait_for(|whole| !whole) => {}
                        _ = carry(phone, &target, &along) => {}
                    }
                });
            }
        });
        Self { port, whole, ways, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// As it stands on a plate.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends what is under way and lets nothing through.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// Lets so many bytes a second through towards the server; 0 = all.
    pub fn slow(&self, bytes_per_second: u32) {
        self.ways.pace.store(bytes_per_second, Ordering::Relaxed);
    }

    /// How many actions went towards the server, answered or not.
    pub fn actions(&self) -> usize {
        self.ways.actions.load(Ordering::Relaxed)
    }

    /// Lets the phone read `new` wherever the server writes `old`, as from another version of it.
    pub fn rewrite(&self, old: &str, new: &str) {
        assert_eq!(old.len(), new.len(), "lengths stand in headers");
        self.ways.rewritten.lock().expect("nobody panics with it").push((old.into(), new.into()));
        self.ways.told_otherwise.store(true, Ordering::Relaxed);
    }

    /// From here on the phone reads what the server writes.
    pub fn rewrite_nothing(&self) {
        self.ways.rewritten.lock().expect("nobody panics with it").clear();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

impl Ways {
    /// A newer server's words, once there are any.
    fn down(&self, bytes: &mut [u8]) {
        for (old, new) in self.rewritten.lock().expect("nobody panics with it").iter() {
            replace(bytes, old, new);
        }
    }

    fn up(&self, bytes: &mut [u8]) {
        let posts = b"POST /api/v1/crew/actions ";
        let count = bytes.windows(posts.len()).filter(|window| window == posts).count();
        self.actions.fetch_add(count, Ordering::Relaxed);
        if self.told_otherwise.load(Ordering::Relaxed) {
            // What is packed cannot be rewritten.
            replace(bytes, b"Accept-Encoding:", b"Xccept-Encoding:");
            replace(bytes, b"If-None-Match:", b"Xf-None-Match:");
        }
    }
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(old.len()).position(|window| window == old) {
        bytes[from + at..from + at + old.len()].copy_from_slice(new);
        from += at + old.len();
    }
}

async fn carry(phone: TcpStream, target: &str, ways: &Ways) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    let (mut from_phone, mut to_phone) = phone.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = async {
        let mut piece = vec![0; 1 << 16];
        loop {
            let count = from_server.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            ways.down(&mut piece[..count]);
            to_phone.write_all(&piece[..count]).await?;
        }
    };
    let up = async {
        let mut piece = vec![0; 4096];
        loop {
            let count = from_phone.read(&mut piece).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            let pace = ways.pace.load(Ordering::Relaxed);
            if pace > 0 {
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / f64::from(pace))).await;
            }
            ways.up(&mut piece[..count]);
            to_server.write_all(&piece[..count]).await?;
        }
    };
    // What the server ends is ended for the phone too, or it would wait for an answer that nobody gives.
    let up = async {
        up.await?;
        std::future::pending().await
    };
    tokio::select! {
        ended = down => ended,
        broken = up => broken,
    }
}
