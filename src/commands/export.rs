//! `lidmark export`: covers, cases and plates in the formats of other programs, and whole files in an archive
//! that another registry takes in.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::plates::check_target;
use super::{Ending, Failure, Ground, Language, Outcome, file_trouble};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::domain::role::Actor;
use crate::messages;
use crate::outlet::{
    self, CaseFilters, CoverFilters, ExportError, Exported, FileOrder, Format, Manifest, OutletError,
    PlateFilters, TakenIn, What, Written,
};
use crate::photos::{PhotoLimits, PhotoStore};
use crate::registry::{Clock, Registry};

#[derive(Subcommand)]
pub(super) enum ExportCommand {
    /// Covers with everything that is known of them
    Covers(CoversArgs),
    /// Cases with where they are and how they stand
    Cases(CasesArgs),
    /// Plates with their tokens; whoever has the file can print them
    Plates(PlatesArgs),
    /// Every file, whole, in an archive that `lidmark import` takes into an empty registry
    Files(FilesArgs),
}

/// How a file is written.
#[derive(Args)]
pub(super) struct FileArgs {
    /// csv, xlsx, geojson, geojsonl, geojsons, gpkg or shp (zipped); by the name of the file unless given
    #[arg(long)]
    format: Option<String>,
    /// Reference system of the points, EPSG:N or CM:118.5; degrees of CGCS2000 unless given. East comes
    /// first in every format
    #[arg(long, value_name = "SYSTEM")]
    crs: Option<String>,
    /// Headings and words of a table (csv, xlsx) as people say them, instead of as programs know them
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    words: Option<Language>,
    /// Where the file goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Args)]
pub(super) struct CoversArgs {
    #[command(flatten)]
    file: FileArgs,
    /// in_use unless given, retired or any
    #[arg(long)]
    standing: Option<String>,
    /// Code of a district
    #[arg(long, value_name = "CODE")]
    district: Option<String>,
    #[arg(long)]
    class: Option<String>,
    #[arg(long)]
    state: Option<String>,
    #[arg(long)]
    road: Option<String>,
    /// A word, or unknown
    #[arg(long)]
    placement: Option<String>,
    #[arg(long)]
    material: Option<String>,
    #[arg(long)]
    load_class: Option<String>,
    /// Name of the party that owns them, or unknown
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    #[arg(long, value_name = "NAME")]
    maintainer: Option<String>,
    /// Beginning of a code, or part of road, address, key in the source or another column of the census
    #[arg(long)]
    text: Option<String>,
    /// West, south, east, north in degrees
    #[arg(long = "box", value_name = "W,S,E,N", allow_hyphen_values = true)]
    bbox: Option<String>,
    /// Only covers without a live plate
    #[arg(long)]
    without_plate: bool,
    /// All covers that were in use at the end of this day, as they were; goes with no filter
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["standing", "district", "class", "state", "road",
        "placement", "material", "load_class", "owner", "maintainer", "text", "bbox", "without_plate"])]
    at: Option<String>,
}

#[derive(Args)]
pub(super) struct CasesArgs {
    #[command(flatten)]
    file: FileArgs,
    /// A state, or open for all that are not over
    #[arg(long)]
    state: Option<String>,
    #[arg(long)]
    hazard: Option<String>,
    /// Code of a district
    #[arg(long, value_name = "CODE")]
    district: Option<String>,
    /// Name of the party that handles them
    #[arg(long, value_name = "NAME")]
    party: Option<String>,
    /// Part of the number, of the cover's code or of the road
    #[arg(long)]
    text: Option<String>,
    /// Only emergencies
    #[arg(long)]
    emergency: bool,
    /// First day on which they were reported
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// Last day
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<String>,
}

#[derive(Args)]
pub(super) struct PlatesArgs {
    #[command(flatten)]
    file: FileArgs,
    #[arg(long)]
    state: Option<String>,
    /// Code of a district
    #[arg(long, value_name = "CODE")]
    district: Option<String>,
    /// Only those of a batch
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
}

#[derive(Args)]
pub(super) struct FilesArgs {
    /// Where the archive goes. It holds what citizens wrote and how they can be reached: keep it as such
    #[arg(short, long, value_name = "FILE.zip")]
    output: PathBuf,
}

impl From<OutletError> for Failure {
    fn from(error: OutletError) -> Self {
        match error {
            OutletError::Registry(error) => error.into(),
            OutletError::Export(ExportError::Refused(refusal)) => Failure::Refused(refusal),
            other => Failure::Broken(anyhow::Error::new(other)),
        }
    }
}

