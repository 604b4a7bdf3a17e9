//! `lidmark demo`: a city to try, built by the same verbs that a real one uses, and then served.
//! Running it again on its own folder changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::import::Lists;
use super::story::{self, Stage};
use super::{Ending, Ground, Language, Outcome, Say, file_trouble, serve};
use crate::config::{Config, fits_plates};
use crate::demo::{dongying, vermont};
use crate::domain::Refusal;
use crate::domain::cover::{District, Party};
use crate::domain::role::Actor;
use crate::domain::token::PlateScheme;
use crate::import::{Format, Told, find_built_in};
use crate::intake::{self, Body, IntakeFile, Note, Reading};
use crate::registry::{CensusFile, Clock, ImportMode, ImportOptions, ImportSummary, Registry};

const DAY_MS: i64 = 86_400_000;
/// Says that a folder holds a demo, and how to come back to it.
const MARK: &str = "demo.json";

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: String,
    /// Where the plates lead, as phones reach it, e.g. 192.168.1.5:8080 or https://demo.example.org
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// A made-up city instead of real open data
    #[arg(long, value_enum, value_name = "CITY")]
    synthetic: Option<Synthetic>,
    /// Covers of the made-up city
    #[arg(long, default_value_t = 20_000, value_name = "N", requires = "synthetic")]
    covers: u64,
    /// Build it and end
    #[arg(long)]
    no_serve: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Synthetic {
    Dongying,
}

/// What the mark keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    city: String,
    /// `None` = the building was interrupted; it is taken up again.
    built: Option<Built>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Built {
    covers: i64,
    plates: i64,
    cases: i64,
    /// A token to scan and the code of its cover.
    token: String,
    code: String,
    /// PDF and ledger of the street's plates.
    pdf: PathBuf,
    ledger: PathBuf,
    /// Tracking address of a report that is closed, relative to the host.
    tracking: String,
    /// Where the street's plates lead.
    #[serde(default)]
    plates_lead_to: String,
}

/// Where the demo is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reach {
    scheme: PlateScheme,
    host: String,
    /// Whether a phone can open it: not an address of this machine for itself.
    by_phone: bool,
}

impl Reach {
    /// From what was said by hand, or from the address that is listened on; `own` is this machine's
    /// address in its network, for a demo that listens on all of them.
    fn find(said: Option<&str>, address: SocketAddr, own: Option<Ipv4Addr>) -> Result<Self, Refusal> {
        let port = address.port();
        let plain = |host: String, by_phone| Self { scheme: PlateScheme::Http, host, by_phone };
        if let Some(said) = said {
            let said = said.trim_end_matches('/').to_ascii_lowercase();
            let reach = if let Some(host) = said.strip_prefix("https://") {
                Self { scheme: PlateScheme::Https, host: host.to_owned(), by_phone: true }
            } else if let Some(host) = said.strip_prefix("http://") {
                plain(host.to_owned(), true)
            } else if said.contains(':') || port == 80 {
                plain(said, true)
            } else {
                plain(format!("{said}:{port}"), true)
            };
            return if fits_plates(&reach.host) {
                Ok(reach)
            } else {
                Err(Refusal::new("demo.host").at("host").with("read", reach.host))
            };
        }
        match address.ip() {
            ip if ip.is_unspecified() => Ok(match own {
                Some(own) => plain(format!("{own}:{port}"), true),
                None => plain(format!("127.0.0.1:{port}"), false),
            }),
            IpAddr::V4(ip) => Ok(plain(format!("{ip}:{port}"), !ip.is_loopback())),
            IpAddr::V6(ip) if ip.is_loopback() => Ok(plain(format!("localhost:{port}"), false)),
            // A symbol has no brackets in its alphabet.
            IpAddr::V6(ip) => Err(Refusal::new("demo.host").at("host").with("read", ip)),
        }
    }

    fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }
}

/// This machine's address in its network: the one that a packet to elsewhere would leave from. None
/// is sent.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address of RFC 5737 that nobody has.
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) if !own.is_loopback() && !own.is_unspecified() => Some(own),
        _ => None,
    }
}

