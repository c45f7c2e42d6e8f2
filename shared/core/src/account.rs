//! What is normal in one AWS account, and the judgement of its windows against it.
//!
//! New flows are compared with the whole account's: targets, groups, grants, shares, scores. All entities of a window are
//! judged against the account as it stood before that window; then it moves on. Functions and other principals have
//! numbers of their own. There is deliberately no store here: the caller lends the baselines of the entities concerned.

mod flows;
mod judge;
mod unanswered;

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

pub use judge::{Judgement, Judging};

use unanswered::{Key, Unanswered};

use crate::detect::rate::Peers;
use crate::detect::{new_flow, together};
use crate::entity::{Entity, EntityKind};
use crate::facts::FlowFact;
use crate::limits::{DATA_SERVICES_MAX, GAPS_MAX, STACKS_MAX};
use crate::stored::{StoredError, from_cbor};
use crate::time::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR, WindowId};

/// Windows without a single record of the account after which its feeds count as missing, not its functions as silent: two
/// days. Until then the silence is judged.
const GAP_WINDOWS: u32 = 2 * WINDOWS_PER_DAY;
/// Windows between a baseline's logs and those to judge from which they count as a gap: an hour.
const SKIPPED_LEAST_WINDOWS: u32 = WINDOWS_PER_HOUR;

/// What is normal in one AWS account.
#[derive(Clone, Debug)]
pub struct Account {
    first: WindowId,
    last: WindowId,
    functions: Kind,
    principals: Kind,
    /// Stack tags of resources, by target.
    stacks: BTreeMap<String, String>,
    /// Functions that had a low score in the last six hours.
    low: BTreeSet<String>,
    gaps: Vec<(WindowId, WindowId)>,
    /// Windows in gaps, those that are no longer remembered included.
    skipped: u32,
    /// The last window with the log of a function, and the gaps between such windows: what logs tell is judged only as far
    /// as logs are there, whatever the trail tells.
    logs_last: Option<WindowId>,
    log_gaps: Vec<(WindowId, WindowId)>,
    /// A record of CloudTrail was seen: without one, nobody knows what was changed.
    trail: bool,
    /// Since when data events of each service are there: they are switched on by themselves, often weeks after the trail, and
    /// what they show first is not new but newly seen.
    data_since: BTreeMap<String, Since>,
    /// What was left out at a bound.
    cut: u64,
}

/// A beginning within the logs of an account.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Since {
    window: WindowId,
    /// Days of logs before it, without the gaps.
    day: f64,
}

/// What entities of one kind share.
#[derive(Clone, Debug, Default)]
struct Kind {
    flows: new_flow::Account,
    peers: Peers,
    unanswered: Unanswered,
    /// Of those, the ones that are learnt at the end of this window.
    aged: Vec<Key>,
}

/// The format of an account's stored form.
const FORMAT: u8 = 2;

/// The stored form.
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    format: u8,
    #[n(1)]
    windows: [u32; 2],
    #[cbor(n(2), with = "minicbor::bytes")]
    function_flows: Vec<u8>,
    #[cbor(n(3), with = "minicbor::bytes")]
    function_peers: Vec<u8>,
    #[cbor(n(4), with = "minicbor::bytes")]
    principal_flows: Vec<u8>,
    #[cbor(n(5), with = "minicbor::bytes")]
    principal_peers: Vec<u8>,
    #[n(6)]
    stacks: BTreeMap<String, String>,
    #[n(7)]
    low: BTreeSet<String>,
    #[n(8)]
    gaps: Vec<[u32; 2]>,
    #[n(9)]
    skipped: u32,
    #[n(10)]
    logs_last: Option<u32>,
    #[n(11)]
    log_gaps: Vec<[u32; 2]>,
    #[n(12)]
    data_since: BTreeMap<String, (u32, f64)>,
    #[n(13)]
    unanswered: [Unanswered; 2],
    #[n(14)]
    cut: u64,
    #[n(15)]
    trail: bool,
}