pub(super) async fn export(ground: &Ground, command: ExportCommand) -> Outcome<Ending> {
    let config = ground.config()?;
    let offset = config.utc_offset_minutes;
    let day = match &command {
        ExportCommand::Covers(args) => args.at.clone(),
        _ => None,
    };
    let (file, wanted) = match command {
        ExportCommand::Files(args) => return export_files(ground, &args.output).await,
        ExportCommand::Covers(args) => (
            args.file,
            Wanted::Covers(CoverFilters {
                standing: args.standing,
                district: args.district,
                class: args.class,
                state: args.state,
                road: args.road,
                placement: args.placement,
                material: args.material,
                load_class: args.load_class,
                owner: args.owner,
                maintainer: args.maintainer,
                text: args.text,
                bbox: args.bbox,
                without_plate: args.without_plate,
            }),
        ),
        ExportCommand::Cases(args) => (
            args.file,
            Wanted::Cases(CaseFilters {
                state: args.state,
                hazard: args.hazard,
                district: args.district,
                party: args.party,
                emergency: args.emergency.then_some(true),
                text: args.text,
                from: args.from,
                until: args.until,
            }),
        ),
        ExportCommand::Plates(args) => (
            args.file,
            Wanted::Plates(PlateFilters { state: args.state, district: args.district, batch: args.batch }),
        ),
    };
    let format = find_format(file.format.as_deref(), &file.output)?;
    check_target(&file.output)?;
    let registry = ground.open(&config).await?;
    let at = day.map(|day| end_of_past_day(&day, offset, registry.now())).transpose()?;
    let what = match wanted {
        Wanted::Covers(filters) => What::Covers(filters.read(&registry).await?),
        Wanted::Cases(filters) => What::Cases(filters.read(&registry, offset).await?),
        Wanted::Plates(filters) => What::Plates(filters.read(&registry).await?),
    };
    let words = file.words.map(|language| match language {
        Language::Zh => messages::Language::Zh,
        Language::En => messages::Language::En,
    });
    let order = FileOrder { what, format, crs: file.crs, words, utc_offset_minutes: offset, only: None, at };
    let ending = write(ground, &registry, order, &file.output).await;
    registry.close().await;
    ending
}

/// The last millisecond of a day; one that is still to come is refused.
fn end_of_past_day(day: &str, utc_offset_minutes: i32, now: Millis) -> Result<Millis, Refusal> {
    let start = |days| outlet::start_of_day("at", day, utc_offset_minutes, days);
    if start(0)? > now {
        return Err(Refusal::new("map.to_come").at("at").with("read", day));
    }
    Ok(Millis(start(1)?.0 - 1))
}

enum Wanted {
    Covers(CoverFilters),
    Cases(CaseFilters),
    Plates(PlateFilters),
}

/// The format that was named, or the one of the file's name.
fn find_format(wanted: Option<&str>, output: &Path) -> Result<Format, Refusal> {
    if let Some(wanted) = wanted {
        return wanted.parse();
    }
    let extension = output.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = Format::ALL.iter().find(|format| format.extension() == extension).copied();
    let fits: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    known.ok_or_else(|| {
        Refusal::new("export.format_missing")
            .at("format")
            .with("file", output.display())
            .with("fits", fits.join(", "))
    })
}

/// Writes beside the target and moves it there once it is whole.
async fn write(ground: &Ground, registry: &Registry, order: FileOrder, output: &Path) -> Outcome<Ending> {
    let (what, format) = (order.what.clone(), order.format);
    let part = Part::create(output, EVERYBODY)?;
    let file = part.file.try_clone().map_err(|error| file_trouble("file.not_written", output, &error))?;
    let say = ground.say;
    let started = std::time::Instant::now();
    let progress = move |rows: u64| {
        let rate = rows as f64 / started.elapsed().as_secs_f64().max(0.001);
        say.progress(format!("{rows} rows, {rate:.0}/s"));
    };
    let written =
        outlet::write_file(registry, &ground.place.data, order, (file, part.folder()), progress).await;
    say.end_progress();
    let Exported { written, system } = written.map_err(|error| with_file(error, output))?;
    let bytes = part.release()?;
    let Written { rows, without_place, cut } = written;
    say.words(
        format!("已导出 {rows} 行，{bytes} 字节 → {}", output.display()),
        format!("{rows} rows, {bytes} bytes → {}", output.display()),
    );
    say.summary(&json!({
        "what": what.name(), "format": format, "crs": system, "rows": rows, "without_place": without_place,
        "cut": cut, "bytes": bytes, "file": output.display().to_string(),
    }));
    let mut ending = Ending::Done;
    // Blank plates lie nowhere; a cover always lies somewhere.
    if without_place > 0 && !matches!(what, What::Plates(_)) {
        let refusal = Refusal::new("export.outside_system").with("count", without_place).with("crs", &system);
        say.problem(say.sentence(&refusal));
        ending = Ending::Part;
    }
    if cut > 0 {
        let code = if format == Format::Shapefile { "export.long_texts" } else { "export.cut_texts" };
        say.problem(say.sentence(&Refusal::new(code).with("count", cut).with("what", what.name())));
        ending = if format == Format::Shapefile { ending } else { Ending::Part };
    }
    Ok(ending)
}

