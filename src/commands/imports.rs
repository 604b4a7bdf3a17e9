//! `lidmark imports`: the record of every run of a census; taking one back; what a full survey passed over.

use clap::Subcommand;
use serde_json::json;

use super::{Ending, Ground, Outcome};
use crate::domain::import_run::ImportNumber;
use crate::domain::role::Actor;
use crate::registry::{ImportRecord, RolledBack};

/// Runs that are listed at once.
const LISTED: i64 = 50;
const PAGE: i64 = 1000;

#[derive(Subcommand)]
pub(super) enum ImportsCommand {
    /// The last runs, newest first
    List,
    /// Take a run back: what it made and nobody has used, what it changed and nobody has changed since
    RollBack { number: i64 },
    /// Covers that a full survey passed over, by their codes
    PassedOver { number: i64 },
}

pub(super) async fn imports(ground: &Ground, command: ImportsCommand) -> Outcome<Ending> {
    let registry = ground.open(&ground.config()?).await?;
    let say = ground.say;
    let ending = match command {
        ImportsCommand::List => {
            let runs = registry.list_imports(None, LISTED).await?;
            for run in &runs {
                let summary = run.summary();
                say.line(format!(
                    "{}\t{}\t{}\t{}\t{}\t{}",
                    run.number,
                    run.state,
                    run.started_at.to_rfc3339(),
                    run.source,
                    run.file_name,
                    summary.read
                ));
            }
            say.summary(&json!({"imports": runs.iter().map(record).collect::<Vec<_>>()}));
            Ending::Done
        }
        ImportsCommand::RollBack { number } => {
            let back = registry.roll_back_import(ImportNumber(number), &Actor::System).await?;
            let RolledBack { removed, restored, kept } = back;
            say.words(
                format!("第 {number} 次导入已撤回：删除 {removed} 个，恢复 {restored} 个，保留 {kept} 个（导入后已被使用）"),
                format!(
                    "Import {number} is taken back: {removed} covers removed, {restored} as before, {kept} kept \
                     because somebody has used them since"
                ),
            );
            say.summary(&json!({"import": number, "removed": removed, "restored": restored, "kept": kept}));
            if kept == 0 { Ending::Done } else { Ending::Part }
        }
        ImportsCommand::PassedOver { number } => {
            let (mut after, mut codes) = (None, Vec::new());
            loop {
                let page = registry.list_passed_over(ImportNumber(number), after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.cover);
                page.iter().for_each(|file| say.line(registry.grouped_code(&file.code)));
                codes.extend(page.into_iter().map(|file| file.code.digits));
            }
            say.summary(&json!({"import": number, "passed_over": codes}));
            Ending::Done
        }
    };
    registry.close().await;
    Ok(ending)
}

fn record(run: &ImportRecord) -> serde_json::Value {
    json!({
        "number": run.number, "state": run.state, "source": run.source, "profile": run.profile,
        "profile_version": run.profile_version,
        "file": run.file_name, "summary": run.summary(), "kept": run.kept,
        "started_at": run.started_at.to_rfc3339(), "touched_at": run.touched_at.to_rfc3339(),
    })
}
