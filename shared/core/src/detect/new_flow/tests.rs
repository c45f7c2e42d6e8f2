//! The account against its executable reference, and what must hold of any events.

use super::limits::{
    ALERTED_MAX, DEPLOYERS_MAX, FIRST_SIGHTS_MAX, GRANTS_PER_ROLE_MAX, GROUPS_PER_TARGET_MAX, ID_BYTES_MAX, TARGETS_PER_ACTOR_MAX,
};
use super::{Account, Budget, DecodeError, Scored, Target, Verb};
use expect_test::expect;
use proptest::prelude::{Strategy, any, prop, proptest};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::io::Write as _;
use std::process::{Command, Stdio};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/prototypes/");
const BUDGET: Budget = Budget { alerts_per_week: 1., since_day: 0. };

/// What a test needs from outside; without it the test fails where everything is required, and is plainly skipped elsewhere.
#[allow(clippy::disallowed_methods, reason = "whether a skipped test is an error is for the environment to say")]
pub(crate) fn data_or_skip<T>(what: impl Display, found: impl FnOnce() -> Option<T>) -> Option<T> {
    let found = found();
    if found.is_none() {
        assert!(std::env::var("OUTFLOW_REQUIRE_ALL").as_deref() != Ok("1"), "missing: {what}");
        eprintln!("SKIPPED, missing: {what}");
    }
    found
}

/// An event of the reference; see the head of `new_flow.py`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    t: f64,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    stack: Option<String>,
    #[serde(default)]
    by: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    outside: bool,
    #[serde(default)]
    denied: bool,
}

fn verb_of(code: &str) -> Verb {
    Verb::ALL.into_iter().find(|v| v.code() == code).unwrap()
}

/// Feeds events to an account as the reference does: a window ends when the first event of a later one comes.
#[derive(Default)]
struct Replay {
    account: Account,
    window: Option<i64>,
}

impl Replay {
    fn event(&mut self, e: &Event) -> Option<Scored> {
        let window = (e.t * 288.) as i64;
        if self.window.is_some_and(|open| window > open) {
            self.account.close_window(false);
            self.window = None;
        }
        self.account.pass_time(e.t);
        let (function, resource) = (e.function.as_deref().unwrap_or_default(), e.resource.as_deref().unwrap_or_default());
        let a = &mut self.account;
        match e.kind.as_str() {
            "inventory" | "create_function" if e.function.is_some() => {
                a.actor(e.t, function, &e.name, &e.role, e.stack.as_deref(), e.kind == "create_function");
            }
            "inventory" | "create_resource" => a.resource(e.t, resource, &e.name, e.kind == "create_resource"),
            "deploy" => a.deploy(e.t, function, &e.by),
            "grant" => a.grant(e.t, &e.role, resource),
            "verdict" => {
                a.accept(function, verb_of(&e.verb), resource);
            }
            "flow" => {
                let target = Target { id: resource, name: &e.name, stack: e.stack.as_deref(), outside: e.outside };
                let scored = a.flow(e.t, function, verb_of(&e.verb), &target, e.denied, &BUDGET);
                if scored.is_some() {
                    self.window = self.window.or(Some(window));
                }
                return scored;
            }
            kind => panic!("{kind}"),
        }
        None
    }
}

/// A score in the columns of the reference.
fn row(e: &Event, s: &Scored) -> Vec<String> {
    let p = &s.points;
    let mut row = vec![e.t.to_string(), e.function.clone().unwrap(), e.verb.clone(), e.resource.clone().unwrap(), s.relation.code().into()];
    let numbers = [
        s.lambda,
        p.rate,
        p.relation,
        p.created,
        p.verb,
        p.denied,
        p.deployer,
        p.cohort,
        p.young,
        p.named,
        p.share_verb,
        p.share_denied,
        s.score,
        s.rarity,
    ];
    row.extend(numbers.map(|n| n.to_string()));
    row.extend([s.alert, s.digest].map(|flag| u8::from(flag).to_string()));
    row
}

