//! Accounts that are too young for new flows: nothing can be called unusual, but what is rare can be ranked.
//!
//! Every first sight, and what else was rare, has a score; they are grouped by whom they are about, the changed function
//! where one was changed, else the actor, and the groups stand in order of their rarest. All of it is rare and nothing is an
//! incident.

use std::collections::BTreeMap;

use outflow_core::detect::{Detail, Finding, Level};
use outflow_core::incident::Incident;
use outflow_core::limits::FINDINGS_PER_INCIDENT_MAX;

/// Groups that are told.
const GROUPS_MAX: usize = 100;

/// Ranks first sights, the rarest group first.
pub(super) fn rank(sights: impl Iterator<Item = (String, Finding)>) -> Vec<Incident> {
    let mut groups: BTreeMap<(String, String), Vec<Finding>> = BTreeMap::new();
    for (account, mut sight) in sights {
        sight.level = Level::Rare;
        groups.entry((account, about(&sight))).or_default().push(sight);
    }
    let mut ranked: Vec<(f64, Incident)> = groups.into_iter().map(|((account, _), sights)| group(account, sights)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.uid.cmp(&b.1.uid)));
    ranked.into_iter().take(GROUPS_MAX).map(|(_, incident)| incident).collect()
}

/// The function that a flow changes, else who acts.
fn about(finding: &Finding) -> String {
    let reads = ["Get", "List", "Describe", "Head", "Invoke"];
    match &finding.detail {
        Detail::NewFlow(flow) if flow.target.starts_with("function ") && !reads.iter().any(|r| flow.action.starts_with(r)) => {
            flow.target.clone()
        }
        _ => finding.entity.id.clone(),
    }
}

fn group(account: String, mut sights: Vec<Finding>) -> (f64, Incident) {
    sights.sort_by(|a, b| b.score().total_cmp(&a.score()).then_with(|| (&a.entity, &a.subject).cmp(&(&b.entity, &b.subject))));
    let best = sights.first().map_or(0.0, |sight| sight.years);
    let more = sights.len().saturating_sub(FINDINGS_PER_INCIDENT_MAX) as u64;
    sights.truncate(FINDINGS_PER_INCIDENT_MAX);
    (best, Incident::of(account, sights, more))
}
