//! What is decided before the first day: the deploys, and the story that is planted.
//!
//! A story draws from its own stream, so a run with a story and one without differ in what is planted and its
//! consequences only. Around a planted start there is deliberately no deploy of the function concerned: a deploy just before would
//! make the change explicable.

use std::collections::BTreeMap;

use crate::calendar::{self, DAY, HOUR, MINUTE, START};
use crate::calls::function_arn;
use crate::dice::Dice;
use crate::record::REGION;
use crate::service::{Cause, RAW_BUCKET, Rhythm, SPECS, Spec, Which};
use crate::{Books, Story, Truth};

/// A story starts in this part of the run: day 14 to 18 of 21.
const STORY_SPAN: (f64, f64) = (14.0 / 21.0, 18.0 / 21.0);
/// No deploy of the function concerned from this long before a story starts until this long after it.
const QUIET_BEFORE: i64 = 2 * DAY;
const QUIET_AFTER: i64 = 12 * HOUR;
/// A week without a deploy, after the first week.
const SKIPPED_DEPLOY: f64 = 0.15;

/// A story as it will happen.
pub(crate) struct Plot {
    pub(crate) which: Which,
    pub(crate) from: i64,
    /// Exclusive.
    pub(crate) to: i64,
    /// Planted invocations, in order.
    pub(crate) extra: Vec<(i64, Cause)>,
    /// The schedule of the function doesn't fire.
    pub(crate) silent: bool,
    /// The service is crowded: calls are throttled now and then.
    pub(crate) crowded: bool,
    tell: String,
}

/// All that is decided beforehand.
pub(crate) struct Plan {
    pub(crate) plot: Option<Plot>,
    /// Instants of deploys by function name, in order.
    deploys: BTreeMap<&'static str, Vec<i64>>,
    /// When `mail-sender` is created; before, it doesn't exist.
    pub(crate) mail_born: i64,
}

impl Plan {
    /// Decides.
    pub(crate) fn new(books: &Books) -> Plan {
        let plot = plot(books);
        let deploys = SPECS.iter().map(|spec| (spec.name, deploys(books, spec, plot.as_ref()))).collect();
        let minutes = Dice::new(books.seed, "birth").between(0, 90);
        Plan { plot, deploys, mail_born: START + DAY + 10 * HOUR + minutes * MINUTE }
    }

    /// The function's deploys, in order.
    pub(crate) fn deploys(&self, spec: &Spec) -> &[i64] {
        self.deploys.get(spec.name).map_or(&[], Vec::as_slice)
    }

    /// The story of this function, if it has one.
    pub(crate) fn plot_of(&self, spec: &Spec) -> Option<&Plot> {
        self.plot.as_ref().filter(|plot| plot.which == spec.which)
    }

    /// What was planted, as it will be told.
    pub(crate) fn truth(&self, story: Story) -> Vec<Truth> {
        let tell = |plot: &Plot| Truth {
            what: story.to_string(),
            entity: function_arn(name(plot.which)),
            from: calendar::seconds(plot.from),
            to: calendar::seconds(plot.to),
            tell: plot.tell.clone(),
        };
        self.plot.iter().map(tell).collect()
    }
}

fn name(which: Which) -> &'static str {
    SPECS.iter().find(|spec| spec.which == which).map_or("", |spec| spec.name)
}

/// About one deploy a week, on the function's weekday in working hours; always in the first week.
fn deploys(books: &Books, spec: &Spec, plot: Option<&Plot>) -> Vec<i64> {
    let mut dice = Dice::new(books.seed, &format!("deploys/{}", spec.name));
    let mut found = Vec::new();
    for week in 0..=books.days / 7 {
        let day = i64::from(week * 7 + spec.deploy_weekday);
        let at = START + day * DAY + 9 * HOUR + dice.between(0, 7 * 60) * MINUTE + dice.between(0, 59) * 1_000;
        let skipped = dice.chance(SKIPPED_DEPLOY) && week > 0;
        let close = plot.is_some_and(|plot| plot.which == spec.which && at > plot.from - QUIET_BEFORE && at < plot.to + QUIET_AFTER);
        if !skipped && !close && day < i64::from(books.days) {
            found.push(at);
        }
    }
    found
}

fn plot(books: &Books) -> Option<Plot> {
    let mut dice = Dice::new(books.seed, &format!("story/{}", books.story));
    let span = f64::from(books.days) * DAY as f64;
    let earliest = (span * STORY_SPAN.0) as i64;
    let latest = (span * STORY_SPAN.1) as i64;
    let at = START + dice.between(earliest, latest) / 1_000 * 1_000;
    let end = START + i64::from(books.days) * DAY;
    match books.story {
        Story::None => None,
        Story::ForeignFlow => Some(foreign_flow(at.min(end - HOUR), &mut dice)),
        Story::Storm => Some(storm(at, end, &mut dice)),
        Story::SilentCron => Some(silent_cron(at.min(end - DAY), end, &mut dice)),
    }
}