pub(super) async fn demo(ground: &Ground, args: DemoArgs) -> Outcome<Ending> {
    let started = Instant::now();
    let city = if args.synthetic.is_some() { "dongying" } else { "vermont" };
    let listener = if args.no_serve { None } else { Some(serve::listen(&args.listen).await?) };
    let address = match &listener {
        Some(listener) => listener.local_addr().map_err(anyhow::Error::new)?,
        None => serve::parse_address(&args.listen)?,
    };
    let reach = Reach::find(args.host.as_deref(), address, own_address())?;

    let mark_path = ground.place.data.join(MARK);
    let mark = read_mark(&mark_path)?;
    check_folder(ground, mark.as_ref(), city)?;
    ground.make_folder()?;
    std::fs::create_dir_all(ground.place.data.join("plates"))
        .map_err(|error| file_trouble("file.not_written", &ground.place.data, &error))?;
    write_settings(ground, city, mark.is_some(), &reach)?;
    let mut config = ground.config()?;
    if config.plate_host.is_empty() {
        // Settings of somebody's own that leave this to the demo.
        (config.plate_scheme, config.plate_host) = (reach.scheme, reach.host.clone());
    }

    let mut imported = None;
    let built = match mark.and_then(|mark| mark.built) {
        Some(built) if built.plates_lead_to == config.plate_base() => built,
        Some(built) => {
            let built = print_anew(ground, &config, built).await?;
            write_mark(&mark_path, &Mark { city: city.into(), built: Some(built.clone()) })?;
            built
        }
        None => {
            write_mark(&mark_path, &Mark { city: city.into(), built: None })?;
            let built = build(ground, &config, &args, &mut imported).await?;
            write_mark(&mark_path, &Mark { city: city.into(), built: Some(built.clone()) })?;
            built
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let again = match args.synthetic {
        Some(_) => "--listen 0.0.0.0:8080",
        None => "make demo LISTEN=0.0.0.0:8080",
    };
    let tell = || say_built(ground, &built, (&reach, again), imported.as_ref(), seconds);
    match listener {
        None => {
            tell();
            Ok(Ending::Done)
        }
        Some(listener) => {
            let registry = ground.open_or_create(&config, Clock::System).await?;
            serve::run(ground, registry, config, listener, tell).await
        }
    }
}

fn read_mark(path: &std::path::Path) -> Outcome<Option<Mark>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
            Refusal::new("file.not_read").with("file", path.display()).with("reason", error).into()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_trouble("file.not_read", path, &error).into()),
    }
}

fn write_mark(path: &std::path::Path, mark: &Mark) -> Outcome<()> {
    let text = serde_json::to_string_pretty(mark).map_err(anyhow::Error::new)?;
    Ok(std::fs::write(path, text).map_err(|error| file_trouble("file.not_written", path, &error))?)
}

/// A demo never goes into a folder where somebody works.
fn check_folder(ground: &Ground, mark: Option<&Mark>, city: &str) -> Result<(), Refusal> {
    let folder = ground.place.data.display();
    match mark {
        Some(mark) if mark.city != city => {
            Err(Refusal::new("demo.other_city").with("folder", folder).with("read", &mark.city))
        }
        None if ground.place.data.join("lidmark.db").exists() => {
            Err(Refusal::new("demo.other_data").with("folder", folder))
        }
        _ => Ok(()),
    }
}

/// Settings of a new demo; in one that is there (`again`) the plates follow to an address that phones
/// can open.
fn write_settings(ground: &Ground, city: &str, again: bool, reach: &Reach) -> Outcome<()> {
    let path = ground.place.data.join("lidmark.toml");
    if ground.config_file.is_some() {
        return Ok(());
    }
    let write = |config: Config| {
        std::fs::write(&path, config.to_toml())
            .map_err(|error| file_trouble("file.not_written", &path, &error))
    };
    if path.exists() {
        let config = ground.config()?;
        if again && reach.by_phone && config.plate_base() != reach.base() {
            write(Config { plate_scheme: reach.scheme, plate_host: reach.host.clone(), ..config })?;
        }
        return Ok(());
    }
    let shared = Config {
        plate_scheme: reach.scheme,
        plate_host: reach.host.clone(),
        // The demo is reached without TLS.
        secure_cookies: false,
        ..Config::default()
    };
    let config = if city == "vermont" {
        Config {
            city_zh: "佛蒙特井盖服务（演示）".into(),
            city_en: "Vermont manhole covers (demo)".into(),
            hotline: "802-555-0100".into(),
            emergency_numbers: vec!["911".into()],
            scheme: "town-11".into(),
            utc_offset_minutes: -300,
            attribution: "VERSO, University of Vermont, and the Vermont Agency of Natural Resources (MIT)"
                .into(),
            ..shared
        }
    } else {
        Config {
            city_zh: "东营市井盖服务（演示）".into(),
            city_en: "Dongying manhole covers (made-up demo)".into(),
            ..shared
        }
    };
    Ok(write(config)?)
}

