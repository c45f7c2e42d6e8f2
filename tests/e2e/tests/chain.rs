//! The whole chain on real parts: from objects and subscription messages to the channel, through four processes.
//!
//! What must hold: the confirmed incidents in the table are those that replay finds in the same records, ids and whole
//! contents, whatever is delivered twice, late, in pieces or by a second feed, and whoever is killed meanwhile; people
//! read of each once. `OUTFLOW_CHAIN_RUNS` says how many disturbed runs there are, and with them how often times are
//! taken. Times are printed and not judged: they are the machine's. Deliberately absent: what single functions do with
//! hostile input, see the other tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use outflow_core::incident::{Incident, Severity};
use outflow_core::time::{Timestamp, WINDOW_MS};
use outflow_e2e::chain::{Chain, Killer, MINUTE_MS, Who};
use outflow_e2e::parts::gate::{Call, Template};
use outflow_simulate::{Books, Story, write};
use outflow_tests::account::{Cut, Records, deliveries};
use outflow_tests::said;

const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The wait after the last delivery, in which all windows become due.
const AFTER_MS: i64 = 30 * MINUTE_MS;
/// Repetitions of a measurement for each disturbed run.
const LAPS: u64 = 2;
/// How far ahead a delivery may be of the end of what it holds.
const DELAY_MS: i64 = 15 * MINUTE_MS;

/// How many disturbed runs there are.
fn runs() -> u64 {
    std::env::var("OUTFLOW_CHAIN_RUNS").map_or(1, |n| n.parse().unwrap())
}

/// A story, its records and what replay says of them.
struct Tale {
    story: Story,
    records: Records,
    /// The story's begin.
    from: i64,
    first: i64,
    last: i64,
    replayed: BTreeMap<String, Incident>,
}

fn tale(story: Story, days: u32) -> Tale {
    let folder = tempfile::tempdir().unwrap();
    let written = write(&Books { seed: 1, days, story }, folder.path()).unwrap();
    let records = Records::read(folder.path());
    let times = || records.trail.iter().map(|(at, _)| *at).chain(records.events.iter().map(|(_, event)| event.at_ms));
    let from = written.truth.first().map_or(0, |truth| Timestamp::parse(&truth.from).unwrap().ms());
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    let replayed = said(folder.path()).incidents.into_iter().map(|incident| (incident.uid.clone(), incident)).collect();
    Tale { story, records, from, first, last, replayed }
}

impl Tale {
    /// When evaluate runs: every minute around the story's begin, every hour of its day, and every four hours else.
    fn ticks(&self) -> Vec<i64> {
        let end = self.last + DELAY_MS + AFTER_MS;
        let mut now = self.first - self.first.rem_euclid(HOUR_MS);
        let mut ticks = Vec::new();
        while now < end {
            let since = now - self.from;
            now += match since {
                _ if (-10 * MINUTE_MS..HOUR_MS).contains(&since) => MINUTE_MS,
                _ if (-5 * HOUR_MS..8 * HOUR_MS).contains(&since) => HOUR_MS - (since + 10 * MINUTE_MS).rem_euclid(HOUR_MS),
                _ => 4 * HOUR_MS,
            };
            ticks.push(now);
        }
        ticks
    }

    fn loud(&self) -> Vec<&Incident> {
        self.replayed.values().filter(|incident| incident.severity() >= Severity::Medium).collect()
    }

    /// What differs between replay and the table, for a person.
    fn differences(&self, confirmed: &BTreeMap<String, Incident>) -> Vec<String> {
        let mut found = Vec::new();
        for (uid, incident) in &self.replayed {
            match confirmed.get(uid) {
                None => found.push(format!("missing: {uid} {}", outflow_core::alert::title(incident))),
                Some(other) if other != incident => found.push(format!("differs: {uid}\n  table:  {other:?}\n  replay: {incident:?}")),
                Some(_) => {}
            }
        }
        let beyond = confirmed.iter().filter(|(uid, _)| !self.replayed.contains_key(*uid));
        found.extend(beyond.map(|(uid, incident)| format!("beyond: {uid} {}", outflow_core::alert::title(incident))));
        found
    }
}

