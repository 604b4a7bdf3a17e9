//! `lidmark plates`: orders from the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::plate_steps::{self, ListArgs, StepArgs};
use super::{Ending, Failure, Ground, Outcome, file_trouble};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::BatchId;
use crate::domain::plate::PlateState;
use crate::domain::plate_batch::Ordinals;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::import::{read_codes, read_outline};
use crate::press::{self, Files, NewPlates, Outline, Placed, PlateOrder, PressError, Sheets, Wanted};
use crate::registry::{Batch, CoverFilter, PageCache, Registry};

#[derive(Subcommand)]
pub(super) enum PlatesCommand {
    /// Draw tokens, print and prove a batch of plates
    Make(Box<MakeArgs>),
    /// Print a batch, or some of its plates, once more
    Reprint(ReprintArgs),
    /// Draw plates of a batch for engravers, an SVG each
    Svg(EngraveArgs),
    /// Draw plates of a batch for a label printer, as ZPL
    Zpl(LabelArgs),
    /// Batches with what became of their plates; stock of each crew
    List(ListArgs),
    /// The print shop delivered plates that were ordered unprinted
    Printed(StepArgs),
    /// Plates that came out wrong; needs --reason
    Spoil(StepArgs),
    /// Hand plates to a crew; needs --crew
    Issue(StepArgs),
    /// A crew hands plates back
    Return(StepArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("wanted").required(true).args(["count", "which", "covers", "area", "within"])))]
pub(super) struct MakeArgs {
    /// This many blank plates, to be bound in the field
    #[arg(long)]
    count: Option<usize>,
    /// One plate for each cover without a live plate that fits, e.g. district=370502,class=sewage,road=济南路
    #[arg(long = "for", id = "which", value_name = "KEY=VALUE,…")]
    which: Option<String>,
    /// One plate for each of the codes in this file: one a line, or a table
    #[arg(long, value_name = "FILE")]
    covers: Option<PathBuf>,
    /// One plate for each cover without a live plate in an area that the city keeps, e.g. district:370502
    #[arg(long, value_name = "KIND:CODE")]
    area: Option<String>,
    /// One plate for each cover without a live plate within the polygon of this file
    #[arg(long, value_name = "FILE.geojson")]
    within: Option<PathBuf>,
    /// Face of the plate
    #[arg(long, default_value = "rect-90x60")]
    face: String,
    /// How plates lie on a page
    #[arg(long, default_value = "a4")]
    sheet: String,
    /// Error correction of the symbols, M, Q or H; H where it fits the face and Q elsewhere unless given
    #[arg(long)]
    level: Option<String>,
    /// How the plates are made: color, mono or inverted
    #[arg(long, default_value = "color")]
    finish: String,
    /// Correct the sheets for this printer of the data folder's `printers`
    #[arg(long)]
    printer: Option<String>,
    /// So many plates a file, FILE-001.pdf and so on, 10000 where more than 20000 are ordered; a run that is
    /// killed goes on when it is called again
    #[arg(long, value_name = "PLATES")]
    split: Option<usize>,
    /// The file goes to a print shop; `plates printed` reports the plates printed
    #[arg(long)]
    unprinted: bool,
    /// What the batch is for
    #[arg(long, default_value = "")]
    note: String,
    /// Where the PDF goes
    #[arg(short, long, value_name = "FILE.pdf")]
    output: PathBuf,
    /// Where the ledger goes: batch,token,payload,cover_code,face,page,position
    #[arg(long, value_name = "FILE.csv")]
    ledger: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct EngraveArgs {
    batch: String,
    /// Only the plates with these numbers, e.g. 1-50,60
    #[arg(long, value_name = "NUMBERS")]
    ordinals: Option<String>,
    /// Folder in which the files go
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Args)]
pub(super) struct LabelArgs {
    batch: String,
    /// Only the plates with these numbers, e.g. 1-50,60
    #[arg(long, value_name = "NUMBERS")]
    ordinals: Option<String>,
    /// Dots an inch of the print head: 203, 300 or 600
    #[arg(long, default_value = "300", value_name = "DPI")]
    head: String,
    /// Where the labels go
    #[arg(short, long, value_name = "FILE.zpl")]
    output: PathBuf,
}

