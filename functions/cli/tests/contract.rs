//! What scripts and people may rely on: exit codes, what goes to which stream, columns, settings, what is opened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail")]

mod common;

use std::path::Path;
use std::sync::LazyLock;

use common::{Ran, outflow, ran, replay};
use outflow_tests::data::folder;
use outflow_tests::forms;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

/// Nine days of the books service with a story, simulated once.
static BOOKS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("logs");
    let ran = ran(outflow().args(["simulate", "books", "--days", "9", "--out"]).arg(&out));
    assert_eq!(ran.code, 0, "{}", ran.err);
    folder
});

fn books() -> std::path::PathBuf {
    BOOKS.path().join("logs")
}

fn record(n: u64, time: &str, name: &str, bucket: &str) -> Value {
    json!({"eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/a", "accountId": "1", "userName": "a"},
        "eventTime": time, "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7", "eventID": format!("{n:08x}-0000-4000-8000-000000000001"), "recipientAccountId": "1",
        "requestParameters": {"bucketName": bucket}, "eventCategory": "Data"})
}

fn write(folder: &Path, name: &str, records: &[Value]) {
    std::fs::write(folder.join(name), forms::trail_file(records)).unwrap();
}

/// A code, a cause, a remedy.
fn refused(ran: &Ran, code: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains(&format!("[{code}]")) && ran.err.contains("remedy"), "{}", ran.err);
}

#[test]
fn an_incident_is_1_and_none_is_0() {
    let loud = replay(&books(), &[]);
    assert_eq!(loud.code, 1, "{}", loud.out);
    assert!(loud.out.contains("author-handler"), "{}", loud.out);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &[record(1, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    assert_eq!(replay(folder.path(), &[]).code, 0);
    // What is rare in a folder too short to judge is told to a person, and is no incident, whatever severity is asked for.
    let low = replay(folder.path(), &["--min-severity", "low"]);
    assert_eq!(low.code, 0);
    assert!(low.out.starts_with("Too early to judge until 4 Sep 2025") && low.out.contains("a reads bucket b"), "{}", low.out);
    let low = replay(folder.path(), &["--min-severity", "low", "--format", "ocsf"]);
    assert_eq!((low.code, low.out.as_str()), (0, ""));
    assert!(low.err.contains("a reads bucket b"), "{}", low.err);
}

#[test]
fn an_account_of_two_days_is_too_young_and_still_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("logs");
    let two = ran(outflow().args(["simulate", "books", "--days", "2", "--seed", "7", "--story", "none", "--out"]).arg(&out));
    assert_eq!(two.code, 0, "{}", two.err);
    let said = replay(&out, &[]);
    assert_eq!(said.code, 0);
    let flat = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.starts_with("Too early to judge until 4 Sep 2025: so far the logs reach over 2 days."), "{}", said.out);
    assert!(
        flat.contains("Rare so far, the rarest first; no incidents: rare") && flat.contains("new flows not before 4 Sep 2025"),
        "{flat}"
    );
}

/// Nobody can hide behind a crowd and have it called quiet.
#[test]
fn entities_left_out_are_told_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut records: Vec<Value> = (0..10_003).map(|n| record(n, "2025-09-01T10:00:00Z", "GetObject", "b")).collect();
    for (n, record) in records.iter_mut().enumerate() {
        record["recipientAccountId"] = json!(format!("{n:012}"));
    }
    records.push(record(20_000, "2025-09-03T10:00:00Z", "GetObject", "b"));
    records.last_mut().unwrap()["recipientAccountId"] = json!("000000000000");
    write(folder.path(), "a.json", &records);
    let ran = replay(folder.path(), &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    let first = ran.out.split("\n\n").next().unwrap().replace('\n', " ");
    assert!(first.ends_with("But 3 entities were not judged."), "{}", ran.out);
    assert!(ran.out.contains("\nUnjudged 3 entities were not judged"), "{}", ran.out);
    let ran = replay(folder.path(), &["--format", "json"]);
    assert!(ran.code == 0 && ran.out.is_empty() && ran.err.contains("Unjudged"), "{}", ran.err);
}

