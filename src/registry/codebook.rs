//! Which codes are given already. A run knows it from memory, so that only codes that may be known are
//! looked up; once somebody else has written meanwhile, every code is.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::RegistryError;
use crate::domain::code::ComponentCode;
use crate::store::covers::{self, CodeOwner};
use crate::store::{Tx, feed};

/// The codes of the registry and of the run, by their hashes: a hit may be by chance, a miss is sure.
pub(super) struct Codebook {
    hasher: RandomState,
    present: HashSet<u64>,
    former: HashSet<u64>,
    /// Codes of the chunk that is being written, which a reader may not see yet.
    unsettled: HashSet<u64>,
    /// The feed as it was when the run began, moved on by what the run has written since.
    position: i64,
    /// Changes of the chunk that is being written.
    moving: i64,
    alone: bool,
}

/// What the registry says of codes that a chunk brings.
#[derive(Default)]
pub(super) struct Given {
    pub(super) owners: HashMap<ComponentCode, CodeOwner>,
    pub(super) former: HashSet<ComponentCode>,
}

impl Codebook {
    /// Begin with this, before the covers are read.
    pub(super) async fn begin(tx: &mut Tx) -> Result<Self, RegistryError> {
        let position = feed::last_change(tx).await?;
        let mut book = Self {
            hasher: RandomState::new(),
            present: HashSet::new(),
            former: HashSet::new(),
            unsettled: HashSet::new(),
            position,
            moving: 0,
            alone: true,
        };
        for code in covers::list_former_codes(tx).await? {
            let hash = book.hash(&code.scheme, &code.digits);
            book.former.insert(hash);
        }
        Ok(book)
    }

    /// The newest change of the feed when the run began.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    fn hash(&self, scheme: &str, digits: &str) -> u64 {
        self.hasher.hash_one((scheme, digits))
    }

    /// Notes a code that the registry has.
    pub(super) fn add(&mut self, scheme: &str, digits: &str) {
        self.present.insert(self.hash(scheme, digits));
    }

    /// Notes what a chunk will write.
    pub(super) fn begin_write<'c>(&mut self, codes: impl Iterator<Item = &'c ComponentCode>, changes: i64) {
        self.unsettled = codes.map(|code| self.hash(&code.scheme, &code.digits)).collect();
        self.present.extend(&self.unsettled);
        self.moving = changes;
    }

    /// The chunk is committed.
    pub(super) fn settle(&mut self) {
        self.unsettled.clear();
        self.position += self.moving;
        self.moving = 0;
    }

    /// Checks whether the run is still the only one that writes covers.
    pub(super) async fn look_around(&mut self, tx: &mut Tx) -> Result<(), RegistryError> {
        if self.alone {
            let seen = feed::last_change(tx).await?;
            self.alone = seen == self.position || seen == self.position + self.moving;
        }
        Ok(())
    }

    /// Whether any of these codes is being written just now: who asks for it must wait.
    pub(super) fn is_unsettled<'c>(&self, codes: impl IntoIterator<Item = &'c ComponentCode>) -> bool {
        !self.unsettled.is_empty()
            && codes.into_iter().any(|code| self.unsettled.contains(&self.hash(&code.scheme, &code.digits)))
    }

    /// Finds out which of these codes are given.
    pub(super) async fn look_up<'c>(
        &self,
        tx: &mut Tx,
        codes: impl Iterator<Item = &'c ComponentCode>,
    ) -> Result<Given, RegistryError> {
        let (mut present, mut former) = (Vec::new(), Vec::new());
        for code in codes {
            let hash = self.hash(&code.scheme, &code.digits);
            if !self.alone || self.present.contains(&hash) {
                present.push(code);
            }
            if !self.alone || self.former.contains(&hash) {
                former.push(code);
            }
        }
        let owners = covers::list_code_owners(tx, &present).await?;
        Ok(Given {
            owners: owners.into_iter().map(|owner| (owner.code.clone(), owner)).collect(),
            former: covers::find_former_codes(tx, &former).await?.into_iter().collect(),
        })
    }
}
