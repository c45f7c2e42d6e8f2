//! What holds for all contents.

use proptest::prelude::*;

use super::*;

fn record(n: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root"}},"eventTime":"2025-03-20T06:42:33Z","eventSource":"s3.amazonaws.com","eventName":"Get{n}","eventID":"e{n}"}}"#
    )
}

/// Ways to break a record that leave its brackets as they are.
fn breakage(record: &str, kind: u8) -> String {
    match kind % 6 {
        0 => record.replace("\"Root\"", "Root"),
        1 => record.replace("\"eventName\":", "\"eventName\""),
        2 => record.replace("{\"type\"", "{type"),
        3 => record.replace("s3.amazonaws", "s3\\x.amazonaws"),
        4 => "17".to_owned(),
        _ => record.replace("eventSource", "source"),
    }
}

/// Real files to mutate, small ones.
fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (set, ending) in [
        ("cloudtrail/doc-examples", ".gz"),
        ("event-payloads/datadog-forwarder", ".json"),
        ("event-payloads/aws-lambda-rust-runtime", ".json"),
        ("cloudwatch/console-exports", ".gz"),
    ] {
        all.extend(data::files(set, &[ending]).into_iter().map(|(_, bytes)| bytes));
    }
    for bytes in all.clone() {
        if bytes.starts_with(&[0x1F, 0x8B]) {
            let mut plain = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&*bytes), &mut plain).unwrap();
            all.push(plain);
        }
    }
    all
}

#[test]
fn mutated_real_files_never_panic() {
    let seeds = seeds();
    if seeds.is_empty() {
        return;
    }
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let all = (any::<prop::sample::Index>(), edits, any::<prop::sample::Index>());
    runner
        .run(&all, |(seed, edits, cut)| {
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            for (at, byte, kind) in edits {
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => {
                        let bit = cut.index(bytes.len()).max(at);
                        bytes.drain(at..bit);
                        bytes.push(byte);
                    }
                }
            }
            run(&bytes);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        run(&bytes);
        run(&gzip(&bytes));
        run(&[b"{\"Records\":[", &*bytes].concat());
        run(&[b"timestamp,message\n", &*bytes].concat());
        line(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn json_like_text_never_panics(text in r#"(\{|\[|\]|\}|"|,|:|\\|"Records":|"eventName"|"logEvents":\[|"message"|"awslogs":|é|1|\n){0,60}"#) {
        run(text.as_bytes());
    }

    #[test]
    fn every_record_is_a_record_or_a_reject(n in 1_usize..20, broken in prop::collection::btree_map(0_usize..20, any::<u8>(), 0..6), lines in any::<bool>()) {
        let all: Vec<String> = (0..n).map(|i| broken.get(&i).map_or_else(|| record(i), |kind| breakage(&record(i), *kind))).collect();
        let bad = broken.keys().filter(|i| **i < n).count();
        let content = if lines { all.join("\n") } else { format!("{{\"Records\":[{}]}}", all.join(",")) };
        let (decoded, seen) = run(content.as_bytes());
        if decoded.format.is_some() {
            prop_assert_eq!((decoded.records, decoded.rejects), ((n - bad) as u64, bad as u64), "{}\n{}", content, seen.text);
        } else {
            prop_assert_eq!(bad, n);
        }
    }

    #[test]
    fn a_cut_costs_one_record(n in 1_usize..10, cut in any::<prop::sample::Index>()) {
        let all: Vec<String> = (0..n).map(record).collect();
        let content = format!("{{\"Records\":[{}]}}", all.join(","));
        let head = &content[..12 + cut.index(content.len() - 14)];
        let whole = all.iter().scan(12, |at, r| { *at += r.len() + 1; Some(*at - 1) }).filter(|end| *end <= head.len()).count();
        let (decoded, seen) = run(head.as_bytes());
        prop_assert_eq!((decoded.records, decoded.rejects), (whole as u64, 1), "{}\n{}", head, seen.text);
    }

    #[test]
    fn compression_changes_nothing(n in 0_usize..6, cut in any::<prop::sample::Index>()) {
        let content = format!("{{\"Records\":[{}]}}", (0..n).map(record).collect::<Vec<_>>().join(","));
        let plain = run(content.as_bytes());
        let (one, two) = content.as_bytes().split_at(cut.index(content.len()));
        for packed in [gzip(content.as_bytes()), [gzip(one), gzip(two)].concat()] {
            let (decoded, seen) = run(&packed);
            prop_assert_eq!(&decoded, &plain.0);
            prop_assert_eq!(&seen.text, &plain.1.text);
        }
    }

    #[test]
    fn the_usual_log_event_is_read_as_any_other(text in r#"([ -~é\n\t]|REPORT RequestId: a|\u{1F600}){0,30}"#, ms in 1_500_000_000_000_u64..1_800_000_000_000, id in "[0-9]{1,56}") {
        let message = serde_json::to_string(&text).unwrap();
        let head = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":["#;
        let usual = run(format!(r#"{head}{{"id":"{id}","timestamp":{ms},"message":{message}}}]}}"#).as_bytes());
        let other = run(format!(r#"{head}{{"timestamp":{ms},"id":"{id}","message":{message}}}]}}"#).as_bytes());
        prop_assert_eq!(usual.0.records, 1);
        prop_assert_eq!(usual.1.text, other.1.text);
    }
}
