//! Tables in which a name is found with one look.

/// For each slot the number of the name that lies there, counted from 1; 0 where none does. A name whose slot is taken lies in the next free one.
pub(super) type Slots = [u8; 256];

/// The bit that alone tells capital letters from small ones.
pub(super) const ANY_CASE: u8 = 0x20;

/// For names that are written in one way.
pub(super) const EXACT: u8 = 0;

/// Puts each name into the slot that it wants.
pub(super) const fn place<const N: usize>(wanted: [u8; N]) -> Slots {
    let mut slots = [0; 256];
    let mut number = 0;
    while number < N {
        let mut slot = wanted[number];
        while slots[slot as usize] != 0 {
            slot = slot.wrapping_add(1);
        }
        number += 1;
        slots[slot as usize] = number as u8;
    }
    slots
}

/// The slot that a name wants. Its length, its last letters and one in the middle tell the names of both tables apart; the factor was found by trying, so that hardly two
/// share a slot. `case` is [`EXACT`] or [`ANY_CASE`].
#[inline]
pub(super) const fn slot(name: &[u8], case: u8) -> u8 {
    const FACTOR: u32 = 0xA16D_65C5;
    let [.., a, b, c, d] = name else { return 0 };
    let (len, middle) = (name.len() as u32, (name[name.len() / 2] | case) as u32);
    let last = u32::from_le_bytes([*a | case, *b | case, *c | case, *d | case]);
    ((last ^ len << 3 ^ middle << 16).wrapping_mul(FACTOR) >> 24) as u8
}

/// The entry that is the one looked for, from the slot on that its name wants.
#[inline]
pub(super) fn find<T>(slots: &Slots, entries: &'static [T], mut slot: u8, is_it: impl Fn(&T) -> bool) -> Option<&'static T> {
    loop {
        let number = slots.get(usize::from(slot)).copied().unwrap_or_default();
        let entry = entries.get(usize::from(number).checked_sub(1)?)?;
        if is_it(entry) {
            return Some(entry);
        }
        slot = slot.wrapping_add(1);
    }
}
