//! Partitions and accounts: China and GovCloud say the same as everywhere else, and one account too many is counted.

#![allow(clippy::unwrap_used, reason = "tests may fail")]

use outflow_core::incident::Severity;
use outflow_tests::trail::{HOUR_MS, Trail, at, function, user};
use outflow_tests::{titles, told};
use serde_json::{Value, json};

/// Accounts that are judged at most.
const ACCOUNTS_MAX: usize = 10_000;

/// Three functions for twelve days, then a foreign bucket and a change of code by an unusual deployer.
fn service() -> Trail {
    let mut trail = Trail::default();
    for (day, name) in (0..12).flat_map(|day| ["author-handler", "checkout", "stock-sync"].map(|name| (day, name))) {
        for run in 0..12 {
            let begin = run * 2 * HOUR_MS + trail.dice.ms_below(HOUR_MS);
            trail.cold_start(at(day, begin), name);
            trail.object(at(day, begin + 1_000), function(name), "GetObject", &format!("{name}-data"));
            trail.item(at(day, begin + 2_000), function(name), "Query", name);
        }
    }
    let code = json!({"requestParameters": {"functionName": "arn:aws:lambda:eu-west-1:111122223333:function:author-handler"}});
    trail.put(at(10, 9 * HOUR_MS), user("eve"), "lambda:UpdateFunctionCode20150331v2", code);
    (0..40).for_each(|n| trail.object(at(10, 10 * HOUR_MS + n), function("author-handler"), "GetObject", "payroll-raw"));
    trail
}

/// The same records as another partition writes them.
fn moved(trail: &Trail, partition: &str, region: &str) -> Trail {
    let write = |r: &Value| r.to_string().replace("arn:aws:", &format!("arn:{partition}:")).replace("eu-west-1", region);
    Trail { records: trail.records.iter().map(|r| serde_json::from_str(&write(r)).unwrap()).collect(), ..Trail::default() }
}

#[test]
fn other_partitions_say_the_same() {
    let here = service();
    let shown = |i: &Value| [&i["severity"], &i["title"], &i["since"], &i["until"], &i["findings"][0]["subject"]].map(Value::to_string);
    let all = told(&here.said(), Severity::Low);
    assert!(all.iter().any(|i| i["title"] == "author-handler reads a bucket it never touched"), "{}", titles(&all));
    for (partition, region) in [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")] {
        let there = told(&moved(&here, partition, region).said(), Severity::Low);
        assert_eq!(there.iter().map(shown).collect::<Vec<_>>(), all.iter().map(shown).collect::<Vec<_>>(), "{partition}");
        let ids: String = there.iter().map(|i| i["entities"].to_string()).collect();
        assert!(ids.contains(&format!("arn:{partition}:lambda:{region}:")) && !ids.contains("arn:aws:"), "{ids}");
    }
}

#[test]
fn an_account_too_many_is_counted_and_not_judged() {
    let mut trail = Trail::default();
    for n in 0..ACCOUNTS_MAX + 3 {
        trail.put(
            at(0, n as i64),
            json!({"type": "IAMUser", "arn": format!("arn:aws:iam::{n:012}:user/a"), "userName": "a"}),
            "s3:ListBuckets",
            json!({
                "recipientAccountId": format!("{n:012}"),
            }),
        );
    }
    let report = trail.said();
    assert_eq!((report.accounts.len(), report.coverage.beyond), (ACCOUNTS_MAX, 3));
}
