//! The command line: reads arguments, calls verbs, says what became of it. Exit codes: 0 = done,
//! 1 = part of it was done or something was found, 2 = nothing was done.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Place};
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::code::{Scheme, built_in_schemes};
use crate::import::City;
use crate::registry::{Clock, Database, PageCache, Registry, RegistryError, RegistryOptions};

mod areas;
mod check;
mod demo;
mod export;
mod import;
mod imports;
mod plate_steps;
mod plates;
mod profiles;
mod say;
mod serve;
mod staff;
mod story;
mod understood;

use say::Say;

/// One cover, one code; one manhole, one file; one plate, one scan.
#[derive(Parser)]
#[command(name = "lidmark", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// Data folder: photos, plate files, and the database unless --database is given
    #[arg(long, global = true, value_name = "DIR", default_value = "lidmark-data")]
    data: PathBuf,
    /// PostgreSQL address, e.g. postgres://lidmark@localhost/lidmark
    #[arg(long, global = true, value_name = "URL", env = "LIDMARK_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The city's settings instead of lidmark.toml in the data folder
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One line of JSON on stdout instead of words
    #[arg(long, global = true)]
    json: bool,
    /// Language of what is said here
    #[arg(long, global = true, value_enum, default_value = "en")]
    lang: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Zh,
    En,
}

#[derive(Subcommand)]
enum Command {
    /// Build a demo city with plates, cases and log-ins, then serve it
    Demo(demo::DemoArgs),
    /// Serve pages, API and tiles
    Serve(serve::ServeArgs),
    /// Create the database or bring it to this version
    Migrate,
    /// Prove every file, photo and position; name what is wrong
    Check,
    /// Take in a census: tables, workbooks, shapefiles, GeoPackage, GeoJSON, KML
    Import(import::ImportArgs),
    /// The record of every census; taking one back
    #[command(subcommand)]
    Imports(imports::ImportsCommand),
    /// How the files of a source are read, saved under a name in versions
    #[command(subcommand)]
    Profiles(profiles::ProfilesCommand),
    /// Outlines of districts, management areas and grid cells
    #[command(subcommand)]
    Areas(areas::AreasCommand),
    /// Write covers, cases, plates or whole files for other programs
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Make plates, print a batch once more, hand plates to crews
    #[command(subcommand)]
    Plates(plates::PlatesCommand),
    /// Members of staff
    #[command(subcommand)]
    User(staff::UserCommand),
    /// Tokens for programs that call the API
    #[command(subcommand)]
    Token(staff::TokenCommand),
}

/// How a command that went through ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    /// Part of it, or with findings; they were listed.
    Part,
    /// Nothing of it; why was listed.
    Nothing,
}

/// Why a command did nothing.
#[derive(Debug)]
enum Failure {
    Refused(Refusal),
    Broken(anyhow::Error),
}

type Outcome<T> = Result<T, Failure>;

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        if let Some(refusal) = error.for_operators() {
            return Failure::Refused(refusal);
        }
        match error {
            RegistryError::Refused(refusal)
            | RegistryError::NotFound(refusal)
            | RegistryError::Conflict(refusal)
            | RegistryError::Forbidden(refusal)
            | RegistryError::Storage(refusal) => Failure::Refused(refusal),
            RegistryError::Broken(_) => Failure::Broken(anyhow::Error::new(error)),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Broken(error)
    }
}

/// A file that could not be read or written.
fn file_trouble(code: &'static str, path: &std::path::Path, error: &std::io::Error) -> Refusal {
    Refusal::new(code).with("file", path.display()).with("reason", error)
}

/// What every command gets.
struct Ground {
    place: Place,
    config_file: Option<PathBuf>,
    say: Say,
}

impl Ground {
    fn config(&self) -> Outcome<Config> {
        Ok(Config::load(self.config_file.as_deref(), &self.place.data)?)
    }