/// What people read: one first message an incident; with kills perhaps the same one again.
async fn check_channel(chain: &Chain, tale: &Tale, is_disturbed: bool) {
    let firsts = chain.first_messages();
    for incident in tale.loud() {
        // A rate's title has the number of its minute; a flow's stays as it is.
        let title = outflow_core::alert::title(incident);
        let of_it: Vec<_> = firsts.iter().filter(|kept| kept.body.to_string().contains(&incident.uid)).collect();
        assert!(!of_it.is_empty(), "{title} is not in the channel: {firsts:?}");
        assert!(of_it.iter().all(|kept| kept.body == of_it[0].body), "said twice with other words: {of_it:?}");
        assert!(is_disturbed || of_it.len() == 1, "{title} is said {} times: {of_it:?}", of_it.len());
        let text = of_it[0].body["text"].as_str().unwrap();
        assert!(tale.story != Story::ForeignFlow || text.contains(&title), "{title} is said as {text}");
    }
    assert!(is_disturbed || firsts.len() == tale.loud().len(), "{firsts:?}");
    if !is_disturbed {
        assert_eq!(chain.slack.requests(), chain.slack.kept().len(), "Slack refused something");
        assert_eq!(chain.errors, Vec::<String>::new());
    }
    assert_eq!((chain.unsent().await, chain.dead_letters().await), (0, 0), "messages that never left, dead letters");
}

async fn undisturbed(story: Story, days: u32, chain: Option<Chain>) {
    let tale = tale(story, days);
    let Some(mut chain) = chain else { return };
    let started = Instant::now();
    let all = deliveries(&tale.records, &Cut::default());
    chain.run(&all, &tale.ticks()).await;
    let differences = tale.differences(&chain.confirmed().await);
    println!("{story}, {days} days: {} deliveries, {:.0?}, {} differences", all.len(), started.elapsed(), differences.len());
    assert_eq!(differences, Vec::<String>::new());
    assert!(!tale.loud().is_empty(), "nothing is told");
    check_channel(&chain, &tale, false).await;
    check_policies(&chain);
}

/// What Lambda does with a function's role, or AWS with its key, and no call of ours: writing its log, polling its queue.
const OF_LAMBDA: [&str; 6] =
    ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"];
/// What a chain without settings and without refusals of Slack does not come to.
const NOT_MET: [(&str, &str); 2] = [("evaluate", "ssm:GetParameter"), ("notify", "sqs:ChangeMessageVisibility")];

/// Each function did only what its policy allows, may do nothing else, and does all of it.
fn check_policies(chain: &Chain) {
    let Some(template) = chain.template() else { return };
    for who in Who::ALL {
        let [allowed, refused] = chain.called(who);
        assert!(refused.is_empty(), "{who:?} was refused {refused:?}");
        for call in &allowed {
            println!("{:13} {:30} {}", who.name(), call.action, call.resource);
            // Another resource of that kind, and the same in another account.
            for (ours, foreign) in [("outflow", "foreign"), (":::trail/", ":::foreign/"), (":123456789012:", ":999999999999:")] {
                let call = Call { resource: call.resource.replace(ours, foreign), ..call.clone() };
                assert!(allowed.contains(&call) || !template.allows(who.name(), &call), "{who:?} may {call:?}");
            }
        }
        let stated = template.statements(who.name()).iter().map(|statement| &statement["Action"]);
        for action in stated.flat_map(|action| action.as_array().map_or(vec![action], |all| all.iter().collect())) {
            let action = action.as_str().unwrap();
            let is_met = OF_LAMBDA.contains(&action) || NOT_MET.contains(&(who.name(), action));
            assert!(is_met || allowed.iter().any(|call| call.action == action), "{who:?} has no use of {action}");
        }
    }
}

/// A person reads what the functions may do without reading a template; the page is made from it.
#[test]
fn the_page_of_permissions_is_the_templates() {
    let given = [
        ("LogFeed", "kinesis"),
        ("TrailFeed", "topic"),
        ("TrailTopicArn", "arn:aws:sns:eu-west-1:123456789012:trail"),
        ("TrailBucket", "trail-bucket"),
        ("TrailKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/of-the-trail"),
        ("SlackSecret", "outflow/slack"),
        ("KeyArn", "arn:aws:kms:eu-west-1:123456789012:key/of-yours"),
    ];
    let Some(template) = Template::resolve(&given) else { return };
    let mut page = "# What the functions may do\n\nMade from `infra/template.yaml` by `UPDATE_EXPECT=1 cargo test -p outflow-e2e --test chain permissions`, for a stack\nnamed `outflow` with a stream, an existing trail and keys of yours; without those, their lines fall away. No function may do\nanything else, and none reads what its work is not about. No resource is `*`.\n".to_owned();
    for function in template.functions() {
        page += &format!("\n## {function}\n\n| may | on |\n| --- | --- |\n");
        for statement in template.statements(function) {
            let one_or_all = |value: &serde_json::Value| match value.as_array() {
                Some(all) => all.iter().filter_map(|v| v.as_str()).map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", "),
                None => format!("`{}`", value.as_str().unwrap_or_default()),
            };
            let on = one_or_all(&statement["Resource"]);
            assert_ne!(on, "`*`", "{statement}");
            page += &format!("| {} | {on} |\n", one_or_all(&statement["Action"]));
        }
    }
    expect_test::expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md")].assert_eq(&page);
}

