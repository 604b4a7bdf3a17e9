//! The city's settings: parsed once into types from `lidmark.toml` in the data folder (or
//! `--config`). Nothing else reads files of settings or the environment.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::Refusal;
use crate::domain::abuse::AbuseRules;
use crate::domain::crew::CrewRules;
use crate::domain::quality::Rules;
use crate::domain::receiver::OutboxRules;
use crate::domain::reward::RewardRules;
use crate::domain::sensor::SensorRules;
use crate::domain::task::TaskRules;
use crate::domain::token::PlateScheme;

mod api;
mod map;
mod mqtt;

pub use api::ApiLimits;
pub use map::{MapBase, MapCoordinates, MapSettings};
pub use mqtt::{Mqtt, MqttTopic, MqttVersion};

/// Everything a city can set. Every field has a default, so that an empty file will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the service as citizens see it.
    pub city_zh: String,
    pub city_en: String,
    /// `https`, or `http` for a trial without TLS: how the address on the plates begins.
    pub plate_scheme: PlateScheme,
    /// Host engraved on the plates; choose once, it is read for ten years. Empty = not chosen, and no
    /// plates are made.
    pub plate_host: String,
    /// Plate addresses in lower case, for hosts that need it (a larger symbol).
    pub plate_lower_case: bool,
    /// Number that answers for the city where a cover's owner has none.
    pub hotline: String,
    /// Called first when somebody may get hurt.
    pub emergency_numbers: Vec<String>,
    /// Code scheme in which new covers are numbered.
    pub scheme: String,
    /// Minutes east of Greenwich of the city's clock.
    pub utc_offset_minutes: i32,
    /// Send the session cookie over HTTPS only. Leave on unless the desk is reached without TLS.
    pub secure_cookies: bool,
    /// Name and link of who made the data, where its licence asks for it.
    pub attribution: String,
    /// Trust the last address in `X-Forwarded-For`; only behind a proxy that sets it.
    pub behind_proxy: bool,
    /// How many reports one network may send a minute; a whole district may share one address.
    pub reports_per_minute: u32,
    /// How many wrong or unknown addresses and log-ins one network may try a minute.
    pub tries_per_minute: u32,
    /// Largest census file that the import desk takes, in megabytes of 1024 × 1024 bytes.
    pub census_megabytes: u64,
    /// Days after which a file that waits at a desk, of a census or of outlines, is cleared away; one that is
    /// being written never is. 0 = never.
    pub waiting_days: u32,
    /// What a good file is, and what becomes of covers without an owner; see `labels/quality.toml`.
    #[serde(skip_serializing_if = "is_built_in")]
    pub quality: Rules,
    /// What crews are held to: accuracy, distances, plates met far from their covers.
    #[serde(skip_serializing_if = "is_default")]
    pub crew: CrewRules,
    /// When dates of fall nets and inspections open a task, and when they come again.
    #[serde(skip_serializing_if = "is_default")]
    pub tasks: TaskRules,
    /// Where receivers of events may lie, and how long events are kept.
    #[serde(skip_serializing_if = "is_default")]
    pub outbox: OutboxRules,
    /// What is doubtful about a report that nobody signed for, and how long it may be held.
    #[serde(skip_serializing_if = "is_default")]
    pub abuse: AbuseRules,
    /// What the first to report a hazard earns, and limits of that.
    #[serde(skip_serializing_if = "is_default")]
    pub rewards: RewardRules,
    /// By which server citizens are told by mail how it goes on; nobody is told where none is named.
    #[serde(skip_serializing_if = "is_default")]
    pub mail: Mail,
    /// What other systems are told that come over Open311.
    #[serde(skip_serializing_if = "is_default")]
    pub open311: Open311,
    /// What sensors say; see `labels/sensors.toml`.
    #[serde(skip_serializing_if = "is_default")]
    pub sensors: Sensors,
    /// What lies below the covers on the engineers' map.
    #[serde(skip_serializing_if = "is_default")]
    pub map: MapSettings,
    /// How much programs may ask a minute; see docs/api.md.
    #[serde(skip_serializing_if = "is_default")]
    pub api: ApiLimits,
}

/// What sensors say, and the broker from which it is heard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct Sensors {
    #[serde(flatten)]
    pub rules: SensorRules,
    /// `None` = over HTTP alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<Mqtt>,
}

impl TryFrom<toml::Table> for Sensors {
    type Error = toml::de::Error;
    fn try_from(mut said: toml::Table) -> Result<Self, Self::Error> {
        let mqtt = said.remove("mqtt").map(toml::Value::try_into).transpose()?;
        Ok(Self { rules: said.try_into()?, mqtt })
    }
}

/// Open311: what its discovery says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Open311 {
    /// Our `jurisdiction_id`; where it is given, another one is refused. Empty = any is taken for ours.
    pub jurisdiction: String,
    /// Whom to ask, e.g. a telephone number or an address; empty = the hotline.
    pub contact: String,
    /// How to get a key; empty = from the city's administrators.
    pub key_service: String,
}

