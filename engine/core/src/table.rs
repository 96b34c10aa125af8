//! A hash table of hold numbers: eight bytes a place, while the keys stay where the holds are. With a million grants it
//! is a few megabytes where a map of keys is tens of them, and each of its misses is one.

use serde::{Deserialize, Serialize};

use crate::command::HoldNumber;

/// Of every eight places, so many are taken at most.
const FULLEST: usize = 5;
/// The fewest places.
const FEWEST: usize = 16;

/// Open addressing, linear probing, no tombstones. The same calls make the same table, place by place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// As many as a power of two; a place is free while its count is 0.
    places: Vec<u64>,
    taken: usize,
}

/// A place: sixteen bits of the hash, a count, a hold.
const fn place(hash: u64, count: u16, number: HoldNumber) -> u64 {
    (hash & 0xffff) << 48 | (count as u64) << 32 | number as u64
}

#[allow(clippy::cast_possible_truncation)] // the bits that are meant
const fn count_of(place: u64) -> u16 {
    (place >> 32) as u16
}

#[allow(clippy::cast_possible_truncation)] // the bits that are meant
const fn number_of(place: u64) -> HoldNumber {
    place as HoldNumber
}

impl Table {
    /// Places taken.
    pub(crate) const fn len(&self) -> usize {
        self.taken
    }

    /// Makes room for so many more. `hash` is that of a hold's key.
    pub(crate) fn reserve(&mut self, more: usize, hash: impl Fn(HoldNumber) -> u64) {
        let needed = ((self.taken + more) * 8).div_ceil(FULLEST).next_power_of_two().max(FEWEST);
        if needed <= self.places.len() {
            return;
        }
        let places = std::mem::replace(&mut self.places, vec![0; needed]);
        for taken in places.into_iter().filter(|place| count_of(*place) > 0) {
            let at = self.free_place(hash(number_of(taken)));
            self.places[at] = taken;
        }
    }

    /// The hold of a key and its count. `is` compares the keys themselves.
    pub(crate) fn get(&self, hash: u64, is: impl Fn(HoldNumber) -> bool) -> Option<(HoldNumber, u16)> {
        let place = self.places[self.find(hash, is)?];
        Some((number_of(place), count_of(place)))
    }

    /// A key that is not there yet, with a count of one.
    pub(crate) fn insert(&mut self, hash: u64, number: HoldNumber, hash_of: impl Fn(HoldNumber) -> u64) {
        self.reserve(1, hash_of);
        let at = self.free_place(hash);
        self.places[at] = place(hash, 1, number);
        self.taken += 1;
    }

    /// One more of a key; false: it is not there.
    pub(crate) fn count_up(&mut self, hash: u64, is: impl Fn(HoldNumber) -> bool) -> bool {
        let Some(at) = self.find(hash, is) else { return false };
        let known = self.places[at];
        self.places[at] = place(hash, count_of(known).saturating_add(1), number_of(known));
        true
    }

    /// One less of a key; at none its place is free again.
    pub(crate) fn count_down(
        &mut self,
        hash: u64,
        is: impl Fn(HoldNumber) -> bool,
        hash_of: impl Fn(HoldNumber) -> u64,
    ) {
        let Some(mut hole) = self.find(hash, is) else { return };
        let known = self.places[hole];
        self.places[hole] = place(hash, count_of(known) - 1, number_of(known));
        if count_of(known) > 1 {
            return;
        }
        self.taken -= 1;
        // Whoever was pushed past the hole moves up, so that no search stops short of it.
        let mut at = self.next(hole);
        while count_of(self.places[at]) > 0 {
            let home = self.home(hash_of(number_of(self.places[at])));
            let mask = self.places.len() - 1;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = self.places[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.places[hole] = 0;
    }

    fn find(&self, hash: u64, is: impl Fn(HoldNumber) -> bool) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let found = self.places[at];
            if count_of(found) == 0 {
                return None;
            }
            if found >> 48 == hash & 0xffff && is(number_of(found)) {
                return Some(at);
            }
            at = self.next(at);
        }
    }

    fn free_place(&self, hash: u64) -> usize {
        let mut at = self.home(hash);
        while count_of(self.places[at]) > 0 {
            at = self.next(at);
        }
        at
    }

    /// Where a key belongs: the upper bits of a product, which every bit of the hash reaches.
    fn home(&self, hash: u64) -> usize {
        let bits = self.places.len().trailing_zeros();
        usize::try_from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)).unwrap_or(0)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside a map that is known to be right; few hashes, so that keys meet.
        #[test]
        fn it_counts_as_a_map_does(steps in prop::collection::vec((0_u32..40, any::<bool>()), 1..400)) {
            let hash = |number: u32| u64::from(number / 3) << 40 | u64::from(number % 2);
            let (mut table, mut map) = (Table::default(), HashMap::<u32, u16>::new());
            for (number, more) in steps {
                let is = |other| other == number;
                if more {
                    if !table.count_up(hash(number), is) {
                        table.insert(hash(number), number, hash);
                    }
                    *map.entry(number).or_default() += 1;
                } else {
                    table.count_down(hash(number), is, hash);
                    if let Some(count) = map.get_mut(&number) {
                        *count -= 1;
                    }
                    map.retain(|_, count| *count > 0);
                }
                prop_assert_eq!(table.len(), map.len());
                for number in 0..40 {
                    let found = table.get(hash(number), |other| other == number);
                    prop_assert_eq!(found, map.get(&number).map(|count| (number, *count)));
                }
            }
        }
    }
}
