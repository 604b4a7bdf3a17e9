//! Census files on their way in: reads on a blocking thread, hands chunks to the registry through a
//! bounded channel, and tells what became of every row. Shared by command line and HTTP; how a file
//! is read is `import`'s, what a row means is the registry's.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::domain::Refusal;
use crate::domain::code::Scheme;
use crate::domain::cover::Candidate;
use crate::import::{
    self, Findings, Format, Look, Problem, Profile, READ_SHOWN, Scope, Source, Told, WantedCrs, check_source,
    read_file, read_rows,
};
use crate::registry::{ImportOptions, ImportRun, Outcome, RegistryError, RowRef};

mod notebook;
mod profiles;

pub use notebook::{Dots, FileRows, Kind, Notebook, Noted, Sample, Trouble, Twin, write_rows};
pub use profiles::{FileAt, Prepared, Wish, city_of, find_profile, prepare, prepare_by_name, save_profile};

/// Rows that are committed together.
pub const CHUNK: usize = 4000;

/// A file to be read. `name` is without folders.
pub struct IntakeFile {
    pub name: String,
    pub format: Format,
    pub body: Body,
}

/// Where the bytes are. Most formats must be able to go back and forth in them.
pub enum Body {
    Path(PathBuf),
    /// Text formats only.
    Stream(Box<dyn Read + Send>),
}

/// How files are read.
#[derive(Clone)]
pub struct Reading {
    pub profile: Arc<Profile>,
    pub schemes: Arc<Vec<Scheme>>,
    /// Scheme of the codes that the files bring, instead of the profile's.
    pub scheme: Option<String>,
    /// What the user says of the files, instead of what would be found.
    pub told: Told,
}

/// What there is to say of a row that became no cover.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    Problem(RowProblem),
    /// An earlier row of the run speaks for the same cover.
    Duplicate {
        line: u64,
        of: RowRef,
    },
}

/// One bad row, or a file's own trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct RowProblem {
    pub line: u64,
    pub column: Option<String>,
    pub read: String,
    pub refusal: Refusal,
    /// Whether it is a row's or the file's own.
    pub scope: Scope,
}

/// By what a run that was killed is found again: the bytes of its files and all that decides what becomes
/// of their rows, the profile of each among it.
pub async fn fingerprint(
    files: &[PathBuf],
    reading: &Reading,
    profiles: &[&Profile],
    options: &ImportOptions,
) -> std::io::Result<[u8; 32]> {
    let Reading { scheme, told, .. } = reading;
    let profiles: Vec<_> =
        profiles.iter().map(|profile| (&profile.id, profile.version, profile.digest())).collect();
    let decides = format!(
        "{CHUNK} {profiles:?} {scheme:?} {told:?} {} {} {} {}",
        options.source, options.scheme, options.match_radius_m, options.full
    );
    let files = files.to_vec();
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hasher = Sha256::new();
        hasher.update(decides);
        for path in files {
            hasher.update(std::fs::metadata(&path)?.len().to_be_bytes());
            let mut bytes = BufReader::with_capacity(1 << 18, std::fs::File::open(&path)?);
            loop {
                let read = bytes.fill_buf()?;
                if read.is_empty() {
                    break;
                }
                hasher.update(read);
                let count = read.len();
                bytes.consume(count);
            }
        }
        Ok(hasher.finalize().into())
    });
    hashing.await.unwrap_or_else(|_| Err(std::io::Error::other("the file was not read to its end")))
}

/// Has a first look at a file, before anything is taken: how its coordinates are read. Refuses what
/// [`import::look`] refuses. What comes as a stream is read once, as the profile says.
pub fn look_at(
    reading: &Reading,
    file: &IntakeFile,
    wanted: &WantedCrs,
) -> impl Future<Output = Result<Look, Refusal>> + use<> {
    let Reading { profile, schemes, scheme, told } = reading.clone();
    let (format, name, wanted) = (file.format, file.name.clone(), wanted.clone());
    let path = match &file.body {
        Body::Path(path) => Some(path.clone()),
        Body::Stream(_) => None,
    };
    // Readers block, and some run a loop of their own.
    let looking = tokio::task::spawn_blocking(move || {
        let Some(path) = path else {
            return Ok(Look { profile, findings: None, columns: Vec::new(), notes: Vec::new() });
        };
        let source = Source { format, file_name: &name, scheme: scheme.as_deref(), told: &told };
        import::look(&profile, &schemes, &source, &path, &wanted)
    });
    async move { looking.await.unwrap_or_else(|_| Err(Refusal::new("import.reader_stopped"))) }
}

/// Reads a whole file into the run and answers what was understood of it. `note` hears of every
/// problem and duplicate in the order of the file; `progress` is told how many rows there were so far.
pub async fn take_file(
    run: &mut ImportRun,
    reading: &Reading,
    file: IntakeFile,
    note: impl FnMut(Note),
    progress: impl FnMut(u64),
) -> Result<Findings, RegistryError> {
    take_file_seen(run, reading, file, |_| {}, note, progress).await
}

