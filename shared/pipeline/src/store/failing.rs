//! Fails by a plan, as a store in an account does: throttled, too late, killed in the middle, the answer lost.
//!
//! Every place where a process can die is a *kill point*, counted from zero: before each call, and after each commit that
//! was done but before its answer is given. A test runs once without a kill, reads [`Failing::points`], and runs again for
//! each of them; what comes after the kill is a new `Failing` over the same store. A commit is all or nothing, so no point
//! lies inside one: where a step commits several times, points lie between. The same plan over the same calls fails in
//! the same places. There is deliberately no delay here: time is an argument of the steps, not of stores.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Item, Key, Store, StoreError, Write};

/// What goes wrong, in calls of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Which of the calls it hits.
    pub seed: u64,
    /// Calls that are throttled: nothing was done.
    pub throttled: u32,
    /// Commits that another was faster than: nothing was done.
    pub conflicting: u32,
    /// Commits that were done and say [`StoreError::Unavailable`].
    pub lost: u32,
    /// The kill point at which the process dies: from then on every call says [`StoreError::Unavailable`].
    pub kill_at: Option<u64>,
}

/// Why a call failed by plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Planned {
    /// The process is dead.
    #[error("the process was killed")]
    Killed,
    /// It was done, and the answer didn't come.
    #[error("the answer was lost")]
    Lost,
}

/// A store that fails by a plan.
pub struct Failing<S> {
    inner: S,
    plan: Plan,
    state: Mutex<State>,
}

struct State {
    points: u64,
    random: u64,
}

impl<S> Failing<S> {
    /// Wraps a store.
    pub fn new(inner: S, plan: Plan) -> Failing<S> {
        Failing { inner, plan, state: Mutex::new(State { points: 0, random: plan.seed }) }
    }

    /// Kill points passed so far; after a kill, one more than the point of the kill.
    pub fn points(&self) -> u64 {
        self.state().points
    }

    /// Whether the planned kill came.
    pub fn is_killed(&self) -> bool {
        self.plan.kill_at.is_some_and(|at| self.points() > at)
    }

    /// The store beneath.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a kill point, or dies there, or is dead already.
    fn pass(&self) -> Result<(), StoreError> {
        if !self.is_killed() {
            self.state().points += 1;
        }
        if self.is_killed() { Err(StoreError::Unavailable(Planned::Killed.into())) } else { Ok(()) }
    }

    /// Whether something of this many calls in a thousand happens to this call.
    fn happens(&self, per_mille: u32) -> bool {
        per_mille > 0 && next(&mut self.state().random) % 1_000 < u64::from(per_mille)
    }

    fn before(&self) -> Result<(), StoreError> {
        self.pass()?;
        if self.happens(self.plan.throttled) { Err(StoreError::Throttled) } else { Ok(()) }
    }
}

/// SplitMix64: a few lines, and good enough to pick calls.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl<S: Store> Store for Failing<S> {
    async fn load(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.before()?;
        self.inner.load(key).await
    }

    async fn list(&self, partition: &str, from: &str, limit: usize) -> Result<Vec<(Key, Item)>, StoreError> {
        self.before()?;
        self.inner.list(partition, from, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.before()?;
        if self.happens(self.plan.conflicting) {
            return Err(StoreError::Conflict);
        }
        self.inner.commit(writes).await?;
        self.pass()?;
        if self.happens(self.plan.lost) { Err(StoreError::Unavailable(Planned::Lost.into())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use pollster::block_on;

    use super::*;
    use crate::store::memory::Memory;
    use crate::store::{Expect, conformance};

    #[test]
    fn without_a_plan_it_conforms() {
        block_on(conformance::all(&Failing::new(Memory::new(), Plan::default())));
    }

    /// Loads, puts, puts: a step of two independent commits.
    async fn step<S: Store>(store: &S) -> Result<(), StoreError> {
        let put = |sort: &str| vec![Write::put(Key::new("p", sort), vec![1], Expect::Any)];
        store.load(&Key::new("p", "a")).await?;
        store.commit(put("a")).await?;
        store.commit(put("b")).await
    }

    #[test]
    fn every_point_of_a_step_can_be_its_end() {
        let whole = Failing::new(Memory::new(), Plan::default());
        block_on(step(&whole)).unwrap();
        let mut said = String::new();
        for at in 0..=whole.points() {
            let memory = Memory::new();
            let store = Failing::new(memory.clone(), Plan { kill_at: Some(at), ..Plan::default() });
            let first = block_on(step(&store)).is_ok();
            let left: Vec<String> = memory.items().into_iter().map(|(key, _)| key.sort).collect();
            let after = if store.is_killed() { block_on(store.load(&Key::new("p", "a"))).is_ok() } else { true };
            said +=
                &format!("{at}: {}, then {}; left {left:?}\n", if first { "done" } else { "killed" }, if after { "alive" } else { "dead" });
        }
        expect![[r#"
            0: killed, then dead; left []
            1: killed, then dead; left []
            2: killed, then dead; left ["a"]
            3: killed, then dead; left ["a"]
            4: killed, then dead; left ["a", "b"]
            5: done, then alive; left ["a", "b"]
        "#]]
        .assert_eq(&said);
    }

    #[test]
    fn a_seed_decides_which_calls_fail() {
        let outcomes = |seed| {
            let store = Failing::new(Memory::new(), Plan { seed, throttled: 200, conflicting: 200, lost: 200, kill_at: None });
            let letters = (0..60).map(|i| {
                let put = vec![Write::put(Key::new("p", i.to_string()), vec![1], Expect::Absent)];
                let answer = block_on(store.commit(put));
                let there = block_on(store.inner().load(&Key::new("p", i.to_string()))).unwrap().is_some();
                match (answer, there) {
                    (Ok(()), true) => '.',
                    (Err(StoreError::Throttled), false) => 't',
                    (Err(StoreError::Conflict), false) => 'c',
                    (Err(StoreError::Unavailable(_)), true) => 'l',
                    other => panic!("{other:?}"),
                }
            });
            letters.collect::<String>()
        };
        assert_eq!(outcomes(1), outcomes(1));
        expect![[r#"
            .lt...lt.l.cc.t.cc..ll...t.tcl.tlt.c.tltltl.t.t..tcc.c....tc
            t....ctt...c.tt.....t..t....c..l...c..ttttlt........lt.tt..l
        "#]]
        .assert_eq(&format!("{}\n{}\n", outcomes(1), outcomes(2)));
    }
}