impl Account {
    /// An account whose first record falls into this window.
    pub fn new(first: WindowId) -> Account {
        Account {
            first,
            last: first,
            functions: Kind::default(),
            principals: Kind::default(),
            stacks: BTreeMap::new(),
            low: BTreeSet::new(),
            gaps: Vec::new(),
            skipped: 0,
            logs_last: None,
            log_gaps: Vec::new(),
            trail: false,
            data_since: BTreeMap::new(),
            cut: 0,
        }
    }

    /// The window of its first record.
    pub fn first(&self) -> WindowId {
        self.first
    }

    /// The last window that brought a record.
    pub fn last(&self) -> WindowId {
        self.last
    }

    /// Runs of windows without a record, in which nothing was judged or learnt.
    pub fn gaps(&self) -> &[(WindowId, WindowId)] {
        &self.gaps
    }

    /// Days since the first record, without the gaps.
    pub fn days(&self, window: WindowId) -> f64 {
        f64::from(window.0.saturating_sub(self.first.0).saturating_sub(self.skipped)) / f64::from(WINDOWS_PER_DAY)
    }

    /// Where judging of windows without records must end before `window` is judged: the beginning of a gap, if there is one.
    pub fn quiet_until(&self, window: WindowId) -> WindowId {
        WindowId(window.0.min(self.last.0.saturating_add(GAP_WINDOWS)))
    }

    /// Notes that the logs of a baseline end with the last window and others begin with this one: nobody was silent in
    /// between, the logs were. Shorter than an hour it is the same stretch of logs.
    pub fn skip_to(&mut self, window: WindowId) {
        let from = WindowId(self.last.0.saturating_add(1));
        if window.0.saturating_sub(from.0) >= SKIPPED_LEAST_WINDOWS {
            self.add_gap(from, window);
        }
    }

    fn add_gap(&mut self, from: WindowId, to: WindowId) {
        for gaps in [&mut self.gaps, &mut self.log_gaps] {
            self.cut = self.cut.saturating_add(remember_gap(gaps, (from, to)));
        }
        self.skipped = self.skipped.saturating_add(to.0 - from.0);
    }

    /// A window with the log of a function begins to be judged.
    fn arrive_logs(&mut self, window: WindowId) {
        let gap = WindowId(self.logs_last.map_or(window.0, |last| last.0.saturating_add(GAP_WINDOWS)));
        if gap < window && self.log_gaps.last().is_none_or(|last| last.1 < window) {
            self.cut = self.cut.saturating_add(remember_gap(&mut self.log_gaps, (gap, window)));
        }
        self.logs_last = self.logs_last.max(Some(window));
    }

    /// The window behind the last with the log of a function.
    pub fn logs_end(&self) -> WindowId {
        WindowId(self.logs_last.map_or(0, |last| last.0.saturating_add(1)))
    }

    /// Data events of a service are there in a window. Those of the first day were there from the beginning.
    fn arrive_data(&mut self, window: WindowId, service: &str) {
        let day = Some(self.days(window)).filter(|day| *day >= 1.0).unwrap_or(0.0);
        let full = self.data_since.len() >= DATA_SERVICES_MAX;
        match self.data_since.get_mut(service) {
            Some(since) if since.window <= window => {}
            Some(since) => *since = Since { window, day },
            None if full => self.cut = self.cut.saturating_add(1),
            None => {
                self.data_since.insert(service.to_owned(), Since { window, day });
            }
        }
    }

    /// Since when flows like this one are seen at all; nothing where that is since the account's beginning.
    fn seen_since(&self, flow: &FlowFact) -> Option<Since> {
        self.data_since.get(&flow.service).filter(|since| flow.data && since.day > 0.0).copied()
    }

    /// Services whose data events began after the account's first day, each with its first window.
    pub fn late_data(&self) -> impl Iterator<Item = (&str, WindowId)> {
        self.data_since.iter().filter(|(_, since)| since.day > 0.0).map(|(service, since)| (service.as_str(), since.window))
    }

