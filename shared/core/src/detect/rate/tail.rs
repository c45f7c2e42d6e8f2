//! Tails: how surprising a count, a share or a deviation is.
//!
//! A surprise is U = -ln Q(z), Q the upper tail of the normal distribution, z a signed root of a deviance (McCullagh and
//! Nelder, "Generalized Linear Models", 2.4). Logarithms come from `libm` and are handed around, because most of the time
//! of a window goes into them. There is deliberately no Poisson limit: every dispersion here is at least 1e-4.

/// The largest surprise.
const SURPRISE_MAX: f64 = 138.;
const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// ln sqrt(2 pi)
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
/// 1 / sqrt(2 pi)
const INVERSE_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// ln 6.2832, of the saddle point density.
const LN_TAU: f64 = 1.837_879_402_946_116_5;

/// From this z on the tail is taken from its asymptotic series.
const FAR: f64 = 5.;

/// From this count on the deviance takes logarithms of quotients: differences of logarithms would lose what is left of it
/// near the mean.
const LARGE: f64 = 1e4;

/// Q(z), the upper tail of the normal distribution; never 0.
pub(super) fn upper_tail(z: f64) -> f64 {
    if z < FAR {
        return 0.5 * libm::erfc(z * SQRT_HALF) + 1e-300;
    }
    let z2 = z * z;
    (libm::exp(-0.5 * z2) * INVERSE_SQRT_TAU / z * (1. - 1. / z2 + 3. / (z2 * z2))).max(1e-300)
}

/// ln Q(z)
pub(super) fn ln_upper_tail(z: f64) -> f64 {
    if z < FAR {
        return libm::log(0.5 * libm::erfc(z * SQRT_HALF) + 1e-300);
    }
    let z2 = z * z;
    -0.5 * z2 - LN_SQRT_TAU + libm::log((1. - 1. / z2 + 3. / (z2 * z2)) / z)
}

/// U = -ln Q(z) of an upper side, at most 138; 0 on the other side.
pub(super) fn surprise(z: f64) -> f64 {
    if z > 0. { (-ln_upper_tail(z)).min(SURPRISE_MAX) } else { 0. }
}

/// No surprise of a z^2 is larger: the hazard of the normal distribution rises from its value at 0 by less than z, so
/// -ln Q(z) <= ln 2 + .798 z + z^2/2. It costs no logarithm.
pub(super) fn surprise_most(z2: f64) -> f64 {
    std::f64::consts::LN_2 + 0.797_884_560_802_865_4 * z2.sqrt() + 0.5 * z2
}

/// No z^2 of a negative binomial deviance is larger: the integral of (y - t)/V(t) with V at its least.
pub(super) fn count_z2_most(y: f64, m: f64, phi: f64) -> f64 {
    let (m, least) = (m.max(1e-6), y.min(m).max(1e-6));
    (y - m) * (y - m) / (least + phi * least * least)
}

/// No z^2 of a share is larger, likewise.
pub(super) fn share_z2_most(y: f64, n: f64, p: f64, phi: f64) -> f64 {
    let (p, q) = (p.clamp(1e-7, 0.9999), (y / n).clamp(0., 1.));
    n * (q - p) * (q - p) / (p * (1. - p)).min(q * (1. - q)) / (1. + phi * n * p)
}

/// U = -ln P; a hair above 138 at most.
pub(super) fn surprise_of(p: f64) -> f64 {
    -libm::log(p.max(1e-60))
}

/// ln P(0) of a negative binomial distribution.
pub(super) fn ln_p0(m: f64, phi: f64) -> f64 {
    -libm::log1p(phi * m.max(1e-6)) / phi
}

/// A negative binomial distribution of mean m and variance m + phi m^2, with the logarithms that its tails share.
#[derive(Clone, Copy)]
pub(super) struct Negative {
    m: f64,
    phi: f64,
    ln_m: f64,
    /// ln(1 + phi m)
    ln_spread: f64,
}

impl Negative {
    pub(super) fn new(m: f64, phi: f64) -> Negative {
        let m = m.max(1e-6);
        Negative { m, phi, ln_m: libm::log(m), ln_spread: libm::log1p(phi * m) }
    }

    /// ln P(0)
    pub(super) fn ln_p0(&self) -> f64 {
        -self.ln_spread / self.phi
    }

    /// The deviance's half, y ln(y/m) - (y + 1/phi) ln((1 + phi y)/(1 + phi m)), and ln(1 + phi y), for y > 0.
    fn half_deviance(&self, y: f64, ln_y: f64) -> (f64, f64) {
        let ln_spread_y = libm::log1p(self.phi * y);
        let d = if y < LARGE {
            y * (ln_y - self.ln_m) - (y + 1. / self.phi) * (ln_spread_y - self.ln_spread)
        } else {
            let r = 1. / self.phi;
            y * libm::log(y / self.m) - (y + r) * libm::log((y + r) / (self.m + r))
        };
        (d.max(0.), ln_spread_y)
    }

