//! Tables of log events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outflow_fuzz::run_twice(&[b"timestamp,message\n", bytes].concat());
    outflow_fuzz::run(&[b"@message,@log,x,@timestamp\r\n\"", bytes].concat());
});
