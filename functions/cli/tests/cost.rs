//! What `outflow cost` prints for an account, to the cent.
//!
//! The arithmetic has its tests in the pipeline. There is deliberately no other account here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail")]

mod common;

use common::{outflow, ran};
use expect_test::expect;
use serde_json::Value;

const ACCOUNT: [&str; 9] =
    ["cost", "--functions", "500", "--invocations", "50000000", "--management-events", "5000000", "--data-events", "20000000"];

#[test]
fn a_bill_for_a_person() {
    let said = ran(outflow().args(ACCOUNT));
    assert_eq!((said.code, &*said.err), (0, ""));
    assert!(said.out.lines().all(|line| line.len() <= 80));
    expect![[r#"
        ingest-logs   invocations                  16,666,667     $3.33
                      GB-seconds                       41,667     $0.69
                      GB of its own log                  6.00     $3.00
                      write units                  16,666,667    $10.42
        ingest-trail  invocations                      47,170     $0.01
                      GB-seconds                        3,538     $0.06
                      GB of its own log                  0.02     $0.01
                      write units                   1,050,000     $0.66
                      reads of objects                471,698     $0.19
                      requests to its queue         1,214,038     $0.49
        evaluate      invocations                      43,200     $0.01
                      GB-seconds                        5,922     $0.10
                      GB of its own log                  0.02     $0.01
                      read units                    2,079,877     $0.26
                      write units                   1,890,720     $1.18
        table         GB stored                          0.91     $0.23
        metrics       custom metrics                     6.00     $1.80
        a month                                                  $22.44

        Beside it, AWS takes $20.00 for the data events themselves.
        List prices of us-east-1 as of 2026-06, without any free tier. Left out: alarms,
        the secret and alerts. Units are measured on made traffic, run times assumed.
    "#]]
    .assert_eq(&said.out);
}

#[test]
fn a_bill_for_a_machine() {
    let said = ran(outflow().args(ACCOUNT).args(["--format", "json", "--stream", "--per-delivery", "10"]));
    let bill: Value = serde_json::from_str(&said.out).unwrap();
    let sum: f64 = bill["charges"].as_array().unwrap().iter().map(|charge| charge["usd"].as_f64().unwrap()).sum();
    assert!((sum - bill["usd"].as_f64().unwrap()).abs() < 1e-9 && sum > 0.0);
    assert_eq!((bill["data_events_usd"].as_f64(), bill["volume"]["per_delivery"].as_u64()), (Some(20.0), Some(10)));
    assert_eq!(bill["prices"]["region"], "us-east-1");
}

#[test]
fn volumes_are_bounded() {
    for wrong in [["--per-delivery", "0"], ["--per-delivery", "10001"], ["--per-delivery", "x"]] {
        assert_eq!(ran(outflow().args(ACCOUNT).args(wrong)).code, 2, "{wrong:?}");
    }
    assert_eq!(ran(outflow().args(["cost", "--functions", "1"])).code, 2);
}
