//! Sorts more records than memory shall hold: sorted runs go to scratch files and are merged on the way out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Words that are held in memory: 16 MB.
const HELD: usize = 2 << 20;

/// Records of `N` words on their way into order.
pub(super) struct Sorter<const N: usize> {
    folder: PathBuf,
    held: Vec<[u64; N]>,
    most: usize,
    runs: Vec<File>,
}

impl<const N: usize> Sorter<N> {
    pub(super) fn new(folder: &Path) -> Self {
        Self::holding(folder, HELD / N)
    }

    fn holding(folder: &Path, most: usize) -> Self {
        Self { folder: folder.to_owned(), held: Vec::new(), most, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, record: [u64; N]) -> io::Result<()> {
        self.held.push(record);
        if self.held.len() < self.most {
            return Ok(());
        }
        self.held.sort_unstable();
        let mut run = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(&self.folder)?);
        for record in self.held.drain(..) {
            for word in record {
                run.write_all(&word.to_le_bytes())?;
            }
        }
        self.runs.push(run.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }

    /// The records in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.held.sort_unstable();
        let mut runs: Vec<Run<N>> = Vec::with_capacity(self.runs.len() + 1);
        for mut file in self.runs {
            file.rewind()?;
            runs.push(Run::Scratch(BufReader::with_capacity(1 << 16, file)));
        }
        runs.push(Run::Held(self.held.into_iter()));
        let mut next = BinaryHeap::with_capacity(runs.len());
        for (at, run) in runs.iter_mut().enumerate() {
            next.extend(run.next()?.map(|record| Reverse((record, at))));
        }
        Ok(Sorted { runs, next })
    }
}

enum Run<const N: usize> {
    Held(std::vec::IntoIter<[u64; N]>),
    Scratch(BufReader<File>),
}

impl<const N: usize> Run<N> {
    fn next(&mut self) -> io::Result<Option<[u64; N]>> {
        let input = match self {
            Run::Held(records) => return Ok(records.next()),
            Run::Scratch(input) => input,
        };
        let mut record = [0; N];
        for (at, word) in record.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            match input.read_exact(&mut bytes) {
                Ok(()) => *word = u64::from_le_bytes(bytes),
                Err(error) if at == 0 && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(record))
    }
}

/// Records in order.
pub(super) struct Sorted<const N: usize> {
    runs: Vec<Run<N>>,
    next: BinaryHeap<Reverse<([u64; N], usize)>>,
}

impl<const N: usize> Sorted<N> {
    pub(super) fn next(&mut self) -> io::Result<Option<[u64; N]>> {
        let Some(Reverse((record, at))) = self.next.pop() else { return Ok(None) };
        self.next.extend(self.runs[at].next()?.map(|next| Reverse((next, at))));
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn records_come_out_in_order_whether_they_fit_or_not(
            mut records in proptest::collection::vec([0u64..50, 0u64..1 << 60], 0..200),
            most in 1usize..300,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::<2>::holding(folder.path(), most);
            for record in &records {
                sorter.push(*record).unwrap();
            }
            let mut sorted = sorter.sorted().unwrap();
            let mut out = Vec::new();
            while let Some(record) = sorted.next().unwrap() {
                out.push(record);
            }
            records.sort_unstable();
            prop_assert_eq!(out, records);
        }
    }
}