#[derive(Args)]
pub(super) struct ReprintArgs {
    batch: String,
    /// Only the plates with these tokens; none that was ever issued
    #[arg(long, value_name = "TOKEN", num_args = 1..)]
    only: Vec<String>,
    /// Make successors of the plates in --only, in a batch of their own
    #[arg(long, requires = "only")]
    successors: bool,
    /// This file of a batch that was split
    #[arg(long, value_name = "NUMBER", conflicts_with = "only")]
    file: Option<i64>,
    /// Where the PDF goes
    #[arg(short, long, value_name = "FILE.pdf")]
    output: PathBuf,
    /// Where the ledger goes
    #[arg(long, value_name = "FILE.csv")]
    ledger: Option<PathBuf>,
}

impl From<PressError> for Failure {
    fn from(error: PressError) -> Self {
        match error.refusal() {
            Some(refusal) => Failure::Refused(refusal),
            None => Failure::Broken(anyhow::Error::new(error)),
        }
    }
}

pub(super) async fn plates(ground: &Ground, command: PlatesCommand) -> Outcome<Ending> {
    match command {
        PlatesCommand::Make(args) => make(ground, *args).await,
        PlatesCommand::Svg(args) => engrave(ground, args).await,
        PlatesCommand::Zpl(args) => labels(ground, args).await,
        PlatesCommand::Reprint(args) => reprint(ground, args).await,
        PlatesCommand::List(args) => plate_steps::list(ground, args).await,
        PlatesCommand::Printed(args) => plate_steps::step(ground, args, plate_steps::Way::Printed).await,
        PlatesCommand::Spoil(args) => plate_steps::step(ground, args, plate_steps::Way::Spoil).await,
        PlatesCommand::Issue(args) => plate_steps::step(ground, args, plate_steps::Way::Issue).await,
        PlatesCommand::Return(args) => plate_steps::step(ground, args, plate_steps::Way::Return).await,
    }
}

async fn make(ground: &Ground, args: MakeArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    check_target(&args.output)?;
    if let Some(ledger) = &args.ledger {
        check_target(ledger)?;
    }
    let level = args.level.as_deref().map(str::parse).transpose()?;
    let finish = args.finish.parse()?;
    let early = match (&args.count, &args.which) {
        (Some(count), _) => Some(Wanted::Blank(*count)),
        (None, Some(which)) => Some(Wanted::Matching(Box::new(read_filter(which)?))),
        _ => None,
    };
    let registry = ground.open_with(&config, PageCache::Lean).await?;
    let wanted = match early {
        Some(wanted) => wanted,
        None => wanted_on_disk(&registry, &args).await?,
    };
    let absolute = std::path::absolute(&args.output).unwrap_or_else(|_| args.output.clone());
    let order = PlateOrder {
        face: args.face,
        sheet: args.sheet,
        level,
        finish,
        printer: args.printer,
        split: args.split,
        made_as: if args.unprinted { PlateState::Made } else { PlateState::Printed },
        note: args.note,
        target: Some(absolute.display().to_string()),
        ..PlateOrder::usual(wanted, Actor::System)
    };
    let data = &ground.place.data;
    // Unpacked once for the draft and all files of an order.
    let _fonts = press::hold_fonts().await?;
    let known = press::find_broken_off(&registry, &order).await?;
    let placed = match known {
        Some(id) => Placed::UnderWay(id),
        None => {
            let target = |_| args.output.clone();
            press::place(&registry, &config, data, &order, (press::MOST_PER_FILE, &target)).await?
        }
    };
    if let Some(known) = known.filter(|_| !ground.say.json) {
        ground.say.words(
            format!("继续未完成的批次 {known}"),
            format!("Going on with batch {known}, which was broken off"),
        );
    }
    let ending = match placed {
        Placed::Made(made) => {
            let (batch, files) = (&made.batch, vec![args.output.clone()]);
            let (count, pages, bytes) = (made.count, Some(made.pages), made.bytes);
            let made = Made { batch, count, pages, bytes, files, only: None };
            report(ground, &registry, &made, args.ledger.as_deref()).await
        }
        Placed::UnderWay(id) => {
            let files = Files::beside(&args.output);
            let batch = press::go_on(&registry, &config, data, (id, &files), |_| {}).await?;
            let files: Vec<PathBuf> = (1..=press::file_count(&batch)).map(|file| files.path(file)).collect();
            let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
            let count = batch.plate_count as usize;
            let made = Made { batch: &batch, count, pages: None, bytes, files, only: None };
            report(ground, &registry, &made, args.ledger.as_deref()).await
        }
    };
    registry.close().await;
    Ok(ending)
}

