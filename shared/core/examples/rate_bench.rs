//! How long one window takes: `cargo run --release -p outflow-core --example rate_bench`.
//!
//! Prints nanoseconds a step of the logs, of the trail and of a run without activity, over many interleaved entities, next
//! to a fixed loop of logarithms timed in the same run, so that machines can be compared by the ratio. There is
//! deliberately no limit in here: it prints, a person judges.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use outflow_core::detect::rate::{CallsRow, Context, FlowRow, Rates};
use outflow_core::time::WindowId;
use std::hint::black_box;
use std::time::Instant;

/// Windows of history before anything is timed: 40 days.
const HISTORY: u32 = 40 * 288;
const FIRST: u32 = 5_805_360;

fn draw(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

fn context(window: u32) -> Context {
    Context { window: WindowId(window), deployed: false, clocks_shifted: false, account_low: false }
}

fn row(seed: &mut u64, mean: f64) -> CallsRow {
    let calls = (mean * (0.5 + draw(seed))).floor();
    let ms = if calls > 0. { 100. + 20. * draw(seed) } else { 0. };
    CallsRow {
        calls,
        errors: (calls * 0.03 * draw(seed)).floor(),
        throttles: 0.,
        lines: 5. * calls,
        median_ms: ms,
        p99_ms: 3. * ms,
        cost_usd: calls * ms * 1e-8,
    }
}

fn flows(seed: &mut u64, calls: f64) -> [FlowRow; 8] {
    std::array::from_fn(|series| {
        let y = (calls * draw(seed)).floor();
        FlowRow { series, calls: y, bytes: 900. * y }
    })
}

/// Nanoseconds of one call of `step`, the best of five rounds.
fn time(n: u32, mut step: impl FnMut(u32)) -> f64 {
    let round = |step: &mut dyn FnMut(u32)| {
        let start = Instant::now();
        (0..n).for_each(step);
        start.elapsed().as_nanos() as f64 / f64::from(n)
    };
    (0..5).map(|_| round(&mut step)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut seed = 7;
    let mut x = 1.5;
    let reference = time(200_000, |_| x = 1. + libm::log(black_box(x) + 1.5));
    println!("one logarithm                {reference:8.1} ns");
    for mean in [0.02, 3., 100., 5000.] {
        let mut rates = Rates::new(WindowId(FIRST));
        for i in 0..HISTORY {
            let row = row(&mut seed, mean);
            rates.step_calls(&row, &context(FIRST + i), None);
            rates.step_flows(row.calls, 0., &flows(&mut seed, row.calls), &context(FIRST + i), None);
        }
        let rows: Vec<CallsRow> = (0..1024).map(|_| row(&mut seed, mean)).collect();
        let trail: Vec<[FlowRow; 8]> = rows.iter().map(|row| flows(&mut seed, row.calls)).collect();
        let mut many: Vec<Rates> = (0..500).map(|_| rates.clone()).collect();
        let hot = time(20_000, |i| {
            black_box(rates.step_calls(&rows[(i % 1024) as usize], &context(FIRST + HISTORY + i), None));
        });
        let cold = time(20_000, |i| {
            black_box(many[(i % 500) as usize].step_calls(&rows[(i % 1024) as usize], &context(FIRST + HISTORY + i / 500), None));
        });
        let trail = time(5_000, |i| {
            let j = (i % 1024) as usize;
            black_box(many[(i % 500) as usize].step_flows(rows[j].calls, 0., &trail[j], &context(FIRST + HISTORY + i / 500), None));
        });
        let mut sleeper = many[0].clone();
        let idle = time(1, |i| {
            let from = FIRST + HISTORY + 20_000 + i;
            black_box(sleeper.clone().idle_calls(WindowId(from), WindowId(from + 8640), false, false, None));
        }) / 8640.;
        let bytes = (Rates::encode(&many[0]).len(), many[0].clone());
        let mut bare = bytes.1;
        (0..8).for_each(|series| bare.forget_flow(series));
        sleeper.forget_flow(0);
        println!(
            "mean {mean:6}: logs {hot:6.0} ns hot, {cold:6.0} ns of 500 interleaved ({:.0} logarithms); trail with 8 flows {trail:6.0} ns; \
             idle {idle:5.0} ns a window; state {} bytes, with 8 flows {}",
            hot / reference,
            bare.encode().len(),
            bytes.0
        );
    }
}