/// Mail to citizens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// Host of the SMTP server; empty = no mail.
    pub server: String,
    /// 0 = the usual one: 465 with `tls`, 587 with `starttls`, 25 with `none`.
    pub port: u16,
    pub tls: MailTls,
    /// Log-in at the server; empty = none is needed.
    pub user: String,
    /// File that holds the password alone, so that no settings file does; beside the settings or absolute.
    pub password_file: PathBuf,
    /// Who it is from, e.g. `井盖服务 <noreply@example.cn>`.
    pub from: String,
    pub reply_to: String,
    /// How links in messages begin, e.g. `https://lid.example.cn`; empty = as on the plates.
    pub site: String,
    /// Messages also go to telephone numbers, by a receiver of events that hears what is personal: a gateway for short
    /// messages or WeChat.
    pub by_gateway: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: String::new(),
            port: 0,
            tls: MailTls::Tls,
            user: String::new(),
            password_file: PathBuf::new(),
            from: String::new(),
            reply_to: String::new(),
            site: String::new(),
            by_gateway: false,
        }
    }
}

/// How the connection to the mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// From its first byte.
    Tls,
    /// After `STARTTLS`, without which nothing is sent.
    StartTls,
    /// Not at all: for a server on the same machine.
    None,
}

impl Mail {
    pub fn is_on(&self) -> bool {
        !self.server.is_empty()
    }

    /// Whether there is any way to tell citizens something.
    pub fn tells(&self) -> bool {
        self.is_on() || self.by_gateway
    }

    pub fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, MailTls::Tls) => 465,
            (0, MailTls::StartTls) => 587,
            (0, MailTls::None) => 25,
            (port, _) => port,
        }
    }

    fn check(&self, has_host: bool) -> Result<(), Refusal> {
        let wrong = |reason: &str| Err(Refusal::new("config.unusable").with("reason", reason));
        if self.is_on() && self.from.is_empty() {
            return wrong("[mail] from says who mail is from, e.g. from = \"noreply@example.cn\"");
        }
        if self.tells() && self.site.is_empty() && !has_host {
            return wrong("[mail] site says how links in messages begin, or plate_host does");
        }
        if !self.site.is_empty() && !self.site.starts_with("https://") && !self.site.starts_with("http://") {
            return wrong("[mail] site begins with https://");
        }
        if !self.user.is_empty() && self.password_file.as_os_str().is_empty() {
            return wrong("[mail] password_file names the file that holds the password of user");
        }
        if !self.user.is_empty() && self.tls == MailTls::None {
            return wrong("[mail] user needs tls or starttls, or the password would go in the clear");
        }
        Ok(())
    }
}

fn is_built_in(rules: &Rules) -> bool {
    rules == Rules::built_in()
}

fn is_default<T: Default + PartialEq>(settings: &T) -> bool {
    *settings == T::default()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            city_zh: "城市井盖服务".into(),
            city_en: "City manhole covers".into(),
            plate_scheme: PlateScheme::Https,
            plate_host: String::new(),
            plate_lower_case: false,
            hotline: "12345".into(),
            emergency_numbers: vec!["110".into(), "119".into(), "120".into()],
            scheme: "component-16".into(),
            utc_offset_minutes: 480,
            secure_cookies: true,
            attribution: String::new(),
            behind_proxy: false,
            reports_per_minute: 300,
            tries_per_minute: 60,
            census_megabytes: 2048,
            waiting_days: 30,
            quality: Rules::default(),
            crew: CrewRules::default(),
            tasks: TaskRules::default(),
            outbox: OutboxRules::default(),
            abuse: AbuseRules::default(),
            rewards: RewardRules::default(),
            mail: Mail::default(),
            open311: Open311::default(),
            sensors: Sensors::default(),
            map: MapSettings::default(),
            api: ApiLimits::default(),
        }
    }
}

impl Config {
    /// Reads the settings; the defaults where `file` is not given and the folder has none.
    pub fn load(file: Option<&Path>, data: &Path) -> Result<Self, Refusal> {
        let (path, wanted) = match file {
            Some(file) => (file.to_owned(), true),
            None => (data.join("lidmark.toml"), false),
        };
        let unreadable = |reason: String| {
            Refusal::new("config.unreadable").with("file", path.display()).with("reason", reason)
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::from_toml(&text).map_err(|refusal| refusal.with("file", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !wanted => Ok(Self::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Reads settings from text and refuses what would only fail later.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        let config: Config = toml::from_str(text)
            .map_err(|error| Refusal::new("config.unusable").with("reason", error.to_string().trim()))?;
        if !config.plate_host.is_empty() && !fits_plates(&config.plate_host) {
            let reason = "plate_host must be a host name of letters, digits, dots and hyphens";
            return Err(Refusal::new("config.unusable").with("reason", reason));
        }
        if !(-14 * 60..=14 * 60).contains(&config.utc_offset_minutes) {
            return Err(Refusal::new("config.unusable")
                .with("reason", "utc_offset_minutes lies between -840 and 840"));
        }
        config.quality.check()?;
        config.crew.check()?;
        config.tasks.check()?;
        config.abuse.check()?;
        config.rewards.check()?;
        config.sensors.rules.check()?;
        if let Some(mqtt) = &config.sensors.mqtt {
            mqtt.check(&config.sensors.rules)?;
        }
        config.map.check()?;
        config.mail.check(!config.plate_host.is_empty())?;
        Ok(config)
    }

    /// What the address of a plate begins with, as people open it.
    pub fn plate_base(&self) -> String {
        format!("{}://{}", self.plate_scheme, self.plate_host)
    }

    /// What links in messages begin with.
    pub fn site_base(&self) -> String {
        match self.mail.site.trim_end_matches('/') {
            "" => self.plate_base(),
            site => site.to_owned(),
        }
    }

    /// As a settings file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain values")
    }
}

/// Whether a host, with its port where it has one, can stand on a plate.
pub fn fits_plates(host: &str) -> bool {
    (1..=60).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte))
}

/// Where a command finds its registry and its files.
#[derive(Debug, Clone)]
pub struct Place {
    /// Data folder: photos and plate files always, the database unless a URL is given.
    pub data: PathBuf,
    /// A PostgreSQL URL.
    pub database: Option<String>,
}

impl Place {
    pub fn photos(&self) -> PathBuf {
        self.data.join("photos")
    }

