//! The stored form of a batch.
//!
//! Names stand once, in a table; subjects are numbers into it. Reading checks every number against what is there: stored
//! bytes may be damaged, and a damaged item is an error that names itself, never a panic.

use std::borrow::Cow;
use std::collections::HashMap;

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::{Batch, End, Entry, EventId, IDENTITY_BITS, Row, UNTIMED};
use crate::limits::BATCH_INFLATED_BYTES_MAX;
use crate::observe::{Actor, ChangeKind, Class, Outcome, Subject, Target, What};
use crate::stored::StoredError;
use crate::time::WindowId;
use crate::varint::{Reader, put, put_bytes};

/// The format of all that is not deflated.
const FORMAT: u64 = 3;
/// Before the inflated length and the deflated bytes of the other.
const DEFLATED: u64 = 4;
/// Of libdeflate's levels the last before its slow ones: a batch has some kilobytes.
const LEVEL: i32 = 9;

impl Batch {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut names = Names::default();
        let mut subjects = Vec::new();
        for entry in &self.entries {
            put_subject(&mut subjects, &entry.subject, &mut names);
            put_end(&mut subjects, &entry.first, None);
            put_end(&mut subjects, &entry.last, Some(&entry.first.event));
        }
        let mut out = Vec::with_capacity(subjects.len() + self.rows.len() * 8 + 64);
        put(&mut out, FORMAT);
        put(&mut out, u64::from(self.window.map_or(UNTIMED, |w| w.0)));
        put(&mut out, u64::from(self.class == Class::Trail));
        put(&mut out, names.list.len() as u64);
        names.list.iter().for_each(|n| put_bytes(&mut out, n.as_bytes()));
        put(&mut out, self.entries.len() as u64);
        out.extend_from_slice(&subjects);
        let mut before = 0;
        for row in &self.rows {
            let values = u64::from(row.values[0] != 0) | u64::from(row.values[1] != 0) << 1;
            put(&mut out, u64::from(row.subject - before) << 2 | values);
            before = row.subject;
            out.extend_from_slice(&row.identity.to_le_bytes()[..IDENTITY_BITS as usize / 8]);
            row.values.iter().filter(|&&v| v != 0).for_each(|&v| put(&mut out, u64::from(v)));
        }
        out
    }

    /// Reads what [`Batch::encode`] or [`deflated`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Batch, StoredError> {
        let mut reader = Reader(bytes);
        match reader.get() {
            Some(FORMAT) => decode(&mut reader).ok_or(StoredError::Damaged),
            Some(DEFLATED) => {
                let plain = inflate(&mut reader).ok_or(StoredError::Damaged)?;
                let mut reader = Reader(&plain);
                reader.get().filter(|format| *format == FORMAT).and_then(|_| decode(&mut reader)).ok_or(StoredError::Damaged)
            }
            Some(other) => Err(StoredError::Format(other)),
            None => Err(StoredError::Damaged),
        }
    }
}

/// What [`Batch::encode`] wrote, for where a table bills it by the kilobyte: names are most of a batch, and shrink to a quarter.
pub fn deflated(plain: Vec<u8>) -> Vec<u8> {
    let level = CompressionLvl::new(LEVEL).unwrap_or_default();
    let mut out = Vec::new();
    put(&mut out, DEFLATED);
    put(&mut out, plain.len() as u64);
    let head = out.len();
    let mut compressor = Compressor::new(level);
    out.resize(head + compressor.deflate_compress_bound(plain.len()), 0);
    match out.get_mut(head..).map(|rest| compressor.deflate_compress(&plain, rest)) {
        Some(Ok(n)) if head + n < plain.len() => {
            out.truncate(head + n);
            out
        }
        _ => plain,
    }
}

fn inflate(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let len = usize::try_from(reader.get()?).ok().filter(|len| *len <= BATCH_INFLATED_BYTES_MAX)?;
    let mut plain = vec![0; len];
    let n = Decompressor::new().deflate_decompress(reader.0, &mut plain).ok()?;
    (n == len).then_some(plain)
}