/// Tens to hundreds of objects in 10 to 40 minutes, through planted requests of `pages` and `gets` each.
fn foreign_flow(from: i64, dice: &mut Dice) -> Plot {
    let to = from + dice.between(10 * 60, 40 * 60) * 1_000;
    let gets = dice.between(40, 400);
    let mut extra = vec![(from, Cause::Foreign { pages: dice.between(1, 3) as u32, gets: 0 })];
    let mut left = gets;
    while left > 0 {
        let some = dice.between(3, 15).min(left);
        let pages = u32::from(dice.chance(0.1));
        extra.push((dice.between(from + 5_000, to - 15_000), Cause::Foreign { pages, gets: some as u32 }));
        left -= some;
    }
    extra.sort_by_key(|(at, _)| *at);
    let tell = format!(
        "author-handler → ListObjects, GetObject ×{gets} → bucket {RAW_BUCKET} in {REGION}: allowed, never done before, no deploy before it"
    );
    Plot { which: Which::Author, from, to, extra, silent: false, crowded: false, tell }
}

/// 25 to 60 times the requests of the busiest hour for 20 to 60 minutes, in waking hours. A storm that comes from elsewhere
/// does not follow the rhythm of the day; and in three weeks of noise as rough as measured, single five minutes reach 14
/// times the busiest hour's mean, so that a lesser storm would not be plain.
fn storm(near: i64, end: i64, dice: &mut Dice) -> Plot {
    let midnight = near - (near - START).rem_euclid(DAY);
    let day = midnight.min(end - DAY);
    let from = day + 8 * HOUR + dice.between(0, 12 * 60) * MINUTE;
    let to = from + dice.between(20, 60) * MINUTE;
    let factor = dice.between(25, 60);
    let rhythm = SPECS.iter().find_map(|spec| spec.rhythm.as_ref().filter(|_| spec.which == Which::Author));
    let usual = rhythm.map_or(0.0, Rhythm::busiest_hour);
    let count = dice.poisson(usual * (factor - 1) as f64 * (to - from) as f64 / HOUR as f64);
    let mut extra: Vec<(i64, Cause)> = (0..count).map(|_| (dice.between(from, to - 1), Cause::Api)).collect();
    extra.sort_by_key(|(at, _)| *at);
    let minutes = (to - from) / MINUTE;
    let tell = format!(
        "author-handler is invoked {factor} times as often as in its busiest hour for {minutes} minutes: {count} invocations on top"
    );
    Plot { which: Which::Author, from, to, extra, silent: false, crowded: true, tell }
}

/// The schedule stops for one to two days.
fn silent_cron(from: i64, end: i64, dice: &mut Dice) -> Plot {
    let to = (from + dice.between(24 * 60, 48 * 60) * MINUTE).min(end);
    let hours = (to - from) / HOUR;
    let tell = format!("price-refresh, every 15 minutes until then, doesn't run for {hours} hours: no invocation, no call");
    Plot { which: Which::Price, from, to, extra: Vec::new(), silent: true, crowded: false, tell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(seed: u64, days: u32, story: Story) -> Plan {
        Plan::new(&Books { seed, days, story })
    }

    fn deploys_near(plan: &Plan, plot: &Plot) -> usize {
        let spec = SPECS.iter().find(|spec| spec.which == plot.which).unwrap();
        plan.deploys(spec).iter().filter(|at| (plot.from - DAY..plot.to).contains(at)).count()
    }

    proptest! {
        #[test]
        fn stories_lie_where_they_should(seed in any::<u64>(), days in 2_u32..60) {
            let end = START + i64::from(days) * DAY;
            for story in [Story::ForeignFlow, Story::Storm, Story::SilentCron] {
                let plan = plan(seed, days, story);
                let plot = plan.plot.as_ref().unwrap();
                prop_assert!(plot.from >= START + DAY / 2 && plot.from < plot.to && plot.to <= end);
                prop_assert!(plot.extra.iter().all(|(at, _)| (plot.from..plot.to).contains(at)));
                prop_assert!(plot.extra.is_sorted_by_key(|(at, _)| *at));
                prop_assert_eq!(deploys_near(&plan, plot), 0);
                prop_assert_eq!(plan.truth(story).len(), 1);
                if days == 21 {
                    prop_assert!((14..=18).contains(&((plot.from - START) / DAY)));
                }
            }
        }

        #[test]
        fn stories_are_plain(seed in any::<u64>(), days in 2_u32..60) {
            let foreign = plan(seed, days, Story::ForeignFlow).plot.unwrap();
            let gets: u32 = foreign.extra.iter().map(|(_, cause)| if let Cause::Foreign { gets, .. } = cause { *gets } else { 0 }).sum();
            prop_assert!((40..=400).contains(&gets) && (10 * MINUTE..=40 * MINUTE).contains(&(foreign.to - foreign.from)));
            let storm = plan(seed, days, Story::Storm).plot.unwrap();
            let usual = SPECS[0].rhythm.as_ref().unwrap().per_hour(storm.from) * (storm.to - storm.from) as f64 / HOUR as f64;
            prop_assert!(storm.extra.len() as f64 > 5.0 * usual && storm.extra.len() > 50, "{} for {usual}", storm.extra.len());
            let silent = plan(seed, days, Story::SilentCron).plot.unwrap();
            prop_assert!((DAY..=2 * DAY).contains(&(silent.to - silent.from)));
        }

        #[test]
        fn every_function_is_deployed_in_the_first_week(seed in any::<u64>(), days in 7_u32..60) {
            let plan = plan(seed, days, Story::None);
            prop_assert!(plan.plot.is_none() && plan.truth(Story::None).is_empty());
            for spec in &SPECS {
                let deploys = plan.deploys(spec);
                prop_assert!(deploys.first().is_some_and(|at| *at < START + 7 * DAY) && deploys.is_sorted());
                prop_assert!(deploys.iter().all(|at| *at < START + i64::from(days) * DAY));
            }
        }
    }
}
