//! `lidmark areas`: outlines of districts, management areas and grid cells.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ending, Ground, Outcome, Say, file_trouble};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::role::Actor;
use crate::import::{AreaColumns, AreaFindings, AreaOrder, Told, TypedTold, read_areas};
use crate::registry::{AreaSet, Clock, DistrictCheck, ImportMode, Others};
use crate::spatial::Overlap;

/// Problems and manholes that are shown on the terminal.
const SHOWN: usize = 20;

#[derive(Subcommand)]
pub(super) enum AreasCommand {
    /// Take in outlines from GeoJSON, a Shapefile, a GeoPackage, KML or KMZ; areas of the same code are redrawn
    Import(ImportArgs),
    /// Every area by kind and code
    List,
    /// Take the outline of an area away
    Remove { kind: String, code: String },
    /// Look at every manhole and move those that lie in another district than their file says
    Assign {
        /// Say what would be moved, write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args)]
pub(super) struct ImportArgs {
    file: PathBuf,
    /// district, management or grid
    #[arg(long)]
    kind: String,
    /// The column that has the code; found by its header unless given
    #[arg(long, value_name = "COLUMN")]
    code: Option<String>,
    /// The column that has the name; found by its header unless given
    #[arg(long, value_name = "COLUMN")]
    name: Option<String>,
    /// The column that has the English name, where there is one
    #[arg(long, value_name = "COLUMN")]
    name_en: Option<String>,
    /// Digits to put before every code
    #[arg(long, default_value = "", value_name = "DIGITS")]
    code_prefix: String,
    /// Fill codes up to this length, with zeros behind the prefix
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=40))]
    code_length: u8,
    /// Reference system of the coordinates, as for a census; as the file declares unless given
    #[arg(long, value_name = "SYSTEM")]
    crs: Option<String>,
    /// Encoding of the texts, instead of the one that is found
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Layer of a GeoPackage or file of an archive
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The file is all there is of its kind: take away what it does not name
    #[arg(long)]
    replace: bool,
    /// Read everything, write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn areas(ground: &Ground, command: AreasCommand) -> Outcome<Ending> {
    match command {
        AreasCommand::Import(args) => import(ground, args).await,
        AreasCommand::List => list(ground).await,
        AreasCommand::Remove { kind, code } => {
            let registry = ground.open(&ground.config()?).await?;
            registry.remove_area(kind.parse()?, &code).await?;
            registry.close().await;
            ground.say.words(format!("已移除 {code} 的范围"), format!("The outline of {code} is taken away"));
            ground.say.summary(&json!({"removed": code}));
            Ok(Ending::Done)
        }
        AreasCommand::Assign { dry_run } => assign(ground, dry_run).await,
    }
}

