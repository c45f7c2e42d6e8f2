//! What entities of the same kind showed in their first days: the prior of a younger one.
//!
//! An entity without three days in its ring is judged by the pooled daily maxima of its peers' first five days. They are
//! pooled per statistic and per account, the functions apart from the other principals. There is deliberately no weighting
//! by likeness: the surprises are already in the units of each entity's own model.

use std::sync::OnceLock;

use super::grain::{Cell, LEVEL_MAX, Level};
use super::pack::Malformed;
use super::ring::{Fit, RING_DAYS};

/// Statistics that have a ring: 8 of the volume, 3 of each of 9 other families.
pub(super) const KINDS: usize = 35;
/// Days of an entity's life whose maxima are pooled.
pub(super) const PEER_DAYS: u32 = 5;
/// Pooled values needed.
const POOLED_LEAST: usize = 10;

/// The maxima of one finished day of a young entity, for [`Peers::add`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayMaxima {
    /// Statistic and maximum.
    pub(super) values: Vec<(u8, f64)>,
}

/// Pooled daily maxima of young entities of one kind in one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Peers {
    pools: Vec<Pool>,
}

#[derive(Clone, Debug, Default)]
struct Pool {
    /// The latest values, oldest first.
    levels: Vec<u16>,
    /// Follows from them: many are added before anybody asks.
    fit: OnceLock<Option<Fit>>,
}

impl Default for Peers {
    fn default() -> Peers {
        Peers { pools: vec![Pool::default(); KINDS] }
    }
}

impl Peers {
    /// Adds a finished day of a young entity, in the place of the oldest beyond 35 per statistic.
    pub fn add(&mut self, day: &DayMaxima) {
        for &(kind, value) in &day.values {
            let Some(pool) = self.pools.get_mut(usize::from(kind)) else { continue };
            if pool.levels.len() >= RING_DAYS {
                pool.levels.remove(0);
            }
            pool.levels.push(Level::of(value.clamp(0., LEVEL_MAX)).0);
            pool.fit = OnceLock::new();
        }
    }

    pub(super) fn fit(&self, kind: usize) -> Option<Fit> {
        let pool = self.pools.get(kind)?;
        *pool.fit.get_or_init(|| pool.fitted())
    }

    /// The pooled values as bytes; at most 2.5 KB.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for pool in &self.pools {
            bytes.push(pool.levels.len() as u8);
            bytes.extend(pool.levels.iter().flat_map(|level| level.to_le_bytes()));
        }
        bytes
    }

    /// Reads what [`Peers::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Peers, Malformed> {
        let (&version, mut rest) = bytes.split_first().ok_or(Malformed::Truncated)?;
        if version != VERSION {
            return Err(Malformed::Version(u64::from(version)));
        }
        let mut peers = Peers::default();
        for pool in &mut peers.pools {
            let (&len, tail) = rest.split_first().ok_or(Malformed::Truncated)?;
            let len = usize::from(len);
            if len > RING_DAYS {
                return Err(Malformed::OutOfRange);
            }
            let (levels, tail) = tail.split_at_checked(2 * len).ok_or(Malformed::Truncated)?;
            pool.levels = levels.chunks_exact(2).map(|pair| pair.iter().rev().fold(0, |v, b| v << 8 | u16::from(*b))).collect();
            rest = tail;
        }
        Ok(peers)
    }
}

const VERSION: u8 = 1;

impl Pool {
    fn fitted(&self) -> Option<Fit> {
        let (mut values, n) = ([0.; RING_DAYS], self.levels.len().min(RING_DAYS));
        values.iter_mut().zip(&self.levels).for_each(|(value, level)| *value = Level(*level).get());
        if n >= POOLED_LEAST { Fit::of(&mut values[..n]) } else { None }
    }
}

impl PartialEq for Pool {
    fn eq(&self, other: &Pool) -> bool {
        self.levels == other.levels
    }
}