async fn wanted_on_disk(registry: &Registry, args: &MakeArgs) -> Outcome<Wanted> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| file_trouble("file.not_read", path, &error));
    let filter = CoverFilter { without_plate: true, limit: 1000, ..CoverFilter::default() };
    if let Some(path) = &args.covers {
        let listed = read_codes(&read(path)?, press::MOST_PLATES)?;
        let codes: Vec<String> = listed.iter().map(|listed| listed.code.clone()).collect();
        let found = registry.list_covers_by_code(&codes).await?;
        let mut covers = Vec::with_capacity(found.len());
        for (listed, cover) in listed.iter().zip(found) {
            let unknown = || {
                Refusal::new("batch.code_unknown")
                    .at("covers")
                    .with("line", listed.line)
                    .with("read", &listed.code)
            };
            covers.push(cover.ok_or_else(unknown)?);
        }
        return Ok(Wanted::Covers(covers));
    }
    if let Some(area) = &args.area {
        let (kind, code) = area.split_once(':').unwrap_or(("district", area));
        let kind: AreaKind = kind.parse()?;
        let shape = registry.find_area(kind, code).await?.shape;
        return Ok(Wanted::Within(Box::new(Outline { area: Some((kind, code.to_owned())), shape, filter })));
    }
    let path = args.within.as_deref().ok_or_else(|| Refusal::new("batch.empty"))?;
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Refusal::new("batch.outline").at("within").with("reason", "UTF-8"))?;
    let shape = read_outline(&text)?;
    Ok(Wanted::Within(Box::new(Outline { area: None, shape, filter })))
}

async fn reprint(ground: &Ground, args: ReprintArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    let id: BatchId = args.batch.parse()?;
    let only = args.only.iter().map(|token| token.parse::<Token>()).collect::<Result<Vec<_>, _>>()?;
    check_target(&args.output)?;
    let registry = ground.open(&config).await?;
    let data = &ground.place.data;
    let mut listed = None;
    let printed = if only.is_empty() {
        let sheets = args.file.map_or(Sheets::All, Sheets::File);
        press::reprint(&registry, &config, data, (id, &sheets), &args.output).await?
    } else {
        let plates = registry.list_plates_by_token(&only).await?;
        if let Some(stranger) = plates.iter().find(|plate| plate.batch != id) {
            let read = stranger.token.grouped();
            return Err(Refusal::new("batch.other_plate").at("only").with("read", read).into());
        }
        if args.successors {
            let note = format!("{id}");
            let new = NewPlates { of: id, plates, note, actor: Actor::System, key: None };
            press::replace_plates(&registry, &config, data, &new, &args.output).await?
        } else {
            let ordinals = Ordinals::of(plates.iter().map(|plate| plate.ordinal));
            registry.check_never_issued(id, &ordinals).await?;
            listed = Some(ordinals.clone());
            press::reprint(&registry, &config, data, (id, &Sheets::Only(ordinals)), &args.output).await?
        }
    };
    let made = Made {
        batch: &printed.batch,
        count: printed.count,
        pages: Some(printed.pages),
        bytes: printed.bytes,
        files: vec![args.output.clone()],
        only: listed,
    };
    let ending = report(ground, &registry, &made, args.ledger.as_deref()).await;
    registry.close().await;
    Ok(ending)
}

/// All plates of a batch, or chosen ones that never left the house.
async fn sheets_of(registry: &Registry, id: BatchId, ordinals: Option<&str>) -> Outcome<Sheets> {
    let Some(ordinals) = ordinals else { return Ok(Sheets::All) };
    let only: Ordinals = ordinals.parse()?;
    registry.check_never_issued(id, &only).await?;
    Ok(Sheets::Only(only))
}

async fn engrave(ground: &Ground, args: EngraveArgs) -> Outcome<Ending> {
    let (config, id) = (ground.config()?, args.batch.parse::<BatchId>()?);
    let registry = ground.open(&config).await?;
    let sheets = sheets_of(&registry, id, args.ordinals.as_deref()).await?;
    let files = press::engrave(&registry, &config, &ground.place.data, (id, &sheets), &args.output).await?;
    registry.close().await;
    let (count, folder) = (files.len(), args.output.display());
    ground.say.words(format!("{count} 个 SVG → {folder}"), format!("{count} SVG files → {folder}"));
    ground.say.summary(&json!({"batch": id, "plates": count, "folder": folder.to_string()}));
    Ok(Ending::Done)
}

