//! Gzip and zlib streams, against a second reader; any content, packed and cut.
#![no_main]

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use outflow_fuzz::run;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The stream is the fuzzer's.
    run(&[&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], bytes].concat());
    run(&[&[0x78, 0x9C], bytes].concat());
    let mut plain = Vec::new();
    let whole = MultiGzDecoder::new(bytes).take(1 << 20).read_to_end(&mut plain).is_ok() && plain.len() < 1 << 20;
    if whole && bytes.starts_with(&[0x1F, 0x8B]) && !plain.starts_with(&[0x1F, 0x8B]) && !is_zlib(&plain) {
        assert_eq!(run(bytes).1.text, run(&plain).1.text);
    }
    // The content is the fuzzer's, in two members.
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let packed = [gzip(one), gzip(two)].concat();
    if !bytes.starts_with(&[0x1F, 0x8B]) && !is_zlib(bytes) {
        assert_eq!(run(&packed).1.text, run(bytes).1.text);
    }
    run(packed.get(..packed.len() * 3 / 4).unwrap_or_default());
});

/// A stream inside a stream is opened only where it is gzip.
fn is_zlib(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| b & 0x0F == 8)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(packed) => packed,
        Err(_) => Vec::new(),
    }
}
