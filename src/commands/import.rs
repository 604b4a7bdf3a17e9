//! `lidmark import`: a census into the registry, with every row accounted for.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::coordinates::{Coordinates, Understood};
use super::{Ending, Failure, Ground, Outcome, file_trouble};
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::cover::District;
use crate::domain::role::Actor;
use crate::import::{Format, Profile, built_in_profiles, find_built_in};
use crate::intake::{self, IntakeFile, Note, Reading, RowProblem};
use crate::outlet;
use crate::registry::{Clock, ImportMode, ImportOptions, ImportSummary, Registry};

/// Bad rows that are shown on the terminal; `--problems` has them all.
const SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// CSV or GeoJSON files; several are one run, in which repeated covers are found across files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the columns are meant: a TOML file, or a profile that comes with the program
    #[arg(long, default_value = "lidmark-csv", value_name = "P.toml|NAME")]
    profile: String,
    /// Name of the source, within which source keys are unique; the profile's unless given
    #[arg(long)]
    source: Option<String>,
    /// Code scheme for covers that bring no code, and of the codes they bring
    #[arg(long, value_name = "ID")]
    scheme: Option<String>,
    /// A district that the file names and the registry does not know yet
    #[arg(long = "district", value_name = "CODE=NAME")]
    districts: Vec<String>,
    /// Reference system of the coordinates: EPSG:N, CM:118.5 for a meridian of your own, gcj02, bd09, or
    /// auto to find it in the numbers; the profile's unless given
    #[arg(long, value_name = "SYSTEM")]
    crs: Option<String>,
    /// Read and compare everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// List every bad row as CSV: file, line, column, value, code, hint
    #[arg(long, value_name = "OUT.csv")]
    problems: Option<PathBuf>,
    /// List every repeated row as CSV: file, line, of_file, of_line
    #[arg(long, value_name = "OUT.csv")]
    duplicates: Option<PathBuf>,
    /// How far apart two surveys of one cover may lie, in meters
    #[arg(long, default_value_t = 0.5, value_name = "M")]
    match_radius: f64,
    /// Write without showing a preview first
    #[arg(long)]
    yes: bool,
}

pub(super) async fn import(ground: &Ground, args: ImportArgs) -> Outcome<Ending> {
    if let [file] = &args.files[..]
        && let Some(manifest) = outlet::open_archive(file)?
    {
        let ask = !args.dry_run && !args.yes && std::io::stdin().is_terminal();
        return super::export::import_archive(ground, file, &manifest, (args.dry_run, ask)).await;
    }
    let config = ground.config()?;
    let book = ground.crs_book()?;
    let profile = Arc::new(find_profile(&args.profile, &book)?);
    let given = read_districts(&args.districts)?;
    let schemes = ground.schemes()?;
    let coordinates = Coordinates {
        ground,
        book: &book,
        profile: &profile,
        schemes: &schemes,
        scheme: args.scheme.as_deref(),
        wanted: args.crs.as_deref(),
    };
    for file in &args.files {
        open_file(file)?;
    }
    let understood: Vec<Understood> =
        args.files.iter().map(|file| coordinates.understand(file)).collect::<Outcome<_>>()?;
    let registry = ground.open_or_create(&config, Clock::System).await?;
    let brought = missing_districts(&registry, &profile, given).await?;
    let numbered_in = args.scheme.clone().or_else(|| profile.scheme.clone()).unwrap_or(config.scheme);
    let plan = Plan {
        ground,
        registry: &registry,
        reading: Reading {
            profile: profile.clone(),
            schemes: Arc::new(schemes),
            scheme: args.scheme.clone(),
        },
        options: ImportOptions {
            source: args.source.clone().unwrap_or_else(|| profile.id.clone()),
            scheme: numbered_in,
            mode: ImportMode::DryRun,
            match_radius_m: args.match_radius,
            actor: Actor::System,
        },
        districts: brought,
        files: &args.files,
        understood,
    };
    let wants_preview = !args.dry_run && !args.yes && std::io::stdin().is_terminal();
    if args.dry_run || wants_preview {
        let mut lists = Lists::open(args.problems.as_deref(), args.duplicates.as_deref(), SHOWN)?;
        let summary = plan.run(ImportMode::DryRun, &mut lists).await?;
        lists.finish()?;
        plan.say_summary(&summary, true, lists.file_problems);
        if args.dry_run {
            registry.close().await;
            return Ok(ending(&summary, lists.file_problems));
        }
        if !ground.say.ask("Write this? [y/N]") {
            registry.close().await;
            return Err(Refusal::new("import.declined").into());
        }
    }
    let mut lists = Lists::open(args.problems.as_deref(), args.duplicates.as_deref(), SHOWN)?;
    let summary = plan.run(ImportMode::Write, &mut lists).await?;
    lists.finish()?;
    registry.close().await;
    plan.say_summary(&summary, false, lists.file_problems);
    Ok(ending(&summary, lists.file_problems))
}