async fn labels(ground: &Ground, args: LabelArgs) -> Outcome<Ending> {
    let (config, id) = (ground.config()?, args.batch.parse::<BatchId>()?);
    let head = args.head.parse()?;
    check_target(&args.output)?;
    let registry = ground.open(&config).await?;
    let sheets = sheets_of(&registry, id, args.ordinals.as_deref()).await?;
    let target = (head, args.output.as_path());
    let count = press::print_labels(&registry, &config, &ground.place.data, (id, &sheets), target).await?;
    registry.close().await;
    let file = args.output.display();
    ground.say.words(format!("{count} 张标签 → {file}"), format!("{count} labels → {file}"));
    ground.say.summary(&json!({"batch": id, "plates": count, "file": file.to_string()}));
    Ok(Ending::Done)
}

/// Refused before tokens are drawn: a batch whose sheets have no place to go helps nobody.
pub(super) fn check_target(target: &Path) -> Result<(), Refusal> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if target.file_name().is_none() || target.is_dir() || !folder.is_dir() {
        return Err(Refusal::new("file.no_folder").with("file", target.display()));
    }
    Ok(())
}

/// What a command made.
struct Made<'b> {
    batch: &'b Batch,
    count: usize,
    pages: Option<usize>,
    bytes: u64,
    files: Vec<PathBuf>,
    /// Which plates the ledger lists; `None` = all of the batch.
    only: Option<Ordinals>,
}

/// Writes the ledger and says what there is. The batch stands even where the ledger cannot be written.
async fn report(ground: &Ground, registry: &Registry, made: &Made<'_>, ledger: Option<&Path>) -> Ending {
    let say = ground.say;
    let (id, count, bytes) = (made.batch.id, made.count, made.bytes);
    let first = made.files.first().map(|file| file.display().to_string()).unwrap_or_default();
    match (made.pages, made.files.as_slice()) {
        (Some(pages), [_]) => say.words(
            format!("批次 {id}：铭牌 {count} 块，{pages} 页，{bytes} 字节 → {first}"),
            format!("Batch {id}: {count} plates on {pages} pages, {bytes} bytes → {first}"),
        ),
        (_, files) => say.words(
            format!("批次 {id}：铭牌 {count} 块，文件 {} 个，{bytes} 字节，从 {first} 起", files.len()),
            format!("Batch {id}: {count} plates in {} files, {bytes} bytes, from {first} on", files.len()),
        ),
    }
    let mut ending = Ending::Done;
    if let Some(path) = ledger
        && let Err(failure) = save_ledger(registry, (id, made.only.as_ref()), path).await
    {
        say.failure_line(&failure);
        ending = Ending::Part;
    }
    let shown: Vec<String> = made.files.iter().map(|file| file.display().to_string()).collect();
    say.summary(&json!({
        "batch": id, "plates": count, "pages": made.pages, "bytes": bytes, "pdf": first, "files": shown,
        "ledger": ledger.map(|path| path.display().to_string()),
    }));
    ending
}

async fn save_ledger(registry: &Registry, which: (BatchId, Option<&Ordinals>), path: &Path) -> Outcome<()> {
    let trouble = |error: std::io::Error| Failure::Refused(file_trouble("file.not_written", path, &error));
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).map_err(trouble)?);
    press::write_ledger_of(registry, which, &mut out).await?;
    out.flush().map_err(trouble)
}

fn read_filter(text: &str) -> Result<CoverFilter, Refusal> {
    let mut filter = CoverFilter { without_plate: true, limit: 1000, ..CoverFilter::default() };
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (key, value) = (key.trim(), value.trim());
        let refusal = || {
            Refusal::new("filter.unknown")
                .at("for")
                .with("read", part)
                .with("fits", "district, class, state, road")
        };
        if value.is_empty() {
            return Err(refusal());
        }
        match key {
            "district" => filter.district = Some(value.to_owned()),
            "class" => filter.class = Some(value.parse()?),
            "state" => filter.state = Some(value.parse()?),
            "road" => filter.road = Some(value.to_owned()),
            _ => return Err(refusal()),
        }
    }
    Ok(filter)
}