    /// Built-in schemes and those in the data folder's `schemes`.
    fn schemes(&self) -> Outcome<Vec<Scheme>> {
        let mut schemes = built_in_schemes();
        let folder = self.place.data.join("schemes");
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(schemes) };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| file_trouble("file.not_read", &file, &error))?;
            schemes.push(Scheme::from_toml(&text).map_err(|refusal| refusal.with("file", file.display()))?);
        }
        Ok(schemes)
    }

    /// Built-in reference systems and those of `crs.toml` in the data folder.
    fn crs_book(&self) -> Outcome<CrsBook> {
        Ok(City::read(&self.place.data)?.book)
    }

    /// Makes the data folder where there is none, for this account alone: photos lie in it with the
    /// places where they were taken, and citizens' contacts.
    fn make_folder(&self) -> Outcome<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let folder = &self.place.data;
        Ok(builder.create(folder).map_err(|error| file_trouble("file.not_written", folder, &error))?)
    }

    /// Opens the registry that exists already; a mistyped folder must not become a new city.
    async fn open(&self, config: &Config) -> Outcome<Registry> {
        self.open_with(config, PageCache::Usual).await
    }

    async fn open_with(&self, config: &Config, cache: PageCache) -> Outcome<Registry> {
        if self.place.database.is_none() && !self.place.data.join("lidmark.db").exists() {
            return Err(Refusal::new("data.none").with("folder", self.place.data.display()).into());
        }
        self.open_or_create_with(config, Clock::System, cache).await
    }

    /// The same, or `None` where there is none yet; nothing is made.
    async fn open_if_there(&self, config: &Config) -> Outcome<Option<Registry>> {
        if self.place.database.is_none() && !self.place.data.join("lidmark.db").exists() {
            return Ok(None);
        }
        Ok(Some(self.open_or_create(config, Clock::System).await?))
    }

    async fn open_or_create(&self, config: &Config, clock: Clock) -> Outcome<Registry> {
        self.open_or_create_with(config, clock, PageCache::Usual).await
    }

    async fn open_or_create_with(
        &self,
        config: &Config,
        clock: Clock,
        cache: PageCache,
    ) -> Outcome<Registry> {
        let schemes = self.schemes()?;
        if !schemes.iter().any(|scheme| scheme.id == config.scheme) {
            let known: Vec<&str> = schemes.iter().map(|scheme| scheme.id.as_str()).collect();
            return Err(Refusal::new("scheme.unknown")
                .with("read", &config.scheme)
                .with("fits", known.join(", "))
                .into());
        }
        self.make_folder()?;
        let options = RegistryOptions {
            clock,
            schemes,
            utc_offset_minutes: config.utc_offset_minutes,
            scheme: config.scheme.clone(),
            crew: config.crew,
            tasks: config.tasks,
            outbox: config.outbox.clone(),
            abuse: config.abuse.clone(),
            rewards: config.rewards.clone(),
            sensors: config.sensors.rules.clone(),
            cache,
        };
        Ok(Registry::open(&self.database(), options).await?)
    }

    fn database(&self) -> Database {
        match &self.place.database {
            Some(url) => Database::Postgres(url.clone()),
            None => Database::Sqlite(self.place.data.clone()),
        }
    }
}

/// Runs the command line and answers with its exit code.
pub fn run() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    let say = Say { json: common.json, language: common.lang };
    let ground = Ground {
        place: Place { data: common.data, database: common.database },
        config_file: common.config,
        say,
    };
    start_log(&command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say.failure(&Failure::Broken(anyhow::Error::new(error).context("no worker threads to be had")));
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(obey(&ground, command)) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Part) => ExitCode::from(1),
        Ok(Ending::Nothing) => ExitCode::from(2),
        Err(failure) => {
            say.failure(&failure);
            ExitCode::from(2)
        }
    }
}

/// The log goes to stderr: what a server does, and of other commands only what is amiss.
fn start_log(command: &Command) {
    let level = match command {
        Command::Serve(_) => tracing::Level::INFO,
        _ => tracing::Level::WARN,
    };
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(colors).with_writer(std::io::stderr);
    // Somebody who calls us from a program of their own may have a log already.
    let _ = log.try_init();
}

async fn obey(ground: &Ground, command: Command) -> Outcome<Ending> {
    match command {
        Command::Demo(args) => demo::demo(ground, args).await,
        Command::Serve(args) => serve::serve(ground, args).await,
        Command::Migrate => migrate(ground).await,
        Command::Check => check::check(ground).await,
        Command::Import(args) => import::import(ground, args).await,
        Command::Imports(command) => imports::imports(ground, command).await,
        Command::Profiles(command) => profiles::profiles(ground, command).await,
        Command::Areas(command) => areas::areas(ground, command).await,
        Command::Export(command) => export::export(ground, command).await,
        Command::Plates(command) => plates::plates(ground, command).await,
        Command::User(command) => staff::user(ground, command).await,
        Command::Token(command) => staff::token(ground, command).await,
    }
}

async fn migrate(ground: &Ground) -> Outcome<Ending> {
    let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
    let counts = registry.counts().await?;
    registry.close().await;
    ground.say.words(
        format!("数据库已就绪，现有井盖 {} 个", counts.covers),
        format!("The database is ready; it holds {} covers", counts.covers),
    );
    ground.say.summary(&serde_json::json!({"ready": true, "covers": counts.covers}));
    Ok(Ending::Done)
}