    /// A window with a record of the account begins to be judged.
    fn arrive(&mut self, window: WindowId) {
        let gap = self.quiet_until(window);
        if gap < window && self.gaps.last().is_none_or(|last| last.1 < window) {
            self.add_gap(gap, window);
        }
        self.last = self.last.max(window);
        self.functions.flows.pass_time(self.days(window));
        self.principals.flows.pass_time(self.days(window));
    }

    fn kind(&self, entity: &Entity) -> &Kind {
        if entity.kind == EntityKind::Function { &self.functions } else { &self.principals }
    }

    fn kind_mut(&mut self, entity: &Entity) -> &mut Kind {
        if entity.kind == EntityKind::Function { &mut self.functions } else { &mut self.principals }
    }

    fn remember_stack(&mut self, target: String, stack: &str) {
        if stack.is_empty() {
            return;
        }
        if self.stacks.len() < STACKS_MAX || self.stacks.contains_key(&target) {
            self.stacks.insert(target, stack.to_owned());
        } else {
            self.cut = self.cut.saturating_add(1);
        }
    }

    /// Whether so many other functions are low that this one's low volume is the account's news.
    fn is_low_without(&self, entity: &Entity) -> bool {
        let others = self.low.len() - usize::from(self.low.contains(&entity.id));
        together::is_news(others, self.functions.flows.len())
    }

    /// What was left out at a bound since the account began: flows, names, permissions, gaps and the like, each time it came.
    pub fn cut(&self) -> u64 {
        let of = |kind: &Kind| kind.flows.overflow().total().saturating_add(kind.unanswered.cut());
        self.cut.saturating_add(of(&self.functions)).saturating_add(of(&self.principals))
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            format: FORMAT,
            windows: [self.first.0, self.last.0],
            function_flows: self.functions.flows.encode(),
            function_peers: self.functions.peers.encode(),
            principal_flows: self.principals.flows.encode(),
            principal_peers: self.principals.peers.encode(),
            stacks: self.stacks.clone(),
            low: self.low.clone(),
            skipped: self.skipped,
            gaps: self.gaps.iter().map(|g| [g.0.0, g.1.0]).collect(),
            logs_last: self.logs_last.map(|w| w.0),
            log_gaps: self.log_gaps.iter().map(|g| [g.0.0, g.1.0]).collect(),
            data_since: self.data_since.iter().map(|(service, since)| (service.clone(), (since.window.0, since.day))).collect(),
            unanswered: [self.functions.unanswered.clone(), self.principals.unanswered.clone()],
            cut: self.cut,
            trail: self.trail,
        };
        // Encoding into memory can't fail.
        minicbor::to_vec(stored).unwrap_or_default()
    }

    /// Reads what [`Account::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Account, StoredError> {
        let s: Stored = from_cbor(bytes, FORMAT)?;
        let kind = |flows: &[u8], peers: &[u8], unanswered| {
            let (flows, peers) = (new_flow::Account::decode(flows)?, Peers::decode(peers)?);
            Ok::<_, StoredError>(Kind { flows, peers, unanswered, aged: Vec::new() })
        };
        let [of_functions, of_principals] = s.unanswered;
        Ok(Account {
            first: WindowId(s.windows[0]),
            last: WindowId(s.windows[1]),
            functions: kind(&s.function_flows, &s.function_peers, of_functions)?,
            principals: kind(&s.principal_flows, &s.principal_peers, of_principals)?,
            stacks: s.stacks,
            low: s.low,
            skipped: s.skipped,
            gaps: s.gaps.into_iter().map(|[from, to]| (WindowId(from), WindowId(to))).collect(),
            logs_last: s.logs_last.map(WindowId),
            log_gaps: s.log_gaps.into_iter().map(|[from, to]| (WindowId(from), WindowId(to))).collect(),
            data_since: s.data_since.into_iter().map(|(k, (w, day))| (k, Since { window: WindowId(w), day })).collect(),
            cut: s.cut,
            trail: s.trail,
        })
    }
}

