//! The network between a phone and the server, which can be cut as a tunnel cuts it and slowed as a bad mast does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port of its own that leads to a server. Dropping it ends it.
pub struct Wire {
    port: u16,
    whole: watch::Sender<bool>,
    /// Bytes a second towards the server; 0 = as fast as it goes.
    pace: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Wire {
    /// `server` is an address such as `http://127.0.0.1:4711`.
    pub async fn to(server: &str) -> Self {
        let target = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let (whole, seen) = watch::channel(true);
        let pace = Arc::new(AtomicU32::new(0));
        let slowly = pace.clone();
        let task = tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                let (mut seen, slowly, target) = (seen.clone(), slowly.clone(), target.clone());
                tokio::spawn(async move {
                    if !*seen.borrow() {
                        return;
                    }
                    tokio::select! {
                        _ = seen.wait_for(|whole| !whole) => {}
                        _ = carry(phone, &target, &slowly) => {}
                    }
                });
            }
        });
        Self { port, whole, pace, task }
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
        self.pace.store(bytes_per_second, Ordering::Relaxed);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn carry(phone: TcpStream, target: &str, pace: &AtomicU32) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    let (mut from_phone, mut to_phone) = phone.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = async { tokio::io::copy(&mut from_server, &mut to_phone).await.map(drop) };
    let up = async {
        let mut piece = vec![0; 4096];
        loop {
            let count = from_phone.read(&mut piece).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            let pace = pace.load(Ordering::Relaxed);
            if pace > 0 {
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / f64::from(pace))).await;
            }
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
