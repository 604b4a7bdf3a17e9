//! `lidmark import`: a census into the registry, with every row accounted for.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::understood::{say_columns, say_more, say_understood};
use super::{Ending, Failure, Ground, Outcome, file_trouble};
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::code::Scheme;
use crate::domain::cover::District;
use crate::domain::import_run::ImportNumber;
use crate::domain::role::Actor;
use crate::import::{
    AUTO, City, Field, Format, Look, Profile, ProfileChange, Scope, Told, TypedTold, change_profile,
};
use crate::intake::{self, FileAt, Note, Prepared, Reading, RowProblem, Wish};
use crate::outlet;
use crate::registry::{
    CensusFile, Clock, ImportMode, ImportOptions, ImportRun, ImportSummary, MATCH_RADIUS_M, Registry,
};

/// Bad rows that are shown on the terminal; `--problems` has them all.
const SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct ImportArgs {
    /// CSV, XLSX, XLS, ODS, GeoJSON, Shapefile (zipped, or the .shp), GeoPackage, KML or KMZ; several
    /// files are one run, in which repeated covers are found across files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the columns are meant: a TOML file, a saved profile, by its newest version unless one is named, or
    /// one that comes with the program; found in the file by the synonyms unless given
    #[arg(long, default_value = AUTO, value_name = "P.toml|NAME[@VERSION]")]
    profile: String,
    /// What stands in a field where the file says nothing, e.g. class=sewage
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// How 03/07/2019 is read: month-first or day-first
    #[arg(long, value_name = "ORDER")]
    dates: Option<String>,
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
    /// Encoding of the texts, instead of the one that is found: UTF-8, GB18030, Big5, Shift_JIS, …
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// What parts the columns of a CSV, instead of the one that is found: , ; | tab
    #[arg(long, value_name = "SIGN")]
    delimiter: Option<String>,
    /// How texts of a CSV are quoted, instead of what is found: double, backslash, single or none
    #[arg(long, value_name = "HOW")]
    quoting: Option<String>,
    /// Sheet of a workbook, layer of a GeoPackage or file of an archive
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
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
    #[arg(long, default_value_t = MATCH_RADIUS_M, value_name = "M")]
    match_radius: f64,
    /// The files are all there is in the districts and of the classes they name: propose what they pass
    /// over for "not found"
    #[arg(long)]
    full: bool,
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
    let given = read_districts(&args.districts)?;
    let wish = wish(&args, &config)?;
    let files: Vec<FileAt> = args.files.iter().map(|path| file_at(path)).collect::<Outcome<_>>()?;
    let there = ground.open_if_there(&config).await?;
    let mut city =
        intake::city_of(there.as_ref(), &ground.place.data, &config.scheme, config.utc_offset_minutes)
            .await?;
    city.districts.extend(given.iter().cloned());
    if let Some(scheme) = &args.scheme {
        city.scheme = Some(scheme.clone());
    }
    let city = Arc::new(city);
    let schemes = ground.schemes()?;
    let defaults = read_defaults(&args.set)?;
    let by_file = match is_path(&args.profile) {
        true => Some(read_profile(Path::new(&args.profile), &city)?),
        false => None,
    };
    let actor = Actor::System;
    let mut prepared = match by_file {
        Some(profile) => intake::prepare(profile, schemes.clone(), &wish, &files, &actor).await?,
        None => {
            let by_name = (args.profile.as_str(), schemes.clone());
            intake::prepare_by_name(there.as_ref(), &city, by_name, &wish, &files, &actor).await?
        }
    };
    if !defaults.is_empty() {
        prepared = with_defaults(prepared, &defaults, &city, (schemes, &wish), &files).await?;
    }
    let Prepared { reading, looks: mut looked, options } = prepared;
    for (file, look) in files.iter().zip(&mut looked) {
        if let Some(findings) = &mut look.findings {
            say_understood(&ground.say, &file.name, findings);
        }
        say_columns(&ground.say, look);
    }
    let registry = match there {
        Some(registry) => registry,
        None => ground.open_or_create(&config, Clock::System).await?,
    };
    let profile = looked.first().map_or_else(|| reading.profile.clone(), |look| look.profile.clone());
    let brought = missing_districts(&registry, &profile, given).await?;
    let plan =
        Plan { ground, registry: &registry, reading, options, districts: brought, files: &files, looked };
    let wants_preview = !args.dry_run && !args.yes && std::io::stdin().is_terminal();
    if args.dry_run || wants_preview {
        let mut lists = Lists::open(args.problems.as_deref(), args.duplicates.as_deref(), SHOWN)?;
        let (summary, _) = plan.run(ImportMode::DryRun, &mut lists).await?;
        lists.finish()?;
        plan.say_summary(&summary, None, &lists);
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
    let (summary, number) = plan.run(ImportMode::Write, &mut lists).await?;
    lists.finish()?;
    registry.close().await;
    plan.say_summary(&summary, number, &lists);
    Ok(ending(&summary, lists.file_problems))
}

fn ending(summary: &ImportSummary, file_problems: u64) -> Ending {
    if summary.problems + file_problems == 0 {
        Ending::Done
    } else if summary.read == summary.problems {
        Ending::Nothing
    } else {
        Ending::Part
    }
}

/// What was said of how the files are read.
fn wish(args: &ImportArgs, config: &Config) -> Outcome<Wish> {
    let told = Told::parse(TypedTold {
        encoding: args.encoding.as_deref(),
        delimiter: args.delimiter.as_deref(),
        quoting: args.quoting.as_deref(),
        layer: args.layer.as_deref(),
        dates: args.dates.as_deref(),
    })?;
    Ok(Wish {
        source: args.source.clone(),
        scheme: args.scheme.clone(),
        crs: args.crs.clone(),
        told,
        city_scheme: config.scheme.clone(),
        match_radius_m: args.match_radius,
        full: args.full,
    })
}

/// Whether a file is meant, and not a name.
fn is_path(profile: &str) -> bool {
    profile.ends_with(".toml") || profile.contains(['/', '\\']) || Path::new(profile).is_file()
}

pub(super) fn read_profile(path: &Path, city: &Arc<City>) -> Outcome<Profile> {
    let text = std::fs::read_to_string(path).map_err(|error| file_trouble("file.not_read", path, &error))?;
    let named = |refusal: Refusal| refusal.with("file", path.display());
    Ok(Profile::from_toml_in(&text, city).map_err(named)?)
}

/// `class=sewage`: what stands in a field where a row says nothing.
fn read_defaults(given: &[String]) -> Outcome<BTreeMap<Field, String>> {
    let mut defaults = BTreeMap::new();
    for text in given {
        let Some((field, value)) = text.split_once('=').filter(|(_, value)| !value.trim().is_empty()) else {
            return Err(Refusal::new("default.argument").at("set").with("read", text).into());
        };
        defaults.insert(field.trim().parse()?, value.trim().to_owned());
    }
    Ok(defaults)
}

/// The same files by the same profiles, with defaults beside.
async fn with_defaults(
    prepared: Prepared,
    defaults: &BTreeMap<Field, String>,
    city: &Arc<City>,
    (schemes, wish): (Vec<Scheme>, &Wish),
    files: &[FileAt],
) -> Outcome<Prepared> {
    let change = ProfileChange { defaults: defaults.clone(), ..ProfileChange::default() };
    let mut again: Option<Prepared> = None;
    for (file, look) in files.iter().zip(prepared.looks) {
        let text = change_profile(&look.profile.text, &change, &city.lexicon)?;
        let mut profile = Profile::from_toml_in(&text, city)?;
        (profile.id, profile.version) = (look.profile.id.clone(), look.profile.version);
        let one = std::slice::from_ref(file);
        let next = intake::prepare(profile, schemes.clone(), wish, one, &Actor::System).await?;
        match &mut again {
            Some(all) => all.looks.extend(next.looks),
            None => again = Some(next),
        }
    }
    again.ok_or_else(|| Refusal::new("import.reader_stopped").into())
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
    files: &'a [FileAt],
    /// How each file is read.
    looked: Vec<Look>,
}

impl Plan<'_> {
    /// `number` of the run; `None` = a dry run.
    fn say_summary(&self, summary: &ImportSummary, number: Option<ImportNumber>, lists: &Lists) {
        let dry_run = number.is_none();
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
        self.ground.say.summary(&json!({
            "read": read, "created": created, "updated": updated, "unchanged": unchanged,
            "duplicates": duplicates, "problems": problems, "file_problems": lists.file_problems,
            "dry_run": dry_run, "import": number, "files": lists.understood,
        }));
    }

    /// Answers what became of the rows, and the number of a run that wrote.
    async fn run(
        &self,
        mode: ImportMode,
        lists: &mut Lists,
    ) -> Outcome<(ImportSummary, Option<ImportNumber>)> {
        if mode == ImportMode::Write && !self.districts.is_empty() {
            self.registry.put_districts(&self.districts).await?;
        }
        let mut options = ImportOptions { mode, ..self.options.clone() };
        if mode == ImportMode::Write {
            options.file = self.census_file(&options).await?;
        }
        let mut run = self.registry.begin_import(options).await?;
        self.say_resumed(&run);
        let number = run.number();
        run.expect_districts(self.districts.iter().map(|district| district.code.clone()));
        let say = self.ground.say;
        let started = std::time::Instant::now();
        for (file, looked) in self.files.iter().zip(&self.looked) {
            let reading = Reading { profile: looked.profile.clone(), ..self.reading.clone() };
            let file = file.open();
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
            let taken = intake::take_file(&mut run, &reading, file, note, progress).await;
            say.end_progress();
            if let Some(failure) = failed {
                return Err(failure);
            }
            match taken {
                Ok(mut findings) => {
                    findings.coordinates = looked.coordinates().cloned();
                    say_more(&say, &name, looked.findings.as_ref(), &findings);
                    lists.understood.push(json!({
                        "file": name,
                        "understood": findings,
                        "profile": {"name": looked.profile.id, "version": looked.profile.version},
                        "columns": looked.columns,
                    }));
                }
                // Chunks before this one are committed: that is part of it, not nothing.
                Err(error) if mode == ImportMode::DryRun || run.summary.read == 0 => {
                    return Err(error.into());
                }
                Err(error) => {
                    say.failure_line(&Failure::from(error));
                    lists.file_problems += 1;
                    lists.say_rest(&say);
                    return Ok((run.summary, number));
                }
            }
        }
        lists.say_rest(&say);
        Ok((run.finish().await?, number))
    }

    async fn census_file(&self, options: &ImportOptions) -> Outcome<CensusFile> {
        let prepared =
            Prepared { reading: self.reading.clone(), looks: self.looked.clone(), options: options.clone() };
        let first = self.files.first().map_or(Path::new(""), |file| file.path.as_path());
        let taken = prepared.census_file(self.files).await;
        Ok(taken.map_err(|error| file_trouble("file.not_read", first, &error))?)
    }

    fn say_resumed(&self, run: &ImportRun) {
        if let Some(number) = run.number().filter(|_| run.resumed_at() > 0) {
            let settled = run.resumed_at();
            self.ground.say.words(
                format!("接着第 {number} 次导入继续，已完成 {settled} 行"),
                format!("Going on with import {number}, of which {settled} rows are settled"),
            );
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Looks at a file and tells what it is by its content and name.
fn file_at(path: &Path) -> Outcome<FileAt> {
    if path.is_dir() {
        return Err(Refusal::new("file.folder").with("file", path.display()).into());
    }
    std::fs::File::open(path).map_err(|error| file_trouble("file.not_read", path, &error))?;
    let name = file_name(path);
    let format = Format::of_file(path, &name)?;
    Ok(FileAt { path: path.to_owned(), name, format })
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
    /// Troubles of a whole file, which are no rows.
    file_problems: u64,
    /// What was understood of each file, for `--json`.
    understood: Vec<serde_json::Value>,
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
            file_problems: 0,
            understood: Vec::new(),
        })
    }

    pub(super) fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    pub(super) fn note(&mut self, say: &super::Say, note: &Note) -> Outcome<()> {
        let file = self.files.last().map_or("", String::as_str);
        match note {
            Note::Problem(RowProblem { line, column, read, refusal, scope }) => {
                self.noted += 1;
                self.file_problems += u64::from(*scope == Scope::File);
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
