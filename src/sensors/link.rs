//! The connection to a broker, MQTT 3.1.1 or 5: a session that outlives it, every delivery acknowledged by hand.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{QoS, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport, v5};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Mqtt, MqttVersion};
use crate::domain::Refusal;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Largest packet; a larger one breaks the connection.
const PACKET_LIMIT: usize = 4 * 1024 * 1024;
/// How long a broker of MQTT 5 keeps what comes while we are away. Brokers of 3.1.1 have a rule of their own.
const SESSION_S: u32 = 7 * 86_400;
/// Deliveries that may be on their way to us at once; in 3.1.1 the broker alone decides.
const IN_FLIGHT: u16 = 4000;

/// What a broker said.
pub(super) struct Said {
    pub topic: String,
    pub payload: Vec<u8>,
    /// It was kept for whoever subscribes.
    pub is_kept: bool,
    receipt: Receipt,
}

/// By what a delivery is acknowledged.
enum Receipt {
    V3(rumqttc::Publish),
    V5(v5::mqttbytes::v5::Publish),
}

pub(super) enum Heard {
    Connected,
    Said(Box<Said>),
    /// We may not hear what we asked for.
    Refused(&'static str),
    Nothing,
}

pub(super) struct Link {
    client: Client,
    events: Events,
    filters: Vec<String>,
}

#[derive(Clone)]
enum Client {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

enum Events {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// Acknowledges what is on disk.
pub(super) struct Acknowledger(Client);

impl Acknowledger {
    pub(super) async fn acknowledge(&self, said: Said) {
        // Where the connection is gone the broker says it again.
        let _ = match (&self.0, said.receipt) {
            (Client::V3(client), Receipt::V3(publish)) => client.ack(&publish).await.is_ok(),
            (Client::V5(client), Receipt::V5(publish)) => client.ack(&publish).await.is_ok(),
            _ => false,
        };
    }
}

impl Link {
    /// Makes ready; the connection is made when it is heard. `queue` acknowledgments may wait to be sent.
    pub(super) fn open(mqtt: &Mqtt, queue: usize) -> Result<(Self, Acknowledger), Refusal> {
        let unusable = || Refusal::new("config.unusable").with("reason", "sensors.mqtt.url");
        let (host, port, is_tls) = mqtt.address().ok_or_else(unusable)?;
        let transport = match is_tls {
            true => Transport::Tls(TlsConfiguration::Rustls(trust(mqtt)?)),
            false => Transport::Tcp,
        };
        let credentials = mqtt.credentials()?;
        let (client, events) = match mqtt.version {
            MqttVersion::V3 => {
                let mut options = rumqttc::MqttOptions::new(&mqtt.client_id, host, port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_session(false);
                options.set_manual_acks(true).set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, events) = rumqttc::AsyncClient::new(options, queue);
                (Client::V3(client), Events::V3(Box::new(events)))
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(&mqtt.client_id, host, port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_start(false);
                options.set_manual_acks(true).set_max_packet_size(Some(PACKET_LIMIT as u32));
                options.set_session_expiry_interval(Some(SESSION_S)).set_receive_maximum(Some(IN_FLIGHT));
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, events) = v5::AsyncClient::new(options, queue);
                (Client::V5(client), Events::V5(Box::new(events)))
            }
        };
        let filters = mqtt.topics.iter().map(|topic| topic.filter()).collect();
        Ok((Self { client: client.clone(), events, filters }, Acknowledger(client)))
    }

    /// Asks for the topics; a session that was there knows them already.
    pub(super) fn subscribe(&self) {
        let asked = match &self.client {
            Client::V3(client) => {
                let filters = self.filters.iter();
                let filters = filters.map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
                client.try_subscribe_many(filters.collect::<Vec<_>>()).is_ok()
            }
            Client::V5(client) => {
                let filters = self.filters.iter();
                let filters = filters.map(|filter| {
                    v5::mqttbytes::v5::Filter::new(filter.clone(), v5::mqttbytes::QoS::AtLeastOnce)
                });
                client.try_subscribe_many(filters.collect::<Vec<_>>()).is_ok()
            }
        };
        if !asked {
            tracing::error!("the topics of sensors were not asked for");
        }
    }

    /// The next thing that happens on the connection, or why there is none.
    pub(super) async fn hear(&mut self) -> Result<Heard, String> {
        match &mut self.events {
            Events::V3(events) => {
                use rumqttc::{Event, Packet};
                Ok(match events.poll().await.map_err(|error| error.to_string())? {
                    Event::Incoming(Packet::ConnAck(_)) => Heard::Connected,
                    Event::Incoming(Packet::SubAck(answer))
                        if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
                    {
                        Heard::Refused("the broker says no")
                    }
                    Event::Incoming(Packet::Publish(publish)) => Heard::Said(Box::new(Said {
                        topic: publish.topic.clone(),
                        payload: publish.payload.to_vec(),
                        is_kept: publish.retain,
                        receipt: Receipt::V3(publish),
                    })),
                    _ => Heard::Nothing,
                })
            }
            Events::V5(events) => {
                use v5::Event;
                use v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
                Ok(match events.poll().await.map_err(|error| error.to_string())? {
                    Event::Incoming(Packet::ConnAck(_)) => Heard::Connected,
                    Event::Incoming(Packet::SubAck(answer))
                        if answer
                            .return_codes
                            .iter()
                            .any(|code| !matches!(code, SubscribeReasonCode::Success(_))) =>
                    {
                        Heard::Refused("the broker says no")
                    }
                    Event::Incoming(Packet::Publish(publish)) => Heard::Said(Box::new(Said {
                        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                        payload: publish.payload.to_vec(),
                        is_kept: publish.retain,
                        receipt: Receipt::V5(publish),
                    })),
                    _ => Heard::Nothing,
                })
            }
        }
    }
}

/// The authorities whose word a broker needs: the house's own, or those of browsers.
fn trust(mqtt: &Mqtt) -> Result<Arc<ClientConfig>, Refusal> {
    let mut roots = RootCertStore::empty();
    match mqtt.authority()? {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            let certificates = CertificateDer::pem_slice_iter(&pem).flatten();
            roots.add_parsable_certificates(certificates);
        }
    }
    if roots.is_empty() {
        let reason = "sensors.mqtt.ca_file: there is no certificate in it";
        return Err(Refusal::new("config.unusable").with("reason", reason));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let unusable = |error: rustls::Error| Refusal::new("config.unusable").with("reason", error);
    let versions = versions.map_err(unusable)?;
    Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
}