/// Compares rows with the reference's: numbers to 1e-6 (relative above 1), all else exactly.
fn compare(ours: &[Vec<String>], reference: &str) {
    let mut reader = csv::Reader::from_reader(reference.as_bytes());
    let theirs: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(ours.len(), theirs.len(), "first sights");
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(our.len(), their.len());
        for (a, b) in our.iter().zip(their) {
            let near = match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(x), Ok(y)) => (x - y).abs() <= 1e-6 * y.abs().max(1.),
                _ => a == b,
            };
            assert!(near, "{a} for {b} in\n{our:?}\n{their:?}");
        }
    }
}

#[test]
fn the_published_example() {
    let read = |name: &str| std::fs::read_to_string(format!("{REFERENCE}{name}")).ok();
    let both = || Some((read("new_flow.example.jsonl")?, read("new_flow.example.out.csv")?));
    let Some((events, reference)) = data_or_skip("new_flow.example.*", both) else { return };
    let events: Vec<Event> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut replay = Replay::default();
    let rows: Vec<_> = events.iter().filter_map(|e| replay.event(e).map(|s| row(e, &s))).collect();
    compare(&rows, &reference);
}

/// A small generator with a fixed seed, so that a failure is found again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

const WORDS: [&str; 12] = ["shop", "cart", "pay", "mail", "hr", "people", "orders", "fn", "api", "dead1", "v2", "table"];

/// A fleet's life: an inventory, then some five events a day for months, several of them in one window now and then.
fn life(seed: u64, days: f64) -> Vec<Event> {
    let mut r = Random(seed);
    let blank = Event {
        t: -1.,
        kind: "inventory".into(),
        function: None,
        resource: None,
        name: String::new(),
        role: String::new(),
        stack: None,
        by: String::new(),
        verb: String::new(),
        outside: false,
        denied: false,
    };
    let stacks = [None, None, Some("shop".to_owned()), Some("hr".to_owned()), Some("mail".to_owned())];
    let mut events: Vec<Event> = Vec::new();
    let (mut functions, mut resources): (Vec<Event>, Vec<Event>) = (Vec::new(), Vec::new());
    let mut t = -1.;
    let (mut made, mut last) = (0, None);
    while t < days {
        let in_window = t > 0. && r.chance(40);
        t += if t < 0. && made < 20 { 0. } else { (1 + r.below(1000)) as f64 / if in_window { 400_000. } else { 2_000. } };
        let kind = if made < 20 { r.below(2) * 2 } else { r.below(100) };
        let thing = Event { t, name: [r.of(&WORDS), r.of(&WORDS), r.of(&WORDS)].join("-"), stack: r.of(&stacks), ..blank.clone() };
        let mut event = match kind {
            0 | 1 => Event { function: Some(format!("f{made}")), role: format!("role{}", r.below(9)), ..thing },
            2..=4 => Event { resource: Some(format!("x{made}")), ..thing },
            // Before install the reference has negative ages, which we have not.
            _ if t < 0. || functions.is_empty() || resources.is_empty() => continue,
            5..=8 => Event {
                kind: "deploy".into(),
                t,
                function: r.of(&functions).function,
                by: r.of(&["ci", "bob", "eve"]).into(),
                ..blank.clone()
            },
            9..=11 => {
                Event { kind: "grant".into(), t, role: format!("role{}", r.below(9)), resource: r.of(&resources).resource, ..blank.clone() }
            }
            kind => {
                let verb = r.of(&Verb::ALL).code().into();
                let mut x = r.of(&resources);
                if in_window && r.chance(50) {
                    x = last.clone().unwrap_or(x);
                } else if r.chance(10) {
                    x = Event { resource: Some(format!("free{}", r.below(30))), stack: None, ..x };
                }
                last = Some(x.clone());
                let flow =
                    Event { kind: if kind < 20 { "verdict" } else { "flow" }.into(), t, function: r.of(&functions).function, verb, ..x };
                Event { outside: r.chance(3), denied: r.chance(8), role: String::new(), ..flow }
            }
        };
        if event.kind == "inventory" {
            made += 1;
            if t > 0. || r.chance(20) {
                event.kind = if event.function.is_some() { "create_function" } else { "create_resource" }.into();
            }
            if event.function.is_some() { functions.push(event.clone()) } else { resources.push(event.clone()) }
        }
        events.push(event);
    }
    events
}