/// Remembers a gap in the place of the oldest, past the bound. Gives how many were forgotten.
fn remember_gap(gaps: &mut Vec<(WindowId, WindowId)>, gap: (WindowId, WindowId)) -> u64 {
    let full = gaps.len() >= GAPS_MAX;
    if full {
        gaps.remove(0);
    }
    gaps.push(gap);
    u64::from(full)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::observe::Verb;

    /// Whoever changes these bytes raises [`FORMAT`], or the version of what is within.
    #[test]
    fn the_layout_stays_as_it_is() {
        let mut account = Account::new(WindowId(1_000_000));
        let key = |target: &str| Key { actor: "f".to_owned(), verb: Verb::Delete, denied: true, target: target.to_owned() };
        for (n, kind) in [&mut account.functions, &mut account.principals].into_iter().enumerate() {
            kind.flows.actor(n as f64, "f", "shop", "role", Some("s"), true);
            kind.unanswered.tell(key("bucket b"), WindowId(1_000_500 + n as u32), 0.5);
        }
        account.arrive(WindowId(1_000_900));
        account.arrive_logs(WindowId(1_000_001));
        account.arrive_logs(WindowId(1_001_000));
        account.arrive_data(WindowId(1_001_000), "s3");
        account.remember_stack("bucket b".to_owned(), "s");
        account.low.insert("f".to_owned());
        account.cut = 7;
        let bytes = account.encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        expect!["9002821a000f42401a000f45c4586e820190fb4000000000000000fb4000000000000000818b61666473686f7064726f6c656173fb0000000000000000f682000082f6f68ef6f6f6f6f6f6f6f6f6f6f6f6f6f6a080808001a16473686f7001a0a08200008700000000000000820000828080a0a08800000000000000005824010000000000000000000000000000000000000000000000000000000000000000000000586e820190fb4000000000000000fb4000000000000000818b61666473686f7064726f6c656173fb3ff0000000000000f682000082f6f68ef6f6f6f6f6f6f6f6f6f6f6f6f6f6a080808001a16473686f7001a0a08200008700000000000000820000828080a0a08800000000000000005824010000000000000000000000000000000000000000000000000000000000000000000000a1686275636b65742062617381616681821a000f44801a000f45c41901441a000f462882821a000f44801a000f45c4821a000f44811a000f4628a1627333821a000f4628fb4002c71c71c71c728282a184616603f5686275636b65742062841a000f44341a000f443401fb3fe00000000000000082a184616603f5686275636b65742062841a000f44351a000f443501fb3fe00000000000000007f4"].assert_eq(&hex);
        let again = Account::decode(&bytes).unwrap();
        assert_eq!((again.encode(), again.cut()), (bytes, 7));
    }

    #[test]
    fn a_newer_account_is_told_as_newer() {
        let mut bytes = Account::new(WindowId(1_000_000)).encode();
        bytes[1] = FORMAT + 1;
        assert_eq!(Account::decode(&bytes).map(|_| ()), Err(StoredError::Format(u64::from(FORMAT) + 1)));
        // Its flows alone may be newer, too.
        let at = bytes.windows(2).position(|pair| pair == [0x82, 0x01]).unwrap();
        (bytes[1], bytes[at + 1]) = (FORMAT, 9);
        assert_eq!(Account::decode(&bytes).map(|_| ()), Err(StoredError::Format(9)));
    }

    #[test]
    fn what_is_cut_is_counted() {
        let mut account = Account::new(WindowId(1_000_000));
        for n in 0..GAPS_MAX as u32 + 2 {
            account.add_gap(WindowId(1_000_000 + 10 * n), WindowId(1_000_005 + 10 * n));
        }
        assert_eq!((account.gaps.len(), account.cut()), (GAPS_MAX, 4), "of both kinds of gaps");
        for n in 0..DATA_SERVICES_MAX + 3 {
            account.arrive_data(WindowId(1_000_000), &format!("service-{n}"));
        }
        assert_eq!((account.data_since.len(), account.cut()), (DATA_SERVICES_MAX, 7));
        account.functions.flows.deploy(1.0, "nobody", "ci");
        assert_eq!(account.cut(), 8);
    }
}
