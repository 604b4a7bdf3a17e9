//! `[sensors.mqtt]`: the broker from which sensors are heard.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::Refusal;
use crate::domain::names::named_enum;
use crate::domain::sensor::SensorRules;

named_enum! {
    /// Which MQTT the broker speaks.
    MqttVersion as "mqtt_version" { V3 = "3.1.1", V5 = "5" }
}

/// How a broker is reached and what is heard there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// `mqtt://host:1883`, or `mqtts://host:8883` over TLS.
    pub url: String,
    #[serde(default = "version")]
    pub version: MqttVersion,
    /// By this name the broker keeps what comes while we are away; one for each Lidmark.
    #[serde(default = "client_id")]
    pub client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A file that holds the password, so that it stands in no settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) of a house's own authority, for `mqtts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(default = "topics")]
    pub topics: Vec<MqttTopic>,
}

/// Where devices publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttTopic {
    /// A topic filter, in which one level may be `{serial}`: the device that publishes there.
    pub topic: String,
    /// One of `[sensors.mappings]`; empty = our own form.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mapping: String,
}

fn version() -> MqttVersion {
    MqttVersion::V3
}

fn client_id() -> String {
    "lidmark".to_owned()
}

fn topics() -> Vec<MqttTopic> {
    vec![MqttTopic { topic: "lidmark/sensors/{serial}".to_owned(), mapping: String::new() }]
}

/// The level of a topic that names a device.
const SERIAL: &str = "{serial}";

impl MqttTopic {
    /// As a broker reads it.
    pub fn filter(&self) -> String {
        self.topic
            .split('/')
            .map(|level| if level == SERIAL { "+" } else { level })
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Whether a topic is one of these; with the device that it names, where it names one.
    pub fn fits<'t>(&self, topic: &'t str) -> Option<Option<&'t str>> {
        // A shared subscription is published to without its first two levels.
        let own = match self.topic.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
            Some((_, shared)) => shared,
            None => &self.topic,
        };
        let (mut levels, mut serial) = (topic.split('/'), None);
        for wanted in own.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return Some(serial),
                (SERIAL, Some(level)) => serial = Some(level),
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return None,
            }
        }
        levels.next().is_none().then_some(serial)
    }

    fn is_sound(&self) -> bool {
        let levels: Vec<&str> = self.topic.split('/').collect();
        let last = levels.len() - 1;
        let is_level = |(at, level): (usize, &&str)| match *level {
            "#" => at == last,
            "+" | SERIAL => true,
            other => !other.contains(['+', '#', '{', '}', '\0']),
        };
        !self.topic.is_empty()
            && self.topic.len() <= 500
            && levels.iter().enumerate().all(is_level)
            && levels.iter().filter(|level| **level == SERIAL).count() <= 1
    }
}

impl Mqtt {
    pub(super) fn check(&self, rules: &SensorRules) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::new("config.unusable").with("reason", reason));
        if self.address().is_none() {
            let reason = "sensors.mqtt.url: mqtt://host:port or mqtts://host:port, without name and password";
            return refuse(reason.to_owned());
        }
        if self.client_id.is_empty() || self.client_id.len() > 100 || self.topics.is_empty() {
            return refuse(
                "sensors.mqtt: a client_id of up to 100 characters, and at least one topic".to_owned(),
            );
        }
        if self.password_file.is_some() && self.user.is_none() {
            return refuse("sensors.mqtt: a password_file needs a user".to_owned());
        }
        for topic in &self.topics {
            if !topic.is_sound() {
                return refuse(format!(
                    "sensors.mqtt: {} is no topic filter with at most one {SERIAL}",
                    topic.topic
                ));
            }
            if !topic.mapping.is_empty() && !rules.mappings.contains_key(&topic.mapping) {
                return refuse(format!("sensors.mqtt: there is no sensors.mappings.{}", topic.mapping));
            }
        }
        Ok(())
    }

    /// Host, port, and whether over TLS.
    pub fn address(&self) -> Option<(String, u16, bool)> {
        let url = Url::parse(&self.url).ok()?;
        let (port, is_tls) = match url.scheme() {
            "mqtt" => (1883, false),
            "mqtts" => (8883, true),
            _ => return None,
        };
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        // A host in brackets is an address of IPv6, which the socket wants without them.
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())?;
        (is_plain && !host.is_empty()).then(|| (host, url.port().unwrap_or(port), is_tls))
    }

    /// User and password, the latter from its file.
    pub fn credentials(&self) -> Result<Option<(String, String)>, Refusal> {
        let Some(user) = &self.user else { return Ok(None) };
        let Some(file) = &self.password_file else { return Ok(Some((user.clone(), String::new()))) };
        let password = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        Ok(Some((user.clone(), password.trim_end_matches(['\r', '\n']).to_owned())))
    }

    /// The bytes of the house's own certificates.
    pub fn authority(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(file) = &self.ca_file else { return Ok(None) };
        std::fs::read(file).map(Some).map_err(|error| unreadable(file, &error))
    }
}

fn unreadable(file: &std::path::Path, error: &std::io::Error) -> Refusal {
    Refusal::new("config.unreadable").with("file", file.display()).with("reason", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_device() {
        let topic = |text: &str| MqttTopic { topic: text.into(), mapping: String::new() };
        let own = topic("lidmark/sensors/{serial}");
        assert_eq!(own.filter(), "lidmark/sensors/+");
        assert_eq!(own.fits("lidmark/sensors/LM-1"), Some(Some("LM-1")));
        assert_eq!(own.fits("lidmark/sensors/LM-1/up"), None);
        assert_eq!(own.fits("lidmark/sensors"), None);
        assert_eq!(topic("$share/a/v/+/{serial}/#").fits("v/x/S1/up/y"), Some(Some("S1")));
        assert_eq!(topic("v/#").fits("v/x"), Some(None));
        for wrong in ["", "a/#/b", "a+/b", "{serial}/{serial}", "a/x{serial}"] {
            assert!(!topic(wrong).is_sound(), "{wrong}");
        }
    }
}
