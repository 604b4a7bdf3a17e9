//! `lidmark plates`: orders from the command line.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::{Ending, Failure, Ground, Outcome, file_trouble};
use crate::domain::Refusal;
use crate::domain::ids::BatchId;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::press::{self, PlateOrder, PressError, Pressed, Wanted};
use crate::registry::CoverFilter;

#[derive(Subcommand)]
pub(super) enum PlatesCommand {
    /// Draw tokens, print and prove a batch of plates
    Make(MakeArgs),
    /// Print a batch, or some of its plates, once more
    Reprint(ReprintArgs),
}

#[derive(Args)]
#[command(group(ArgGroup::new("wanted").required(true).args(["count", "which"])))]
pub(super) struct MakeArgs {
    /// This many blank plates, to be bound in the field
    #[arg(long)]
    count: Option<usize>,
    /// One plate for each cover without a live plate that fits, e.g. district=370502,class=sewage,road=济南路
    #[arg(long = "for", id = "which", value_name = "KEY=VALUE,…")]
    which: Option<String>,
    /// Face of the plate
    #[arg(long, default_value = "rect-90x60")]
    face: String,
    /// How plates lie on a page
    #[arg(long, default_value = "a4")]
    sheet: String,
    /// Error correction of the symbols, M, Q or H; H in the carriageway and Q elsewhere unless given
    #[arg(long)]
    level: Option<String>,
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
pub(super) struct ReprintArgs {
    batch: String,
    /// Only the plates with these tokens
    #[arg(long, value_name = "TOKEN", num_args = 1..)]
    only: Vec<String>,
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
        PlatesCommand::Make(args) => make(ground, args).await,
        PlatesCommand::Reprint(args) => reprint(ground, args).await,
    }
}

async fn make(ground: &Ground, args: MakeArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    let wanted = match (args.count, &args.which) {
        (Some(count), None) => Wanted::Blank(count),
        (None, Some(which)) => Wanted::Matching(read_filter(which)?),
        _ => return Err(Refusal::new("batch.empty").into()),
    };
    let order = PlateOrder {
        wanted,
        most: press::MOST_PLATES,
        face: args.face,
        sheet: args.sheet,
        level: args.level.as_deref().map(str::parse).transpose()?,
        note: args.note,
        actor: Actor::System,
    };
    check_target(&args.output)?;
    if let Some(ledger) = &args.ledger {
        check_target(ledger)?;
    }
    let registry = ground.open(&config).await?;
    let made = press::make_batch(&registry, &config, &ground.place.data, &order, &args.output).await?;
    let ending = finish(ground, &made, &args.output, args.ledger.as_deref());
    registry.close().await;
    Ok(ending)
}

async fn reprint(ground: &Ground, args: ReprintArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    let id: BatchId = args.batch.parse()?;
    let only = args.only.iter().map(|token| token.parse::<Token>()).collect::<Result<Vec<_>, _>>()?;
    check_target(&args.output)?;
    let registry = ground.open(&config).await?;
    let made = press::reprint(&registry, &config, &ground.place.data, (id, &only), &args.output).await?;
    let ending = finish(ground, &made, &args.output, args.ledger.as_deref());
    registry.close().await;
    Ok(ending)
}

/// Refused before tokens are drawn: a batch whose sheets have no place to go helps nobody.
pub(super) fn check_target(target: &Path) -> Result<(), Refusal> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if target.file_name().is_none() || target.is_dir() || !folder.is_dir() {
        return Err(Refusal::new("file.no_folder").with("file", target.display()));
    }
    Ok(())
}

/// Writes the ledger and says what there is. The batch stands even where the ledger cannot be written.
fn finish(ground: &Ground, made: &Pressed, output: &Path, ledger: Option<&Path>) -> Ending {
    let say = ground.say;
    let (id, count, pages) = (made.batch.id, made.plates.len(), made.pages);
    say.words(
        format!("批次 {id}：铭牌 {count} 块，{pages} 页，{} 字节 → {}", made.bytes, output.display()),
        format!("Batch {id}: {count} plates on {pages} pages, {} bytes → {}", made.bytes, output.display()),
    );
    let mut ending = Ending::Done;
    if let Some(path) = ledger
        && let Err(error) = std::fs::write(path, press::ledger(&made.plates))
    {
        say.failure_line(&Failure::Refused(file_trouble("file.not_written", path, &error)));
        ending = Ending::Part;
    }
    say.summary(&json!({
        "batch": id, "plates": count, "pages": pages, "bytes": made.bytes, "pdf": output.display().to_string(),
        "ledger": ledger.map(|path| path.display().to_string()),
    }));
    ending
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
