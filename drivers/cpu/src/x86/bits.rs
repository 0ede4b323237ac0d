//! A set of bits: one word for each register of a leaf or MSR that any feature stands in.

/// How many such registers there may be; a test counts those of the tables.
pub(super) const WORDS: usize = 56;

/// A set of bits, in the order of [`super::tables::Tables::registers`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits(pub(super) [u32; WORDS]);

impl Default for Bits {
    fn default() -> Self {
        Bits([0; WORDS])
    }
}

impl std::fmt::Debug for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(super::tables::TABLES.names_in(*self)).finish()
    }
}

impl Bits {
    /// Takes in what `other` has.
    pub(super) fn add(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Takes out what `other` has.
    pub(super) fn remove(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    /// Keeps only what `other` has too.
    pub(super) fn keep(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    /// What this has and `other` has not.
    pub(super) fn without(mut self, other: &Bits) -> Bits {
        self.remove(other);
        self
    }

    /// What both have.
    pub(super) fn common(mut self, other: &Bits) -> Bits {
        self.keep(other);
        self
    }

    /// Whether all of `other` is in this.
    pub(super) fn contains(&self, other: &Bits) -> bool {
        self.0.iter().zip(other.0).all(|(word, other)| word & other == other)
    }

    /// Whether nothing is in this.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}