    pub fn outbox(&self) -> PathBuf {
        self.data.join("outbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_to_a_file_and_back() {
        let config = Config { city_zh: "东营".into(), ..Config::default() };
        assert_eq!(Config::from_toml(&config.to_toml()), Ok(config));
        assert_eq!(Config::from_toml(""), Ok(Config::default()));
    }

    #[test]
    fn a_misspelt_setting_is_refused_by_name() {
        let refusal = Config::from_toml("plate_hots = 'x'").unwrap_err();
        assert!(refusal.to_string().contains("plate_hots"), "{refusal}");
        assert!(Config::from_toml("plate_host = 'a b'").is_err());
        let refusal = Config::from_toml("plate_scheme = 'ftp'").unwrap_err();
        assert!(refusal.to_string().contains("`https` or `http`"), "{refusal}");
        assert!(Config::from_toml("[quality.claims]\nnotice_days = 0").is_err());
        let refusal = Config::from_toml("[quality.age]\nyaers = 3").unwrap_err();
        assert!(refusal.to_string().contains("yaers"), "{refusal}");
    }

    #[test]
    fn sensors_are_judged_and_heard_as_the_city_says() {
        let text =
            "[sensors.alarms.tilt]\non = 20\n[sensors.mqtt]\nurl = 'mqtt://broker:1883'\nversion = '5'";
        let config = Config::from_toml(text).unwrap();
        assert_eq!(config.sensors.rules.alarms["tilt"].on, 20.0);
        let mqtt = config.sensors.mqtt.as_ref().unwrap();
        assert_eq!((mqtt.version, mqtt.topics.len()), (MqttVersion::V5, 1));
        assert_eq!(Config::from_toml(&config.to_toml()), Ok(config));
        for wrong in [
            "[sensors]\nsilent_hour = 3",
            "[sensors.mqtt]\nurl = 'http://broker'",
            "[sensors.mqtt]\nurl = 'mqtt://broker'\nversion = '4'",
            "[sensors.mqtt]\nurl = 'mqtt://broker'\ntopics = [{ topic = 'a/{serial}', mapping = 'acme' }]",
            "[sensors.mqtt]\nurl = 'mqtt://broker'\ntopics = [{ topic = 'a/{serial}x' }]",
        ] {
            assert!(Config::from_toml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mail_is_off_until_it_can_be_sent() {
        let mail = |text: &str| Config::from_toml(&format!("plate_host = 'lid.example.cn'\n[mail]\n{text}"));
        assert!(!Config::from_toml("").unwrap().mail.tells());
        let config = mail("server = 'mail.example.cn'\ntls = 'starttls'\nfrom = 'a@example.cn'").unwrap();
        assert_eq!((config.mail.port(), config.site_base().as_str()), (587, "https://lid.example.cn"));
        assert_eq!(Config::from_toml(&config.to_toml()), Ok(config));
        for wrong in [
            "server = 'mail.example.cn'",
            "server = 'x'\nfrom = 'a@b.cn'\nuser = 'a'",
            "server = 'x'\nfrom = 'a@b.cn'\nuser = 'a'\npassword_file = 'p'\ntls = 'none'",
            "server = 'x'\nfrom = 'a@b.cn'\nsite = 'lid.example.cn'",
            "password = 'secret'",
        ] {
            assert!(mail(wrong).is_err(), "{wrong}");
        }
        assert!(Config::from_toml("[mail]\nby_gateway = true").is_err(), "no address for links");
    }

    #[test]
    fn a_city_says_only_what_it_wants_otherwise() {
        let config = Config::from_toml("[quality.age]\nyears = 30").unwrap();
        assert_eq!(config.quality.age.years, 30);
        assert_eq!(config.quality.load, Rules::built_in().load);
        assert_eq!(Config::from_toml(&config.to_toml()), Ok(config));
    }
}
