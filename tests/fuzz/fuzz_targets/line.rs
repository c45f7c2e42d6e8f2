//! One message of a function's log; what is borrowed from it lies in it.
#![no_main]

use outflow_core::decode::{Line, line};

libfuzzer_sys::fuzz_target!(|message: &str| {
    match line(message) {
        Line::Report(report) => {
            assert!(message.contains(report.request_id));
            let figures = [report.duration_ms, report.billed_duration_ms, report.memory_size_mb];
            assert!(figures.iter().flatten().all(|f| f.is_finite() && *f >= 0.0));
        }
        Line::Start { request_id } | Line::End { request_id } | Line::Timeout { request_id } => assert!(message.contains(request_id)),
        Line::Application(application) => assert!(application.level.is_none_or(|level| message.contains(level))),
        _ => {}
    }
});
