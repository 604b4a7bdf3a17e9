//! How fast readings come in: through the verb, over HTTP in lists of 100, and through a real broker (mosquitto) by QoS 1;
//! a device in a hundred lies tilted all the while, which is one case each.
//! `cargo bench --bench sensors [-- --devices N] [--messages N] [--seconds N] [--publishers N]`

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::domain::role::Actor;
use lidmark::domain::sensor::{Quantity, SensorMove};
use lidmark::domain::sensor_message::SensorMessage;
use lidmark::registry::{CoverFilter, Database, NewSensors, Registry, RegistryOptions, SensorOrder};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use support::{Running, free_port, lidmark, load, option, print, said, verdict, wait_until_ready};

const BAR: f64 = 10_000.0;
const BROKER: &str = "/usr/sbin/mosquitto";

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` only wants to see that it starts.
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

/// The demo has a few devices of its own.
fn serial(device: u64) -> String {
    format!("BENCH-{device:06}")
}

/// A device in a hundred lies tilted.
fn tilt(device: u64) -> f64 {
    if device.is_multiple_of(100) { 45.0 } else { 1.5 }
}

async fn measure() {
    let (devices, messages) = (option("--devices", 2_000), option("--messages", 200_000));
    let folder = tempfile::tempdir_in(support::workshop()).expect("target can be written");
    let data = folder.path().join("data");
    let place = data.display().to_string();
    let covers = devices.max(200).to_string();
    said(&mut lidmark(&[
        "demo",
        "--synthetic",
        "dongying",
        "--covers",
        &covers,
        "--no-serve",
        "--data",
        &place,
    ]));
    let token = said(&mut lidmark(&[
        "token",
        "add",
        "--sensors",
        "--name",
        "bench",
        "--login",
        "engineer",
        "--data",
        &place,
    ]));
    let registry = open(&data).await;
    install(&registry, devices).await;
    let cases = cases(&registry).await;
    let start = days_before(&registry);

    let rounds = (messages / devices).max(1);
    let begun = Instant::now();
    verb(&registry, devices, rounds, start).await;
    let rate = (devices * rounds) as f64 / begun.elapsed().as_secs_f64();
    verdict("the verb, 8 callers of 250 messages each", rate, "/s", rate >= BAR, ">= 10,000");
    let raised = self::cases(&registry).await - cases;
    assert_eq!(raised, devices.div_ceil(100) as i64, "one case for each cause");
    registry.close().await;

    let broker = broker(folder.path(), &data);
    let port = free_port();
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
    let mut command = lidmark(&["serve", "--data", &place, "--listen", &address.to_string()]);
    let server = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    wait_until_ready(address, "/readyz").await;
    http(address, token.trim(), devices, start + 1_000_000).await;
    if let Some((broker, port)) = broker {
        mqtt(&data, port, devices, rounds, start + 3_000_000_000).await;
        drop(broker);
    } else {
        print("no mosquitto here: nothing over MQTT");
    }
    drop(server);
    let registry = open(&data).await;
    let raised = self::cases(&registry).await - cases;
    assert_eq!(raised, devices.div_ceil(100) as i64, "the causes stand: no case more");
    registry.close().await;
}

async fn open(data: &Path) -> Registry {
    let database = Database::Sqlite(data.to_owned());
    Registry::open(&database, RegistryOptions::default()).await.expect("it opens")
}

/// Forty days ago, so that all that follows was measured later than what came before, and none in the future.
fn days_before(registry: &Registry) -> i64 {
    registry.now().0 - 40 * 86_400_000
}

async fn cases(registry: &Registry) -> i64 {
    registry.counts().await.expect("it counts").cases.iter().map(|(_, count)| count).sum()
}

async fn install(registry: &Registry, devices: u64) {
    let mut codes = Vec::new();
    let mut after = None;
    while (codes.len() as u64) < devices {
        let filter = CoverFilter { limit: 1000, after, ..CoverFilter::default() };
        let page = registry.list_covers(filter).await.expect("it lists");
        let Some(last) = page.last() else { break };
        after = Some(last.cover);
        codes.extend(page.iter().map(|file| file.code.digits.clone()));
    }
    for first in (0..devices).step_by(1000) {
        let serials = (first..devices.min(first + 1000)).map(serial).collect();
        let (key, model) = (IdempotencyKey::fresh(), String::new());
        registry
            .add_sensors(NewSensors { key, serials, model, actor: Actor::System })
            .await
            .expect("they fit");
    }
    for (device, code) in (0..devices).zip(codes.iter().cycle()) {
        let order = SensorOrder {
            key: IdempotencyKey::fresh(),
            serial: serial(device),
            made: SensorMove::Install,
            cover: Some(code.clone()),
            until: None,
            reason: String::new(),
            actor: Actor::System,
        };
        registry.move_sensor(order).await.expect("it is installed");
    }
}

/// Eight callers share the devices; each sends 250 messages a call.
async fn verb(registry: &Registry, devices: u64, rounds: u64, start: i64) {
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut waiting = Vec::with_capacity(250);
                for round in 0..rounds {
                    for device in (caller..devices).step_by(8) {
                        waiting.push(SensorMessage {
                            serial: serial(device),
                            message_id: None,
                            measured_at: Some(Millis(start + round as i64 * 10_000)),
                            values: vec![(Quantity::Tilt, tilt(device)), (Quantity::Battery, 87.0)],
                            problems: Vec::new(),
                        });
                        if waiting.len() == 250 {
                            registry.take_readings(std::mem::take(&mut waiting)).await.expect("it is taken");
                        }
                    }
                }
                registry.take_readings(waiting).await.expect("it is taken");
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("nobody panics");
    }
}

fn message(device: u64, at: i64) -> String {
    format!(
        "{{\"serial\":\"{}\",\"measured_at\":{at},\"values\":{{\"tilt_deg\":{},\"battery_percent\":87}}}}",
        serial(device),
        tilt(device)
    )
}

async fn http(address: SocketAddr, token: &str, devices: u64, start: i64) {
    let time = Duration::from_secs(option("--seconds", 10));
    let token = token.to_owned();
    let done = load(address, 8, time, None, 200, move |who, turn| {
        let first = (who * 100 + turn * 800) as u64;
        let at = start + (first / devices) as i64 * 10_000;
        let list: Vec<String> = (0..100).map(|more| message((first + more) % devices, at)).collect();
        let body = format!("[{}]", list.join(","));
        format!(
            "POST /api/v1/sensor-readings HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
    .await;
    assert_eq!(done.failed, 0, "HTTP: answers other than 200");
    let rate = done.per_second * 100.0;
    print(&format!("  HTTP, lists of 100: p50 {:.1} ms, p99 {:.1} ms", done.p50_ms, done.p99_ms));
    verdict("over HTTP, 8 connections with lists of 100", rate, "/s", rate >= BAR, ">= 10,000");
}

/// A broker of this machine, and the settings by which the server hears it.
fn broker(folder: &Path, data: &Path) -> Option<(Running, u16)> {
    if !Path::new(BROKER).exists() {
        return None;
    }
    let port = free_port();
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 4000\n"
    );
    std::fs::write(folder.join("mosquitto.conf"), settings).expect("it can be written");
    let mut command = Command::new(BROKER);
    command.arg("-c").arg(folder.join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("mosquitto starts"));
    let file = data.join("lidmark.toml");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let text = format!("{before}\n[sensors.mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nversion = \"5\"\n");
    std::fs::write(file, text).expect("it can be written");
    Some((running, port))
}

async fn mqtt(data: &Path, port: u16, devices: u64, rounds: u64, start: i64) {
    let publishers = option("--publishers", 4);
    let begun = Instant::now();
    let sent: Vec<_> = (0..publishers)
        .map(|who| tokio::spawn(publish(port, who, publishers, devices, rounds, start)))
        .collect();
    for one in sent {
        one.await.expect("nobody panics");
    }
    let published = begun.elapsed().as_secs_f64();
    let last = start + (rounds as i64 - 1) * 10_000;
    let registry = open(data).await;
    let deadline = Instant::now() + Duration::from_secs(300);
    for device in (0..devices).step_by(devices.div_ceil(50) as usize).chain([devices - 1]) {
        loop {
            let line = registry.known_sensor(&serial(device)).await.expect("it is known");
            let at = line.record.memory.readings.get(&Quantity::Tilt).map(|last| last.at.0);
            if at == Some(last) {
                break;
            }
            assert!(Instant::now() < deadline, "device {device} stands at {at:?} instead of {last}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    registry.close().await;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (devices * rounds) as f64 / seconds;
    print(&format!(
        "  {} messages published in {published:.1} s, on disk and acknowledged in {seconds:.1} s",
        devices * rounds
    ));
    verdict("over MQTT 5, QoS 1, through mosquitto", rate, "/s", rate >= BAR, ">= 10,000");
}

/// Publishes the share of one publisher, device by device in each round.
async fn publish(port: u16, who: u64, of: u64, devices: u64, rounds: u64, start: i64) {
    let mut options = MqttOptions::new(format!("bench-{who}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60)).set_inflight(1000);
    let (client, mut events) = AsyncClient::new(options, 1000);
    let wanted = (who..devices).step_by(of as usize).count() as u64 * rounds;
    let sending = tokio::spawn(async move {
        for round in 0..rounds {
            for device in (who..devices).step_by(of as usize) {
                let topic = format!("lidmark/sensors/{}", serial(device));
                let text = message(device, start + round as i64 * 10_000);
                client.publish(topic, QoS::AtLeastOnce, false, text).await.expect("it is queued");
            }
        }
        client
    });
    let mut had = 0;
    while had < wanted {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.expect("the broker is there") {
            had += 1;
        }
    }
    drop(sending.await.expect("it is sent"));
}
