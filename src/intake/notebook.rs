//! What a person is shown of a run: the kinds of its problems with samples, repeated rows beside their
//! twins, some of its points; and as files, all problems and the rows to be corrected. Bounded, however
//! bad the file is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Note, Reading, Row, RowProblem};
use crate::domain::Refusal;
use crate::import::{Format, PROBLEM_COLUMN, Scope, Source, read_cells};

/// Samples of one kind of problem, and pairs of twins.
const SAMPLES: usize = 5;
const TWINS: usize = 20;
/// Kinds of problems that are told apart; there are fewer codes than that.
const KINDS: usize = 200;
/// Bad rows that are handed back to be corrected.
const TO_CORRECT: usize = 100_000;
/// Points on the map.
const DOTS: usize = 2000;
/// For Excel, which else takes UTF-8 for something else.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What was noted, small enough for a page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    /// The most frequent first.
    pub kinds: Vec<Kind>,
    /// Troubles of the file itself, which are no rows.
    pub file_problems: u64,
    pub twins: Vec<Twin>,
}

/// All problems of one code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    pub code: String,
    pub count: u64,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub line: u64,
    pub column: String,
    pub read: String,
    /// Facts for the sentence of the code.
    pub params: Vec<(String, String)>,
}

/// A repeated row and the earlier one that speaks for the same cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    pub line: u64,
    pub of: u64,
}

/// Takes notes of a run on one file.
pub struct Notebook<S> {
    noted: Noted,
    list: csv::Writer<BufWriter<std::fs::File>>,
    file: String,
    sentence: S,
    /// Lines of bad rows, with what is wrong with each.
    to_correct: BTreeMap<u64, String>,
    failed: Option<csv::Error>,
}

impl<S: Fn(&Refusal) -> String> Notebook<S> {
    /// Opens one whose list of all problems goes to `path`, with the columns of `import --problems`.
    /// `sentence` says a refusal to the person.
    pub fn open(path: &Path, file: &str, sentence: S) -> std::io::Result<Self> {
        let mut bytes = BufWriter::new(std::fs::File::create(path)?);
        bytes.write_all(BYTE_ORDER_MARK)?;
        let mut list = csv::Writer::from_writer(bytes);
        list.write_record(["file", "line", "column", "value", "code", "hint"])?;
        Ok(Self {
            noted: Noted::default(),
            list,
            file: file.to_owned(),
            sentence,
            to_correct: BTreeMap::new(),
            failed: None,
        })
    }

    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Duplicate { line, of } => {
                if self.noted.twins.len() < TWINS {
                    self.noted.twins.push(Twin { line: *line, of: u64::from(of.line) });
                }
            }
            Note::Problem(problem) => self.note_problem(problem),
        }
    }

    fn note_problem(&mut self, problem: &RowProblem) {
        let RowProblem { line, column, read, refusal, scope } = problem;
        let column = column.as_deref().unwrap_or_default();
        let hint = (self.sentence)(refusal);
        let record = [&self.file, &line.to_string(), column, read, refusal.code, &hint];
        if let Err(error) = self.list.write_record(record) {
            self.failed.get_or_insert(error);
        }
        match scope {
            Scope::File => self.noted.file_problems += 1,
            Scope::Row if self.to_correct.len() < TO_CORRECT => {
                self.to_correct.insert(*line, hint);
            }
            Scope::Row => {}
        }
        let kinds = &mut self.noted.kinds;
        let at = match kinds.iter().position(|kind| kind.code == refusal.code) {
            Some(at) => at,
            None if kinds.len() == KINDS => return,
            None => {
                kinds.push(Kind { code: refusal.code.to_owned(), count: 0, samples: Vec::new() });
                kinds.len() - 1
            }
        };
        let kind = &mut kinds[at];
        kind.count += 1;
        if kind.samples.len() < SAMPLES {
            let params = refusal.params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            let (column, read) = (column.to_owned(), read.clone());
            kind.samples.push(Sample { line: *line, column, read, params: params.collect() });
        }
    }

    /// Answers what was noted, and the bad rows by their lines.
    pub fn finish(mut self) -> std::io::Result<(Noted, BTreeMap<u64, String>)> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        self.list.flush()?;
        self.noted.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        Ok((self.noted, self.to_correct))
    }
}

/// Some of the points of a file, spread evenly over its rows.
#[derive(Debug, Clone, Default)]
pub struct Dots {
    points: Vec<[f64; 2]>,
    seen: u64,
    /// Every so many rows gives a point; 0 = every one.
    step: u64,
}

impl Dots {
    pub fn see(&mut self, row: &Row) {
        let Ok(candidate) = row else { return };
        let step = self.step.max(1);
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(step) {
            return;
        }
        if self.points.len() == DOTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.step = step * 2;
        }
        let position = &candidate.survey.position;
        self.points.push([position.lon, position.lat]);
    }

    /// Longitude and latitude.
    pub fn into_points(self) -> Vec<[f64; 2]> {
        self.points
    }
}

/// A file whose rows are handed back.
pub struct FileRows {
    pub reading: Reading,
    pub name: String,
    pub format: Format,
    pub path: PathBuf,
}

/// Writes the bad rows as they stand in the file, as CSV under its own column names with one more column
/// that says what is wrong. Answers how many there are, and the texts of the rows of `twins` by line.
/// Rows that could not be parted into cells are not among them. Blocks.
pub fn write_rows(
    file: &FileRows,
    to_correct: &BTreeMap<u64, String>,
    twins: &[Twin],
    out: &Path,
) -> Result<(u64, BTreeMap<u64, String>), Trouble> {
    let FileRows { reading, name, format, path } = file;
    let told = &reading.told;
    let source = Source { format: *format, file_name: name, scheme: reading.scheme.as_deref(), told };
    let shown: BTreeSet<u64> = twins.iter().flat_map(|twin| [twin.line, twin.of]).collect();
    // Once for the names of all columns, as not every row of GeoJSON has all of them.
    let mut names: Vec<String> = Vec::new();
    let mut texts = BTreeMap::new();
    read_cells(&reading.profile, &reading.schemes, &source, path, |line, cells| {
        if shown.contains(&line) {
            let values: Vec<&str> =
                cells.iter().map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect();
            texts.insert(line, values.join(" · ").chars().take(200).collect());
        }
        if to_correct.contains_key(&line) {
            for (name, _) in cells {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        true
    })?;
    let mut bytes = BufWriter::new(std::fs::File::create(out).map_err(Trouble::Disk)?);
    bytes.write_all(BYTE_ORDER_MARK).map_err(Trouble::Disk)?;
    let mut list = csv::Writer::from_writer(bytes);
    let header = names.iter().map(String::as_str).chain([PROBLEM_COLUMN]);
    list.write_record(header).map_err(|error| Trouble::Disk(error.into()))?;
    let (mut written, mut failed) = (0, None);
    if !names.is_empty() {
        read_cells(&reading.profile, &reading.schemes, &source, path, |line, cells| {
            let Some(wrong) = to_correct.get(&line) else { return true };
            let mut record = vec![""; names.len() + 1];
            for (name, text) in &cells {
                if let Some(at) = names.iter().position(|known| known == name) {
                    record[at] = text;
                }
            }
            record[names.len()] = wrong;
            written += 1;
            failed = list.write_record(record).err();
            failed.is_none()
        })?;
    }
    if let Some(error) = failed {
        return Err(Trouble::Disk(error.into()));
    }
    list.flush().map_err(Trouble::Disk)?;
    Ok((written, texts))
}

/// Why the rows of a file were not handed back.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    #[error("the list was not written")]
    Disk(#[source] std::io::Error),
}
