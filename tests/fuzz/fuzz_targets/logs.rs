//! Log events: in a subscription's message, as the command line prints them, and as lines.
#![no_main]

const HEAD: &[u8] = br#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":["#;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outflow_fuzz::run(&[HEAD, bytes, b"]}"].concat());
    outflow_fuzz::run(&[b"{\"messageType\":\"DATA_MESSAGE\",", bytes].concat());
    outflow_fuzz::run(&[b"{\"events\":[", bytes, b"]}"].concat());
    outflow_fuzz::run(&[b"2025-03-20T06:42:33.296Z ", bytes].concat());
    outflow_fuzz::run(&[b"END RequestId: a\n", bytes].concat());
});