#[test]
fn random_lives_as_the_reference_scores_them() {
    let script = format!("{REFERENCE}new_flow.py");
    let has_python = || Command::new("python3").arg("--version").output().ok().filter(|_| std::fs::exists(&script).unwrap_or(false));
    if data_or_skip("python3 and new_flow.py", has_python).is_none() {
        return;
    }
    for seed in 0..10 {
        let events = life(seed, 25. + 20. * seed as f64);
        let mut child = Command::new("python3").args([&script, "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines: Vec<String> = events.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let mut stdin = child.stdin.take().unwrap();
        let text = lines.join("\n");
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success());

        // Stored and read again now and then, also in the middle of a window.
        let (mut replay, mut rows) = (Replay::default(), Vec::new());
        let (mut alerts, mut relations) = (0, std::collections::BTreeSet::new());
        for (n, e) in events.iter().enumerate() {
            if let Some(s) = replay.event(e) {
                alerts += usize::from(s.alert);
                relations.insert(s.relation);
                rows.push(row(e, &s));
            }
            if n % 7 == 0 {
                let bytes = replay.account.encode();
                replay.account = Account::decode(&bytes).unwrap();
                assert_eq!(replay.account.encode(), bytes);
            }
        }
        compare(&rows, std::str::from_utf8(&output.stdout).unwrap());
        assert!(alerts > 0 && relations.len() == 9, "a life that tests little: {alerts} alerts, {relations:?}");
        assert_eq!(replay.account.overflow(), super::Overflow::default());
    }
}

/// An account that has lived for some weeks, in the middle of nothing.
fn lived(seed: u64) -> Account {
    let mut replay = Replay::default();
    for e in life(seed, 30.) {
        replay.event(&e);
    }
    replay.account.close_window(false);
    replay.account
}

/// Flows of one window, each once: (minutes, actor, verb, target, denied).
fn window() -> impl Strategy<Value = Vec<(u8, u8, u8, u8, bool)>> {
    prop::collection::btree_set((0..8_u8, 0..7_u8, 0..25_u8, any::<bool>()), 1..40).prop_flat_map(|flows| {
        let flows: Vec<_> = flows.into_iter().collect();
        prop::collection::vec(0..5_u8, flows.len())
            .prop_map(move |minutes| flows.iter().zip(minutes).map(|((a, v, x, d), m)| (m, *a, *v, *x, *d)).collect())
    })
}

fn feed(account: &mut Account, flows: &[(u8, u8, u8, u8, bool)]) -> Vec<Option<Scored>> {
    account.pass_time(31.);
    let mut scored = Vec::new();
    for (minute, actor, verb, target, denied) in flows {
        let (actor, id) = (format!("f{actor}"), format!("x{target}"));
        account.actor(31., &actor, "late-comer", "", None, false);
        let x = Target { id: &id, name: "cart-orders", stack: None, outside: target % 9 == 0 };
        let t = 31. + f64::from(*minute) / 1440.;
        scored.push(account.flow(t, &actor, Verb::ALL[usize::from(*verb)], &x, *denied, &BUDGET));
    }
    scored
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_within_a_window_does_not_matter(flows in window(), by in any::<u64>(), learn in any::<bool>()) {
        let mut shuffled = flows.clone();
        let mut random = Random(by);
        for n in (1..shuffled.len()).rev() {
            shuffled.swap(n, random.below(n + 1));
        }
        let mut one = lived(3);
        for actor in 0..8 {
            one.actor(30.5, &format!("f{actor}"), "late-comer", "", None, false);
        }
        let mut other = one.clone();
        let (a, b) = (feed(&mut one, &flows), feed(&mut other, &shuffled));
        for (flow, scored) in flows.iter().zip(a) {
            let at = shuffled.iter().position(|f| f == flow).unwrap();
            proptest::prop_assert_eq!(&scored, &b[at]);
        }
        one.close_window(learn);
        other.close_window(learn);
        proptest::prop_assert_eq!(one.encode(), other.encode());
    }

    #[test]
    fn any_events_give_numbers(events in prop::collection::vec(any_event(), 1..60), w in any::<f64>()) {
        let mut account = Account::new();
        for (kind, t, a, b, verb, flag) in events {
            let (actor, other) = (format!("f{a}"), format!("{b}"));
            let verb = Verb::ALL[usize::from(verb)];
            let stack = (b % 3 == 0).then_some(other.as_str());
            let x = Target { id: &other, name: &actor, stack, outside: b % 5 == 4 };
            match kind {
                0 => account.actor(t, &actor, &other, &other, stack, flag),
                1 => account.resource(t, &other, &actor, flag),
                2 => account.deploy(t, &actor, &other),
                3 => account.grant(t, &actor, &other),
                4 => account.pass_time(t),
                5 => account.close_window(flag),
                6 => { account.accept(&actor, verb, &other); }
                7 => {
                    let before = account.encode();
                    let peeked = account.peek(t, &actor, verb, &x, flag, &BUDGET);
                    proptest::prop_assert_eq!(account.encode(), before);
                    proptest::prop_assert_eq!(peeked, account.flow(t, &actor, verb, &x, flag, &BUDGET));
                }
                _ => if let Some(s) = account.flow(t, &actor, verb, &x, flag, &Budget { alerts_per_week: w, since_day: 0. }) {
                    proptest::prop_assert!(s.score.is_finite() && s.rarity.is_finite() && s.rarity > 0. && s.usual.years_per_event.is_finite());
                    proptest::prop_assert!(!s.alert || s.digest);
                    proptest::prop_assert!(account.flow(t, &actor, verb, &x, flag, &BUDGET).is_none());
                }
            }
        }
        let bytes = account.encode();
        proptest::prop_assert_eq!(Account::decode(&bytes).unwrap().encode(), bytes);
    }

    #[test]
    fn hostile_bytes_are_refused_or_read(
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = lived(1).encode();
        proptest::prop_assert!(Account::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(mut account) = Account::decode(&bytes) {
            feed(&mut account, &[(0, 1, 2, 3, false), (1, 2, 3, 4, true)]);
            account.close_window(true);
            account.encode();
        }
        let _ = Account::decode(&noise);
    }
}

fn any_event() -> impl Strategy<Value = (u8, f64, u8, u8, u8, bool)> {
    let t = proptest::prop_oneof![8 => -50.0..400.0, 1 => any::<f64>(), 1 => proptest::prelude::Just(f64::NAN)];
    (0..14_u8, t, 0..5_u8, 0..12_u8, 0..7_u8, any::<bool>())
}

#[test]
fn newer_layouts_and_contradictions_are_refused() {
    let mut newer = Account::new().encode();
    newer[1] = 9;
    assert!(matches!(Account::decode(&newer), Err(DecodeError::Newer(9))));
    newer[1] = 0;
    assert!(matches!(Account::decode(&newer), Err(DecodeError::Unsound("layout"))));
    assert!(matches!(Account::decode(&[]), Err(DecodeError::Malformed(_))));
    // An array that claims 2^60 actors has no place reserved for them.
    let mut huge = Account::new().encode();
    let actors = huge.iter().position(|b| *b == 0x80).unwrap();
    huge.splice(actors..=actors, [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(Account::decode(&huge), Err(DecodeError::Malformed(_))));
}

fn target(id: &str) -> Target<'_> {
    Target { id, name: "a-thing", stack: None, outside: false }
}

fn one_actor() -> Account {
    let mut account = Account::new();
    account.actor(0., "f", "shop-cart", "role", None, false);
    account
}

#[test]
fn a_flow_is_known_once_learnt_and_not_when_denied() {
    let mut account = one_actor();
    assert!(account.flow(1., "f", Verb::ReadMany, &target("x"), true, &BUDGET).is_some());
    assert!(account.flow(1., "f", Verb::ReadMany, &target("x"), false, &BUDGET).is_some(), "allowed is another flow than denied");
    assert!(account.flow(1., "f", Verb::ReadOne, &target("x"), false, &BUDGET).is_some(), "as is another verb");
    assert!(account.flow(1., "f", Verb::ReadOne, &target("y"), true, &BUDGET).is_some());
    assert!(!account.is_settled("f", Verb::ReadOne, "x"), "the window is open");
    account.close_window(false);
    assert!(account.is_settled("f", Verb::ReadOne, "x") && account.is_settled("f", Verb::ReadMany, "x"));
    assert!(!account.is_settled("f", Verb::ReadOne, "y") && !account.is_settled("g", Verb::ReadOne, "x"));
    assert!(account.flow(2., "f", Verb::ReadOne, &target("y"), true, &BUDGET).is_none(), "denied again");
    assert!(account.flow(2., "f", Verb::ReadOne, &target("y"), false, &BUDGET).is_some(), "let in now");
    assert!(account.flow(2., "nobody", Verb::ReadOne, &target("y"), false, &BUDGET).is_none());
    assert_eq!(account.overflow().unknown_actors, 1);
}

#[test]
fn an_alerted_flow_is_held_back_unless_the_records_are_a_baseline() {
    for baseline in [false, true] {
        let mut account = one_actor();
        account.actor(0., "g", "other", "", Some("s"), false);
        account.pass_time(40.);
        let x = Target { outside: true, ..target("x") };
        let scored = account.flow(40., "f", Verb::Delete, &x, false, &BUDGET).unwrap();
        assert!(scored.alert && scored.digest && scored.usual.targets_known == 0);
        account.close_window(baseline);
        assert!(account.is_settled("f", Verb::Delete, "x"), "once said, it is not said again");
        assert_eq!(account.accept("f", Verb::Delete, "x"), !baseline);
        assert!(!account.accept("f", Verb::Delete, "x"));
        // Either way it was learnt, as of then.
        let by_g = account.flow(41., "g", Verb::ReadOne, &target("x"), false, &BUDGET).unwrap();
        assert_eq!((by_g.usual.users_known, by_g.usual.users), (1, vec![("f".to_owned(), 40.)]));
        let again = account.flow(41., "f", Verb::ReadOne, &target("x"), false, &BUDGET).unwrap();
        assert_eq!((again.usual.targets_known, again.usual.targets, again.usual.users_known), (1, vec!["x".to_owned()], 0));
    }
}

#[test]
fn what_is_accepted_late_teaches_as_of_then() {
    let mut account = Account::new();
    for actor in ["a", "b", "c", "d", "e", "f"] {
        account.actor(0., actor, "", "", Some(actor), false);
    }
    account.pass_time(40.);
    let alerted = account.flow(40., "b", Verb::Delete, &Target { outside: true, ..target("x") }, false, &BUDGET).unwrap();
    account.close_window(false);
    for (t, actor) in [(41., "c"), (42., "a"), (43., "d"), (44., "e")] {
        account.flow(t, actor, Verb::ReadOne, &target("x"), false, &Budget { alerts_per_week: 0., ..BUDGET });
        account.close_window(false);
    }
    assert!(alerted.alert && account.accept("b", Verb::Delete, "x"));
    let users = |scored: Scored| scored.usual.users.into_iter().map(|(id, since)| format!("{id} {since}")).collect::<Vec<_>>().join(", ");
    // The earliest come first, and the latest, not the one learnt last, makes a cohort.
    let of_f = account.flow(46., "f", Verb::ReadOne, &target("x"), false, &BUDGET).unwrap();
    assert_eq!((of_f.points.cohort, of_f.usual.users_known), (-1.5, 5));
    assert_eq!(users(of_f), "b 40, c 41, a 42");
    let of_e = account.flow(46.5, "e", Verb::Write, &target("x"), false, &BUDGET).unwrap();
    assert_eq!((of_e.points.cohort, of_e.usual.users_known), (0., 4), "its own use is no cohort, and d's is 3.5 days old");
    let of_e = account.flow(45.5, "e", Verb::Secret, &target("x"), false, &BUDGET).unwrap();
    assert_eq!(of_e.points.cohort, -1.5, "d's use is 2.5 days old");
    let of_c = account.flow(46.5, "c", Verb::Write, &target("x"), false, &BUDGET).unwrap();
    assert_eq!(users(of_c), "b 40, a 42, d 43");
}

#[test]
fn an_actor_that_comes_again_fills_in_what_was_unknown() {
    let mut account = Account::new();
    account.actor(9., "f", "shop-cart", "", None, false);
    account.actor(8., "f", "shop-cart", "role", Some("shop"), true);
    account.actor(20., "f", "shop-cart", "other-role", Some("other"), true);
    let mut same = Account::new();
    same.actor(8., "f", "shop-cart", "role", Some("shop"), true);
    assert_eq!(account.encode(), same.encode());
    account.resource(9., "x", "orders", false);
    account.resource(9., "x", "orders", true);
    assert_eq!(account.state.names, 2);
    assert_eq!(account.state.targets[0].created, Some(9.));
}

#[test]
fn lists_keep_their_caps() {
    let mut account = one_actor();
    for n in 0..20 {
        account.grant(f64::from(n), "role", &format!("x{n}"));
        account.deploy(f64::from(n), "f", &format!("p{n}"));
    }
    assert_eq!(account.state.grants["role"].len(), GRANTS_PER_ROLE_MAX);
    assert_eq!(account.state.deployers[&0].len(), DEPLOYERS_MAX);
    let groups = GROUPS_PER_TARGET_MAX as u32 + 6;
    for n in 0..groups {
        let id = format!("g{n}");
        account.actor(0., &id, "", "", Some(&id), false);
        account.flow(1., &id, Verb::ReadOne, &target("shared"), false, &BUDGET);
    }
    account.close_window(false);
    let shared = &account.state.targets[0];
    assert_eq!((shared.groups.len(), shared.users), (GROUPS_PER_TARGET_MAX, groups));
    assert_eq!(account.overflow().groups, 6);
    let long = "x".repeat(ID_BYTES_MAX + 1);
    assert!(account.flow(2., "f", Verb::ReadOne, &target(&long), false, &BUDGET).is_some());
    account.resource(2., &long, "long", false);
    account.actor(2., &long, "long", "", None, false);
    let overflow = account.overflow();
    assert_eq!((overflow.first_sights, overflow.targets, overflow.actors), (1, 1, 1));
    assert!(Account::decode(&account.encode()).is_ok());
}

#[test]
fn flows_keep_their_caps_and_are_still_scored() {
    let mut account = one_actor();
    let per_window = FIRST_SIGHTS_MAX / 4;
    let mut scored = 0;
    for n in 0..=TARGETS_PER_ACTOR_MAX {
        let id = format!("x{n}");
        scored += usize::from(account.flow(1., "f", Verb::ReadOne, &target(&id), false, &BUDGET).is_some());
        if n % per_window == 0 {
            account.close_window(false);
        }
    }
    account.close_window(false);
    assert_eq!(scored, TARGETS_PER_ACTOR_MAX + 1);
    assert_eq!(account.state.actors[0].targets.len(), TARGETS_PER_ACTOR_MAX);
    assert_eq!(account.overflow().targets, 1);
    for n in 0..FIRST_SIGHTS_MAX + 3 {
        let id = format!("y{n}");
        assert!(account.flow(1., "f", Verb::ReadOne, &target(&id), false, &BUDGET).is_some());
    }
    assert_eq!((account.state.first_sights.len(), account.overflow().first_sights), (FIRST_SIGHTS_MAX, 3));
    const { assert!(ALERTED_MAX >= FIRST_SIGHTS_MAX, "a window's alerts all find a place once") };
    assert!(Account::decode(&account.encode()).is_ok());
}

#[test]
fn the_layout_stays_as_it_was_first_written() {
    let mut account = one_actor();
    account.resource(0., "x", "shop-orders", true);
    account.deploy(4., "f", "ci");
    account.grant(4., "role", "x");
    account.pass_time(4.);
    account.flow(4., "f", Verb::Write, &target("x"), false, &BUDGET);
    account.flow(4., "f", Verb::List, &target("all"), true, &BUDGET);
    account.close_window(false);
    account.flow(4.5, "f", Verb::Delete, &Target { stack: Some("s"), ..target("y") }, false, &BUDGET);
    let hex: String = account.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    expect!["820190fb4010000000000000fb4010000000000000818b61666973686f702d6361727464726f6c65f6fb0000000000000000f682000182f6fb40100000000000008ef6f604f6f6f6f6f6f6f6f6f6f604a20082040001820018408082876178fb0000000000000000f501818200fb4010000000000000818200fb4010000000000000818200fb40100000000000008763616c6cf6f40080808081696e616d65206361727402a3646361727401666f7264657273016473686f7002a164726f6c6581826178fb4010000000000000a1008162636982000187000001000000018201018282fbbfef3f753dbd3404fb401618115848598080a18400617903f485fb40120000000000006173fb3fee3cec55f3e629f5f4a0880000000000000000"].assert_eq(&hex);
}
