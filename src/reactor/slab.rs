//! `Slab`: values in numbered slots, each told from those that had the slot before.
//!
//! What it does not do: move values; a slot is reused, last freed first.
//!
//! Invariants:
//! 1. A generation is never 0, and changes whenever a slot is emptied.
//! 2. `live` is the number of slots that are taken.

use super::token::{GENERATION_MAX, PeerId};

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values in slots.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    live: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), live: 0 }
    }
}

impl<T> Slab<T> {
    /// What one value costs, in bytes, also while it is not there.
    pub const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Puts a value in, which is made once its place is known.
    pub fn insert_with(&mut self, make: impl FnOnce(PeerId) -> T) -> PeerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 1, value: None });
            u32::try_from(self.slots.len() - 1).expect("there are fewer descriptors than 2^32")
        });
        let entry = &mut self.slots[slot as usize];
        let peer = PeerId { slot, generation: entry.generation };
        entry.value = Some(make(peer));
        self.live += 1;
        peer
    }

    /// Whether the value that was put in under this very id is still there.
    pub fn contains(&self, peer: PeerId) -> bool {
        let slot = self.slots.get(peer.slot as usize);
        slot.is_some_and(|slot| slot.generation == peer.generation && slot.value.is_some())
    }

    /// The value that was put in under this very id, if it is still there.
    pub fn get_mut(&mut self, peer: PeerId) -> Option<&mut T> {
        let slot = self.slots.get_mut(peer.slot as usize)?;
        if slot.generation == peer.generation { slot.value.as_mut() } else { None }
    }

    /// Takes the value out.
    pub fn remove(&mut self, peer: PeerId) -> Option<T> {
        let slot = self.slots.get_mut(peer.slot as usize)?;
        if slot.generation != peer.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = if slot.generation == GENERATION_MAX { 1 } else { slot.generation + 1 };
        self.free.push(peer.slot);
        self.live -= 1;
        Some(value)
    }

    /// The ids of all values.
    pub fn ids(&self) -> Vec<PeerId> {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.value.is_some());
        taken
            .map(|(slot, entry)| PeerId {
                slot: u32::try_from(slot).expect("slots are numbered in 32 bits"),
                generation: entry.generation,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_value_that_is_gone_finds_nothing() {
        let mut slab = Slab::default();
        assert!(slab.is_empty());
        let first = slab.insert_with(|_| "first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert_with(|_| "second");
        assert_eq!(first.slot, second.slot);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert_eq!((slab.len(), slab.ids()), (1, vec![second]));
        assert!(!slab.is_empty() && slab.contains(second) && !slab.contains(first));
    }

    #[test]
    fn generations_start_over_without_zero() {
        let mut slab = Slab::default();
        let id = slab.insert_with(|_| ());
        slab.slots[0].generation = GENERATION_MAX;
        slab.remove(PeerId { generation: GENERATION_MAX, ..id });
        assert_eq!(slab.insert_with(|_| ()).generation, 1);
    }
}