fn decode(reader: &mut Reader<'_>) -> Option<Batch> {
    let window = reader.u32()?;
    let class = if reader.get()? == 1 { Class::Trail } else { Class::Logs };
    let mut names = Vec::new();
    for _ in 0..reader.get()? {
        names.push(reader.str()?);
    }
    let mut entries = Vec::new();
    for _ in 0..reader.get()? {
        let subject = subject(reader, &names, class)?;
        let first = end(reader, None)?;
        let last = end(reader, Some(&first.event))?;
        entries.push(Entry { subject, first, last });
    }
    let mut rows = Vec::new();
    let mut before = 0u32;
    while !reader.is_empty() {
        let head = reader.get()?;
        let subject = before.checked_add((head >> 2).try_into().ok()?)?;
        before = subject;
        if subject as usize >= entries.len() {
            return None;
        }
        let mut identity = [0; 8];
        identity[..IDENTITY_BITS as usize / 8].copy_from_slice(reader.take(IDENTITY_BITS as usize / 8)?);
        let mut value = |bit: u64| if head & bit != 0 { reader.get()?.try_into().ok() } else { Some(0) };
        rows.push(Row { subject, identity: u64::from_le_bytes(identity), values: [value(1)?, value(2)?] });
    }
    Some(Batch { window: (window != UNTIMED).then_some(WindowId(window)), class, entries, rows })
}

#[derive(Default)]
struct Names<'a> {
    numbers: HashMap<&'a str, u64>,
    list: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn put(&mut self, out: &mut Vec<u8>, name: &'a str) {
        let number = *self.numbers.entry(name).or_insert_with(|| {
            self.list.push(name);
            (self.list.len() - 1) as u64
        });
        put(out, number);
    }
}

/// One end; `known`: the event of the other, which is the same for all that happened once.
fn put_end(out: &mut Vec<u8>, end: &End, known: Option<&EventId>) {
    put(out, u64::from(end.offset_ms));
    match &end.event {
        same if known == Some(same) => put(out, 3),
        EventId::None => put(out, 0),
        EventId::Uuid(bytes) => {
            put(out, 1);
            out.extend_from_slice(bytes);
        }
        EventId::Text(text) => {
            put(out, 2);
            put_bytes(out, text.as_bytes());
        }
    }
}

fn end(reader: &mut Reader<'_>, known: Option<&EventId>) -> Option<End> {
    let offset_ms = reader.u32()?;
    let event = match reader.get()? {
        0 => EventId::None,
        1 => EventId::Uuid(reader.take(16)?.try_into().ok()?),
        2 => EventId::Text(reader.str()?.to_owned()),
        3 => known?.clone(),
        _ => return None,
    };
    Some(End { offset_ms, event })
}

fn put_subject<'a>(out: &mut Vec<u8>, subject: &'a Subject<'_>, names: &mut Names<'a>) {
    names.put(out, &subject.account);
    put_actor(out, &subject.actor, names);
    match &subject.what {
        What::Seen => put(out, 0),
        What::Invocation { memory_mb } => {
            put(out, 1);
            put(out, u64::from(*memory_mb));
        }
        What::Run => put(out, 2),
        What::Failure => put(out, 3),
        What::Throttle => put(out, 4),
        What::Line => put(out, 5),
        What::Dropped => put(out, 6),
        What::Flow { service, action, target, outcome, data } => {
            put(out, 7);
            names.put(out, service);
            names.put(out, action);
            put(out, *outcome as u64 | u64::from(target.is_some()) << 2 | u64::from(*data) << 3);
            target.iter().for_each(|t| put_target(out, t, names));
        }
        What::Change { kind, target, role, stack, grants } => {
            put(out, 8);
            put(out, *kind as u64);
            put_target(out, target, names);
            names.put(out, role);
            names.put(out, stack);
            put(out, grants.len() as u64);
            grants.iter().for_each(|t| put_target(out, t, names));
        }
        What::Binding { role } => {
            put(out, 9);
            names.put(out, role);
        }
    }
}

fn put_actor<'a>(out: &mut Vec<u8>, actor: &'a Actor<'_>, names: &mut Names<'a>) {
    match actor {
        Actor::Function(arn) => {
            put(out, 0);
            names.put(out, arn);
        }
        Actor::Named { account, region, name, assumed } => {
            put(out, 1 + u64::from(*assumed));
            names.put(out, account);
            names.put(out, region);
            names.put(out, name);
        }
        Actor::Session { role, session } => {
            put(out, 3);
            names.put(out, role);
            names.put(out, session);
        }
        Actor::Principal(id) => {
            put(out, 4);
            names.put(out, id);
        }
        Actor::Source(id) => {
            put(out, 5);
            names.put(out, id);
        }
        Actor::Service(id) => {
            put(out, 6);
            names.put(out, id);
        }
    }
}