#[test]
fn our_own_groups_are_left_out_by_the_account_subscription() {
    for feed in ["account", "kinesis"] {
        let Some(template) = Template::resolve(&[("LogFeed", feed), ("SlackSecret", "s")]) else { return };
        let [groups, left_out] = template.groups();
        assert_eq!(groups, left_out);
        assert_eq!(groups.len(), template.functions().count());
    }
}

#[tokio::test]
async fn three_weeks_with_a_foreign_flow() {
    undisturbed(Story::ForeignFlow, 21, Chain::start(Killer::none()).await).await;
}

/// Each function behind its policy: a call that the template doesn't allow would fail the run.
#[tokio::test]
async fn a_week_with_a_storm() {
    undisturbed(Story::Storm, 8, Chain::behind_gates().await).await;
}

/// In ten days it is over: what goes on stands in the table as it was last told, and in replay as it is at the end.
#[tokio::test]
async fn ten_days_with_a_silence() {
    undisturbed(Story::SilentCron, 10, Chain::start(Killer::none()).await).await;
}

fn disturbed(seed: u64) -> Cut {
    Cut { seed, twice: 20, shuffled: true, cut: 20, by_event_bus: 10 }
}

#[tokio::test]
async fn whatever_comes_twice_late_or_in_pieces_and_whoever_is_killed() {
    let runs = runs();
    let tale = tale(Story::ForeignFlow, 5);
    let (mut kills, mut differences) = (0, Vec::new());
    for seed in 1..=runs {
        let Some(mut chain) = Chain::start(Killer::of(seed, 10)).await else { return };
        let started = Instant::now();
        chain.run(&deliveries(&tale.records, &disturbed(seed)), &tale.ticks()).await;
        let found = tale.differences(&chain.confirmed().await);
        let killed = chain.kills();
        println!(
            "run {seed}: killed {killed:?}, {} failed by themselves, {} differences, {} first messages, {:.0?}",
            chain.errors.len(),
            found.len(),
            chain.first_messages().len(),
            started.elapsed()
        );
        kills += killed.values().sum::<u64>();
        differences.extend(found.into_iter().map(|text| format!("run {seed}: {text}")));
        check_channel(&chain, &tale, true).await;
    }
    println!("{runs} runs, {kills} kills, {} differences", differences.len());
    assert_eq!(differences, Vec::<String>::new());
    assert!(kills > 0);
}

/// The comparison above can tell: a table that is lost in the middle says something else.
#[tokio::test]
async fn a_table_that_is_lost_is_noticed() {
    let tale = tale(Story::ForeignFlow, 5);
    let Some(mut chain) = Chain::start(Killer::none()).await else { return };
    let (all, ticks) = (deliveries(&tale.records, &Cut::default()), tale.ticks());
    let (before, after) = ticks.split_at(ticks.partition_point(|tick| *tick < (tale.first + tale.from) / 2));
    let (come, later) = all.split_at(all.partition_point(|d| d.at_ms < *before.last().unwrap()));
    chain.run(come, before).await;
    chain.on_new_table("lost").await;
    chain.run(later, after).await;
    assert_ne!(tale.differences(&chain.confirmed().await), Vec::<String>::new());
}

/// Where the time went between an event and its message. Times of delivery and of ticks are simulated, the others real.
struct Lap {
    /// From the event until AWS delivered it.
    delivered: Duration,
    /// From the delivery until its batch was in the table: object, queue, ingest.
    stored: Duration,
    /// From the delivery until the tick that said it: what it waited for the minute and for its window.
    waited: Duration,
    /// From that tick until it was in the channel: evaluate, topic, queue, notify.
    told: Duration,
}