async fn build(
    ground: &Ground,
    config: &Config,
    args: &DemoArgs,
    imported: &mut Option<ImportSummary>,
) -> Outcome<Built> {
    let say = ground.say;
    let now = Clock::System.now().0;
    // A clock that the story sets, so that the desk shows some weeks of work.
    let clock = Arc::new(AtomicI64::new(now - 30 * DAY_MS));
    let registry = ground.open_or_create(config, Clock::Fixed(clock.clone())).await?;
    let is_vermont = args.synthetic.is_none();
    let (districts, parties): (Vec<District>, Vec<Party>) = if is_vermont {
        (vermont::vermont_districts(), vermont::parties())
    } else {
        (dongying::districts(), dongying::parties())
    };
    registry.put_districts(&districts).await?;
    for party in &parties {
        registry.put_party(party.clone()).await?;
    }
    let summary = if is_vermont {
        import_vermont(ground, &registry, config).await?
    } else {
        import_dongying(&say, &registry, config, args.covers).await?
    };
    *imported = Some(summary);
    let main_district = if is_vermont {
        vermont::vermont_files().find(|file| file.town == "Montpelier").map(|file| file.district.to_owned())
    } else {
        None
    };
    let main_district = main_district.or_else(|| districts.first().map(|district| district.code.clone()));
    say.progress("plates and cases");
    let stage = Stage {
        registry: &registry,
        config,
        place: &ground.place,
        clock,
        now,
        district: main_district.unwrap_or_default(),
        language: if is_vermont { Language::En } else { Language::Zh },
    };
    let told = story::tell(&stage).await?;
    say.end_progress();
    let counts = registry.counts().await?;
    registry.close().await;
    let (pdf, ledger) = story::street_files(&ground.place);
    Ok(Built {
        covers: counts.covers,
        plates: counts.plates.iter().map(|(_, count)| count).sum(),
        cases: counts.cases.iter().map(|(_, count)| count).sum(),
        token: told.token,
        code: told.code,
        pdf,
        ledger,
        tracking: told.tracking,
        plates_lead_to: config.plate_base(),
    })
}

/// The plates once more, with tokens of their own, when the demo has moved to another address.
async fn print_anew(ground: &Ground, config: &Config, built: Built) -> Outcome<Built> {
    let registry = ground.open_or_create(config, Clock::System).await?;
    story::print_anew(&registry, config, &ground.place).await?;
    let plates = registry.counts().await?.plates.iter().map(|(_, count)| count).sum();
    registry.close().await;
    Ok(Built { plates, plates_lead_to: config.plate_base(), ..built })
}

/// The sixteen files of real data as one run, so that repeated points are found across files.
async fn import_vermont(ground: &Ground, registry: &Registry, config: &Config) -> Outcome<ImportSummary> {
    let profile = find_built_in("vermont-manholes").ok_or_else(|| Refusal::new("profile.unknown"))?;
    let reading = Reading {
        profile: Arc::new(profile),
        schemes: Arc::new(ground.schemes()?),
        scheme: None,
        told: Told::default(),
    };
    let mut run = registry.begin_import(options("vermont-manholes", config)).await?;
    let list = ground.place.data.join("problems.csv");
    let mut lists = Lists::open(Some(&list), None, 0)?;
    for file in vermont::vermont_files() {
        let name = file.file_name.to_owned();
        lists.begin_file(&name);
        let mut failed = Ok(());
        let note = |note: Note| {
            if failed.is_ok() {
                failed = lists.note(&ground.say, &note);
            }
        };
        let progress = |read: u64| ground.say.progress(format!("{}: {read} rows", file.town));
        let body = Body::Stream(Box::new(file.reader()));
        let file = IntakeFile { name, format: Format::GeoJson, body };
        intake::take_file(&mut run, &reading, file, note, progress).await?;
        failed?;
    }
    lists.finish()?;
    ground.say.end_progress();
    Ok(run.finish().await?)
}

async fn import_dongying(
    say: &Say,
    registry: &Registry,
    config: &Config,
    covers: u64,
) -> Outcome<ImportSummary> {
    let mut run = registry.begin_import(options("dongying", config)).await?;
    let started = Instant::now();
    let produce = move |rows: &mut dyn FnMut(intake::Row) -> bool| {
        for candidate in dongying::covers(covers, dongying::SEED) {
            if !rows(Ok(candidate)) {
                return;
            }
        }
    };
    let progress = |read: u64| {
        let rate = read as f64 / started.elapsed().as_secs_f64().max(0.001);
        say.progress(format!("{read} of {covers} covers, {rate:.0}/s"));
    };
    intake::take_rows(&mut run, produce, |_: Note| {}, progress).await?;
    say.end_progress();
    Ok(run.finish().await?)
}

fn options(source: &str, config: &Config) -> ImportOptions {
    ImportOptions {
        source: source.into(),
        scheme: config.scheme.clone(),
        mode: ImportMode::Write,
        match_radius_m: 0.5,
        full: false,
        file: CensusFile { name: source.into(), profile: source.into(), ..CensusFile::default() },
        actor: Actor::System,
    }
}