/// The same; `see` hears of every row as the reader gives it, on the reader's thread.
pub async fn take_file_seen(
    run: &mut ImportRun,
    reading: &Reading,
    file: IntakeFile,
    mut see: impl FnMut(&Row) + Send + 'static,
    note: impl FnMut(Note),
    progress: impl FnMut(u64),
) -> Result<Findings, RegistryError> {
    let Reading { profile, schemes, scheme, told } = reading.clone();
    let IntakeFile { name, format, body } = file;
    // Refused here, so that the caller hears it before anything of the file is taken.
    let source = Source { format, file_name: &name, scheme: scheme.as_deref(), told: &told };
    check_source(&profile, &schemes, &source)?;
    let (sender, understood) = oneshot::channel();
    let produce = move |rows: &mut dyn FnMut(Row) -> bool| {
        let source = Source { format, file_name: &name, scheme: scheme.as_deref(), told: &told };
        let opened = match body {
            Body::Path(path) => read_file(&profile, &schemes, &source, &path),
            Body::Stream(bytes) => read_rows(&profile, &schemes, &source, bytes),
        };
        let said = opened.map(|mut opened| {
            for row in opened.by_ref() {
                see(&row);
                if !rows(row) {
                    break;
                }
            }
            opened.findings()
        });
        // Nobody listening means that the run was given up.
        let _ = sender.send(said);
    };
    take_rows(run, produce, note, progress).await?;
    let stopped = || Refusal::new("import.reader_stopped");
    Ok(understood.await.map_err(|_| stopped())??)
}

/// A row as the reader gives it.
pub type Row = Result<Candidate, Problem>;

/// Takes rows from a producer that runs on a blocking thread; the producer stops when its callback
/// answers `false`.
pub async fn take_rows(
    run: &mut ImportRun,
    produce: impl FnOnce(&mut dyn FnMut(Row) -> bool) + Send + 'static,
    mut note: impl FnMut(Note),
    mut progress: impl FnMut(u64),
) -> Result<(), RegistryError> {
    run.begin_file();
    // One chunk waits at most: memory stays flat however fast the disk is.
    let (sender, mut receiver) = mpsc::channel::<Vec<Row>>(1);
    let reader = tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut going = true;
        produce(&mut |row| {
            chunk.push(row);
            if chunk.len() == CHUNK {
                going =
                    sender.blocking_send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_ok();
            }
            going
        });
        if going && !chunk.is_empty() {
            // Nobody listening means that the run was given up.
            let _ = sender.blocking_send(chunk);
        }
    });
    // While a chunk is being written the next one is prepared.
    let mut before = Notes::default();
    let taken = loop {
        let Some(chunk) = receiver.recv().await else {
            let settled = before.settle(run, &mut note).await;
            progress(run.summary.read);
            break settled;
        };
        let (candidates, notes) = sort_out(chunk);
        let prepared = run.prepare(candidates, notes.bad_rows).await;
        // Told before a failure of this chunk: it is committed.
        if let Err(error) = before.settle(run, &mut note).await {
            break Err(error);
        }
        progress(run.summary.read);
        match prepared {
            Ok(prepared) => run.begin_write(prepared),
            Err(error) => break Err(error),
        }
        before = notes;
    };
    drop(receiver);
    match reader.await {
        Ok(()) => taken,
        Err(_) => taken.and(Err(Refusal::new("import.reader_stopped").into())),
    }
}

/// What the reader says of a chunk, kept until the chunk is committed.
#[derive(Default)]
struct Notes {
    notes: Vec<(u64, Note)>,
    bad_rows: u64,
}

/// Divides a chunk into rows and problems.
fn sort_out(chunk: Vec<Row>) -> (Vec<Candidate>, Notes) {
    let mut candidates = Vec::with_capacity(chunk.len());
    let mut said = Notes::default();
    for row in chunk {
        match row {
            Ok(candidate) => candidates.push(candidate),
            Err(problem) => {
                said.bad_rows += u64::from(problem.scope == Scope::Row);
                let Problem { line, column, read, refusal, scope } = problem;
                said.notes.push((line, Note::Problem(RowProblem { line, column, read, refusal, scope })));
            }
        }
    }
    (candidates, said)
}

impl Notes {
    /// Waits for the chunk that these notes belong to and tells what became of its rows.
    async fn settle(
        &mut self,
        run: &mut ImportRun,
        note: &mut impl FnMut(Note),
    ) -> Result<(), RegistryError> {
        let outcomes = run.settle().await?;
        let Notes { mut notes, .. } = std::mem::take(self);
        for outcome in outcomes {
            let line = outcome.line;
            match outcome.outcome {
                Outcome::Problem(refusal) => {
                    notes.push((line, Note::Problem(registry_problem(line, refusal))));
                }
                Outcome::Duplicate(of) => notes.push((line, Note::Duplicate { line, of })),
                _ => {}
            }
        }
        notes.sort_by_key(|(line, _)| *line);
        notes.into_iter().for_each(|(_, said)| note(said));
        Ok(())
    }
}

fn registry_problem(line: u64, refusal: Refusal) -> RowProblem {
    let read = refusal.params.iter().find(|(name, _)| *name == "read").map(|(_, read)| read.as_str());
    RowProblem {
        line,
        column: refusal.field.as_ref().map(|field| field.to_string()),
        read: read.unwrap_or_default().chars().take(READ_SHOWN).collect(),
        refusal,
        scope: Scope::Row,
    }
}