/// Names the file that could not be written.
fn with_file(error: OutletError, output: &Path) -> Failure {
    match error {
        OutletError::Export(ExportError::Write(error)) => {
            Failure::Refused(file_trouble("file.not_written", output, &error))
        }
        other => other.into(),
    }
}

const EVERYBODY: u32 = 0o666;
/// Only who exports may read what people wrote.
const OWNER: u32 = 0o600;

/// A file that has no name until it is whole; gone with the value before that.
struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
    released: bool,
}

impl Part {
    /// `mode` says who may read it, as far as the process allows anybody to.
    fn create(target: &Path, mode: u32) -> Outcome<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.part"));
        // What an interrupted run left behind may have been for other eyes.
        let _ = std::fs::remove_file(&path);
        let mut options = OpenOptions::new();
        options.create_new(true).read(true).write(true).mode(mode);
        let file = options.open(&path).map_err(|error| file_trouble("file.not_written", target, &error))?;
        Ok(Self { file, path, target: target.to_owned(), released: false })
    }

    fn folder(&self) -> &Path {
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// Answers its length.
    fn release(mut self) -> Outcome<u64> {
        let released = self
            .file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, &self.target))
            .and_then(|()| Ok(self.file.metadata()?.len()));
        let bytes = released.map_err(|error| file_trouble("file.not_written", &self.target, &error))?;
        self.released = true;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.released {
            // What stays behind is no file of that name.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn export_files(ground: &Ground, output: &Path) -> Outcome<Ending> {
    let config = ground.config()?;
    check_target(output)?;
    let registry = ground.open(&config).await?;
    let photos = PhotoStore::new(ground.place.photos(), PhotoLimits::default());
    let part = Part::create(output, OWNER)?;
    let file = part.file.try_clone().map_err(|error| file_trouble("file.not_written", output, &error))?;
    let say = ground.say;
    let progress = move |table: &str, rows: u64| say.progress(format!("{table}: {rows}"));
    let manifest = outlet::export_archive(&registry, &photos, file, progress).await;
    registry.close().await;
    say.end_progress();
    let manifest = manifest.map_err(|error| with_file(error, output))?;
    let bytes = part.release()?;
    let Manifest { lines, photos, missing_photos, .. } = manifest;
    let files = lines.get("manholes").copied().unwrap_or_default();
    say.words(
        format!("已导出 {files} 份井档案、{photos} 张照片，{bytes} 字节 → {}", output.display()),
        format!("{files} files with {photos} photos, {bytes} bytes → {}", output.display()),
    );
    say.summary(&json!({
        "what": "files", "rows": lines, "photos": photos, "missing_photos": missing_photos.len(),
        "bytes": bytes, "file": output.display().to_string(),
    }));
    if missing_photos.is_empty() {
        return Ok(Ending::Done);
    }
    say.problem(say.sentence(&Refusal::new("archive.photos_missing").with("count", missing_photos.len())));
    Ok(Ending::Part)
}

/// Takes an archive of whole files into a registry that has none. `ask` lets a person say yes first.
pub(super) async fn import_archive(
    ground: &Ground,
    path: &Path,
    manifest: &Manifest,
    (dry_run, ask): (bool, bool),
) -> Outcome<Ending> {
    let say = ground.say;
    let count = |table: &str| manifest.lines.get(table).copied().unwrap_or_default();
    if ask {
        say.problem(format!(
            "{} files, {} covers, {} plates, {} photos",
            count("manholes"),
            count("covers"),
            count("plates"),
            manifest.photos
        ));
        if !say.ask("Take them in? [y/N]") {
            return Err(Refusal::new("import.declined").into());
        }
    }
    let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
    let photos = PhotoStore::new(ground.place.photos(), PhotoLimits::default());
    let taken = outlet::import_archive(&registry, &photos, path, Actor::System, dry_run).await;
    registry.close().await;
    let TakenIn { rows, photos, missing_photos } = taken?;
    let (files, covers) = (rows["manholes"], rows["covers"]);
    let (preview, would) =
        if dry_run { ("（试运行，未写入）", " (dry run, nothing was written)") } else { ("", "") };
    say.words(
        format!("已迁入 {files} 份井档案、{covers} 个井盖、{photos} 张照片{preview}"),
        format!("{files} files with {covers} covers and {photos} photos were taken in{would}"),
    );
    say.summary(&json!({
        "read": covers, "created": covers, "updated": 0, "unchanged": 0, "duplicates": 0, "problems": 0,
        "archive": true, "dry_run": dry_run, "rows": rows, "photos": photos, "missing_photos": missing_photos,
    }));
    if missing_photos == 0 {
        return Ok(Ending::Done);
    }
    say.problem(say.sentence(&Refusal::new("archive.photos_missing").with("count", missing_photos)));
    Ok(Ending::Part)
}