#[test]
fn severities_decide_the_code_and_the_lines() {
    let lines = |least: &str| {
        let ran = replay(&books(), &["--format", "ocsf", "--min-severity", least]);
        assert_eq!(ran.code, i32::from(!ran.out.is_empty()), "{least}");
        ran.out.lines().count()
    };
    let (low, medium, high) = (lines("low"), lines("medium"), lines("high"));
    assert!(low >= medium && medium >= high && medium > 0, "{low} {medium} {high}");
    let default = replay(&books(), &["--format", "ocsf"]).out.lines().count();
    assert_eq!(default, medium);
    // All formats say the same incidents.
    for (least, n) in [("low", low), ("medium", medium), ("high", high)] {
        let json = replay(&books(), &["--format", "json", "--min-severity", least]);
        let text = replay(&books(), &["--min-severity", least]);
        let screens = text.out.lines().filter(|l| ["HIGH  ", "MEDIUM  ", "LOW  "].iter().any(|word| l.starts_with(word))).count();
        assert_eq!((json.out.lines().count(), screens), (n, n), "{least}");
        assert_eq!((json.code, text.code), (i32::from(n > 0), i32::from(n > 0)), "{least}");
    }
}

#[test]
fn wrong_usage_is_2() {
    for args in [
        &["replay"][..],
        &["replay", "--format", "xml", "."],
        &["replay", ".", "--min-severity", "grave"],
        &["reply"],
        &[],
        &["replay", ".", "--no-such"],
    ] {
        let ran = ran(outflow().args(args));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(!ran.err.is_empty());
    }
    for args in [["--help"], ["--version"]] {
        assert_eq!(ran(outflow().args(args)).code, 0);
    }
    let nowhere = ran(outflow().args(["replay", "/nowhere/at/all"]));
    refused(&nowhere, "OF111");
    let folder = tempfile::tempdir().unwrap();
    refused(&replay(folder.path(), &[]), "OF112");
    std::fs::write(folder.path().join("letter.txt"), "Dear all").unwrap();
    let foreign = replay(folder.path(), &[]);
    refused(&foreign, "OF112");
    assert!(foreign.err.contains("letter.txt"), "{}", foreign.err);
    // A baseline alone is nothing to judge.
    let baseline = folder.path().join("later");
    std::fs::create_dir(&baseline).unwrap();
    write(&baseline, "a.json", &[record(1, "2025-10-01T10:00:00Z", "GetObject", "b")]);
    let logs = tempfile::tempdir().unwrap();
    write(logs.path(), "a.json", &[record(2, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    refused(&replay(logs.path(), &["--baseline", baseline.to_str().unwrap()]), "OF116");
    // One that begins before the logs and ends after them holds what is to be judged.
    write(&baseline, "b.json", &[record(3, "2025-08-01T10:00:00Z", "GetObject", "b")]);
    refused(&replay(logs.path(), &["--baseline", baseline.to_str().unwrap()]), "OF116");
    let empty = tempfile::tempdir().unwrap();
    refused(&replay(logs.path(), &["--baseline", empty.path().to_str().unwrap()]), "OF118");
    let stdin = ran(outflow().args(["replay", "-"]));
    refused(&stdin, "OF111");
    assert!(stdin.err.contains("standard input is not read"), "{}", stdin.err);
    // It is seen before anything is read where the output can't be written.
    let file = logs.path().join("a.json");
    let out = replay(Path::new("/nowhere"), &["--out", file.to_str().unwrap()]);
    refused(&out, "OF111");
    refused(&replay(empty.path(), &["--out", file.to_str().unwrap()]), "OF117");
}

#[test]
fn what_could_not_be_read_is_listed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    write(&logs, "a.json", &[record(1, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    for n in 0..12 {
        std::fs::write(logs.join(format!("{n:02}.json")), br#"{"Records":[1]}"#).unwrap();
    }
    std::fs::write(logs.join("letter.txt"), "Dear all").unwrap();
    let said = replay(&logs, &["--out", out.to_str().unwrap()]);
    assert!(said.out.contains("the first 10 of them") && said.out.contains("rejects.jsonl"), "{}", said.out);
    // A path is whole where no terminal cuts it.
    assert!(said.out.contains(logs.join("letter.txt").to_str().unwrap()), "{}", said.out);
    let listed = std::fs::read_to_string(out.join("rejects.jsonl")).unwrap();
    let lines: Vec<Value> = listed.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 13, "{listed}");
    assert_eq!(lines[11]["path"].as_str(), logs.join("11.json").to_str());
    assert_eq!((lines[11]["code"].as_str(), lines[11]["offset"].as_u64()), (Some("OF203"), Some(12)), "{}", lines[11]);
    assert!(lines[12]["code"].is_null() && lines[12]["path"].as_str().unwrap().ends_with("letter.txt"));
}

#[test]
fn the_function_that_is_named_is_said_to_count() {
    let folder = tempfile::tempdir().unwrap();
    let line = "timestamp,message\n1757930400000,REPORT RequestId: 3f2a1b4c-0000-4000-8000-000000000001\tDuration: 2.00 ms\tBilled Duration: \
                2 ms\tMemory Size: 128 MB\tMax Memory Used: 60 MB\n";
    for name in ["one.csv", "two.csv"] {
        std::fs::write(folder.path().join(name), line).unwrap();
    }
    let named = replay(folder.path(), &["--function", "my-fn"]);
    assert!(named.out.contains("2 logs without a function's name: counted as my-fn"), "{}", named.out);
    assert!(!named.out.contains("named by its path"), "{}", named.out);
    let idle = tempfile::tempdir().unwrap();
    write(idle.path(), "a.json", &[record(1, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    let said = replay(idle.path(), &["--function", "zzz"]);
    assert!(said.out.contains("--function zzz applies to nothing"), "{}", said.out);
}

#[test]
fn ocsf_is_lines_of_json_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // Rejects and foreign files beside the logs.
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("broken.json"), br#"{"Records":[1,2,{"eventName":"#).unwrap();
    std::fs::write(logs.join("letter.txt"), "Dear all").unwrap();
    let out = folder.path().join("out");
    let books = books();
    let said = ran(outflow().arg("replay").args([&logs, &books]).args(["--format", "ocsf", "--min-severity", "low", "--out"]).arg(&out));
    assert_eq!(said.code, 1, "{}", said.err);
    let lines: Vec<Value> = said.out.lines().map(|l| serde_json::from_str(l).expect(l)).collect();
    assert!(lines.len() > 1);
    for line in &lines {
        let activity = line["activity_id"].as_u64().unwrap();
        assert_eq!((line["category_uid"].as_u64(), line["class_uid"].as_u64()), (Some(2), Some(2004)));
        assert_eq!(line["type_uid"].as_u64(), Some(200_400 + activity));
        assert_eq!(line["metadata"]["version"], "1.8.0");
        assert!(line["severity_id"].is_u64() && line["time"].is_i64() && line["metadata"]["product"].is_object());
        for key in ["uid", "title", "analytic", "first_seen_time", "last_seen_time"] {
            assert!(!line["finding_info"][key].is_null(), "{key} {line}");
        }
        for key in ["resources", "evidences", "anomaly_analyses"] {
            assert!(line[key].as_array().is_some_and(|a| !a.is_empty()), "{key} {line}");
        }
    }
    let order: Vec<(i64, &str)> = lines
        .iter()
        .map(|l| (l["finding_info"]["first_seen_time"].as_i64().unwrap(), l["finding_info"]["uid"].as_str().unwrap()))
        .collect();
    assert!(order.is_sorted(), "by time, then uid: {order:?}");
    assert!(said.err.contains("broken.json") && said.err.contains("letter.txt") && said.err.contains("Read "), "{}", said.err);
    assert_eq!(std::fs::read_to_string(out.join("incidents.jsonl")).unwrap(), said.out, "--out writes the same lines");
    let json = ran(outflow().arg("replay").args([&logs, &books]).args(["--format", "json"]));
    assert!(json.out.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
}

/// Text that fits a terminal, without escapes when nobody looks at one; paths are whole then.
fn fits(ran: &Ran) {
    for (n, line) in ran.out.lines().enumerate() {
        assert!(line.width() <= 80 || line.trim_start().starts_with('/'), "line {n} takes {} columns: {line}", line.width());
        assert!(!line.chars().any(char::is_control), "line {n}: {line:?}");
    }
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'));
}

#[test]
fn text_fits_80_columns() {
    fits(&replay(&books(), &[]));
    fits(&replay(&books(), &["--min-severity", "low"]));
    if let Some(invictus) = folder("cloudtrail/invictus-aws_dataset") {
        fits(&replay(&invictus, &[]));
        fits(&replay(&invictus, &["--min-severity", "low"]));
    }
    for set in ["cloudtrail/doc-examples", "cloudtrail/stratus-red-team", "cloudwatch/slack_invitor_convention"] {
        if let Some(folder) = folder(set) {
            fits(&replay(&folder, &["--min-severity", "low"]));
        }
    }
}

#[test]
fn hostile_names_stay_in_their_columns() {
    let hostile = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "line\nbreak\r\ttab",
        "\u{202e}gnp.exe\u{2066}",
        "寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬",
        "e\u{301}\u{301}\u{301}\u{301}\u{200b}\u{200d}👨‍👩‍👧‍👦👨‍👩‍👧‍👦",
        "",
        " ",
        &"x".repeat(5_000),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for day in 1..=8 {
        for (i, name) in hostile.iter().enumerate() {
            let mut r =
                record(day * 100 + i as u64, &format!("2025-09-{day:02}T10:00:{i:02}Z"), if day < 8 { "GetObject" } else { name }, name);
            r["userIdentity"]["userName"] = json!(name);
            r["userIdentity"]["arn"] = json!(format!("arn:aws:iam::1:user/{name}"));
            r["errorCode"] = if day == 8 { json!("AccessDenied") } else { Value::Null };
            records.push(r);
        }
    }
    write(folder.path(), "a.json", &records);
    std::fs::write(
        folder.path().join("\u{1b}[31mred\nnext 寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬寬.txt"),
        "no log",
    )
    .unwrap();
    std::fs::write(folder.path().join("\u{1b}[31mbad.json"), br#"{"Records":[{"eventName":1}]}"#).unwrap();
    for least in ["low", "medium"] {
        fits(&replay(folder.path(), &["--min-severity", least]));
    }
    let machine = replay(folder.path(), &["--format", "ocsf", "--min-severity", "low"]);
    assert!(machine.out.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
    assert!(!machine.out.contains('\u{1b}') && !machine.err.contains('\u{1b}'));
}

#[test]
fn settings_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = |text: &str| {
        std::fs::write(folder.path().join("outflow.toml"), text).unwrap();
        ran(outflow().current_dir(folder.path()).arg("config"))
    };
    let set = config("noise_per_week = 1.5\n");
    assert_eq!(set.code, 0);
    assert!(set.out.contains("noise_per_week = 1.5") && set.out.contains("(outflow.toml)") && set.out.contains("(default)"), "{}", set.out);
    // What it prints is a file that it reads.
    let again = config(&set.out);
    assert_eq!(again.code, 0, "{}", again.err);
    // What its remedy names works beside a file that doesn't.
    let refused = |said: Ran, code: &str| {
        assert!(said.out.contains("noise_per_week = 2\n") && said.out.contains("(default)"), "{}", said.out);
        refused(&Ran { out: String::new(), ..said }, code);
    };
    let unknown = config("noise_per_weak = 1\n");
    assert!(unknown.err.contains("`noise_per_week`"), "{}", unknown.err);
    refused(unknown, "OF103");
    refused(config("noise_per_week = \"much\"\n"), "OF104");
    refused(config("noise_per_week ="), "OF102");
    refused(ran(outflow().args(["config", "--config", "/nowhere.toml"])), "OF101");
    // replay reads it too: everything that is rare becomes an incident.
    std::fs::write(folder.path().join("outflow.toml"), "min_severity = \"low\"\n").unwrap();
    let by_file = ran(outflow().current_dir(folder.path()).args(["replay", "--format", "ocsf"]).arg(books()));
    assert_eq!(by_file.out, replay(&books(), &["--format", "ocsf", "--min-severity", "low"]).out);
}

#[test]
fn output_depends_on_the_records_alone() {
    let first = replay(&books(), &["--format", "ocsf", "--min-severity", "low"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("a b/ü");
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    let copied = std::process::Command::new("cp").arg("-r").arg(books()).arg(&other).status().unwrap();
    assert!(copied.success());
    let relative = ran(outflow()
        .current_dir(elsewhere.path().join("a b"))
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "tr_TR.UTF-8")
        .args(["replay", "ü", "--format", "ocsf", "--min-severity", "low"]));
    assert!(!first.out.is_empty() && first.out == relative.out);
}

#[cfg(unix)]
#[test]
fn only_plain_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &[record(1, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    write(outside.path(), "secret.json", &[record(2, "2025-09-01T10:00:00Z", "GetObject", "secret")]);
    std::os::unix::fs::symlink(outside.path(), folder.path().join("linked")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.json"), folder.path().join("linked.json")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.path().join("dangling.json")).unwrap();
    std::fs::create_dir(folder.path().join("folder.json.gz")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe.json")).status().unwrap().success());
    let out = tempfile::tempdir().unwrap();
    let said = replay(folder.path(), &["--out", out.path().to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.out.contains("secret"));
    assert!(said.out.contains("4 links or special files passed over"), "{}", said.out);
    let coverage: Value = serde_json::from_str(&std::fs::read_to_string(out.path().join("coverage.json")).unwrap()).unwrap();
    assert_eq!((coverage["files"].as_u64(), coverage["records"].as_u64()), (Some(1), Some(1)), "{coverage}");
    assert_eq!(coverage["not_plain"].as_u64(), Some(4), "{coverage}");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_opened_is_told_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &[record(1, "2025-09-01T10:00:00Z", "GetObject", "b")]);
    write(folder.path(), "locked.json", &[record(2, "2025-09-01T10:00:00Z", "GetObject", "c")]);
    let locked = folder.path().join("locked.json");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&locked).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let said = replay(folder.path(), &[]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("Unread   1 file or folder that could not be opened") && said.out.contains("locked.json"), "{}", said.out);
}

#[test]
fn a_record_without_a_time_is_counted_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut records: Vec<Value> = (1..=9).map(|d| record(d, &format!("2025-09-{d:02}T10:00:00Z"), "GetObject", "b")).collect();
    records.push(record(50, "2025-09-09T10:01:00Z", "DeleteBucket", "other"));
    write(folder.path(), "a.json", &records);
    let before = replay(folder.path(), &["--format", "ocsf", "--min-severity", "low"]);
    for (i, time) in ["", "yesterday", "2025-13-45T99:00:00Z", "9999999999999999"].into_iter().enumerate() {
        let mut r = record(100 + i as u64, time, "DeleteBucket", "untimed");
        r["userIdentity"]["userName"] = json!("nobody");
        write(folder.path(), &format!("u{i}.json"), &[r]);
    }
    let mut absent = record(200, "", "DeleteBucket", "untimed");
    absent.as_object_mut().unwrap().remove("eventTime");
    write(folder.path(), "u9.json", &[absent]);
    let after = replay(folder.path(), &["--format", "ocsf", "--min-severity", "low"]);
    assert_eq!(before.out, after.out);
    assert!(after.err.contains("5 records without a usable time"), "{}", after.err);
    assert!(after.err.contains("15 records"), "{}", after.err);
}
