//! A window: the set union of the batches that fall into it.
//!
//! The same observations in any order, cut in any way, any number of times, give the same window: rows are united by their
//! identity, subjects by their content, ends by the earlier and the later. Should two observations share an identity and
//! differ (a log line told differently by two feeds, bytes that somebody forged, a collision), the lesser subject and the
//! greater values stay, whatever came first. There is deliberately no entity here: who a session belongs to is `directory`'s
//! to say.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::batch::{Batch, End, Row};
use crate::observe::{Class, Subject};
use crate::time::{Timestamp, WindowId};

/// All that is known of one window, both classes or one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// In order of subject; every subject has at least one row.
    pub subjects: Vec<Folded>,
}

/// The observations of one subject in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Who and what.
    pub subject: Subject<'static>,
    /// The earliest.
    pub first: End,
    /// The latest.
    pub last: End,
    /// The values of each, in order of identity; see [`Row::values`].
    pub values: Vec<[u16; 2]>,
}

impl Folded {
    /// How many.
    pub fn count(&self) -> u64 {
        self.values.len() as u64
    }
}

/// An instant of a window.
pub fn moment(window: WindowId, end: &End) -> Timestamp {
    window.start().plus_ms(i64::from(end.offset_ms))
}

/// Unites batches of one window and class. Gives the batch that holds them all and the number of records that were
/// there more than once.
pub fn unite(window: Option<WindowId>, class: Class, batches: Vec<Batch>) -> (Batch, u64) {
    if let [one] = &batches[..]
        && !repeats(one)
    {
        return (batches.into_iter().next().unwrap_or_else(|| empty(window, class)), 0);
    }
    let mut all = empty(window, class);
    let mut numbers: HashMap<Subject<'static>, u32> = HashMap::new();
    let mut rows: Vec<Row> = Vec::with_capacity(batches.iter().map(|b| b.rows.len()).sum());
    for batch in batches {
        let mut renumbered = Vec::with_capacity(batch.entries.len());
        for entry in batch.entries {
            let number = *numbers.entry(entry.subject.clone()).or_insert(all.entries.len() as u32);
            match all.entries.get_mut(number as usize) {
                None => all.entries.push(entry),
                Some(known) => {
                    known.first = entry.first.min(known.first.clone());
                    known.last = entry.last.max(known.last.clone());
                }
            }
            renumbered.push(number);
        }
        rows.extend(batch.rows.iter().filter_map(|r| Some(Row { subject: *renumbered.get(r.subject as usize)?, ..*r })));
    }
    let before = rows.iter().filter(|r| r.is_primary()).count() as u64;
    in_order(&mut all, rows);
    let duplicates = before.saturating_sub(all.records());
    (all, duplicates)
}

/// Whether two rows of a batch share an identity, which a packer leaves to be settled here.
fn repeats(batch: &Batch) -> bool {
    let mut identities: Vec<u64> = batch.rows.iter().map(|r| r.identity).collect();
    identities.sort_unstable();
    identities.windows(2).any(|w| w[0] == w[1])
}

fn empty(window: Option<WindowId>, class: Class) -> Batch {
    Batch { window, class, entries: Vec::new(), rows: Vec::new() }
}

/// Sorts subjects, drops rows that repeat an identity and subjects that lost all their rows.
fn in_order(all: &mut Batch, mut rows: Vec<Row>) {
    let mut order: Vec<u32> = (0..all.entries.len() as u32).collect();
    order.sort_by(|&a, &b| all.entries[a as usize].subject.cmp(&all.entries[b as usize].subject));
    let mut rank = vec![0u32; order.len()];
    order.iter().enumerate().for_each(|(i, &number)| rank[number as usize] = i as u32);
    rows.iter_mut().for_each(|r| r.subject = rank[r.subject as usize]);
    rows.sort_unstable_by_key(|r| (r.identity, r.subject, Reverse(r.values)));
    rows.dedup_by_key(|r| r.identity);
    rows.sort_unstable();
    let mut entries: Vec<Option<_>> = std::mem::take(&mut all.entries).into_iter().map(Some).collect();
    let mut last = None;
    for row in &mut rows {
        if last != Some(row.subject) {
            last = Some(row.subject);
            all.entries.extend(entries[order[row.subject as usize] as usize].take());
        }
        row.subject = (all.entries.len() - 1) as u32;
    }
    all.rows = rows;
}

