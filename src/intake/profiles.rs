//! By which profile files are read: one that comes with the program, one that was saved, or their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Body, IntakeFile, Reading, fingerprint, look_at};
use crate::domain::Refusal;
use crate::domain::code::Scheme;
use crate::domain::import_profile::{ProfileName, ProfileRef};
use crate::domain::role::Actor;
use crate::import::{
    City, Format, Look, Profile, ProfileChange, Told, WantedCrs, built_in_profiles, change_profile,
    find_built_in_for,
};
use crate::registry::{
    CensusFile, ImportMode, ImportOptions, ProfileOrder, ProfileSaved, Registry, RegistryError,
};

/// What a city brings along for reading files, with the districts that the registry knows.
pub async fn city_of(
    registry: Option<&Registry>,
    data: &Path,
    scheme: &str,
    utc_offset_minutes: i32,
) -> Result<City, RegistryError> {
    let mut city = City::read(data)?;
    city.scheme = Some(scheme.to_owned());
    city.utc_offset_minutes = utc_offset_minutes;
    if let Some(registry) = registry {
        city.districts = registry.list_districts().await?;
    }
    Ok(city)
}

/// Finds a profile: of those that come with the program, else of those that were saved, `NAME` or
/// `NAME@VERSION`. Refuses a name that nobody knows, with those that there are.
pub async fn find_profile(
    registry: Option<&Registry>,
    city: &Arc<City>,
    wanted: &str,
) -> Result<Profile, RegistryError> {
    if let Some(built_in) = find_built_in_for(wanted, city) {
        return Ok(built_in?);
    }
    let mut known: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.id).collect();
    if let Some(registry) = registry {
        if let Ok(wanted) = wanted.parse::<ProfileRef>() {
            match registry.find_profile(&wanted).await {
                Ok(saved) => return Ok(read_saved(&saved.name, saved.version, &saved.text, city)?),
                Err(RegistryError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        known.extend(registry.list_profiles().await?.into_iter().map(|saved| saved.name.to_string()));
    }
    let read: String = wanted.chars().take(80).collect();
    let refusal = Refusal::new("profile.unknown").at("profile").with("read", read);
    Err(refusal.with("fits", known.join(", ")).into())
}

fn read_saved(name: &ProfileName, version: i64, text: &str, city: &Arc<City>) -> Result<Profile, Refusal> {
    let mut profile = Profile::from_toml_in(text, city)?;
    profile.id = name.to_string();
    profile.version = u32::try_from(version).unwrap_or(u32::MAX);
    Ok(profile)
}

/// The text under which a profile would be saved: what was proposed for one file becomes that of the name,
/// and lines end as ours do, so that a text which went through a form is the same text. Refuses a text that cannot be meant, and the names of those that come with the program.
pub fn text_to_save(city: &Arc<City>, name: &ProfileName, text: &str) -> Result<String, Refusal> {
    let id = name.as_str();
    if built_in_profiles().iter().any(|profile| profile.id == id) {
        return Err(Refusal::new("profile.built_in").at("name").with("profile", id));
    }
    let text = format!("{}\n", text.trim_start_matches('\u{feff}').trim().replace("\r\n", "\n"));
    let profile = Profile::from_toml_in(&text, city).map_err(|refusal| refusal.at("text"))?;
    if profile.id == id || profile.id != crate::import::AUTO {
        return Ok(text);
    }
    let change = ProfileChange { id: Some(id.to_owned()), ..ProfileChange::default() };
    change_profile(&text, &change, &city.lexicon)
}

/// Saves a profile as the next version of a name. Refuses what [`text_to_save`] refuses.
pub async fn save_profile(
    registry: &Registry,
    city: &Arc<City>,
    order: ProfileOrder,
    actor: &Actor,
) -> Result<ProfileSaved, RegistryError> {
    let text = text_to_save(city, &order.name, &order.text)?;
    registry.save_profile(ProfileOrder { text, ..order }, actor).await
}

/// How a person wants files to be read.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub source: Option<String>,
    pub scheme: Option<String>,
    pub crs: Option<String>,
    pub told: Told,
    /// Scheme of covers that bring no code.
    pub city_scheme: String,
    pub match_radius_m: f64,
    pub full: bool,
}

/// A file on the disk.
#[derive(Debug, Clone)]
pub struct FileAt {
    pub path: PathBuf,
    pub name: String,
    pub format: Format,
}

impl FileAt {
    pub fn open(&self) -> IntakeFile {
        IntakeFile { name: self.name.clone(), format: self.format, body: Body::Path(self.path.clone()) }
    }
}

/// Files that were looked at, ready to be read.
pub struct Prepared {
    pub reading: Reading,
    /// How each file is read.
    pub looks: Vec<Look>,
    /// Of a dry run.
    pub options: ImportOptions,
}

impl Prepared {
    /// By what a run that was killed is found again.
    pub async fn fingerprint(&self, files: &[FileAt]) -> std::io::Result<[u8; 32]> {
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let profiles: Vec<&Profile> = self.looks.iter().map(|look| &*look.profile).collect();
        fingerprint(&paths, &self.reading, &profiles, &self.options).await
    }

    /// The same for a run that writes, under the name that its record shows.
    pub async fn census_file(&self, files: &[FileAt]) -> std::io::Result<CensusFile> {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let profile = self.looks.first().map_or(&self.reading.profile, |look| &look.profile);
        Ok(CensusFile {
            name: names.join(", "),
            profile: profile.id.clone(),
            profile_version: i64::from(profile.version),
            fingerprint: Some(self.fingerprint(files).await?),
        })
    }
}

/// Looks at files as they are wished to be read. Refuses what a look refuses.
pub async fn prepare(
    profile: Profile,
    schemes: Vec<Scheme>,
    wish: &Wish,
    files: &[FileAt],
    actor: &Actor,
) -> Result<Prepared, Refusal> {
    let profile = Arc::new(profile);
    let wanted = WantedCrs::parse(wish.crs.as_deref(), &profile)?;
    let reading = Reading {
        profile: profile.clone(),
        schemes: Arc::new(schemes),
        scheme: wish.scheme.clone(),
        told: wish.told.clone(),
    };
    let mut looks = Vec::with_capacity(files.len());
    for file in files {
        looks.push(look_at(&reading, &file.open(), &wanted).await?);
    }
    let understood = looks.first().map_or(&profile, |look| &look.profile);
    let options = ImportOptions {
        source: wish.source.clone().unwrap_or_else(|| understood.source.clone()),
        scheme: wish
            .scheme
            .clone()
            .or_else(|| understood.scheme.clone())
            .unwrap_or_else(|| wish.city_scheme.clone()),
        mode: ImportMode::DryRun,
        match_radius_m: wish.match_radius_m,
        full: wish.full,
        file: CensusFile::default(),
        actor: actor.clone(),
    };
    Ok(Prepared { reading, looks, options })
}

/// The same by a name. Where a run of these files was killed that had begun with an older version of a
/// saved profile, it is that version, so that the run goes on as it began.
pub async fn prepare_by_name(
    registry: Option<&Registry>,
    city: &Arc<City>,
    (wanted, schemes): (&str, Vec<Scheme>),
    wish: &Wish,
    files: &[FileAt],
    actor: &Actor,
) -> Result<Prepared, RegistryError> {
    let profile = find_profile(registry, city, wanted).await?;
    let newest = i64::from(profile.version);
    if let (Some(registry), Ok(ProfileRef { name, version: None })) = (registry, wanted.parse()) {
        for version in registry.list_versions_begun(&name).await? {
            if version == newest {
                continue;
            }
            let Ok(older) =
                registry.find_profile(&ProfileRef { name: name.clone(), version: Some(version) }).await
            else {
                continue;
            };
            let older = read_saved(&name, version, &older.text, city)?;
            let Ok(prepared) = prepare(older, schemes.clone(), wish, files, actor).await else { continue };
            if let Ok(fingerprint) = prepared.fingerprint(files).await
                && registry.is_unfinished(&fingerprint).await?
            {
                return Ok(prepared);
            }
        }
    }
    Ok(prepare(profile, schemes, wish, files, actor).await?)
}
