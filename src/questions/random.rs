//! Numbers by chance that are the same on every machine and in every version, so that a p value can be told twice.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to under 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly below a bound (Lemire's multiplication; what is uneven is under 2⁻³² for bounds of this room).
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }
}

/// Draws a number by its share of all weights (Vose, "A linear algorithm for generating random numbers with a given
/// distribution", 1991).
pub(super) struct Deal {
    odds: Vec<f64>,
    others: Vec<u32>,
}

impl Deal {
    pub(super) fn by_weights(weights: &[u32]) -> Self {
        let (count, sum) = (weights.len(), weights.iter().copied().map(f64::from).sum::<f64>());
        let mut odds: Vec<f64> =
            weights.iter().map(|weight| f64::from(*weight) * count as f64 / sum).collect();
        let mut others: Vec<u32> = (0..count as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..count).partition(|at| odds[*at] < 1.0);
        while let (Some(less), Some(&more)) = (small.pop(), large.last()) {
            others[less] = more as u32;
            odds[more] -= 1.0 - odds[less];
            if odds[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        // What is left over is 1 but for rounding.
        small.into_iter().chain(large).for_each(|at| odds[at] = 1.0);
        Self { odds, others }
    }

    pub(super) fn draw(&self, chance: &mut Chance) -> usize {
        let at = chance.below(self.odds.len());
        if chance.fraction() < self.odds[at] { at } else { self.others[at] as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deal_is_fair() {
        let weights = [1, 10, 0, 89];
        let (deal, mut chance, mut drawn) = (Deal::by_weights(&weights), Chance::seeded(3), [0_u32; 4]);
        (0..100_000).for_each(|_| drawn[deal.draw(&mut chance)] += 1);
        for (weight, drawn) in weights.iter().zip(drawn) {
            assert!((f64::from(drawn) / 1000.0 - f64::from(*weight)).abs() < 0.5, "{weight} {drawn}");
        }
    }
}