impl Lap {
    fn rows(&self) -> [(&'static str, Duration); 6] {
        [
            ("event to delivery, as AWS takes it", self.delivered),
            ("delivery to table", self.stored),
            ("wait for the tick that tells", self.waited),
            ("tick to channel", self.told),
            ("event to channel", self.delivered + self.waited + self.told),
            ("without waits: delivery to table, tick to channel", self.stored + self.told),
        ]
    }
}

/// An event whose message is waited for.
struct Mark {
    id: String,
    at_ms: i64,
}

/// Plays the minutes after `from` on a copy of the table, until somebody reads of it.
async fn lap(chain: &mut Chain, tale: &Tale, from: i64, mark: &Mark, seed: u64) -> Lap {
    let (before, mut delivery) = (chain.first_messages().len(), None);
    let cut = Cut { seed, shuffled: true, ..Cut::default() };
    let all = deliveries(&tale.records.between(from, from + 3 * HOUR_MS), &cut);
    let mut coming = all.iter().peekable();
    for tick in (1..180).map(|minute| from + minute * MINUTE_MS) {
        while let Some(one) = coming.next_if(|d| d.at_ms < tick) {
            let started = Instant::now();
            chain.deliver(std::slice::from_ref(one), false).await;
            if delivery.is_none() && holds(&one.bytes, &mark.id) {
                delivery = Some((one.at_ms, started.elapsed()));
            }
        }
        let started = Instant::now();
        chain.evaluate(tick);
        chain.notify().await;
        if chain.first_messages().len() > before {
            let (at_ms, stored) = delivery.expect("it is told before it came");
            let span = |from: i64, to: i64| Duration::from_millis(u64::try_from(to - from).unwrap());
            return Lap { delivered: span(mark.at_ms, at_ms), stored, waited: span(at_ms, tick), told: started.elapsed() };
        }
    }
    panic!("nothing is told");
}

fn holds(bytes: &[u8], id: &str) -> bool {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let message = value["awslogs"]["data"].as_str().map(|data| {
        let packed = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        outflow_tests::forms::gunzip(&packed)
    });
    message.unwrap_or_else(|| value.to_string()).contains(id)
}

async fn laps(tale: &Tale, mark: &Mark) {
    let Some(mut chain) = Chain::start(Killer::none()).await else { return };
    let quarter = 15 * MINUTE_MS;
    let from = (tale.from - 10 * MINUTE_MS).div_euclid(quarter) * quarter;
    let all = deliveries(&tale.records.between(i64::MIN, from), &Cut::default());
    let (come, later) = all.split_at(all.partition_point(|d| d.at_ms < from));
    let ticks: Vec<i64> = tale.ticks().into_iter().filter(|tick| *tick < from).chain([from]).collect();
    chain.run(come, &ticks).await;
    chain.deliver(later, true).await;
    let items = chain.items().await;
    let mut laps = Vec::new();
    let count = LAPS * runs();
    for seed in 1..=count {
        chain.on_new_table(&format!("lap-{seed}")).await;
        chain.put(&items).await;
        chain.evaluate(from);
        laps.push(lap(&mut chain, tale, from, mark, seed).await.rows());
    }
    println!("{}, {count} times, in seconds{:>35}{:>9}{:>9}", tale.story, "p50", "p99", "most");
    for (row, (name, _)) in laps[0].iter().enumerate() {
        let mut times: Vec<f64> = laps.iter().map(|lap| lap[row].1.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let rank = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
        println!("  {name:<52}{:>9.3}{:>9.3}{:>9.3}", rank(50), rank(99), rank(100));
    }
}

/// From the first call of a flow that was never there to the channel.
#[tokio::test]
async fn how_long_a_new_flow_takes() {
    let tale = tale(Story::ForeignFlow, 5);
    let is_it = |text: &str| text.contains("author-handler") && text.contains("statistics-raw");
    let of_story = tale.records.trail.iter().filter(|(at, _)| *at >= tale.from);
    let (at, record) = of_story.clone().find(|(_, record)| is_it(&record.to_string())).expect("the story's first call");
    laps(&tale, &Mark { id: record["eventID"].as_str().unwrap().to_owned(), at_ms: *at }).await;
}

/// From the first report of a storm's second window to the channel.
#[tokio::test]
async fn how_long_a_storm_takes() {
    let tale = tale(Story::Storm, 8);
    let second = (tale.from.div_euclid(WINDOW_MS) + 1) * WINDOW_MS;
    let of_author = |group: &str| group.ends_with("/author-handler");
    let mut reports = tale.records.events.iter().filter(|(stream, event)| of_author(&stream.group) && event.message.starts_with("REPORT"));
    let (_, event) = reports.find(|(_, event)| event.at_ms >= second).expect("the storm's reports");
    laps(&tale, &Mark { id: event.id.clone(), at_ms: event.at_ms }).await;
}