    /// Signed root of the deviance of y; `ln_y` is not looked at for y = 0.
    pub(super) fn z(&self, y: f64, ln_y: f64) -> f64 {
        if y <= 0. {
            return -(-2. * self.ln_p0()).max(0.).sqrt();
        }
        let z = (2. * self.half_deviance(y, ln_y).0).sqrt();
        if y > self.m { z } else { -z }
    }

    /// P(X >= x) with continuity; exact for 0 and 1. `ln_below` is ln(x - 1/2).
    pub(super) fn p_upper(&self, x: f64, ln_below: f64) -> f64 {
        if x <= 0. {
            return 1.;
        }
        if x <= 1. {
            return (1. - libm::exp(self.ln_p0())).max(1e-300);
        }
        upper_tail(self.z(x - 0.5, ln_below))
    }

    /// P(X <= x) with continuity; exact for 0. `ln_above` is ln(x + 1/2).
    pub(super) fn p_lower(&self, x: f64, ln_above: f64) -> f64 {
        if x <= 0. { libm::exp(self.ln_p0()).max(1e-300) } else { upper_tail(-self.z(x + 0.5, ln_above)) }
    }

    /// ln P(X = x) at the saddle point; exact at 0.
    pub(super) fn ln_density(&self, x: f64, ln_x: f64) -> f64 {
        if x <= 0. {
            return self.ln_p0();
        }
        let (d, ln_spread_x) = self.half_deviance(x, ln_x);
        -d - 0.5 * (LN_TAU + ln_x + ln_spread_x)
    }
}

/// Signed root of 2 n KL(y/n || p) / (1 + phi n p).
pub(super) fn share_z(y: f64, n: f64, p: f64, phi: f64) -> f64 {
    if n <= 0. {
        return 0.;
    }
    let p = p.clamp(1e-7, 0.9999);
    let q = (y / n).clamp(0., 1.);
    let hit = if q > 0. { q * libm::log(q / p) } else { 0. };
    let miss = if q < 1. { (1. - q) * libm::log((1. - q) / (1. - p)) } else { 0. };
    let z = (2. * n * (hit + miss) / (1. + phi * n * p)).max(0.).sqrt();
    if q > p { z } else { -z }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, DiscreteCDF, NegativeBinomial, Normal};

    #[test]
    fn the_normal_tail_is_near_the_exact_one() {
        let normal = Normal::new(0., 1.).unwrap();
        for i in -40..300 {
            let z = f64::from(i) / 10.;
            let exact = normal.sf(z);
            assert!((upper_tail(z) / exact - 1.).abs() < 1.1e-3, "{z} {} {exact}", upper_tail(z));
            assert!((libm::exp(ln_upper_tail(z)) / upper_tail(z) - 1.).abs() < 1e-11, "{z}");
        }
    }

    proptest! {
        #[test]
        fn the_bounds_are_bounds(y in 0.0..1e4f64, m in 0.0..1e4f64, phi in 1e-4..20f64, n in 1.0..1e5f64, p in 0.0..1f64, share in 0.0..1f64) {
            let z = Negative::new(m, phi).z(y, libm::log(y));
            prop_assert!(z * z <= count_z2_most(y, m, phi) * 1.000_001 + 1e-6, "{z}");
            prop_assert!(surprise(z) <= surprise_most(z * z) + 1e-12);
            let z = share_z(share * n, n, p, phi);
            prop_assert!(z * z <= share_z2_most(share * n, n, p, phi) * 1.000_001 + 1e-6, "{z}");
        }
    }

    #[test]
    fn the_tails_of_counts_are_near_the_exact_ones() {
        for (m, phi) in [(3., 0.1), (40., 0.05), (500., 0.2)] {
            let (r, near) = (1. / phi, Negative::new(m, phi));
            let exact = NegativeBinomial::new(r, r / (r + m)).unwrap();
            for x in [0u64, 1, 2, 5, 20, 100, 700] {
                let y = x as f64;
                let (upper, lower) = (if x == 0 { 1. } else { exact.sf(x - 1) }, exact.cdf(x));
                let ln = |v: f64| if v > 0. { libm::log(v) } else { 0. };
                for (ours, theirs) in [(near.p_upper(y, ln(y - 0.5)), upper), (near.p_lower(y, ln(y + 0.5)), lower)] {
                    if theirs > 1e-12 {
                        let off = (ln(ours) - ln(theirs)).abs();
                        assert!(off < 1.2, "m {m} phi {phi} x {x}: {ours} {theirs}");
                    }
                }
            }
        }
    }
}