fn ending(summary: &ImportSummary, file_problems: u64) -> Ending {
    if summary.problems + file_problems == 0 { Ending::Done } else { Ending::Part }
}

/// A profile by file or by the name of one that comes with the program.
fn find_profile(wanted: &str, book: &CrsBook) -> Outcome<Profile> {
    if let Some(profile) = find_built_in(wanted) {
        return Ok(profile.with_book(book.clone()));
    }
    let path = Path::new(wanted);
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Profile::from_toml_with(&text, book).map_err(|refusal| refusal.with("file", wanted))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let known: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.id).collect();
            Err(Refusal::new("profile.unknown").with("read", wanted).with("fits", known.join(", ")).into())
        }
        Err(error) => Err(file_trouble("file.not_read", path, &error).into()),
    }
}

fn read_districts(given: &[String]) -> Outcome<Vec<District>> {
    let mut districts = Vec::new();
    for text in given {
        let Some((code, name)) = text.split_once('=').filter(|(code, name)| {
            !name.trim().is_empty() && !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit())
        }) else {
            return Err(Refusal::new("district.argument").at("district").with("read", text).into());
        };
        let name = name.trim().to_owned();
        districts.push(District { code: code.to_owned(), name_zh: name.clone(), name_en: name });
    }
    Ok(districts)
}

/// Districts that were named here or by the profile and that the registry does not know.
async fn missing_districts(
    registry: &Registry,
    profile: &Profile,
    mut given: Vec<District>,
) -> Outcome<Vec<District>> {
    let known = registry.list_districts().await?;
    for (code, name) in &profile.districts {
        let there = known.iter().chain(&given).any(|district| district.code == *code);
        if !there {
            given.push(District { code: code.clone(), name_zh: name.clone(), name_en: name.clone() });
        }
    }
    Ok(given)
}

struct Plan<'a> {
    ground: &'a Ground,
    registry: &'a Registry,
    reading: Reading,
    options: ImportOptions,
    districts: Vec<District>,
    files: &'a [PathBuf],
    /// How the coordinates of each file are read.
    understood: Vec<Understood>,
}

impl Plan<'_> {
    fn say_summary(&self, summary: &ImportSummary, dry_run: bool, file_problems: u64) {
        let ImportSummary { read, created, updated, unchanged, duplicates, problems } = *summary;
        let would = if dry_run { " (dry run, nothing was written)" } else { "" };
        let preview = if dry_run { "（试运行，未写入）" } else { "" };
        self.ground.say.words(
            format!(
                "读取 {read} = 新建 {created} + 更新 {updated} + 未变 {unchanged} + 重复 {duplicates} + 问题 {problems}{preview}"
            ),
            format!(
                "{read} rows read = {created} created + {updated} updated + {unchanged} unchanged + {duplicates} duplicates + {problems} problems{would}"
            ),
        );
        let mut said = json!({
            "read": read, "created": created, "updated": updated, "unchanged": unchanged,
            "duplicates": duplicates, "problems": problems, "file_problems": file_problems, "dry_run": dry_run,
        });
        let found: Vec<&Value> = self.understood.iter().filter_map(|file| file.found.as_ref()).collect();
        if !found.is_empty() {
            said["coordinates"] = json!(found);
        }
        self.ground.say.summary(&said);
    }

    async fn run(&self, mode: ImportMode, lists: &mut Lists) -> Outcome<ImportSummary> {
        if mode == ImportMode::Write && !self.districts.is_empty() {
            self.registry.put_districts(&self.districts).await?;
        }
        let mut run = self.registry.begin_import(ImportOptions { mode, ..self.options.clone() }).await?;
        run.expect_districts(self.districts.iter().map(|district| district.code.clone()));
        let say = self.ground.say;
        let started = std::time::Instant::now();
        for (path, understood) in self.files.iter().zip(&self.understood) {
            let reading = Reading { profile: understood.profile.clone(), ..self.reading.clone() };
            let file = open_file(path)?;
            lists.begin_file(&file.name);
            let name = file.name.clone();
            let mut failed = None;
            let note = |note: Note| {
                if failed.is_none() {
                    failed = lists.note(&say, &note).err();
                }
            };
            let progress = |read: u64| {
                let rate = read as f64 / started.elapsed().as_secs_f64().max(0.001);
                say.progress(format!("{name}: {read} rows, {rate:.0}/s"));
            };
            let counted = run.summary.problems;
            let taken = intake::take_file(&mut run, &reading, file, note, progress).await;
            say.end_progress();
            if let Some(failure) = failed {
                return Err(failure);
            }
            if let Err(error) = taken {
                // Chunks before this one are committed: that is part of it, not nothing.
                if mode == ImportMode::DryRun || run.summary.read == 0 {
                    return Err(error.into());
                }
                let failure = Failure::from(error);
                say.failure_line(&failure);
                lists.file_problems += 1;
                break;
            }
            lists.settle_file(run.summary.problems - counted);
        }
        lists.say_rest(&say);
        Ok(run.summary)
    }
}

