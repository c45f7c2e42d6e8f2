//! How finely numbers are kept between two windows.
//!
//! State is kept in few bits, in memory as in a checkpoint, so that results never depend on when a checkpoint was
//! written. Every type of number has its own grain here: sums that fade get 16 bits, what many small steps build up gets
//! 32. The tests run the same code with [`Exact`] numbers against the reference. There is deliberately no rounding
//! elsewhere: what a `Cell` hands out is what it will hand out after a checkpoint.

use std::fmt::Debug;

/// One kept number.
pub(super) trait Cell: Copy + Default + PartialEq + Debug {
    /// The nearest number that can be kept.
    fn of(value: f64) -> Self;
    /// The number kept.
    fn get(self) -> f64;
}

/// A choice of cells for every kind of number.
pub(super) trait Grain: Copy + Debug + PartialEq {
    /// Sums of many windows, dispersions, scores.
    type Single: Cell;
    /// Sums of a season, which fade by a tenth or more a visit; not negative.
    type Sum: Cell;
    /// Sums of an hour of the day whose quotient is a rate or an offset; of either sign.
    type Mean: Cell;
    /// Counts of a histogram, at most 30 days of windows.
    type Count: Cell;
    /// Surprises in a ring, 0 to [`LEVEL_MAX`].
    type Level: Cell;
}

/// The largest surprise a ring keeps.
pub(super) const LEVEL_MAX: f64 = 60.;

/// Numbers as checkpoints have them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stored;

impl Grain for Stored {
    type Single = Single;
    type Sum = Sum;
    type Mean = Mean;
    type Count = Count;
    type Level = Level;
}

/// A single-precision float; what does not fit is the largest that does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Single(pub(super) f32);

impl Cell for Single {
    fn of(value: f64) -> Single {
        Single((value as f32).clamp(f32::MIN, f32::MAX))
    }
    fn get(self) -> f64 {
        f64::from(self.0)
    }
}

/// An unsigned float of 6 bits of exponent and 10 of mantissa: 2^-24 to 2^49, to a part in 2,048.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum(pub(super) u16);

/// 2^112 and its inverse: what moves 6 bits of exponent to where single precision has its smallest 64.
const SUM_SCALE: (f32, f32) = (f32::from_bits((127 + 112) << 23), f32::from_bits((127 - 112) << 23));

impl Cell for Sum {
    fn of(value: f64) -> Sum {
        Sum(shorten((value.clamp(0., 5e14) as f32) * SUM_SCALE.1, 0xffff))
    }
    fn get(self) -> f64 {
        f64::from(f32::from_bits(u32::from(self.0) << 13) * SUM_SCALE.0)
    }
}

/// A float of a sign, 8 bits of exponent and 15 of mantissa: the upper 24 bits of single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean(pub(super) f32);

impl Cell for Mean {
    fn of(value: f64) -> Mean {
        let bits = Single::of(value).0.to_bits();
        Mean(f32::from_bits((bits + 0x7f + (bits >> 8 & 1)) & !0xff))
    }
    fn get(self) -> f64 {
        f64::from(self.0)
    }
}

/// The upper bits of a small float that is not negative, rounded to the nearest even.
fn shorten(value: f32, most: u32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0xfff + (bits >> 13 & 1)) >> 13).min(most) as u16
}

/// Quarters: counts are whole until they are halved, and 30 days of windows in quarters fit 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count(pub(super) u16);

impl Cell for Count {
    fn of(value: f64) -> Count {
        Count((value * 4. + 0.5) as u16)
    }
    fn get(self) -> f64 {
        f64::from(self.0) * 0.25
    }
}

/// Steps of [`LEVEL_MAX`] / 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Level(pub(super) u16);

impl Cell for Level {
    fn of(value: f64) -> Level {
        Level((value * (65_535. / LEVEL_MAX) + 0.5) as u16)
    }
    fn get(self) -> f64 {
        f64::from(self.0) * (LEVEL_MAX / 65_535.)
    }
}

/// Numbers as they are computed, for comparison with the reference.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exact;

#[cfg(test)]
impl Grain for Exact {
    type Single = f64;
    type Sum = f64;
    type Mean = f64;
    type Count = f64;
    type Level = f64;
}

#[cfg(test)]
impl Cell for f64 {
    fn of(value: f64) -> f64 {
        value
    }
    fn get(self) -> f64 {
        self
    }
}

/// Cells that start at zero.
pub(super) fn zeros<C: Cell, const N: usize>() -> [C; N] {
    [C::default(); N]
}

/// Keeps `change(cell)` in its place.
pub(super) fn update<C: Cell>(cell: &mut C, change: impl FnOnce(f64) -> f64) {
    *cell = C::of(change(cell.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_near_and_stays(value in prop_oneof![0.0..100.0f64, 0.0..1e14f64], sign in any::<bool>()) {
            let kept = Sum::of(value).get();
            prop_assert!((kept - value).abs() <= value / 2048. + 6e-8, "{value} {kept}");
            prop_assert_eq!(Sum::of(kept), Sum::of(value));
            let signed = value * if sign { 1. } else { -1. };
            let kept = Mean::of(signed).get();
            prop_assert!((kept - signed).abs() <= signed.abs() / 65_536., "{signed} {kept}");
            prop_assert_eq!(Mean::of(kept), Mean::of(signed));
            prop_assert_eq!(Level::of(Level::of(value).get()), Level::of(value));
            prop_assert_eq!(Count::of(Count::of(value).get()), Count::of(value));
        }
    }

    #[test]
    fn extremes_stay_numbers() {
        for value in [0., -1., f64::NAN, f64::INFINITY, 1e300, f64::MIN_POSITIVE] {
            assert!(Sum::of(value).get().is_finite() && Sum::of(value).get() >= 0., "{value}");
            assert!(Level::of(value).get().is_finite() && Count::of(value).get().is_finite(), "{value}");
        }
    }
}