fn put_target<'a>(out: &mut Vec<u8>, target: &'a Target<'_>, names: &mut Names<'a>) {
    names.put(out, &target.kind);
    names.put(out, &target.name);
    names.put(out, &target.account);
}

type Name = Cow<'static, str>;

fn name(reader: &mut Reader<'_>, names: &[&str]) -> Option<Name> {
    let number: usize = reader.get()?.try_into().ok()?;
    Some(Cow::Owned((*names.get(number)?).to_owned()))
}

fn target(reader: &mut Reader<'_>, names: &[&str]) -> Option<Target<'static>> {
    Some(Target { kind: name(reader, names)?, name: name(reader, names)?, account: name(reader, names)? })
}

fn subject(reader: &mut Reader<'_>, names: &[&str], class: Class) -> Option<Subject<'static>> {
    let account = name(reader, names)?;
    let actor = match reader.get()? {
        0 => Actor::Function(name(reader, names)?),
        tag @ (1 | 2) => {
            Actor::Named { account: name(reader, names)?, region: name(reader, names)?, name: name(reader, names)?, assumed: tag == 2 }
        }
        3 => Actor::Session { role: name(reader, names)?, session: name(reader, names)? },
        4 => Actor::Principal(name(reader, names)?),
        5 => Actor::Source(name(reader, names)?),
        6 => Actor::Service(name(reader, names)?),
        _ => return None,
    };
    Some(Subject { class, account, actor, what: what(reader, names)? })
}

fn what(reader: &mut Reader<'_>, names: &[&str]) -> Option<What<'static>> {
    Some(match reader.get()? {
        0 => What::Seen,
        1 => What::Invocation { memory_mb: reader.u32()? },
        2 => What::Run,
        3 => What::Failure,
        4 => What::Throttle,
        5 => What::Line,
        6 => What::Dropped,
        7 => {
            let (service, action, bits) = (name(reader, names)?, name(reader, names)?, reader.get()?);
            let target = if bits & 4 != 0 { Some(target(reader, names)?) } else { None };
            What::Flow { service, action, target, outcome: OUTCOMES[(bits & 3) as usize], data: bits & 8 != 0 }
        }
        8 => {
            let kind = *CHANGES.get(usize::try_from(reader.get()?).ok()?)?;
            let (target_of, role, stack) = (target(reader, names)?, name(reader, names)?, name(reader, names)?);
            let mut grants = Vec::new();
            for _ in 0..reader.get()? {
                grants.push(target(reader, names)?);
            }
            What::Change { kind, target: target_of, role, stack, grants }
        }
        9 => What::Binding { role: name(reader, names)? },
        _ => return None,
    })
}

/// In the order of their numbers, which are part of the format.
const OUTCOMES: [Outcome; 4] = [Outcome::Ok, Outcome::Denied, Outcome::Throttled, Outcome::Failed];
const CHANGES: [ChangeKind; 13] = [
    ChangeKind::Created,
    ChangeKind::Code,
    ChangeKind::Configuration,
    ChangeKind::Permission,
    ChangeKind::Layer,
    ChangeKind::Url,
    ChangeKind::Concurrency,
    ChangeKind::Version,
    ChangeKind::EventSource,
    ChangeKind::Deleted,
    ChangeKind::Role,
    ChangeKind::Policy,
    ChangeKind::Resource,
];

#[cfg(test)]
mod tests {
    use super::super::{HashKey, Packer, bucket, bucket_value};
    use super::*;
    use crate::observe::{Identity, Observation};
    use crate::time::Timestamp;
    use expect_test::expect;
    use proptest::prelude::*;

    fn observation(minute: i64, n: u8, name: &str) -> Observation<'_> {
        let target = Target { kind: "bucket".into(), name: name.into(), account: "".into() };
        let what = match n % 4 {
            0 => What::Seen,
            1 => What::Invocation { memory_mb: u32::from(n) },
            2 => {
                let (service, action) = ("s3".into(), "GetObject".into());
                What::Flow { service, action, target: Some(target), outcome: Outcome::Denied, data: n > 100 }
            }
            _ => What::Change {
                kind: ChangeKind::Resource,
                target: target.clone(),
                role: "".into(),
                stack: name.into(),
                grants: vec![target],
            },
        };
        Observation {
            subject: Subject {
                class: if n.is_multiple_of(2) { Class::Trail } else { Class::Logs },
                account: "1".into(),
                actor: Actor::Session { role: "r".into(), session: name.into() },
                what,
            },
            time: Timestamp::from_ms(1_700_000_000_000 + minute * 60_000),
            identity: Identity { id: name.as_bytes(), ordinal: u64::from(n), scope: b"", primary: true },
            event_id: "0451b1de-e314-437f-a18d-827565e02bc9",
            values: [f64::from(n), 0.0],
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(all in proptest::collection::vec((0i64..20, any::<u8>(), "[a-c]"), 0..60)) {
            let mut packer = Packer::new(HashKey([7; 16]));
            all.iter().for_each(|(minute, n, name)| packer.add(&observation(*minute, *n, name)));
            for batch in packer.finish().0 {
                let small = Batch::decode(&deflated(batch.encode()));
                prop_assert_eq!(small.as_ref(), Ok(&batch));
                prop_assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
            }
        }

        #[test]
        fn damaged_bytes_never_panic(mut bytes: Vec<u8>, first in 0u8..6) {
            bytes.insert(0, first);
            let _ = Batch::decode(&bytes);
        }

        #[test]
        fn damaged_batches_never_panic(at: u16, bit in 0u8..8) {
            let mut packer = Packer::new(HashKey([7; 16]));
            (0..40).for_each(|n| packer.add(&observation(1, n, "a")));
            for batch in packer.finish().0 {
                for mut bytes in [batch.encode(), deflated(batch.encode())] {
                    let at = at as usize % bytes.len();
                    bytes[at] ^= 1 << bit;
                    let _ = Batch::decode(&bytes);
                }
            }
        }
    }

    /// One of each: a variant that is missing here doesn't compile.
    fn every_what() -> Vec<What<'static>> {
        let target = |kind: &'static str| Target { kind: kind.into(), name: "n".into(), account: "2".into() };
        let flow = |target, outcome, data| What::Flow { service: "s3".into(), action: "Get".into(), target, outcome, data };
        let change = |kind| What::Change { kind, target: target("t"), role: "r".into(), stack: "s".into(), grants: vec![target("g")] };
        let mut all = vec![What::Seen];
        while let Some(last) = all.last() {
            all.extend(match last {
                What::Seen => vec![What::Invocation { memory_mb: 1_024 }],
                What::Invocation { .. } => vec![What::Run],
                What::Run => vec![What::Failure],
                What::Failure => vec![What::Throttle],
                What::Throttle => vec![What::Line],
                What::Line => vec![What::Dropped],
                What::Dropped => OUTCOMES
                    .map(|outcome| flow(Some(target("b")), outcome, false))
                    .into_iter()
                    .chain([flow(None, Outcome::Ok, true)])
                    .collect(),
                What::Flow { .. } => CHANGES.map(change).to_vec(),
                What::Change { .. } => vec![What::Binding { role: "r".into() }],
                What::Binding { .. } => break,
            });
        }
        all
    }

    fn every_actor() -> Vec<Actor<'static>> {
        let named = |assumed| Actor::Named { account: "1".into(), region: "eu".into(), name: "f".into(), assumed };
        let mut all = vec![Actor::Function("a:f".into())];
        while let Some(last) = all.last() {
            all.extend(match last {
                Actor::Function(_) => vec![named(false), named(true)],
                Actor::Named { .. } => vec![Actor::Session { role: "r".into(), session: "s".into() }],
                Actor::Session { .. } => vec![Actor::Principal("p".into())],
                Actor::Principal(_) => vec![Actor::Source("q".into())],
                Actor::Source(_) => vec![Actor::Service("v".into())],
                Actor::Service(_) => break,
            });
        }
        all
    }

    /// Whoever changes these bytes raises [`FORMAT`].
    #[test]
    fn the_layout_stays_as_it_is() {
        let (whats, actors) = (every_what(), every_actor());
        let events = [EventId::None, EventId::Uuid([0xab; 16]), EventId::Text("e".to_owned())];
        let entry = |n: usize| Entry {
            subject: Subject { class: Class::Trail, account: "1".into(), actor: actors[n % actors.len()].clone(), what: whats[n].clone() },
            first: End { offset_ms: 300 * n as u32, event: events[n % 3].clone() },
            last: End { offset_ms: 400 * n as u32, event: events[n % 2].clone() },
        };
        let row = |n: usize| Row { subject: n as u32, identity: 0x12_3456_7800 + n as u64, values: [n as u16 % 2, n as u16 % 3 * 100] };
        let batch = Batch {
            window: Some(WindowId(5_800_000)),
            class: Class::Trail,
            entries: (0..whats.len()).map(entry).collect(),
            rows: (0..whats.len()).map(row).collect(),
        };
        let hex: String = batch.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        expect!["03c080e2020110013103613a66026575016601720173017001710176027333034765740162016e0132017401671a00000100000000030001000203018008ac0201abababababababababababababababab900303000200020302d804020165a006000003040503840700b00901abababababababababababababababab00040604b00901ababababababababababababababababc00c0000050705dc0b020165d00f01abababababababababababababababab00060806880e00e0120300000107090a040b0c0db41001ababababababababababababababababf01503000100020307090a050b0c0de012020165801900000200020307090a060b0c0d8c1500901c01abababababababababababababababab0003040507090a070b0c0db81701ababababababababababababababababa01f0000040607090a08e419020165b02201abababababababababababababababab00050708000e0c0d0405010f0c0d901c00c0250300060808010e0c0d0405010f0c0dbc1e01ababababababababababababababababd0280300000108020e0c0d0405010f0c0de820020165e02b00000100020308030e0c0d0405010f0c0d942300f02e01abababababababababababababababab000200020308040e0c0d0405010f0c0dc02501abababababababababababababababab8032000003040508050e0c0d0405010f0c0dec27020165903501abababababababababababababababab00040608060e0c0d0405010f0c0d982a00a0380300050708070e0c0d0405010f0c0dc42c01ababababababababababababababababb03b0300060808080e0c0d0405010f0c0df02e020165c03e0000000108090e0c0d0405010f0c0d9c3100d04101abababababababababababababababab0001000203080a0e0c0d0405010f0c0dc83301ababababababababababababababababe044000002000203080b0e0c0d0405010f0c0df435020165f04701abababababababababababababababab00030405080c0e0c0d0405010f0c0da03800804b030004060904cc3a01abababababababababababababababab904e030000785634120701785634120164060278563412c801050378563412010604785634126407057856341201c8010406785634120707785634120164060878563412c80105097856341201060a7856341264070b7856341201c801040c78563412070d785634120164060e78563412c801050f78563412010610785634126407117856341201c8010412785634120713785634120164061478563412c801051578563412010616785634126407177856341201c8010418785634120719785634120164"].assert_eq(&hex);
        assert_eq!(Batch::decode(&batch.encode()), Ok(batch.clone()));
        let untimed = Batch { window: None, class: Class::Logs, entries: Vec::new(), rows: Vec::new() };
        assert_eq!(untimed.encode(), [3, 0xff, 0xff, 0xff, 0xff, 0xf, 0, 0, 0]);
        let small = deflated(batch.encode());
        let mut head = Reader(&small);
        assert_eq!((head.get(), head.get()), (Some(DEFLATED), Some(batch.encode().len() as u64)));
        assert_eq!(inflate(&mut Reader(&small[1..])), Some(batch.encode()));
    }

    #[test]
    fn newer_formats_are_refused() {
        assert_eq!(Batch::decode(&[5]), Err(StoredError::Format(5)));
    }

    #[test]
    fn buckets_are_within_three_per_cent() {
        for v in (0..100).chain((7..40).map(|p| (1u64 << p) + 3)) {
            let middle = bucket_value(bucket(v as f64));
            assert!((middle - v as f64).abs() <= 0.035 * v as f64, "{v} {middle}");
        }
    }
}