async fn import(ground: &Ground, args: ImportArgs) -> Outcome<Ending> {
    let kind: AreaKind = args.kind.parse()?;
    std::fs::File::open(&args.file).map_err(|error| file_trouble("file.not_read", &args.file, &error))?;
    let (encoding, layer) = (args.encoding.as_deref(), args.layer.as_deref());
    let order = AreaOrder {
        kind,
        columns: AreaColumns {
            code: args.code,
            name: args.name,
            name_en: args.name_en,
            code_prefix: args.code_prefix,
            code_length: usize::from(args.code_length),
        },
        told: Told::parse(TypedTold { encoding, layer, ..TypedTold::default() })?,
        crs: args.crs,
        book: ground.crs_book()?,
    };
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = args.file.clone();
    let read = move || read_areas(&path, &name, &order);
    let look = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Refusal::new("file.unreadable").with("reason", error))??;
    let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
    let (areas, flawed) = registry.check_outlines(look.areas).await?;
    let say = ground.say;
    say_found(&say, &look.found);
    for problem in look.problems.iter().take(SHOWN) {
        let column = problem.column.as_deref().unwrap_or_default();
        let (file, line) = (args.file.display(), problem.line);
        say.problem(format!("{file}:{line} {column} ({}): {}", problem.read, say.sentence(&problem.refusal)));
    }
    for (_, refusal) in flawed.iter().take(SHOWN) {
        say.problem(format!("{}: {}", args.file.display(), say.sentence(refusal)));
    }
    let (count, bad) = (areas.len(), look.problems.len() + flawed.len());
    // Half a set of outlines would refuse every cover in the other half.
    let written = bad == 0 && !args.dry_run;
    let others = if args.replace { Others::Remove } else { Others::Keep };
    let set = AreaSet { kind, areas, others };
    let plan = registry.plan_areas(&set).await?;
    for overlap in plan.overlaps.iter().take(SHOWN) {
        let Overlap { first, second, square_meters, at: [lon, lat] } = overlap;
        say.words(
            format!("{first} 与 {second} 重叠 {square_meters:.0} 平方米（{lon:.6}, {lat:.6}），其中的点归 {first}"),
            format!(
                "{first} and {second} overlap by {square_meters:.0} m² at {lon:.6}, {lat:.6}; points there go to {first}"
            ),
        );
    }
    if written {
        registry.set_areas(set).await?;
    }
    registry.close().await;
    match written {
        true => say.words(format!("已保存 {count} 个范围"), format!("{count} areas are saved")),
        false => say.words(
            format!("读到 {count} 个范围、{bad} 个问题，未写入"),
            format!("{count} areas and {bad} problems were read; nothing was written"),
        ),
    }
    let removed = if args.replace { plan.others.len() } else { 0 };
    say.summary(&json!({
        "kind": kind, "areas": count, "problems": bad, "written": written, "crs": look.found.crs,
        "added": plan.added.len(), "redrawn": plan.redrawn.len(), "renamed": plan.renamed.len(),
        "unchanged": plan.unchanged, "removed": removed, "overlaps": plan.overlaps,
        "districts": plan.districts,
    }));
    Ok(if bad == 0 { Ending::Done } else { Ending::Part })
}

/// What was understood of the file.
fn say_found(say: &Say, found: &AreaFindings) {
    let AreaFindings { format, crs, code, name, .. } = found;
    let layer = found.layer.as_deref().map(|layer| format!(" {layer}")).unwrap_or_default();
    let encoding = found.encoding.as_deref().map(|encoding| format!(", {encoding}")).unwrap_or_default();
    say.words(
        format!("格式 {format}{layer}{encoding}；坐标系 {crs}；代码取自“{code}”，名称取自“{name}”"),
        format!(
            "{format}{layer}{encoding}; reference system {crs}; codes from “{code}”, names from “{name}”"
        ),
    );
    for (code, facts) in &found.evidence {
        let facts: Vec<(&str, &str)> =
            facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        say.line(format!("  {}", say.fill(&format!("evidence.{code}"), &facts)));
    }
}

async fn list(ground: &Ground) -> Outcome<Ending> {
    let registry = ground.open(&ground.config()?).await?;
    let mut all = Vec::new();
    for kind in AreaKind::ALL {
        for area in registry.list_areas(*kind).await? {
            let parts = area.shape.parts().len();
            ground.say.line(format!("{kind}\t{}\t{}\t{}\t{parts}", area.code, area.name_zh, area.name_en));
            all.push(
                json!({"kind": kind, "code": area.code, "name_zh": area.name_zh, "name_en": area.name_en,
                "parts": parts, "bbox": area.shape.bounds()}),
            );
        }
    }
    registry.close().await;
    ground.say.summary(&json!({"areas": all}));
    Ok(Ending::Done)
}

async fn assign(ground: &Ground, dry_run: bool) -> Outcome<Ending> {
    let registry = ground.open(&ground.config()?).await?;
    let mode = if dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let check = registry.check_districts(mode, &Actor::System, |_| {}).await?;
    registry.close().await;
    let say = ground.say;
    for manhole in check.named_outside.iter().take(SHOWN) {
        say.problem(manhole.to_string());
    }
    let DistrictCheck { checked, right, moved, outside, changed_meanwhile, .. } = check;
    say.words(
        format!("核对 {checked} = 无误 {right} + 调整 {moved} + 在所有区划之外 {outside} + 期间已变 {changed_meanwhile}"),
        format!(
            "{checked} manholes = {right} right + {moved} moved + {outside} outside all districts + \
             {changed_meanwhile} changed meanwhile"
        ),
    );
    say.summary(&json!(check));
    Ok(if outside + changed_meanwhile == 0 { Ending::Done } else { Ending::Part })
}