/// `again` is how the demo is started so that phones get in.
fn say_built(
    ground: &Ground,
    built: &Built,
    (reach, again): (&Reach, &str),
    imported: Option<&ImportSummary>,
    seconds: f64,
) {
    let say = ground.say;
    let base = reach.base();
    let (scan, desk) = (format!("{base}/c/{}", built.token), format!("{base}/desk"));
    let (file, tracking) = (format!("{base}/covers/{}", built.code), format!("{base}{}", built.tracking));
    if let Some(ImportSummary { read, created, updated, unchanged, duplicates, problems }) = imported {
        say.words(
            format!(
                "读取 {read} = 新建 {created} + 更新 {updated} + 未变 {unchanged} + 重复 {duplicates} + 问题 {problems}"
            ),
            format!(
                "{read} rows read = {created} created + {updated} updated + {unchanged} unchanged + {duplicates} duplicates + {problems} problems"
            ),
        );
    }
    say.words(
        format!("井盖 {}，铭牌 {}，案件 {}；用时 {seconds:.1} 秒", built.covers, built.plates, built.cases),
        format!(
            "{} covers, {} plates, {} cases; ready after {seconds:.1} s",
            built.covers, built.plates, built.cases
        ),
    );
    let (pdf, ledger) = (built.pdf.display(), built.ledger.display());
    say.words(
        format!("首页   {base}/\n扫码   {scan}\n追踪   {tracking}\n工作台 {desk}\n档案   {file}\n铭牌   {pdf}\n台账   {ledger}"),
        format!(
            "home    {base}/\nscan    {scan}\ntrack   {tracking}\ndesk    {desk}\nfile    {file}\nplates  {pdf}\nledger  {ledger}"
        ),
    );
    let plates = &built.plates_lead_to;
    if reach.by_phone {
        say.words(
            format!("手机（同一网络）请打开 {base}/，或扫 {pdf} 里的任意一块铭牌"),
            format!("On a phone in the same network open {base}/ or scan any plate of {pdf}"),
        );
    } else {
        say.words(
            format!("铭牌指向 {plates}，手机打不开本机地址；要让手机扫码，请用 {again} 重新启动"),
            format!(
                "The plates lead to {plates}, and phones cannot open this machine's own address; to let them scan, start again with: {again}"
            ),
        );
    }
    say.words("登录名与密码（仅供演示）：", "Log-ins (for the demo only):");
    for person in story::PEOPLE {
        say.line(format!("  {:<12} {}", person.login(), person.password()));
    }
    let logins: Vec<_> = story::PEOPLE
        .iter()
        .map(|person| json!({"login": person.login(), "password": person.password(), "role": person.role}))
        .collect();
    say.summary(&json!({
        "covers": built.covers, "plates": built.plates, "cases": built.cases, "seconds": seconds,
        "import": imported, "changed": imported.is_some(),
        "home": format!("{base}/"), "scan": scan, "track": tracking, "desk": desk, "file": file,
        "token": built.token, "code": built.code, "plates_lead_to": plates, "pdf": built.pdf, "ledger": built.ledger, "logins": logins,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        said: Option<&str>,
        address: &str,
        own: Option<Ipv4Addr>,
    ) -> Result<(String, bool), &'static str> {
        let reach = Reach::find(said, address.parse().unwrap(), own);
        reach.map(|reach| (reach.base(), reach.by_phone)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn plates_of_a_demo_lead_where_a_phone_gets_in() {
        let own = Some(Ipv4Addr::new(192, 168, 1, 5));
        let phone = |base: &str| Ok((base.to_owned(), true));
        let desk = |base: &str| Ok((base.to_owned(), false));
        assert_eq!(find(None, "127.0.0.1:8080", own), desk("http://127.0.0.1:8080"));
        assert_eq!(find(None, "0.0.0.0:8080", own), phone("http://192.168.1.5:8080"));
        assert_eq!(find(None, "[::]:8080", own), phone("http://192.168.1.5:8080"));
        assert_eq!(find(None, "0.0.0.0:8080", None), desk("http://127.0.0.1:8080"), "no network");
        assert_eq!(find(None, "10.0.0.7:80", own), phone("http://10.0.0.7:80"));
        assert_eq!(find(None, "[::1]:8080", own), desk("http://localhost:8080"));
        assert_eq!(find(None, "[fd00::2]:8080", own), Err("demo.host"));

        assert_eq!(find(Some("lid.local"), "0.0.0.0:8080", own), phone("http://lid.local:8080"));
        assert_eq!(find(Some("10.1.2.3:9000"), "127.0.0.1:8080", own), phone("http://10.1.2.3:9000"));
        assert_eq!(
            find(Some("https://Demo.example.org/"), "127.0.0.1:8080", own),
            phone("https://demo.example.org")
        );
        assert_eq!(find(Some("a b"), "127.0.0.1:8080", own), Err("demo.host"));
    }
}
