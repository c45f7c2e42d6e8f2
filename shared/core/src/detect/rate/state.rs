//! Checkpoints: what [`Rates`] are between two windows, as bytes.
//!
//! A CBOR map of numbered parts, so that a part can be added without touching the others, each part packed. What follows
//! from other numbers (fits, weights of seasonal means) is not written. Reading refuses whatever could not have been
//! written, and needs memory for one entity whatever it is given. There is deliberately no compression: the bitmaps take
//! out what is zero, and the rest is noise.

use super::count::{self, PerCall};
use super::entity::{Calls, Flow, Flows, Rates};
use super::family::{Low, Remembered};
use super::grain::{Single, Stored};
use super::pack::{Malformed, Pack, Packed};
use super::ring::{Past, RING_DAYS, Ring};
use super::slow::Slow;
use super::value::{self, PerCallValue};
use super::volume::{self, Histogram, Volume};
use crate::stored::{StoredError, from_cbor};
use crate::time::WindowId;

/// The format written.
const VERSION: u8 = 1;

/// The parts as they are stored.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Parts {
    #[n(0)]
    version: u8,
    #[n(1)]
    first: u32,
    #[cbor(n(2), with = "minicbor::bytes")]
    calls: Vec<u8>,
    #[cbor(n(3), with = "minicbor::bytes")]
    flows: Vec<u8>,
}

impl Rates {
    /// The state as bytes. Decoded, it goes on exactly as this would.
    pub fn encode(&self) -> Vec<u8> {
        let write = |part: &mut dyn Packed| {
            let mut io = Pack::Write(Vec::new());
            // Writing refuses only numbers that are none; they would be refused when read, too.
            let _ = part.pack(&mut io);
            match io {
                Pack::Write(out) => out,
                Pack::Read(_) => Vec::new(),
            }
        };
        let (mut calls, mut flows) = (self.calls.clone(), self.flows.clone());
        let parts = Parts { version: VERSION, first: self.first.0, calls: write(&mut calls), flows: write(&mut flows) };
        minicbor::to_vec(parts).unwrap_or_default()
    }

    /// Reads what [`Rates::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Rates, Malformed> {
        let parts: Parts = from_cbor(bytes, VERSION).map_err(|why| match why {
            StoredError::Format(version) => Malformed::Version(version),
            StoredError::Damaged => Malformed::Format,
        })?;
        let mut rates = Rates::new(WindowId(parts.first));
        for (part, bytes) in [(&mut rates.calls as &mut dyn Packed, &parts.calls), (&mut rates.flows, &parts.flows)] {
            let mut io = Pack::Read(bytes);
            part.pack(&mut io)?;
            if !matches!(io, Pack::Read([])) {
                return Err(Malformed::Format);
            }
        }
        Ok(rates)
    }
}

/// Numbers that are never negative.
fn amounts(io: &mut Pack, cells: &mut [&mut Single]) -> Result<(), Malformed> {
    numbers(io, cells)?;
    if cells.iter().all(|cell| cell.0 >= 0.) { Ok(()) } else { Err(Malformed::OutOfRange) }
}

/// Numbers of either sign.
fn numbers(io: &mut Pack, cells: &mut [&mut Single]) -> Result<(), Malformed> {
    for eight in cells.chunks_mut(8) {
        let mut values: Vec<Single> = eight.iter().map(|cell| **cell).collect();
        io.cells(&mut values)?;
        for (cell, value) in eight.iter_mut().zip(values) {
            **cell = value;
        }
    }
    Ok(())
}

impl Packed for Calls<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        self.volume.pack(io)?;
        self.up.pack(io)?;
        self.down.pack(io)?;
        self.pack_low(io)?;
        for (statistic, family) in &mut self.counts {
            statistic.pack(io)?;
            family.pack(io)?;
        }
        for (statistic, family) in &mut self.values {
            statistic.pack(io)?;
            family.pack(io)?;
        }
        self.slow.pack(io)
    }
}

impl Calls<Stored> {
    /// The rings of the account rule are those of low volume unless that rule has held.
    fn pack_low(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        let Low { rings, age } = &mut self.low;
        io.small(age, u8::MAX)?;
        for (ring, own) in rings.iter_mut().zip(&self.down.rings) {
            let mut same = ring == own;
            io.flag(&mut same)?;
            if same {
                ring.clone_from(own);
            } else {
                ring.pack(io)?;
            }
        }
        Ok(())
    }
}

