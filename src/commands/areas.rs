//! `lidmark areas`: outlines of districts, management areas and grid cells.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ending, Ground, Outcome, file_trouble};
use crate::crs::Reading;
use crate::domain::area::AreaKind;
use crate::domain::role::Actor;
use crate::import::{AreaColumns, read_areas};
use crate::registry::{Clock, DistrictCheck, ImportMode};

/// Problems and manholes that are shown on the terminal.
const SHOWN: usize = 20;

#[derive(Subcommand)]
pub(super) enum AreasCommand {
    /// Take in outlines from a GeoJSON file; areas of the same code are redrawn
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
    /// The property that has the code
    #[arg(long, value_name = "PROPERTY")]
    code: String,
    /// The property that has the name
    #[arg(long, value_name = "PROPERTY")]
    name: String,
    /// The property that has the English name, where there is one
    #[arg(long, value_name = "PROPERTY")]
    name_en: Option<String>,
    /// Digits to put before every code
    #[arg(long, default_value = "", value_name = "DIGITS")]
    code_prefix: String,
    /// Fill codes up to this length, with zeros behind the prefix
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=40))]
    code_length: u8,
    /// Reference system of the coordinates, as for a census
    #[arg(long, default_value = "EPSG:4490", value_name = "SYSTEM")]
    crs: String,
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
    let reading = Reading::new(ground.crs_book()?.named(&args.crs)?);
    let columns = AreaColumns {
        code: args.code,
        name: args.name,
        name_en: args.name_en,
        code_prefix: args.code_prefix,
        code_length: usize::from(args.code_length),
    };
    let (areas, problems) = read_areas(kind, &columns, &reading, open(&args.file)?)?;
    let say = ground.say;
    for problem in problems.iter().take(SHOWN) {
        let column = problem.column.as_deref().unwrap_or_default();
        say.problem(format!(
            "{}:{} {column}: {}",
            args.file.display(),
            problem.line,
            say.sentence(&problem.refusal)
        ));
    }
    let (count, bad) = (areas.len(), problems.len());
    // Half a set of outlines would refuse every cover in the other half.
    let written = bad == 0 && !args.dry_run;
    if written {
        let registry = ground.open_or_create(&ground.config()?, Clock::System).await?;
        registry.put_areas(areas).await?;
        registry.close().await;
    }
    match written {
        true => say.words(format!("已保存 {count} 个范围"), format!("{count} areas are saved")),
        false => say.words(
            format!("读到 {count} 个范围、{bad} 个问题，未写入"),
            format!("{count} areas and {bad} problems were read; nothing was written"),
        ),
    }
    say.summary(&json!({"kind": kind, "areas": count, "problems": bad, "written": written}));
    Ok(if bad == 0 { Ending::Done } else { Ending::Part })
}

fn open(file: &Path) -> Outcome<std::fs::File> {
    Ok(std::fs::File::open(file).map_err(|error| file_trouble("file.not_read", file, &error))?)
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
    let check = registry.check_districts(mode, &Actor::System).await?;
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
