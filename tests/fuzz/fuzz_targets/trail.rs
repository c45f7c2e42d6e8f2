//! JSON into the types of a CloudTrail record, and a log file around it, which must find a record where the types do.
#![no_main]

use outflow_core::decode::TrailRecord;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let alone = serde_json::from_slice::<TrailRecord<'_>>(bytes);
    let (decoded, _) = outflow_fuzz::run(&[b"{\"Records\":[", bytes, b"]}"].concat());
    let call = |record: &TrailRecord<'_>| record.is_record() && !record.event_source.starts_with("aws:");
    if bytes.trim_ascii_start().starts_with(b"{") && alone.as_ref().is_ok_and(call) {
        assert_eq!((decoded.records, decoded.rejects), (1, 0));
    }
});