impl Packed for Flows<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        self.denials.0.pack(io)?;
        self.denials.1.pack(io)?;
        for series in &mut self.series {
            let mut tracked = series.is_some();
            io.flag(&mut tracked)?;
            if tracked {
                let flow = series.get_or_insert_with(|| Box::new(Flow::new(WindowId(0))));
                io.wide(&mut flow.first.0)?;
                flow.calls.0.pack(io)?;
                flow.calls.1.pack(io)?;
                flow.bytes.0.pack(io)?;
                flow.bytes.1.pack(io)?;
            }
        }
        Ok(())
    }
}

impl Packed for Volume<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        io.cells(&mut self.hour_of_week)?;
        io.cells(&mut self.slot_of_day)?;
        amounts(io, &mut self.hour_of_day.iter_mut().chain(&mut self.slot_of_hour).collect::<Vec<_>>())?;
        amounts(io, &mut [&mut self.all, &mut self.all_n, &mut self.ewma, &mut self.m6_long])?;
        for gain in [&mut self.gain, &mut self.gain_long] {
            amounts(io, &mut [&mut gain.calls, &mut gain.season])?;
        }
        numbers(io, &mut self.phi_sum.iter_mut().collect::<Vec<_>>())?;
        amounts(io, &mut self.phi_weight.iter_mut().collect::<Vec<_>>())?;
        io.cells(&mut self.likelihood)?;
        if self.likelihood.iter().any(|v| v.0 > 0.) {
            return Err(Malformed::OutOfRange);
        }
        for horizon in &mut self.horizons {
            let volume::Horizon { y, m, most, least, phi_sum, phi_weight } = horizon;
            amounts(io, &mut [y, m, most, least, phi_weight])?;
            numbers(io, &mut [phi_sum])?;
        }
        for Histogram { counts, total } in std::iter::once(&mut self.histogram).chain(&mut self.histograms_long) {
            io.cells(counts)?;
            amounts(io, &mut [total])?;
        }
        Ok(())
    }
}

impl Packed for PerCall<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        amounts(io, &mut [&mut self.slow, &mut self.slow_n, &mut self.fast, &mut self.fast_n])?;
        io.cells(&mut self.hour)?;
        io.cells(&mut self.hour_n)?;
        for count::Horizon { y, n, m, phi_sum, phi_weight } in &mut self.horizons {
            amounts(io, &mut [y, n, m, phi_weight])?;
            numbers(io, &mut [phi_sum])?;
        }
        Ok(())
    }
}

impl Packed for PerCallValue<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        numbers(io, &mut [&mut self.slow, &mut self.fast])?;
        amounts(io, &mut [&mut self.slow_n, &mut self.fast_n])?;
        io.cells(&mut self.hour)?;
        io.cells(&mut self.hour_n)?;
        amounts(io, &mut self.regression.iter_mut().collect::<Vec<_>>())?;
        for value::Horizon { z, windows, n, value, expected, spread, spread_n } in &mut self.horizons {
            numbers(io, &mut [z, value])?;
            amounts(io, &mut [windows, n, expected, spread, spread_n])?;
        }
        io.small(&mut self.since_deploy, u8::MAX)
    }
}

impl Packed for Slow<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        io.flag(&mut self.counting)?;
        io.flag(&mut self.held)?;
        io.small(&mut self.days, 21)?;
        io.small(&mut self.means_n, self.means.len() as u8 + 1)?;
        let Slow { today, week, means, variance, now, .. } = self;
        amounts(io, &mut std::iter::once(today).chain(week).chain(means).chain(variance).chain(now).collect::<Vec<_>>())
    }
}

impl<const N: usize> Packed for Remembered<Stored, N> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        for ring in &mut self.rings {
            ring.pack(io)?;
        }
        io.flag(&mut self.last_digest)?;
        io.flag(&mut self.last_slack)?;
        amounts(io, &mut std::iter::once(&mut self.last_u).chain(&mut self.best).collect::<Vec<_>>())
    }
}

impl Packed for Ring<Stored> {
    fn pack(&mut self, io: &mut Pack) -> Result<(), Malformed> {
        let mut past = self.past.take().unwrap_or_else(|| Box::new(Past::new()));
        io.small(&mut past.len, RING_DAYS as u8 + 1)?;
        io.small(&mut past.at, RING_DAYS as u8)?;
        let len = usize::from(past.len);
        io.cells(&mut past.days[..len])?;
        self.today.pack(io)?;
        past.refit();
        self.past = Some(past).filter(|past| past.len > 0);
        Ok(())
    }
}
