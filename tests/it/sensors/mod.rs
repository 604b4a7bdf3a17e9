//! Sensors over MQTT: the real program, a real broker, both versions of the protocol, and SIGKILL between hearing and
//! keeping.

use std::time::{Duration, Instant};

use lidmark::domain::sensor_watch::SensorMemory;
use lidmark::registry::Clock;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

use crate::both_engines;
use crate::registry::ground::Town;
use crate::registry::sensors::{install, register};
use crate::support::broker::Broker;
use crate::support::engines::Ground;
use crate::support::server::Server;

fn now_ms() -> i64 {
    Clock::System.now().0
}

/// Publishes as devices do, QoS 1; answers when the broker has it all.
pub async fn publish(broker: &Broker, messages: Vec<(String, String)>) {
    let mut options = MqttOptions::new(format!("device-{}", uuid::Uuid::now_v7()), "127.0.0.1", broker.port);
    options.set_keep_alive(Duration::from_secs(30)).set_inflight(100);
    let (client, mut events) = AsyncClient::new(options, 100);
    let wanted = messages.len();
    let sending = tokio::spawn(async move {
        for (topic, payload) in messages {
            client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        client
    });
    let mut had = 0;
    while had < wanted {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
            had += 1;
        }
    }
    drop(sending.await.unwrap());
}

fn tilt(serial: &str, at_ms: i64, degrees: f64) -> (String, String) {
    let body = serde_json::json!({"measured_at": at_ms, "values": {"tilt_deg": degrees}});
    (format!("lidmark/sensors/{serial}"), body.to_string())
}

fn settings(broker: &Broker, version: &str) -> String {
    format!(
        "plate_host = \"lid.example.cn\"\n[sensors.alarms.tilt]\nhold_s = 1\n[sensors.mqtt]\nurl = \"{}\"\nversion = \"{version}\"\n\
         client_id = \"lidmark-{version}\"\n\
         topics = [{{ topic = \"lidmark/sensors/{{serial}}\" }}, {{ topic = \"vendor/up\", mapping = \"acme\" }}]\n\
         [sensors.mappings.acme]\nserial = \"/sn\"\nmeasured_at = \"/ts\"\ntime = \"milliseconds\"\n\
         [sensors.mappings.acme.values]\nwater_cm = {{ pointer = \"/level/mm\", scale = 0.1 }}\n",
        broker.url()
    )
}

/// What the server remembers of devices, in the order of their serial numbers.
fn memories(ground: &Ground) -> Vec<SensorMemory> {
    let texts = ground.sql("SELECT memory FROM sensors ORDER BY serial");
    texts.lines().map(|text| serde_json::from_str(text).unwrap()).collect()
}

async fn wait_until(what: &str, server: &Server, holds: impl FnMut() -> bool) {
    wait_for(what, server, Duration::from_secs(60), holds).await;
}

