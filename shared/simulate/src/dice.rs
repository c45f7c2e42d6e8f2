//! Random draws that are the same on every system and in every release.
//!
//! The stream is ChaCha8, fixed for ever by its definition. One stream is derived per name ("author-handler, bodies, day 3")
//! from the seed, so that adding a function or changing the order of generation moves nobody else's draws. The samplers
//! stand here and use `libm`, because those of the common crates may change between releases and call the platform's
//! logarithm. There is deliberately no thread-local or system source of randomness.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Above this mean a Poisson draw is split in two halves: Knuth's product would underflow near 700.
const POISSON_SPLIT: f64 = 30.0;
const HEX: &[u8] = b"0123456789abcdef";
const UPPER_ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// AWS writes the unique part of an access key or role id in base 32.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// One named stream of random draws.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of this name under this seed.
    pub(crate) fn new(seed: u64, name: &str) -> Dice {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        Dice(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Uniform in [0, 1), with 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..n`; 0 if `n` is 0. The bias of the multiplication is below 2⁻³².
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64 + 1) as i64
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Any item of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(core::f64::consts::TAU * self.unit())
    }

    /// Log-normal with this median; `sigma` is the standard deviation of the logarithm.
    pub(crate) fn around(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Gamma with mean 1 and this shape of at least 1 (so variance 1/shape), by Marsaglia and Tsang 2000. Times a Poisson
    /// mean it gives a negative binomial count of dispersion 1/shape.
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
            if v > 0.0 && libm::log(1.0 - self.unit()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v / shape;
            }
        }
    }

    /// Poisson with this mean: Knuth's product of uniforms, large means as the sum of two halves.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        if mean > POISSON_SPLIT {
            return self.poisson(mean / 2.0) + self.poisson(mean / 2.0);
        }
        let floor = libm::exp(-mean);
        let mut product = self.unit();
        let mut count = 0;
        while product > floor {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// A random (version 4) UUID, as request and event ids are.
    pub(crate) fn uuid(&mut self) -> String {
        let high = (self.0.next_u64() & !0xf000) | 0x4000;
        let low = (self.0.next_u64() & !(3 << 62)) | (2 << 62);
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, n: usize) -> String {
        self.text(HEX, n)
    }

    /// Upper-case hexadecimal digits: a request id of S3.
    pub(crate) fn upper_hex(&mut self, n: usize) -> String {
        self.text(HEX, n).to_ascii_uppercase()
    }

    /// Upper-case letters and digits: a request id of DynamoDB.
    pub(crate) fn upper(&mut self, n: usize) -> String {
        self.text(UPPER_ALNUM, n)
    }

    /// Letters and digits: the random part of a file's name.
    pub(crate) fn alnum(&mut self, n: usize) -> String {
        self.text(ALNUM, n)
    }

    /// A temporary access key id.
    pub(crate) fn access_key(&mut self) -> String {
        format!("ASIARX7K{}", self.text(BASE32, 12))
    }

    /// Decimal digits.
    pub(crate) fn digits(&mut self, n: usize) -> String {
        self.text(&HEX[..10], n)
    }

    /// Puts a list in random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    fn text(&mut self, alphabet: &[u8], n: usize) -> String {
        (0..n).map(|_| char::from(*self.pick(alphabet))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_have_their_moments() {
        let mut dice = Dice::new(1, "moments");
        let moments = |mut draw: Box<dyn FnMut() -> f64 + '_>| {
            let n = 40_000;
            let xs: Vec<f64> = (0..n).map(|_| draw()).collect();
            let mean = xs.iter().sum::<f64>() / f64::from(n);
            (mean, xs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n))
        };
        let near = |(mean, variance): (f64, f64), m: f64, v: f64| {
            assert!((mean - m).abs() < 0.03 * m.max(1.0) && (variance - v).abs() < 0.06 * v, "{mean} {variance} for {m} {v}");
        };
        near(moments(Box::new(|| dice.normal())), 0.0, 1.0);
        near(moments(Box::new(|| dice.gamma(1.0))), 1.0, 1.0);
        near(moments(Box::new(|| dice.gamma(3.3))), 1.0, 1.0 / 3.3);
        near(moments(Box::new(|| f64::from(dice.poisson(2.5)))), 2.5, 2.5);
        near(moments(Box::new(|| f64::from(dice.poisson(90.0)))), 90.0, 90.0);
    }

    #[test]
    fn streams_depend_on_seed_and_name_alone() {
        let draw = |seed, name| Dice::new(seed, name).uuid();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        let id = draw(3, "uuid");
        assert_eq!((id.len(), id.as_bytes()[14], id.matches('-').count()), (36, b'4', 4));
    }

    #[test]
    fn ranges_hold_at_their_edges() {
        let mut dice = Dice::new(7, "ranges");
        assert_eq!((dice.below(0), dice.below(1), dice.between(5, 5)), (0, 0, 5));
        assert!((0..2_000).all(|_| (-3..=4).contains(&dice.between(-3, 4))));
        assert_eq!(dice.poisson(0.0), 0);
    }
}