impl Window {
    /// Adds the united batch of one class.
    pub fn add(&mut self, batch: Batch) {
        let mut rows = batch.rows.chunk_by(|a, b| a.subject == b.subject);
        for entry in batch.entries {
            let Some(rows) = rows.next() else { break };
            let values = rows.iter().map(|r| r.values).collect();
            self.subjects.push(Folded { subject: entry.subject, first: entry.first, last: entry.last, values });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{HashKey, Packer};
    use crate::limits::NAME_BYTES_MAX;
    use crate::observe::{Actor, Identity, Observation, What};
    use proptest::prelude::*;

    fn packed(events: &[(u8, u8)]) -> Vec<Batch> {
        packed_with(events, f64::from)
    }

    fn packed_with(events: &[(u8, u8)], value: impl Fn(u8) -> f64) -> Vec<Batch> {
        let mut packer = Packer::new(HashKey([1; 16]));
        for (id, who) in events {
            packer.add(&Observation {
                subject: Subject {
                    class: Class::Trail,
                    account: "1".into(),
                    actor: Actor::Principal(who.to_string().into()),
                    what: What::Run,
                },
                time: Timestamp::from_ms(1_700_000_000_000 + i64::from(*id)),
                identity: Identity { id: &[*id], ordinal: 0, scope: b"", primary: true },
                event_id: "x",
                values: [value(*id), 0.0],
            });
        }
        packer.finish().0
    }

    /// Whoever may write a record may write another's event id into it, and any bytes.
    #[test]
    fn a_planted_record_takes_nothing_away() {
        let genuine = || packed_with(&[(1, 5)], |_| 1e6);
        let window = genuine()[0].window;
        for planted in [packed(&[(1, 1)]), packed(&[(1, 9)]), packed_with(&[(1, 5)], |_| 0.0)] {
            for parts in [[genuine(), planted.clone()].concat(), [planted, genuine()].concat()] {
                let rows = unite(window, Class::Trail, parts).0.rows;
                assert!(rows.iter().any(|r| r.identity == genuine()[0].rows[0].identity && r.values == genuine()[0].rows[0].values));
            }
        }
    }

    /// Names that nobody has are cut, and calls under them are still as many.
    #[test]
    fn long_names_are_cut_and_counted() {
        let name = |end: &str| "é".repeat(NAME_BYTES_MAX) + end;
        let mut packer = Packer::new(HashKey([1; 16]));
        for (id, who) in [name("a"), name("b"), name("a")].iter().enumerate() {
            let subject = Subject { class: Class::Trail, account: "1".into(), actor: Actor::Principal(who.into()), what: What::Run };
            let time = Timestamp::from_ms(1_700_000_000_000);
            let identity = Identity { id: &[id as u8], ordinal: 0, scope: b"", primary: true };
            packer.add(&Observation { subject, time, identity, event_id: "x", values: [0.0; 2] });
        }
        let batch = packer.finish().0.remove(0);
        let again = Batch::decode(&batch.encode()).unwrap();
        assert_eq!((again.rows.len(), &again), (3, &batch));
        assert!(batch.entries.iter().all(|e| matches!(&e.subject.actor, Actor::Principal(id) if id.len() == NAME_BYTES_MAX)));
        assert_eq!(unite(batch.window, Class::Trail, vec![batch.clone(), again]).0.entries.len(), 1);
    }

    proptest! {
        /// An event is told by one subject alone, so the subject follows from the id.
        #[test]
        fn cuts_orders_and_duplicates_make_no_difference(ids in proptest::collection::vec(any::<u8>(), 1..40), cut in 0usize..40, twice in 0usize..40) {
            let events: Vec<(u8, u8)> = ids.iter().map(|&i| (i, i % 3)).collect();
            let window = packed(&events)[0].window;
            let whole = unite(window, Class::Trail, packed(&events)).0;
            let (a, b) = events.split_at(cut.min(events.len()));
            let again = &events[twice.min(events.len())..];
            let parts = [b, again, a].iter().flat_map(|p| packed(p)).collect();
            let (united, duplicates) = unite(window, Class::Trail, parts);
            prop_assert_eq!(&united, &whole);
            prop_assert_eq!(united.encode(), whole.encode());
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(united.rows.len(), distinct.len());
            prop_assert!(duplicates as usize <= events.len() + again.len() - distinct.len());
        }
    }
}
