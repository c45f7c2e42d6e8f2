//! State as packed bytes: one walk over the fields, for writing as for reading.
//!
//! Each part lists its fields once, in [`Packed::pack`], and the walk writes or reads them; so the two can't disagree.
//! Arrays are written as a bitmap and the cells that are not zero, because most hours of a young or sleepy entity are.
//! Reading never trusts: lengths are those of the types, every number is checked to be one. There is deliberately no
//! schema within a part; a part changes by a new version of the whole.

use super::grain::{Count, Level, Mean, Single, Sum};
use crate::stored::StoredError;

/// Why stored bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end too early.
    #[error("stored rates end too early")]
    Truncated,
    /// A number is not one, or is none that could have been written.
    #[error("a number in stored rates is out of range")]
    OutOfRange,
    /// They are of a version that this code does not know.
    #[error("stored rates are of unknown version {0}")]
    Version(u64),
    /// They are not the format.
    #[error("stored rates are not in their format")]
    Format,
}

impl From<Malformed> for StoredError {
    fn from(error: Malformed) -> StoredError {
        match error {
            Malformed::Version(version) => StoredError::Format(version),
            Malformed::Truncated | Malformed::OutOfRange | Malformed::Format => StoredError::Damaged,
        }
    }
}

/// Writes into bytes or reads from them.
pub(super) enum Pack<'a> {
    Write(Vec<u8>),
    Read(&'a [u8]),
}

impl Pack<'_> {
    /// Writes `N` bytes, or replaces them by the next that are read.
    fn bytes<const N: usize>(&mut self, value: [u8; N]) -> Result<[u8; N], Malformed> {
        match self {
            Pack::Write(out) => {
                out.extend(value);
                Ok(value)
            }
            Pack::Read(rest) => {
                let (head, tail) = rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
                *rest = tail;
                Ok(*head)
            }
        }
    }

    /// A number that must lie below `bound`.
    pub(super) fn small(&mut self, value: &mut u8, bound: u8) -> Result<(), Malformed> {
        [*value] = self.bytes([*value])?;
        if *value < bound { Ok(()) } else { Err(Malformed::OutOfRange) }
    }

    pub(super) fn flag(&mut self, value: &mut bool) -> Result<(), Malformed> {
        let mut byte = u8::from(*value);
        self.small(&mut byte, 2)?;
        *value = byte == 1;
        Ok(())
    }

    pub(super) fn wide(&mut self, value: &mut u32) -> Result<(), Malformed> {
        *value = u32::from_le_bytes(self.bytes(value.to_le_bytes())?);
        Ok(())
    }

    /// Cells: a bitmap, then those that are not zero.
    pub(super) fn cells<C: Packed + Default + PartialEq>(&mut self, cells: &mut [C]) -> Result<(), Malformed> {
        for eight in cells.chunks_mut(8) {
            let mut present = 0;
            for (i, cell) in eight.iter().enumerate() {
                present |= u8::from(*cell != C::default()) << i;
            }
            [present] = self.bytes([present])?;
            for (i, cell) in eight.iter_mut().enumerate() {
                if present >> i & 1 == 1 {
                    cell.pack(self)?;
                } else {
                    *cell = C::default();
                }
            }
        }
        Ok(())
    }
}

/// What can be written and read.
pub(super) trait Packed {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed>;
}

impl Packed for Single {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        self.0 = f32::from_le_bytes(io.bytes(self.0.to_le_bytes())?);
        if self.0.is_finite() { Ok(()) } else { Err(Malformed::OutOfRange) }
    }
}

impl Packed for Mean {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        let [_, a, b, c] = self.0.to_le_bytes();
        let [a, b, c] = io.bytes([a, b, c])?;
        self.0 = f32::from_le_bytes([0, a, b, c]);
        if self.0.is_finite() { Ok(()) } else { Err(Malformed::OutOfRange) }
    }
}

macro_rules! packed_in_16_bits {
    ($($cell:ident),*) => {$(
        impl Packed for $cell {
            fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
                self.0 = u16::from_le_bytes(io.bytes(self.0.to_le_bytes())?);
                Ok(())
            }
        }
    )*};
}
// Every pattern of these is a number within its range.
packed_in_16_bits!(Sum, Count, Level);