/// Opens a file and tells what it is by its name and first bytes.
pub(super) fn open_file(path: &Path) -> Outcome<IntakeFile> {
    let unreadable = |error: std::io::Error| file_trouble("file.not_read", path, &error);
    if path.is_dir() {
        return Err(Refusal::new("file.folder").with("file", path.display()).into());
    }
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut head = vec![0; 512];
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]).map_err(unreadable)? {
            0 => break,
            some => filled += some,
        }
    }
    head.truncate(filled);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format =
        Format::guess(&name, &head).ok_or_else(|| Refusal::new("file.kind").with("file", path.display()))?;
    let bytes = Box::new(std::io::Cursor::new(head).chain(std::io::BufReader::with_capacity(1 << 16, file)));
    Ok(IntakeFile { name, format, bytes })
}

/// The lists of bad and repeated rows, on the terminal and in files.
pub(super) struct Lists {
    problems: Option<(PathBuf, csv::Writer<std::fs::File>)>,
    duplicates: Option<(PathBuf, csv::Writer<std::fs::File>)>,
    /// Files of this run, in their order.
    files: Vec<String>,
    shown: usize,
    /// How many are shown on the terminal.
    most_shown: usize,
    noted: u64,
    noted_in_file: u64,
    /// Troubles of a whole file, which are no rows.
    file_problems: u64,
}

impl Lists {
    pub(super) fn open(
        problems: Option<&Path>,
        duplicates: Option<&Path>,
        most_shown: usize,
    ) -> Outcome<Self> {
        let open = |path: Option<&Path>, columns: &[&str]| -> Outcome<_> {
            let Some(path) = path else { return Ok(None) };
            let file = std::fs::File::create(path)
                .map_err(|error| file_trouble("file.not_written", path, &error))?;
            let mut list = csv::Writer::from_writer(file);
            list.write_record(columns).map_err(|error| unwritable(path, &error))?;
            Ok(Some((path.to_owned(), list)))
        };
        Ok(Self {
            problems: open(problems, &["file", "line", "column", "value", "code", "hint"])?,
            duplicates: open(duplicates, &["file", "line", "of_file", "of_line"])?,
            files: Vec::new(),
            shown: 0,
            most_shown,
            noted: 0,
            noted_in_file: 0,
            file_problems: 0,
        })
    }

    pub(super) fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
        self.noted_in_file = 0;
    }

    /// What was noted beyond the bad rows are troubles of the file itself.
    fn settle_file(&mut self, bad_rows: u64) {
        self.file_problems += self.noted_in_file.saturating_sub(bad_rows);
    }

    pub(super) fn note(&mut self, say: &super::Say, note: &Note) -> Outcome<()> {
        let file = self.files.last().map_or("", String::as_str);
        match note {
            Note::Problem(RowProblem { line, column, read, refusal }) => {
                self.noted += 1;
                self.noted_in_file += 1;
                let hint = say.sentence(refusal);
                let column = column.as_deref().unwrap_or_default();
                if let Some((path, list)) = &mut self.problems {
                    list.write_record([file, &line.to_string(), column, read, refusal.code, &hint])
                        .map_err(|error| unwritable(path, &error))?;
                }
                if self.shown < self.most_shown {
                    self.shown += 1;
                    say.end_progress();
                    let place = if column.is_empty() { String::new() } else { format!(" {column}") };
                    say.problem(format!("{file}:{line}{place}: {hint}"));
                }
            }
            Note::Duplicate { line, of } => {
                if let Some((path, list)) = &mut self.duplicates {
                    let of_file = self.files.get(usize::from(of.file).saturating_sub(1));
                    let of_file = of_file.map_or("", String::as_str);
                    list.write_record([file, &line.to_string(), of_file, &of.line.to_string()])
                        .map_err(|error| unwritable(path, &error))?;
                }
            }
        }
        Ok(())
    }

    fn say_rest(&self, say: &super::Say) {
        let rest = self.noted - self.shown as u64;
        if rest > 0 {
            let all = if self.problems.is_some() { "" } else { "; --problems FILE lists them all" };
            say.problem(format!("… and {rest} more problems{all}"));
        }
    }

    pub(super) fn finish(&mut self) -> Outcome<()> {
        for (path, list) in [&mut self.problems, &mut self.duplicates].into_iter().flatten() {
            list.flush().map_err(|error| file_trouble("file.not_written", path, &error))?;
            list.get_ref().flush().map_err(|error| file_trouble("file.not_written", path, &error))?;
        }
        Ok(())
    }
}

fn unwritable(path: &Path, error: &csv::Error) -> Refusal {
    Refusal::new("file.not_written").with("file", path.display()).with("reason", error)
}