async fn wait_for(what: &str, server: &Server, most: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + most;
    while !holds() {
        assert!(Instant::now() < until, "{what}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A town with installed devices LM-00, LM-01 … that hears a broker.
async fn town_with_devices(ground: &Ground, broker: &Broker, count: usize, version: &str) -> Server {
    let town = Town::found(ground).await;
    let covers = town.found_covers(count as u64).await;
    let serials: Vec<String> = (0..count).map(|at| format!("LM-{at:02}")).collect();
    register(&town, &serials.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (serial, cover) in serials.iter().zip(covers) {
        let code = town.registry.find_cover(cover).await.unwrap().unwrap().code.digits;
        install(&town, serial, &code).await;
    }
    town.registry.close().await;
    std::fs::create_dir_all(ground.home().folder()).unwrap();
    std::fs::write(ground.home().folder().join("lidmark.toml"), settings(broker, version)).unwrap();
    let server = Server::start(ground.home()).await;
    // The broker keeps what comes from the first subscription on.
    let until = Instant::now() + Duration::from_secs(30);
    while memories(ground).iter().all(|memory| memory.readings.is_empty()) {
        assert!(Instant::now() < until, "the broker is not heard\n{}", server.log());
        publish(broker, vec![tilt("LM-00", now_ms() - 10 * 86_400_000, 0.0)]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server
}

async fn a_version_is_heard(ground: Ground, version: &str) {
    let Some(mut broker) = Broker::start() else { return };
    let server = town_with_devices(&ground, &broker, 3, version).await;
    let cases = || ground.sql("SELECT COUNT(*) FROM cases");
    let start = now_ms() - 20_000;
    let mut messages = vec![
        tilt("LM-01", start, 50.0),
        ("lidmark/sensors/LM-01".into(), "no JSON".into()),
        ("lidmark/sensors/LM-01".into(), "{\"serial\": \"LM-02\", \"values\": {\"gas_ppm\": 1}}".into()),
        tilt("stranger", start, 50.0),
        tilt("LM-01", start + 500, 51.0),
        ("vendor/up".into(), format!("{{\"sn\": \"LM-02\", \"ts\": {start}, \"level\": {{\"mm\": 423}}}}")),
    ];
    // It flaps between the thresholds, and is sent twice.
    for step in 0..20 {
        let at = start + 2000 + step * 100;
        messages
            .extend([tilt("LM-01", at, if step % 2 == 0 { 50.0 } else { 12.0 }), tilt("LM-01", at, 50.0)]);
    }
    messages.push(tilt("LM-01", start + 9000, 49.0));
    messages.push(tilt("LM-01", start + 11_000, 49.0));
    publish(&broker, messages).await;
    wait_until("a tilt files a case", &server, || cases() == "1").await;
    wait_until("the vendor's level is read", &server, || {
        let level = memories(&ground)[2].readings.values().next().map(|last| last.value);
        level.is_some_and(|level| (level - 42.3).abs() < 1e-9)
    })
    .await;
    wait_until("the last tilt is kept", &server, || {
        memories(&ground)[1].readings.values().next().is_some_and(|last| last.value == 49.0)
    })
    .await;
    // A broker that goes away and comes back is heard again.
    broker.restart();
    publish(&broker, vec![tilt("LM-00", now_ms() - 1000, 7.5)]).await;
    wait_until("the broker is heard again", &server, || {
        memories(&ground)[0].readings.values().next().is_some_and(|last| last.value == 7.5)
    })
    .await;
    assert_eq!(cases(), "1");
    assert_eq!(ground.sql("SELECT report_count FROM cases"), "1");
    assert!(server.log().contains("messages of sensors are refused"), "{}", server.log());
}

both_engines! {
    async fn mqtt_3_1_1_is_heard_and_a_tilt_is_one_case(ground: Ground) {
        a_version_is_heard(ground, "3.1.1").await;
    }

    async fn mqtt_5_is_heard_and_a_tilt_is_one_case(ground: Ground) {
        a_version_is_heard(ground, "5").await;
    }

    async fn a_server_killed_between_hearing_and_keeping_loses_nothing(ground: Ground) {
        nothing_is_lost(ground, "5").await;
    }

    async fn over_mqtt_3_1_1_it_loses_nothing_either(ground: Ground) {
        nothing_is_lost(ground, "3.1.1").await;
    }
}

/// What came while the server was away is said all at once, more than fits any queue of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_after_an_absence_is_heard_to_the_end() {
    const ROUNDS: i64 = 6000;
    let (Some(broker), Some(ground)) = (Broker::start(), Ground::sqlite()) else { return };
    let mut server = town_with_devices(&ground, &broker, DEVICES, "3.1.1").await;
    let before = counts(&ground);
    server.kill();
    let start = now_ms() - 86_400_000;
    let rounds = (0..ROUNDS).flat_map(|round| {
        (0..DEVICES).map(move |at| tilt(&format!("LM-{at:02}"), start + round * 1000, 1.5))
    });
    publish(&broker, rounds.collect()).await;
    server.restart().await;
    let wanted: Vec<i64> = before.iter().map(|count| count + ROUNDS).collect();
    let most = Duration::from_secs(240);
    wait_for("all of it is kept", &server, most, || counts(&ground) == wanted).await;
}

const DEVICES: usize = 12;
const BURSTS: i64 = 8;
/// Readings of each device in a burst.
const ROUNDS: i64 = 50;

async fn nothing_is_lost(ground: Ground, version: &str) {
    let Some(broker) = Broker::start() else { return };
    let mut server = town_with_devices(&ground, &broker, DEVICES, version).await;
    let before: Vec<i64> = counts(&ground);
    let start = now_ms() - 86_400_000;
    for burst in 0..BURSTS {
        let rounds = (burst * ROUNDS..(burst + 1) * ROUNDS).flat_map(|round| {
            (0..DEVICES).map(move |at| tilt(&format!("LM-{at:02}"), start + round * 1000, 45.0))
        });
        publish(&broker, rounds.collect()).await;
        tokio::time::sleep(Duration::from_millis(5 + 23 * burst as u64)).await;
        server.kill();
        if burst % 3 == 1 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        server.restart().await;
    }
    let wanted: Vec<i64> = before.iter().map(|count| count + BURSTS * ROUNDS).collect();
    let until = Instant::now() + Duration::from_secs(60);
    while counts(&ground) != wanted {
        assert!(Instant::now() < until, "{:?} instead of {wanted:?}\n{}", counts(&ground), server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(ground.sql("SELECT COUNT(*) FROM cases"), DEVICES.to_string(), "one cause, one case");
    assert_eq!(ground.sql("SELECT SUM(report_count) FROM cases"), DEVICES.to_string());
}

/// Readings of each device that were ever counted.
fn counts(ground: &Ground) -> Vec<i64> {
    let hours = ground.sql(
        "SELECT COALESCE((SELECT SUM(h.readings) FROM sensor_hours h WHERE h.sensor_id = s.id), 0) FROM sensors s ORDER BY s.serial",
    );
    let hours = hours.lines().map(|line| line.trim().parse::<i64>().unwrap());
    let now = memories(ground)
        .into_iter()
        .map(|memory| memory.readings.values().map(|last| last.count).sum::<i64>());
    hours.zip(now).map(|(hours, now)| hours + now).collect()
}
