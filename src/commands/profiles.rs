//! `lidmark profiles`: how the files of a source are read, saved under a name in versions that never change.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ending, Ground, Outcome, file_trouble};
use crate::domain::import_profile::{ProfileName, ProfileRef, SavedProfile};
use crate::domain::role::Actor;
use crate::import::{built_in_profiles, find_built_in};
use crate::intake;
use crate::registry::{Clock, ProfileOrder, ProfileSaved};

#[derive(Subcommand)]
pub(super) enum ProfilesCommand {
    /// Those that come with the program and those that were saved, by their newest versions
    List,
    /// The text of a profile, as TOML; of a saved one all its versions with --versions
    Show(ShowArgs),
    /// Save a TOML file as the next version of a name
    Save(SaveArgs),
    /// Offer a profile no more; its versions stay for the record of the imports that name them
    Remove { name: String },
}

#[derive(Args)]
pub(super) struct ShowArgs {
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// List its versions instead: who saved them, when and why
    #[arg(long)]
    versions: bool,
    /// Write the text to a file instead
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct SaveArgs {
    name: String,
    file: PathBuf,
    /// Why it is saved, for those who ask later
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    why: String,
}

pub(super) async fn profiles(ground: &Ground, command: ProfilesCommand) -> Outcome<Ending> {
    match command {
        ProfilesCommand::List => list(ground).await,
        ProfilesCommand::Show(args) => show(ground, args).await,
        ProfilesCommand::Save(args) => save(ground, args).await,
        ProfilesCommand::Remove { name } => {
            let registry = ground.open(&ground.config()?).await?;
            let name: ProfileName = name.parse()?;
            registry.remove_profile(&name).await?;
            registry.close().await;
            ground.say.words(format!("方案 {name} 不再提供"), format!("Profile {name} is offered no more"));
            ground.say.summary(&json!({"removed": name}));
            Ok(Ending::Done)
        }
    }
}

async fn list(ground: &Ground) -> Outcome<Ending> {
    let saved = match ground.open_if_there(&ground.config()?).await? {
        Some(registry) => {
            let saved = registry.list_profiles().await?;
            registry.close().await;
            saved
        }
        None => Vec::new(),
    };
    let mut all = Vec::new();
    for profile in built_in_profiles() {
        ground.say.line(format!("{}\t\t{} / {}", profile.id, profile.name_zh, profile.name_en));
        all.push(json!({"name": profile.id, "version": profile.version, "built_in": true}));
    }
    for profile in &saved {
        let SavedProfile { name, version, why, saved_at, .. } = profile;
        ground.say.line(format!("{name}\t@{version}\t{}\t{why}", saved_at.to_rfc3339()));
        all.push(record(profile));
    }
    ground.say.summary(&json!({"profiles": all}));
    Ok(Ending::Done)
}

fn record(profile: &SavedProfile) -> serde_json::Value {
    json!({
        "name": profile.name, "version": profile.version, "built_in": false, "why": profile.why,
        "by": profile.actor, "saved_at": profile.saved_at.to_rfc3339(), "removed": profile.removed_at.is_some(),
    })
}

async fn show(ground: &Ground, args: ShowArgs) -> Outcome<Ending> {
    if let Some(built_in) = find_built_in(&args.name) {
        return give(
            ground,
            &args,
            &built_in.text,
            json!({"name": built_in.id, "version": built_in.version, "built_in": true}),
        );
    }
    let registry = ground.open(&ground.config()?).await?;
    let wanted: ProfileRef = args.name.parse()?;
    if args.versions {
        let versions = registry.list_profile_versions(&wanted.name).await?;
        for version in &versions {
            let SavedProfile { version, actor, why, saved_at, .. } = version;
            ground.say.line(format!("@{version}\t{}\t{actor}\t{why}", saved_at.to_rfc3339()));
        }
        ground.say.summary(&json!({"versions": versions.iter().map(record).collect::<Vec<_>>()}));
        registry.close().await;
        return Ok(Ending::Done);
    }
    let found = registry.find_profile(&wanted).await?;
    registry.close().await;
    give(ground, &args, &found.text, record(&found))
}

fn give(ground: &Ground, args: &ShowArgs, text: &str, mut about: serde_json::Value) -> Outcome<Ending> {
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).map_err(|error| file_trouble("file.not_written", path, &error))?;
        }
        None => {
            ground.say.line(text.trim_end());
            about["text"] = json!(text);
        }
    }
    ground.say.summary(&about);
    Ok(Ending::Done)
}

async fn save(ground: &Ground, args: SaveArgs) -> Outcome<Ending> {
    let config = ground.config()?;
    let name: ProfileName = args.name.parse()?;
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| file_trouble("file.not_read", &args.file, &error))?;
    let registry = ground.open_or_create(&config, Clock::System).await?;
    let city = Arc::new(
        intake::city_of(Some(&registry), &ground.place.data, &config.scheme, config.utc_offset_minutes)
            .await?,
    );
    let order = ProfileOrder { name, text, why: args.why };
    let saved = intake::save_profile(&registry, &city, order, &Actor::System).await?;
    registry.close().await;
    let SavedProfile { name, version, .. } = saved.profile();
    match &saved {
        ProfileSaved::New(_) => ground.say.words(
            format!("已保存方案 {name}，第 {version} 版"),
            format!("Profile {name} is saved as version {version}"),
        ),
        ProfileSaved::Same(_) => ground.say.words(
            format!("方案 {name} 第 {version} 版已是同样内容，未另存"),
            format!("Version {version} of profile {name} says the same already"),
        ),
    }
    ground
        .say
        .summary(&json!({"name": name, "version": version, "new": matches!(saved, ProfileSaved::New(_))}));
    Ok(Ending::Done)
}
