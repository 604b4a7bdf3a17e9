//! What is surely not among some keys, told by one look at 32 bytes: a Bloom filter in blocks, as of Putze, Sanders and
//! Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007).

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

const BITS_A_KEY: usize = 10;
/// Odd numbers that choose one bit in each of the eight words of a block.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Of a hundred keys that are not there it lets one or two pass, and every one that is.
#[derive(Debug)]
pub(super) struct Bloom(Vec<Block>);

type Block = [u32; SALTS.len()];

/// What a filter needs to know of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print(u64);

impl Print {
    pub(super) fn of(key: &impl Hash) -> Self {
        Self(FixedState::default().hash_one(key))
    }

    fn block(self, blocks: usize) -> usize {
        (((self.0 >> 32) * blocks as u64) >> 32) as usize
    }

    fn bits(self) -> Block {
        SALTS.map(|salt| 1 << ((self.0 as u32).wrapping_mul(salt) >> 27))
    }
}

impl Bloom {
    pub(super) fn of(keys: impl ExactSizeIterator<Item = Print>) -> Self {
        let mut blocks = vec![Block::default(); (keys.len() * BITS_A_KEY).div_ceil(size_of::<Block>() * 8)];
        for key in keys {
            let at = key.block(blocks.len());
            blocks[at].iter_mut().zip(key.bits()).for_each(|(word, bit)| *word |= bit);
        }
        Self(blocks)
    }

    /// Whether a key may be among them; `false` is sure.
    pub(super) fn may_hold(&self, key: Print) -> bool {
        let block = self.0.get(key.block(self.0.len()));
        block.is_some_and(|block| block.iter().zip(key.bits()).all(|(word, bit)| word & bit != 0))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Block>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_passes_and_of_the_rest_few() {
        for count in [0, 1, 7, 5000_u64] {
            let bloom = Bloom::of((0..count as usize).map(|key| Print::of(&(key as u64))));
            assert!((0..count).all(|key| bloom.may_hold(Print::of(&key))), "{count}");
            let passed = (count..count + 10_000).filter(|key| bloom.may_hold(Print::of(key))).count();
            assert!(passed < 300, "of {count}, {passed} of 10,000 others pass");
        }
    }
}
